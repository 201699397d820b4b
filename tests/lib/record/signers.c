/* tests/lib/record/signers.c - lib/record/signers.c */
#include "lib/record/signers.h"

#include "tests/lib/record/fixture.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK1tG2g3BxfoYAn50TLsVb1sJsb/" \
    "SFmzoP5VuVdUGJ2Q"

static void
as_ssh_keygen_reads_it(void **state)
{
    /* a file that ssh-keygen takes gives the same owners, keys, namespaces */
    struct signers a;
    struct err e = { 0 };
    struct pubkey k;

    (void)state;
    assert_int_equal(signers_read(&a, DATA "sshsig/allowed_signers", &e), 0);
    assert_int_equal(a.n, 3);
    assert_int_equal(pubkey_read(&k, DATA "keys/owner-quantize.ssh.pub", &e),
        0);
    assert_string_equal(a.v[0].principal, "owner-quantize@example");
    assert_true(pubkey_equal(&a.v[0].key, &k));
    assert_string_equal(a.v[0].namespaces, "file,git,quantgraph-step@example");
    assert_true(signers_has(&a, "owner-quantize@example", "git", &k));
    assert_true(signers_has(&a, "owner-quantize@example", NULL, &k));
    assert_false(signers_has(&a, "owner-quantize@example", "gi", &k));
    assert_false(signers_has(&a, "owner-quantize@example", "git,file", &k));
    assert_false(signers_has(&a, "owner-release@example", "git", &k));
    assert_string_equal(signers_principal(&a, &k), "owner-quantize@example");
    assert_true(pubkey_equal(signers_find(&a, "owner-quantize@example"), &k));
    assert_null(signers_find(&a, "owner-quantize"));
    signers_release(&a);
}

static void
lines_and_names(void **state)
{
    /* comments, blank lines, several names and several keys of one name */
    struct str s = { 0 };
    struct signers a;
    struct err e = { 0 };
    const struct signers_entry *one;
    size_t i = 0;

    (void)state;
    str_add(&s, "# owners\n\n  \t\na@x,b " KEY " some comment\n"
        "c namespaces=\"file\" " KEY "\n\tc\tNAMESPACES=\"git\"\t" KEY);
    assert_int_equal(signers_parse(&a, s.p, s.len, "f", &e), 0);
    assert_int_equal(a.n, 4);
    assert_string_equal(a.v[0].principal, "a@x");
    assert_string_equal(a.v[1].principal, "b");
    assert_null(a.v[1].namespaces);
    assert_int_equal(a.v[1].line, 4);
    one = signers_next(&a, "c", "git", &i);
    assert_non_null(one);
    assert_int_equal(one->line, 6);
    assert_null(signers_next(&a, "c", "git", &i));
    signers_release(&a);
    str_release(&s);
}

static void
what_would_let_others_in(void **state)
{
    /* each refused line is named with what is wrong */
    static const char *const rows[][2] = {
        { "* " KEY "\n", "f:1: a name is a pattern, which would let others "
            "sign for it; write each name out" },
        { "a\n", "f:1: only the option namespaces=\"...\" and a key of type "
            "ssh-ed25519 are taken; rewrite the line as 'NAME "
            "namespaces=\"git,file\" ssh-ed25519 BASE64'" },
        { "\n\na@* " KEY "\n", "f:3: a name is a pattern, which would let "
            "others sign for it; write each name out" },
        { "!a,b " KEY "\n", NULL },
        { "a,,b " KEY "\n", "f:1: a name is empty; write NAME or NAME,NAME" },
        { "a, " KEY "\n", "f:1: a name is empty; write NAME or NAME,NAME" },
        { ",a " KEY "\n", "f:1: a name is empty; write NAME or NAME,NAME" },
        { "a cert-authority " KEY "\n", NULL },
        { "a valid-before=\"20300101\" " KEY "\n", NULL },
        { "a namespaces=\"*\" " KEY "\n",
            "f:1: a namespace is a pattern; write each one out" },
        { "a namespaces=\"x\" namespaces=\"y\" " KEY "\n",
            "f:1: namespaces is given twice; give it once" },
        { "a namespaces=\"x " KEY "\n", NULL },
        { "a namespaces=\"x\",cert-authority " KEY "\n", NULL },
        { "a ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ\n", NULL },
        { "a ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK1tG2g3BxfoYAn50TLsVb1sJ\n",
            "f:1: its key is damaged; copy it again from the .pub file" },
        { "a ssh-ed25519\n",
            "f:1: its key is damaged; copy it again from the .pub file" },
        { "a \"b " KEY "\n", NULL },
    };

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct signers a;
        struct err e = { 0 };

        assert_int_equal(signers_parse(&a, rows[i][0], strlen(rows[i][0]), "f",
            &e), ERR_WORK);
        if (rows[i][1] != NULL)
            assert_string_equal(e.text, rows[i][1]);
        assert_null(a.v);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_ssh_keygen_reads_it),
        cmocka_unit_test(lines_and_names),
        cmocka_unit_test(what_would_let_others_in),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("record/signers", tests, NULL, NULL);
}
