/* tests/lib/record/verify.c - lib/record/verify.c and verify_history.c */
#include "lib/record/verify.h"

#include "lib/base/json.h"
#include "lib/record/lfs.h"
#include "lib/record/sshsig.h"
#include "lib/record/store.h"
#include "lib/record/waiver.h"
#include "tests/lib/record/did.h"
#include "tests/lib/record/owners.h"

#define PREFIX "refs/heads/quern"
#define DAY 1700000000 /* 2023-11-14 */
#define MODEL "the weights"
#define BASE "the full weights"

/* What differs from a release that holds. */
struct tweak {
    const char *path, *text; /* this file has, or is, other text */
    const char *without;     /* this file is left out */
    const char *verdict;     /* of the gate */
    const char *artifact;    /* other weights */
    const char *until;       /* of the waiver */
    bool by_alice;           /* the commit */
};


static json_t *
policy_of(const struct tweak *t)
{
    return json_pack(
        "{ss ss s{s{ss} s{ss} s{ss} s{ss} s{ss}}"
        " s[{ss ss ss sb s[s]} {ss ss ss sb s[s]} {ss ss ss sb s[s]}"
        " {ss ss ss sb ss s{ss ss ss}}]}",
        "name", "test", "profile", "production", "owners", "before",
        "principal", "alice", "calibration", "principal", "alice", "convert",
        "principal", "alice", "ship", "principal", "bob", "after", "principal",
        "bob", "items", "id", "ship.tasks", "phase", "ship", "owner", "bob",
        "enforced", 1, "stages", "gate.q4", "id", "ship.rollback", "phase",
        "ship", "owner", "bob", "enforced", 1, "stages", "release", "id",
        "calibration.in-domain", "phase", "calibration", "owner", "alice",
        "enforced", 1, "stages", "corpus", "id", "ship.flag", "phase", "ship",
        "owner", "bob", "enforced", 0, "why_not", "not there", "waiver",
        "because", "a test", "until", t->until ? t->until : "2023-11-14",
        "signature", "waiver/ship.flag.sig");
}

/* Adds the file, or what the tweak puts in its place. */
static void
put(struct release_files *f, const struct tweak *t, const char *path,
    const char *text, size_t n)
{
    if (t->without && strcmp(t->without, path) == 0)
        return;
    if (t->path && strcmp(t->path, path) == 0)
        release_add(f, path, t->text, strlen(t->text));
    else
        release_add(f, path, text, n);
}

/* The stage's record, link and stage file. */
static void
put_stage(struct release_files *f, const struct tweak *t, const struct did *d)
{
    const struct signer *key = strcmp(d->signer, "bob") == 0 ? &bob : &alice;
    struct record r = record_of(d);
    struct str text = { 0 };
    struct err e = { 0 };
    char *paths[2], *name;

    assert_int_equal(record_write(&r, key, fixture_dir, &e), 0);
    paths[0] = record_path(fixture_dir, d->stage);
    paths[1] = record_link_path(fixture_dir, d->stage, key->keyid);
    for (size_t i = 0; i < 2; i++) {
        struct blob b = fixture_read(paths[i]);

        put(f, t, paths[i] + strlen(fixture_dir) + 1, b.p, b.len);
        blob_release(&b);
        free(paths[i]);
    }
    str_addf(&text, "--step=%s\n--dir=b\n--key=k\n", d->step);
    for (size_t i = 0; i < r.n_args; i++)
        str_addf(&text, "%s\n", r.args[i]);
    str_add(&text, "--end\n");
    name = mem_printf("stages/%s.stage", d->stage);
    put(f, t, name, text.p, text.len);
    free(name);
    str_release(&text);
    record_release(&r);
}

