/* tests/lib/record/sshsig.c - lib/record/sshsig.c */
#include "lib/record/sshsig.h"

#include "lib/record/base64.h"
#include "tests/lib/record/fixture.h"

#define STEP "quantgraph-step@example"

static void
as_ssh_keygen_writes_it(void **state)
{
    /* signing gives the bytes that another program gave, in any namespace */
    static const char *const rows[][2] = {
        { "file", DATA "sshsig/model.q4.bin.file.sha512.sig" },
        { STEP, DATA "sshsig/model.q4.bin.step.sha512.sig" },
    };
    struct signer s = fixture_signer("owner-quantize");
    struct blob model = fixture_read(DATA "sshsig/model.q4.bin");

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct blob want = fixture_read(rows[i][1]);
        struct str got = { 0 };
        struct err e = { 0 };

        assert_int_equal(sshsig_sign(&s, rows[i][0], model.p, model.len, &got,
            &e), 0);
        assert_string_equal(got.p, want.p);
        assert_int_equal(sshsig_verify(&s.public, rows[i][0], model.p,
            model.len, want.p, want.len, "sig", &e), 0);
        str_release(&got);
        blob_release(&want);
    }
    blob_release(&model);
    signer_release(&s);
}

static void
sha256_is_taken(void **state)
{
    /* a signature over the other hash verifies and names its key */
    struct blob model = fixture_read(DATA "sshsig/model.q4.bin");
    struct blob sig = fixture_read(DATA "sshsig/model.q4.bin.file.sha256.sig");
    struct signer s = fixture_signer("owner-quantize");
    struct pubkey k;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(sshsig_signer(&k, "file", model.p, model.len, sig.p,
        sig.len, "sig", &e), 0);
    assert_true(pubkey_equal(&k, &s.public));
    signer_release(&s);
    blob_release(&sig);
    blob_release(&model);
}

/* The message for a signature over "abc" in namespace `ns`. */
static const char *
refusal(const struct pubkey *key, const char *ns, const char *text,
    const char *armor, size_t n)
{
    static struct err e;

    err_clear(&e);
    assert_int_equal(sshsig_verify(key, ns, text, strlen(text), armor, n,
        "sig", &e), ERR_WORK);
    return e.text;
}

static void
wrong_ones_are_told_apart(void **state)
{
    /* another text, purpose or key: each has its own sentence */
    struct signer s = fixture_signer("root");
    struct signer other = fixture_signer("owner-release");
    struct str a = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(sshsig_sign(&s, "file", "abc", 3, &a, &e), 0);
    assert_string_equal(refusal(&s.public, "file", "abd", a.p, a.len),
        "sig: the signature does not belong to these bytes; sign the file "
        "again");
    assert_string_equal(refusal(&s.public, "git", "abc", a.p, a.len),
        "sig: was signed for another purpose than 'git'; sign the file again "
        "with -n git");
    assert_string_equal(refusal(&other.public, "file", "abc", a.p, a.len),
        "sig: is signed with another key than its owner's; sign the file "
        "again");
    str_release(&a);
    signer_release(&s);
    signer_release(&other);
}

static void
only_one_armor(void **state)
{
    /* what ssh-keygen lets pass around the base64 is refused here */
    struct signer s = fixture_signer("root");
    struct str a = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(sshsig_sign(&s, "file", "abc", 3, &a, &e), 0);
    for (size_t i = 0; i < a.len; i++) {
        /* a byte missing, doubled, changed */
        struct str b = { 0 };

        str_addn(&b, a.p, i);
        str_addn(&b, a.p + i + 1, a.len - i - 1);
        refusal(&s.public, "file", "abc", b.p, b.len);
        str_clear(&b);
        str_addn(&b, a.p, i + 1);
        str_addn(&b, a.p + i, a.len - i);
        refusal(&s.public, "file", "abc", b.p, b.len);
        str_clear(&b);
        str_addn(&b, a.p, a.len);
        b.p[i] ^= 1;
        refusal(&s.public, "file", "abc", b.p, b.len);
        refusal(&s.public, "file", "abc", a.p, i);
        str_release(&b);
    }
    str_add(&a, "\n");
    refusal(&s.public, "file", "abc", a.p, a.len);
    str_release(&a);
    signer_release(&s);
}

static void
every_bit_of_the_blob_counts(void **state)
{
    /* also those that ssh-keygen leaves out: version and reserved */
    struct signer s = fixture_signer("root");
    struct str a = { 0 }, body = { 0 };
    struct err e = { 0 };
    uint8_t blob[512];
    size_t n;

    (void)state;
    assert_int_equal(sshsig_sign(&s, "file", "abc", 3, &a, &e), 0);
    for (const char *p = strchr(a.p, '\n'); *p != '-'; p++)
        if (*p != '\n')
            str_addc(&body, *p);
    assert_true(base64_decode(blob, sizeof blob, &n, body.p, body.len));
    for (size_t i = 0; i < 8 * n; i++) {
        blob[i / 8] ^= (uint8_t)(1 << i % 8);
        str_clear(&a);
        str_add(&a, "-----BEGIN SSH SIGNATURE-----\n");
        base64_encode(&a, blob, n, 70);
        str_add(&a, "-----END SSH SIGNATURE-----\n");
        refusal(&s.public, "file", "abc", a.p, a.len);
        blob[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    str_release(&a);
    str_release(&body);
    signer_release(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_ssh_keygen_writes_it),
        cmocka_unit_test(sha256_is_taken),
        cmocka_unit_test(wrong_ones_are_told_apart),
        cmocka_unit_test(only_one_armor),
        cmocka_unit_test(every_bit_of_the_blob_counts),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("record/sshsig", tests, fixture_setup,
        fixture_teardown);
}
