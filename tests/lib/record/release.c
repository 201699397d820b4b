/* tests/lib/record/release.c - lib/record/release.c, git.c and verify.c */
#include "lib/record/release.h"

#include "lib/record/lfs.h"
#include "lib/record/signers.h"
#include "lib/record/verify.h"
#include "tests/lib/record/fixture.h"

#define PREFIX "refs/heads/quern"

static struct signer alice;
static struct release_author author = { "alice", "alice@example.org",
    1700000000, &alice };

/* A repository with releases 0 and 1; returns the oid of release 1. */
static struct git_repo *
make_repo(const char *path, struct release_refs *refs,
    char oids[2][GIT_OID_TEXT])
{
    struct git_repo *r = NULL;
    struct err e = { 0 };
    struct digest previous;

    assert_int_equal(git_repo_open(&r, path, true, &e), 0);
    memset(refs, 0, sizeof *refs);
    assert_int_equal(release_refs_read(refs, r, PREFIX, &e), 0);
    for (int i = 0; i < 2; i++) {
        struct release_files files = { 0 };
        json_t *entry, *m;
        char *manifest;

        release_add(&files, "policy.json", i ? "{}\n" : "{ }\n", 3);
        manifest = release_manifest_text(&files, i, "test",
            i ? "q4" : "full-precision", i ? &previous : NULL);
        assert_int_equal(release_commit(r, &files, manifest, "a release",
                             i ? oids[0] : NULL, &author, oids[i], &e),
            0);
        entry = json_pack("{s:s, s:i, s:s}", "action", "release", "number", i,
            "commit", oids[i]);
        assert_int_equal(release_make_live(r, refs, oids[i], oids[i], entry,
                             &author, "alice", &e),
            0);
        json_decref(entry);
        m = release_manifest(r, oids[i], &previous, &e);
        assert_non_null(m);
        json_decref(m);
        free(manifest);
        release_files_free(&files);
    }
    return r;
}

static void
gather(void *ctx, const struct finding *f)
{
    struct str *s = ctx;

    str_addf(s, "%s|%s|%s\n", f->item, f->file, f->reason);
}

/* What verify_history says of the repository as it stands now. */
static struct str
history(struct git_repo *r)
{
    struct str said = { 0 };
    struct findings found = { .report = gather, .ctx = &said };
    struct verify v = { .repo = r, .found = &found };
    struct str signers = { 0 };
    struct err e = { 0 };

    str_add(&said, "");
    str_add(&signers, "alice namespaces=\"git\" ");
    pubkey_text(&alice.public, &signers);
    str_add(&signers, "\n");
    assert_int_equal(
        signers_parse(&v.allowed, signers.p, signers.len, "signers", &e), 0);
    assert_int_equal(release_refs_read(&v.refs, r, PREFIX, &e), 0);
    verify_history(&v);
    release_refs_free(&v.refs);
    verify_release_memory(&v);
    signers_release(&v.allowed);
    str_release(&signers);
    return said;
}

static void
releases_are_linear_and_signed(void **state)
{
    /* two releases, each with its ledger line, verify; live is the second */
    struct release_refs refs;
    char oids[2][GIT_OID_TEXT];
    struct git_repo *r = make_repo(fixture_path("repo1"), &refs, oids);
    struct err e = { 0 };
    struct str said = history(r);
    char *ledger;

    (void)state;
    assert_string_equal(said.p, "");
    assert_string_equal(refs.live_oid, oids[1]);
    assert_int_equal(ledger_read(r, &refs, &ledger, &e), 0);
    assert_non_null(strstr(ledger, "\"seq\": 0"));
    assert_non_null(strstr(ledger, "\"seq\": 1"));
    free(ledger);
    str_release(&said);
    release_refs_free(&refs);
    git_repo_close(r);
}