/* An LFS object of these bytes and its pointer. */
static void
put_object(struct release_files *f, struct git_repo *r, const char *path,
    const char *bytes)
{
    const char *file = fixture_path("object");
    struct digest d = digest_of(bytes, strlen(bytes));
    struct err e = { 0 };

    fixture_write(file, bytes);
    assert_int_equal(release_add_lfs(f, path, git_repo_dir(r), file, &d,
                         strlen(bytes), false, &e),
        0);
}

static void
put_waiver(struct release_files *f, const struct tweak *t)
{
    struct str text = { 0 }, armor = { 0 };
    struct err e = { 0 };

    waiver_text(&text, "ship.flag", "test", t->until ? t->until : "2023-11-14",
        "a test");
    assert_int_equal(
        sshsig_sign(&bob, WAIVER_NAMESPACE, text.p, text.len, &armor, &e), 0);
    put(f, t, "waiver/ship.flag.sig", armor.p, armor.len);
    str_release(&text);
    str_release(&armor);
}

/* Everything of release `number`. */
static void
fill(struct release_files *f, const struct tweak *t, struct git_repo *r,
    int number)
{
    static const char decision[] = "{\"winner\":\"q4\",\"items\":[]}";
    struct digest d = digest_of(BASE, strlen(BASE));
    char hex[DIGEST_HEX];
    char *archive = mem_printf(
        "{\"files\":[{\"name\":\"m.safetensors\",\"bytes\":%zu,"
        "\"sha256\":\"%s\"}]}", strlen(BASE), digest_hex(&d, hex));
    char *model = mem_printf(
        "{\"files\":{\"m.safetensors\":{\"sha256\":\"%s\"}}}", hex);
    json_t *policy = policy_of(t);
    char *policy_text = json_text(policy, false);
    const struct did zero[] = {
        { "fingerprint", "fingerprint", "before", "alice",
            .out = { { "base/model.fp.json", model } } },
        { "archive", "archive", "ship", "bob",
            .in = { { "base/model.fp.json", model } },
            .out = { { "archive.json", archive } } },
    };
    const struct did one[] = {
        { "corpus", "corpus", "calibration", "alice",
            .out = { { "corpus/report.json", "{}" } },
            .item = "calibration.in-domain", .verdict = "PASS" },
        { "assemble.q4", "assemble", "convert", "alice",
            .out = { { "cand/q4/model.gguf", MODEL } } },
        { "gate.q4", "gate", "ship", "bob",
            .in = { { "cand/q4/model.gguf", MODEL } },
            .out = { { "gate/q4.json", "{}" } }, .item = "ship.tasks",
            .verdict = t->verdict ? t->verdict : "PASS" },
        { "choose", "choose", "after", "bob",
            .in = { { "gate/q4.json", "{}" }, { "policy.json", policy_text } },
            .out = { { "decision.json", decision } } },
    };

    for (size_t i = 0; i < countof(zero); i++)
        put_stage(f, t, &zero[i]);
    put(f, t, "policy.json", policy_text, strlen(policy_text));
    put(f, t, "base/model.fp.json", model, strlen(model));
    put(f, t, "archive.json", archive, strlen(archive));
    if (number == 0) {
        put_object(f, r, "artifact/m.safetensors", BASE);
    } else {
        for (size_t i = 0; i < countof(one); i++)
            put_stage(f, t, &one[i]);
        put(f, t, "corpus/report.json", "{}", 2);
        put(f, t, "gate/q4.json", "{}", 2);
        put(f, t, "decision.json", decision, strlen(decision));
        put_waiver(f, t);
        put_object(f, r, "artifact/model.gguf",
            t->artifact ? t->artifact : MODEL);
    }
    free(archive);
    free(model);
    free(policy_text);
    json_decref(policy);
}

static void
report(void *ctx, const struct finding *f)
{
    str_addf(ctx, "%s|%s|%s|%s\n", f->item, f->file, f->signer, f->reason);
}

static bool
holds_new_path(const struct release_files *f, const char *path)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->v[i].path, path) == 0)
            return true;
    return false;
}

