/* tests/lib/record/chain.c - lib/record/chain.c */
#include "lib/record/chain.h"

#include "lib/base/json.h"
#include "tests/lib/record/did.h"
#include "tests/lib/record/owners.h"

static json_t *policy;

static void
report(void *ctx, const struct finding *f)
{
    str_addf(ctx, "%s|%s|%s|%s\n", f->item, f->file, f->signer, f->reason);
}

/* Adds the stage's record, signed by `key`, with the link of `link_of`. */
static bool
add(struct chain *c, struct findings *found, const struct did *d,
    const struct signer *key, const struct did *link_of)
{
    struct record r = record_of(d), other = record_of(link_of ? link_of : d);
    char *path = record_path(fixture_dir, d->stage);
    char *link_path;
    struct blob envelope, link;
    struct err e = { 0 };
    bool held;

    assert_int_equal(record_write(&r, key, fixture_dir, &e), 0);
    envelope = fixture_read(path);
    assert_int_equal(record_write(&other, key, fixture_dir, &e), 0);
    link_path = record_link_path(fixture_dir, other.stage, key->keyid);
    link = fixture_read(link_path);
    held = chain_add(c, d->stage, envelope.p, envelope.len, "the link", link.p,
        link.len, &allowed, found);
    blob_release(&envelope);
    blob_release(&link);
    record_release(&r);
    record_release(&other);
    free(link_path);
    free(path);
    return held;
}

/* Findings of a whole chain, each stage signed by the owner it names. */
static struct str
findings_of(const struct did *d, size_t n)
{
    struct str said = { 0 };
    struct findings found = { .report = report, .ctx = &said };
    struct chain c = { 0 };

    str_add(&said, "");
    for (size_t i = 0; i < n; i++)
        add(&c, &found, &d[i], strcmp(d[i].signer, "bob") == 0 ? &bob : &alice,
            NULL);
    chain_check(&c, policy, &found);
    chain_release(&c);
    return said;
}

#define EXPECT(text, ...)                                             \
    do {                                                              \
        const struct did stages_[] = { __VA_ARGS__ };                 \
        struct str said_ = findings_of(stages_, countof(stages_));    \
                                                                      \
        if (!*(text))                                                 \
            assert_string_equal(said_.p, "");                         \
        else if (!strstr(said_.p, text))                              \
            fail_msg("'%s' lacks '%s'", said_.p, text);               \
        str_release(&said_);                                          \
    } while (0)

#define QUANTIZE                                                       \
    { "quantize.q4", "quantize", "convert", "alice",                   \
        .in = { { "data/x", "x" } }, .out = { { "quant/q4", "model" } } }
#define GATE(content)                                                  \
    { "gate.q4", "gate", "ship", "bob", .in = { { "quant/q4", content } }, \
        .out = { { "gate/q4.json", "{}" } } }

static void
a_chain_that_fits_is_silent(void **state)
{
    /* sources, a maker and a reader, each signed by its phase's owner */
    (void)state;
    EXPECT("", QUANTIZE, GATE("model"));
}

static void
the_owner_of_the_phase_signs(void **state)
{
    /* an owner cannot sign for a phase that the policy gives to another */
    (void)state;
    EXPECT("gate.q4|policy.json|alice|phase 'ship' belongs to bob",
        { "gate.q4", "gate", "ship", "alice",
            .out = { { "gate/q4.json", "{}" } } });
    EXPECT("names no owner for phase 'training'",
        { "train", "train", "training", "alice", .out = { { "a", "a" } } });
}

static void
what_was_read_is_what_was_made(void **state)
{
    /* a model swapped between two stages is found, with both digests */
    (void)state;
    EXPECT("gate.q4|quant/q4|bob|read sha256 ", QUANTIZE, GATE("other"));
}

static void
somebody_made_every_input(void **state)
{
    /* an input that is no source needs a record that made it */
    (void)state;
    EXPECT("gate.q4|quant/q4|bob|no record says who made this",
        GATE("model"));
    EXPECT("", { "a", "a", "ship", "bob", .in = { { "suite/x.jsonl", "" } },
                   .out = { { "b", "b" } } });
}

static void
one_maker_per_file(void **state)
{
    /* two stages may not claim the same output, even with the same bytes */
    (void)state;
    EXPECT("quantize.q5|quant/q4|alice|quantize.q4 claims to have made this",
        QUANTIZE,
        { "quantize.q5", "quantize", "convert", "alice",
            .out = { { "quant/q4", "model" } } });
}

static void
sources_are_read_alike(void **state)
{
    /* baseline and candidate must have answered the same suite */
    (void)state;
    EXPECT("evaluate.q4.s|suite/s|bob|read sha256 ",
        { "evaluate.baseline.s", "evaluate", "ship", "bob",
            .in = { { "suite/s", "1" } }, .out = { { "eval/a", "a" } } },
        { "evaluate.q4.s", "evaluate", "ship", "bob",
            .in = { { "suite/s", "2" } }, .out = { { "eval/b", "b" } } });
}