static void
a_ref_moves_only_from_where_it_was_seen(void **state)
{
    /* compare-and-swap: one stale expectation and no ref moves */
    struct release_refs refs;
    char oids[2][GIT_OID_TEXT], now[GIT_OID_TEXT];
    struct git_repo *r = make_repo(fixture_path("repo2"), &refs, oids);
    struct err e = { 0 };
    struct git_move moves[] = { { PREFIX "/release", oids[1], oids[0] },
        { PREFIX "/live", oids[0], oids[0] } };

    (void)state;
    assert_int_equal(
        git_refs_move(r, moves, 2, "a", "a@b", 1700000000, "why", &e),
        ERR_WORK);
    assert_non_null(strstr(e.text, "moved from"));
    err_clear(&e);
    assert_int_equal(git_ref_read(r, PREFIX "/release", now, &e), 0);
    assert_string_equal(now, oids[1]);
    release_refs_free(&refs);
    git_repo_close(r);
}

static void
a_move_behind_the_ledger_is_found(void **state)
{
    /* live set by hand is found; so is a stranger's commit on the ref */
    struct release_refs refs;
    char oids[2][GIT_OID_TEXT], oid[GIT_OID_TEXT];
    struct git_repo *r = make_repo(fixture_path("repo3"), &refs, oids);
    struct err e = { 0 };
    struct git_move by_hand = { PREFIX "/live", oids[1], oids[0] };
    struct signer mallory = fixture_signer("mallory");
    struct release_author stranger = { "alice", "alice@example.org", 1700000000,
        &mallory };
    struct release_files files = { 0 };
    struct digest d;
    struct git_move tip = { PREFIX "/release", oids[1], oid };
    struct str said;
    json_t *m;
    char *text;

    (void)state;
    assert_int_equal(
        git_refs_move(r, &by_hand, 1, "a", "a@b", 1700000000, "why", &e), 0);
    said = history(r);
    assert_non_null(strstr(said.p, "it was moved by hand"));
    str_release(&said);

    m = release_manifest(r, oids[1], &d, &e);
    assert_non_null(m);
    json_decref(m);
    release_add(&files, "policy.json", "[]\n", 3);
    text = release_manifest_text(&files, 2, "test", "evil", &d);
    assert_int_equal(release_commit(r, &files, text, "a release", oids[1],
                         &stranger, oid, &e),
        0);
    assert_int_equal(
        git_refs_move(r, &tip, 1, "a", "a@b", 1700000000, "why", &e), 0);
    said = history(r);
    assert_non_null(strstr(said.p, "allowed_signers does not allow"));
    str_release(&said);
    free(text);
    release_files_free(&files);
    release_refs_free(&refs);
    signer_release(&mallory);
    git_repo_close(r);
}

static void
the_message_binds_the_manifest(void **state)
{
    /* a commit whose message names another manifest is no release */
    struct release_refs refs;
    char oids[2][GIT_OID_TEXT], oid[GIT_OID_TEXT];
    struct git_repo *r = make_repo(fixture_path("repo4"), &refs, oids);
    struct release_files files = { 0 };
    struct digest d;
    struct err e = { 0 };

    (void)state;
    assert_null(release_manifest(r, refs.ledger_oid, &d, &e));
    assert_non_null(strstr(e.text, "manifest.json"));
    err_clear(&e);
    /* the title smuggles in a digest of its own, ahead of the real line */
    release_add(&files, "policy.json", "{}\n", 3);
    assert_int_equal(release_commit(r, &files, "{}\n",
                         "x\n\nmanifest sha256:"
                         "000000000000000000000000000000000000000000000000000000"
                         "0000000000",
                         NULL, &author, oid, &e),
        0);
    assert_null(release_manifest(r, oid, &d, &e));
    assert_non_null(strstr(e.text, "is not the manifest"));
    release_files_free(&files);
    release_refs_free(&refs);
    git_repo_close(r);
}