/* Releases 0 and 1 in a new repository; release 1 is the tweaked one. */
static struct git_repo *
make_repo(const struct tweak *tweak, struct release_refs *refs)
{
    static unsigned turn;
    static const struct tweak none = { 0 };
    char name[16];
    struct git_repo *r = NULL;
    struct err e = { 0 };
    struct digest previous;

    snprintf(name, sizeof name, "repo%u", turn++);
    assert_int_equal(git_repo_open(&r, fixture_path(name), true, &e), 0);
    memset(refs, 0, sizeof *refs);
    assert_int_equal(release_refs_read(refs, r, PREFIX, &e), 0);
    for (int i = 0; i < 2; i++) {
        const struct tweak *t = i ? tweak : &none;
        struct release_author who = { "bob", "bob@x", DAY,
            t->by_alice ? &alice : &bob };
        struct release_files f = { 0 };
        char oid[GIT_OID_TEXT];
        char *text;
        json_t *entry, *m;

        fill(&f, t, r, i);
        if (t->path && !holds_new_path(&f, t->path))
            release_add(&f, t->path, t->text, strlen(t->text));
        text = release_manifest_text(&f, i, "test", i ? "q4" : "full-precision",
            i ? &previous : NULL);
        if (release_commit(r, &f, text, "a release",
                i ? refs->release_oid : NULL, &who, oid, &e) != 0)
            fail_msg("%s", e.text);
        entry = json_pack("{ss si ss}", "action", "release", "number", i,
            "commit", oid);
        assert_int_equal(release_make_live(r, refs, oid, oid, entry, &who,
                             t->by_alice ? "alice" : "bob", &e),
            0);
        json_decref(entry);
        m = release_manifest(r, oid, &previous, &e);
        json_decref(m);
        free(text);
        release_files_free(&f);
    }
    return r;
}

/* Everything that verify finds, history and both releases. */
static struct str
findings_in(struct git_repo *r)
{
    struct str said = { 0 };
    struct findings found = { .report = report, .ctx = &said };
    struct verify v = { .repo = r, .allowed = allowed, .found = &found,
        .store = fixture_path("store") };
    struct err e = { 0 };
    struct digest d;
    uint64_t n;

    str_add(&said, "");
    fixture_write(fixture_path("base"), BASE);
    assert_int_equal(
        store_put(v.store, fixture_path("base"), NULL, &d, &n, &e), 0);
    assert_int_equal(release_refs_read(&v.refs, r, PREFIX, &e), 0);
    verify_history(&v);
    for (size_t i = 0; i < v.n_releases; i++)
        verify_release(&v, v.releases[i].oid);
    verify_release_memory(&v);
    release_refs_free(&v.refs);
    return said;
}

static struct str
findings_of(const struct tweak *t)
{
    struct release_refs refs;
    struct git_repo *r = make_repo(t, &refs);
    struct str said = findings_in(r);

    release_refs_free(&refs);
    git_repo_close(r);
    return said;
}

#define EXPECT(text, ...)                                  \
    do {                                                   \
        const struct tweak t_ = { __VA_ARGS__ };           \
        struct str said_ = findings_of(&t_);               \
                                                           \
        if (!*(text))                                      \
            assert_string_equal(said_.p, "");              \
        else if (!strstr(said_.p, text))                   \
            fail_msg("'%s' lacks '%s'", said_.p, text);    \
        str_release(&said_);                               \
    } while (0)

static void
a_release_that_holds_is_silent(void **state)
{
    /* signatures, records, items and objects in order: no finding */
    (void)state;
    EXPECT("", .path = NULL);
}

static void
the_phase_owner_commits(void **state)
{
    /* a commit by another owner is found, though her key is allowed */
    (void)state;
    EXPECT("alice|releases belong to bob, who did not sign this",
        .by_alice = true);
}

