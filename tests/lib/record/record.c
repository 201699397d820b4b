/* tests/lib/record/record.c - lib/record/record.c and record_read.c */
#include "lib/record/record.h"

#include "lib/base/json.h"
#include "lib/record/canon.h"
#include "lib/record/dsse.h"
#include "tests/lib/record/fixture.h"

static const char *const args[] = { "--stage=quantize.q4k.l003",
    "--phase=convert", "--signer=alice@example",
    "--item=before.precision", "--item=convert.method",
    "--in=base/layer.003.fp.json", "--in=stats/layer.003.safetensors",
    "--src=base", "--out=quant/q4k/layer.003.gguf",
    "--out=quant/q4k/layer.003.json", "--set=layer=003", "--set=type=Q4_K" };

/* A record as a stage would make it. */
static struct record
sample(void)
{
    struct digest d = digest_of("x", 1);
    struct record r = { .stage = mem_strdup("quantize.q4k.l003"),
        .step = mem_strdup("quantize"), .phase = mem_strdup("convert"),
        .signer = mem_strdup("alice@example"),
        .args = mem_calloc(countof(args), sizeof *r.args),
        .n_args = countof(args), .program = digest_of("program", 7),
        .answers = json_pack("{s{ss ss}}", "convert.method", "verdict", "PASS",
            "figure", "imatrix, error \xe2\x89\xa4 \"0.1\""),
        .notes = json_pack("{ss}", "numeric", "float32") };

    for (size_t i = 0; i < countof(args); i++)
        r.args[i] = mem_strdup(args[i]);
    record_add(&r.materials, "base/layer.003.fp.json", &d);
    d = digest_of("y", 1);
    record_add(&r.materials, "stats/layer.003.safetensors", &d);
    d = digest_of("z", 1);
    record_add(&r.products, "quant/q4k/layer.003.gguf", &d);
    record_add(&r.products, "quant/q4k/layer.003.json", &d);
    return r;
}

static void
both_forms_come_back(void **state)
{
    /* what is written reads back alike from link and envelope, and verifies
     * under the key that signed it alone */
    struct signer s = fixture_signer("root");
    struct signer other = fixture_signer("owner-release");
    struct record r = sample(), link, envelope;
    char *link_path = record_link_path(fixture_dir, r.stage, s.keyid);
    char *path = record_path(fixture_dir, r.stage);
    struct err e = { 0 };

    (void)state;
    assert_int_equal(record_write(&r, &s, fixture_dir, &e), 0);
    assert_non_null(strstr(link_path,
        "/att/quantize.q4k.l003.2b5c8382.link"));
    assert_non_null(strstr(path, "/att/quantize.q4k.l003.dsse.json"));
    assert_int_equal(record_read(&link, link_path, &e), 0);
    assert_int_equal(record_read(&envelope, path, &e), 0);
    assert_true(record_same(&r, &link));
    assert_true(record_same(&link, &envelope));
    assert_true(record_verify(&link, &s.public));
    assert_true(record_verify(&envelope, &s.public));
    assert_false(record_verify(&link, &other.public));
    assert_false(record_verify(&envelope, &other.public));
    assert_false(record_verify(&r, &s.public)); /* was not signed */
    assert_string_equal(envelope.stage, "quantize.q4k.l003");
    assert_string_equal(envelope.step, "quantize");
    assert_string_equal(envelope.phase, "convert");
    assert_string_equal(envelope.signer, "alice@example");
    assert_true(digest_equal(&envelope.program, &r.program));
    assert_int_equal(envelope.materials.n, 2);
    assert_true(json_equal(envelope.answers, r.answers));
    assert_true(json_equal(link.notes, r.notes));
    record_release(&r);
    record_release(&link);
    record_release(&envelope);
    signer_release(&s);
    signer_release(&other);
    free(link_path);
    free(path);
}

static void
same_work_same_bytes(void **state)
{
    /* writing an equal record leaves files and times alone */
    struct signer s = fixture_signer("root");
    struct record r = sample();
    char *path = record_path(fixture_dir, r.stage);
    struct stat before, after;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(record_write(&r, &s, fixture_dir, &e), 0);
    assert_int_equal(stat(path, &before), 0);
    usleep(20000);
    assert_int_equal(record_write(&r, &s, fixture_dir, &e), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_ino, after.st_ino);
    record_release(&r);
    signer_release(&s);
    free(path);
}