static void
the_ledger_is_looked_up(void **state)
{
    /* its last line, and the line that released a commit, not one that went
     * back to it */
    static const char text[] =
        "{\"action\": \"release\", \"commit\": \"aa\", \"number\": 1}\n"
        "{\"action\": \"release\", \"commit\": \"bb\", \"number\": 2}\n"
        "{\"action\": \"rollback\", \"commit\": \"aa\", \"number\": 3}\n";
    static const struct {
        const char *commit;
        int number;
    } cases[] = { { "aa", 1 }, { "bb", 2 }, { "cc", 0 }, { "", 0 } };
    json_t *entry = ledger_last(text);

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(entry, "number")), 3);
    json_decref(entry);
    for (size_t i = 0; i < countof(cases); i++) {
        entry = ledger_release(text, cases[i].commit);
        assert_int_equal(json_integer_value(json_object_get(entry, "number")),
            cases[i].number);
        json_decref(entry);
    }
    assert_null(ledger_last(""));
    assert_null(ledger_last("no json\n"));
    assert_null(ledger_release("no json\n", "aa"));
}

static void
a_move_cut_short_is_finished(void **state)
{
    /* live and release go where the ledger's last line says, and only then */
    struct release_refs refs;
    char oids[2][GIT_OID_TEXT];
    struct git_repo *r = make_repo(fixture_path("repo5"), &refs, oids);
    struct git_move back[] = { { PREFIX "/live", oids[1], oids[0] },
        { PREFIX "/release", oids[1], oids[0] } };
    struct err e = { 0 };
    bool moved = true;

    (void)state;
    assert_int_equal(release_repair(r, &refs, &author, &moved, &e), 0);
    assert_false(moved);
    assert_int_equal(git_refs_move(r, back, 2, "a", "a@b", 1, "x", &e), 0);
    assert_int_equal(release_refs_read(&refs, r, PREFIX, &e), 0);
    assert_false(release_reachable(r, &refs, oids[1], &e));
    assert_int_equal(release_repair(r, &refs, &author, &moved, &e), 0);
    assert_true(moved);
    assert_int_equal(release_refs_read(&refs, r, PREFIX, &e), 0);
    assert_string_equal(refs.live_oid, oids[1]);
    assert_string_equal(refs.release_oid, oids[1]);
    assert_true(release_reachable(r, &refs, oids[0], &e));
    release_refs_free(&refs);
    git_repo_close(r);
}

static void
a_missing_artifact_is_named(void **state)
{
    /* what LFS should hold and does not, or only in part */
    struct git_repo *r = NULL;
    struct err e = { 0 };
    json_t *manifest = json_pack("{s[{ss ss si sb} {ss ss si sb}]}", "files",
        "path", "policy.json", "sha256", "x", "bytes", 1, "lfs", 0, "path",
        "artifact/m.gguf", "sha256",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "bytes", 3, "lfs", 1);
    char *object;
    struct digest d;

    (void)state;
    assert_int_equal(git_repo_open(&r, fixture_path("repo6"), true, &e), 0);
    assert_int_equal(release_artifacts(r, manifest, &e), ERR_UNCHECKED);
    assert_non_null(strstr(e.text, "artifact/m.gguf is not there or not whole"));
    err_clear(&e);
    assert_true(digest_parse(&d, "0123456789abcdef0123456789abcdef"
                                 "0123456789abcdef0123456789abcdef"));
    object = lfs_object_path(git_repo_dir(r), &d);
    fixture_write(object, "ab");
    assert_int_equal(release_artifacts(r, manifest, &e), ERR_UNCHECKED);
    err_clear(&e);
    fixture_write(object, "abc");
    assert_int_equal(release_artifacts(r, manifest, &e), 0);
    free(object);
    json_decref(manifest);
    git_repo_close(r);
}

static int
setup(void **state)
{
    if (fixture_setup(state) != 0)
        return 1;
    alice = fixture_signer("alice");
    return 0;
}

static int
teardown(void **state)
{
    signer_release(&alice);
    return fixture_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releases_are_linear_and_signed),
        cmocka_unit_test(a_ref_moves_only_from_where_it_was_seen),
        cmocka_unit_test(a_move_behind_the_ledger_is_found),
        cmocka_unit_test(the_message_binds_the_manifest),
        cmocka_unit_test(the_ledger_is_looked_up),
        cmocka_unit_test(a_move_cut_short_is_finished),
        cmocka_unit_test(a_missing_artifact_is_named),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/record/release", tests, setup,
        teardown);
}