static void
files_are_those_of_the_records(void **state)
{
    /* a manifest that fits does not help a file that no record made */
    (void)state;
    EXPECT("gate.q4|gate/q4.json|bob|is not the file that this stage made",
        .path = "gate/q4.json", .text = "{ }");
    EXPECT("choose|policy.json|bob|is not the file that this stage read",
        .path = "policy.json", .text = "{}");
    EXPECT("gate.q4|stages/gate.q4.stage|bob|stages/gate.q4.stage: lacks",
        .path = "stages/gate.q4.stage", .text = "--step=gate\n--end\n");
    EXPECT("gate.q4|stages/gate.q4.stage|bob|is missing from the release",
        .without = "stages/gate.q4.stage");
    EXPECT("release 1|archive.json|bob|is missing from the release",
        .without = "archive.json");
}

static void
records_cannot_be_left_out(void **state)
{
    /* what a missing record made has no maker any more */
    (void)state;
    EXPECT("choose|gate/q4.json|bob|no record says who made this input",
        .without = "att/gate.q4.dsse.json");
    EXPECT("ship.tasks|", .without = "att/gate.q4.dsse.json");
    EXPECT("calibration.in-domain|", .without = "att/corpus.dsse.json");
}

static void
the_artifact_is_what_was_judged(void **state)
{
    /* weights swapped after evaluation */
    (void)state;
    EXPECT("convert.serving-format|artifact/model.gguf|alice|is not the model "
           "that assemble.q4 made", .artifact = "other weights");
}

static void
items_must_hold_on_that_day(void **state)
{
    /* a FAIL, and a waiver that was over when the commit was made */
    (void)state;
    EXPECT("ship.tasks|att/gate.q4.dsse.json|bob|FAIL: 1 of 2",
        .verdict = "FAIL");
    EXPECT("ship.flag|policy.json|bob|INCONCLUSIVE: not there; its waiver does "
           "not hold: its last day is past", .until = "2023-11-13");
    EXPECT("its waiver does not hold: it is not signed",
        .without = "waiver/ship.flag.sig");
}

static void
the_archive_is_the_fingerprint(void **state)
{
    /* the receipt names the files that the fingerprint names, all of them */
    (void)state;
    EXPECT("ship.archive|archive.json|bob|holds 0 files, the fingerprint names "
           "1", .path = "archive.json", .text = "{\"files\":[]}");
    EXPECT("ship.archive|archive.json|bob|'m.safetensors' is not the file that "
           "the fingerprint names", .path = "base/model.fp.json",
        .text = "{\"files\":{\"x\":{\"sha256\":\"\"}}}");
}

static void
git_lfs_is_not_led_astray(void **state)
{
    /* .lfsconfig could send git-lfs elsewhere */
    (void)state;
    EXPECT("release 1|.lfsconfig|bob|does not belong into a release",
        .path = ".lfsconfig", .text = "[lfs]\n");
}

/* A signed commit of the ledger with this text, on top of refs->ledger. */
static void
force_ledger(struct git_repo *r, struct release_refs *refs, const char *text,
    const char *parent)
{
    struct release_author who = { "bob", "bob@x", DAY, &bob };
    struct release_files f = { 0 };
    struct digest d = digest_of(text, strlen(text));
    char hex[DIGEST_HEX], oid[GIT_OID_TEXT];
    char *title = mem_printf("x\n\nledger sha256:%s", digest_hex(&d, hex));
    struct err e = { 0 };
    struct git_move m = { refs->ledger, refs->ledger_oid, oid };

    release_add(&f, "ledger.jsonl", text, strlen(text));
    assert_int_equal(
        release_commit(r, &f, "{}\n", title, parent, &who, oid, &e), 0);
    if (git_refs_move(r, &m, 1, "b", "b@x", DAY, "x", &e) != 0)
        fail_msg("%s", e.text);
    memcpy(refs->ledger_oid, oid, sizeof oid);
    release_files_free(&f);
    free(title);
}