static void
any_flipped_byte_is_found(void **state)
{
    /* each byte of link and envelope matters: it no longer reads, or the
     * signature fails */
    struct signer s = fixture_signer("root");
    struct record r = sample();
    char *paths[2] = { record_link_path(fixture_dir, r.stage, s.keyid),
        record_path(fixture_dir, r.stage) };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(record_write(&r, &s, fixture_dir, &e), 0);
    for (size_t i = 0; i < 2; i++) {
        struct blob b = fixture_read(paths[i]);

        for (size_t k = 0; k < b.len; k++) {
            struct record bad;

            b.p[k] ^= k % 3 == 0 ? 1 : k % 3 == 1 ? 4 : 32;
            err_clear(&e);
            if (record_parse(&bad, b.p, b.len, "r", &e) == 0)
                assert_false(record_verify(&bad, &s.public));
            record_release(&bad);
            b.p[k] ^= k % 3 == 0 ? 1 : k % 3 == 1 ? 4 : 32;
        }
        for (size_t k = 0; k < b.len; k += 13) {
            struct record bad;

            err_clear(&e);
            assert_int_equal(record_parse(&bad, b.p, k, "r", &e), ERR_WORK);
        }
        blob_release(&b);
        free(paths[i]);
    }
    record_release(&r);
    signer_release(&s);
}