static void
one_program_per_step(void **state)
{
    /* stages of one step were done by the same program */
    (void)state;
    EXPECT("evaluate.b|_tool/quern-evaluate|bob|is not the program that did "
           "evaluate.a",
        { "evaluate.a", "evaluate", "ship", "bob", .out = { { "a", "a" } } },
        { "evaluate.b", "evaluate", "ship", "bob", .out = { { "b", "b" } },
            .program = "patched" });
}

static void
a_signature_under_another_key_is_found(void **state)
{
    /* whoever the record names must have signed it, with a key we know */
    const struct did d = GATE("model");
    const struct did stranger = { "gate.q4", "gate", "ship", "mallory",
        .out = { { "gate/q4.json", "{}" } } };
    struct str said = { 0 };
    struct findings found = { .report = report, .ctx = &said };
    struct chain c = { 0 };

    (void)state;
    assert_false(add(&c, &found, &d, &alice, NULL));
    assert_non_null(strstr(said.p, "gate.q4|gate.q4|bob|bad signature"));
    str_clear(&said);
    assert_false(add(&c, &found, &stranger, &alice, NULL));
    assert_non_null(strstr(said.p, "mallory|no key of this owner"));
    str_clear(&said);
    assert_true(add(&c, &found, &d, &bob, NULL));
    assert_string_equal(said.p, "");
    chain_release(&c);
    str_release(&said);
}

static void
the_link_says_the_same(void **state)
{
    /* a link of other work, though well signed, or none, is found */
    const struct did d = GATE("model"), other = GATE("other");
    struct str said = { 0 };
    struct findings found = { .report = report, .ctx = &said };
    struct chain c = { 0 };
    struct blob envelope;
    char *path = record_path(fixture_dir, d.stage);

    (void)state;
    assert_false(add(&c, &found, &d, &bob, &other));
    assert_non_null(
        strstr(said.p, "the link|bob|says something else than its envelope"));
    str_clear(&said);
    envelope = fixture_read(path);
    assert_false(chain_add(&c, "e", envelope.p, envelope.len, "the link", NULL,
        0, &allowed, &found));
    assert_non_null(strstr(said.p, "the link beside the envelope is missing"));
    str_clear(&said);
    assert_false(chain_add(&c, "e", "{}", 2, "the link", NULL, 0, &allowed,
        &found));
    assert_non_null(strstr(said.p, "team.owners|e|nobody|"));
    blob_release(&envelope);
    chain_release(&c);
    str_release(&said);
    free(path);
}

static void
the_worst_answer_counts(void **state)
{
    /* of several stages that answer an item, and only for the winner */
    const struct did d[] = {
        { "corpus", "corpus", "calibration", "alice", .out = { { "a", "a" } },
            .item = "calibration.in-domain", .verdict = "PASS" },
        { "gate.q4", "gate", "ship", "bob", .out = { { "b", "b" } },
            .item = "ship.tasks", .verdict = "PASS" },
        { "gate.q4k", "gate", "ship", "bob", .out = { { "c", "c" } },
            .item = "ship.tasks", .verdict = "FAIL" },
        { "z", "z", "ship", "bob", .out = { { "d", "d" } },
            .item = "calibration.in-domain", .verdict = "INCONCLUSIVE" },
    };
    struct str said = { 0 };
    struct findings found = { .report = report, .ctx = &said };
    struct chain c = { 0 };
    const struct digest *digest = NULL;
    json_t *answers;

    (void)state;
    for (size_t i = 0; i < countof(d); i++)
        add(&c, &found, &d[i], i ? &bob : &alice, NULL);
    chain_check(&c, policy, &found);
    answers = chain_answers(&c, "q4");
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(answers, "ship.tasks"), "verdict")),
        "PASS");
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(answers, "calibration.in-domain"), "evidence")),
        "att/z.dsse.json");
    json_decref(answers);
    answers = chain_answers(&c, NULL);
    assert_null(json_object_get(answers, "ship.tasks"));
    json_decref(answers);
    assert_string_equal(chain_maker(&c, "c", &digest)->stage, "gate.q4k");
    assert_null(chain_maker(&c, "e", &digest));
    chain_release(&c);
    str_release(&said);
}

static int
setup(void **state)
{
    policy = json_pack("{s{s{ss} s{ss} s{ss}}}", "owners", "convert",
        "principal", "alice", "calibration", "principal", "alice", "ship",
        "principal", "bob");
    return owners_setup(state, "", "");
}

static int
teardown(void **state)
{
    json_decref(policy);
    return owners_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_that_fits_is_silent),
        cmocka_unit_test(the_owner_of_the_phase_signs),
        cmocka_unit_test(what_was_read_is_what_was_made),
        cmocka_unit_test(somebody_made_every_input),
        cmocka_unit_test(one_maker_per_file),
        cmocka_unit_test(sources_are_read_alike),
        cmocka_unit_test(one_program_per_step),
        cmocka_unit_test(a_signature_under_another_key_is_found),
        cmocka_unit_test(the_link_says_the_same),
        cmocka_unit_test(the_worst_answer_counts),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/record/chain", tests, setup,
        teardown);
}