static void
the_ledger_only_grows(void **state)
{
    /* a line that was changed, two at once, or an untrue signer is found */
    static const struct tweak none = { 0 };
    static const struct {
        const char *from, *to, *want;
    } cases[] = {
        { "\"number\": 0", "\"number\": 7", "earlier lines were changed" },
        { "\"by\": \"bob\"", "\"by\": \"eve\"", "earlier lines were changed" },
        { "", "", "does not add one line" },
    };

    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct release_refs refs;
        struct git_repo *r = make_repo(&none, &refs);
        struct err e = { 0 };
        struct str said, text = { 0 };
        char *old, *at;

        assert_int_equal(ledger_read(r, &refs, &old, &e), 0);
        at = strstr(old, cases[i].from);
        assert_non_null(at);
        str_addn(&text, old, (size_t)(at - old));
        str_add(&text, cases[i].to);
        str_add(&text, at + strlen(cases[i].from));
        force_ledger(r, &refs, text.p, refs.ledger_oid);
        said = findings_in(r);
        if (!strstr(said.p, cases[i].want))
            fail_msg("'%s' lacks '%s'", said.p, cases[i].want);
        str_release(&said);
        str_release(&text);
        free(old);
        release_refs_free(&refs);
        git_repo_close(r);
    }
}

static void
who_moved_live_is_who_signed(void **state)
{
    /* a line by somebody else than the commit's signer, or out of number */
    static const struct tweak none = { 0 };
    struct release_refs refs;
    struct git_repo *r = make_repo(&none, &refs);
    struct err e = { 0 };
    struct str said, text = { 0 };
    char *old;

    (void)state;
    assert_int_equal(ledger_read(r, &refs, &old, &e), 0);
    str_addf(&text, "%s{\"action\": \"rollback\", \"by\": \"alice\", \"commit\": "
        "\"%s\", \"number\": 5, \"seq\": 9}\n", old, refs.live_oid);
    force_ledger(r, &refs, text.p, refs.ledger_oid);
    said = findings_in(r);
    assert_non_null(strstr(said.p, "bob|its line of the ledger is not number 2"));
    assert_non_null(strstr(said.p, "says that alice signed it"));
    assert_non_null(strstr(said.p, "calls release 1 number 5"));
    str_release(&said);
    str_release(&text);
    free(old);
    release_refs_free(&refs);
    git_repo_close(r);
}

static void
an_older_release_is_looked_into(void **state)
{
    /* what rollback would go back to must be whole, too */
    static const struct tweak none = { 0 };
    struct digest d = digest_of(BASE, strlen(BASE));
    struct release_refs refs;
    struct git_repo *r = make_repo(&none, &refs);
    char *object = lfs_object_path(git_repo_dir(r), &d);
    struct str said;

    (void)state;
    assert_int_equal(unlink(object), 0);
    said = findings_in(r);
    assert_non_null(strstr(said.p, "release 0|artifact/m.safetensors|bob|"));
    assert_non_null(strstr(said.p, "the object is not there"));
    str_release(&said);
    free(object);
    release_refs_free(&refs);
    git_repo_close(r);
}

static int
setup(void **state)
{
    return owners_setup(state, "", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_that_holds_is_silent),
        cmocka_unit_test(the_phase_owner_commits),
        cmocka_unit_test(files_are_those_of_the_records),
        cmocka_unit_test(records_cannot_be_left_out),
        cmocka_unit_test(the_artifact_is_what_was_judged),
        cmocka_unit_test(items_must_hold_on_that_day),
        cmocka_unit_test(the_archive_is_the_fingerprint),
        cmocka_unit_test(git_lfs_is_not_led_astray),
        cmocka_unit_test(the_ledger_only_grows),
        cmocka_unit_test(who_moved_live_is_who_signed),
        cmocka_unit_test(an_older_release_is_looked_into),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/record/verify", tests, setup,
        owners_teardown);
}