/* The body of a link, to be spoiled; then signed as if it were right. */
static const char *
refusal(json_t *body)
{
    static struct err e;
    struct signer s = fixture_signer("root");
    struct str bytes = { 0 };
    uint8_t sig[SIGN_BYTES];
    char hex[2 * SIGN_BYTES + 1];
    struct record r;
    json_t *v;
    char *text;

    err_clear(&e);
    assert_true(canon_add(&bytes, body));
    assert_int_equal(signer_sign(&s, sig, bytes.p, bytes.len, &e), 0);
    for (size_t i = 0; i < SIGN_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", sig[i]);
    v = json_pack("{so s[{ss ss}]}", "signed", body, "signatures", "keyid",
        s.keyid, "sig", hex);
    text = json_text(v, false);
    assert_int_equal(record_parse(&r, text, strlen(text), "r", &e), ERR_WORK);
    free(text);
    json_decref(v);
    str_release(&bytes);
    signer_release(&s);
    return e.text;
}

static json_t *
body(void)
{
    struct record r = sample();
    json_t *v = record_link(&r);

    record_release(&r);
    return v;
}

static void
signed_but_wrong(void **state)
{
    /* broken chains that stock verifiers let pass, signed by a real owner */
    json_t *v;

    (void)state;
    v = body(); /* a replay between stages of one owner */
    json_object_set_new(v, "name", json_string("quantize.q4k.l004"));
    assert_string_equal(refusal(v), "r: not a record of quern: its name is not "
        "that of its stage; run its stage again");
    v = body();
    json_object_set_new(json_object_get(v, "byproducts"), "return-value",
        json_integer(1));
    assert_string_equal(refusal(v), "r: not a record of quern: it does not say "
        "that the stage succeeded; run its stage again");
    v = body(); /* an input that the arguments do not declare, and the reverse */
    json_object_set(json_object_get(v, "materials"), "base/model.bin",
        json_object_get(json_object_get(v, "materials"),
            "base/layer.003.fp.json"));
    assert_non_null(strstr(refusal(v), "files and arguments differ"));
    v = body();
    json_object_del(json_object_get(v, "materials"), "base/layer.003.fp.json");
    assert_non_null(strstr(refusal(v), "files and arguments differ"));
    v = body();
    json_object_del(json_object_get(v, "products"),
        "quant/q4k/layer.003.gguf");
    assert_non_null(strstr(refusal(v), "files and arguments differ"));
    v = body();
    json_object_del(json_object_get(v, "materials"), "_tool/quern-quantize");
    assert_non_null(strstr(refusal(v), "its program is not among"));
    v = body(); /* unsigned data would ride along */
    json_object_set_new(v, "extra", json_string("x"));
    assert_non_null(strstr(refusal(v), "not written as quern writes it"));
    v = body();
    json_object_del(v, "environment");
    assert_non_null(strstr(refusal(v), "not written as quern writes it"));
    v = body();
    json_object_set_new(json_object_get(v, "byproducts"), "more",
        json_string("x"));
    assert_non_null(strstr(refusal(v), "not written as quern writes it"));
}

static void
signed_but_misshapen(void **state)
{
    /* names that lead out, digests in capitals, arguments out of order */
    static const char upper[] =
        "2D711642B726B04401627CA9FBAC32F5C8530FB1903CC4DB02258717921A4881";
    json_t *v, *files, *command;

    (void)state;
    v = body();
    files = json_object_get(v, "products");
    json_object_set(files, "../out", json_object_get(files,
        "quant/q4k/layer.003.json"));
    assert_non_null(strstr(refusal(v), "would not name"));
    v = body();
    json_object_set_new(json_object_get(json_object_get(v, "products"),
        "quant/q4k/layer.003.json"), "sha256", json_string(upper));
    assert_non_null(strstr(refusal(v), "64 lower-case hex digits"));
    v = body();
    json_object_set_new(json_object_get(json_object_get(v, "products"),
        "quant/q4k/layer.003.json"), "sha512", json_string("00"));
    assert_non_null(strstr(refusal(v), "64 lower-case hex digits"));
    v = body();
    command = json_object_get(v, "command");
    json_array_append_new(command, json_string("--item=z"));
    assert_non_null(strstr(refusal(v), "not in quern's order"));
    v = body();
    command = json_object_get(v, "command");
    json_array_append_new(command, json_string("--set=type=Q4_K"));
    assert_non_null(strstr(refusal(v), "not in quern's order"));
    v = body();
    json_array_append_new(json_object_get(v, "command"), json_integer(7));
    assert_non_null(strstr(refusal(v), "not in quern's order"));
    v = body();
    json_array_set_new(json_object_get(v, "command"), 0,
        json_string("qg-quantize"));
    assert_non_null(strstr(refusal(v), "not one of quern's steps"));
    v = body();
    json_object_set_new(json_object_get(v, "byproducts"),
        "quern.answer.convert.method", json_string("PASS"));
    assert_non_null(strstr(refusal(v), "an answer has no verdict"));
}

static void
texts_that_are_refused(void **state)
{
    /* not JSON, double members, depth, other records: one line each */
    char deep[200];
    const char *const rows[][2] = {
        { "", "not JSON" },
        { "{}", "neither a link nor an envelope" },
        { "[1]", "neither a link nor an envelope" },
        { "{\"signed\":1,\"signed\":2}", "not JSON" },
        { "{\"payload\":1}", "not written as quern writes it" },
        { "{\"signed\":{},\"signatures\":[]}", "one signature" },
        { deep, "nested too deeply" },
    };

    (void)state;
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    for (size_t i = 0; i < countof(rows); i++) {
        struct err e = { 0 };
        struct record r;

        assert_int_equal(record_parse(&r, rows[i][0], strlen(rows[i][0]), "r",
            &e), ERR_WORK);
        if (strstr(e.text, rows[i][1]) == NULL)
            fail_msg("'%s' does not say '%s'", e.text, rows[i][1]);
    }
}

static void
others_records_are_not_ours(void **state)
{
    /* a good link and a good statement of another project are refused */
    struct err e = { 0 };
    struct record r;

    (void)state;
    assert_int_equal(record_read(&r, DATA "link/quantize.93cc8fcf.link", &e),
        ERR_WORK);
    err_clear(&e);
    assert_int_equal(record_read(&r, DATA "statement/quantize.link.dsse.json",
        &e), ERR_WORK);
    err_clear(&e);
    assert_int_equal(record_read(&r, DATA "no-such-file", &e), ERR_WORK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_come_back),
        cmocka_unit_test(same_work_same_bytes),
        cmocka_unit_test(any_flipped_byte_is_found),
        cmocka_unit_test(signed_but_wrong),
        cmocka_unit_test(signed_but_misshapen),
        cmocka_unit_test(texts_that_are_refused),
        cmocka_unit_test(others_records_are_not_ours),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("record/record", tests, fixture_setup,
        fixture_teardown);
}
