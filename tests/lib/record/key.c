/* tests/lib/record/key.c - lib/record/key.c, key_file.c, key_make.c */
#include "lib/record/key.h"

#include "lib/base/json.h"
#include "lib/record/base64.h"
#include "tests/lib/record/fixture.h"

static const char *const names[] = { "owner-quantize", "owner-release",
    "root" };

static void
keys_of_the_vectors(void **state)
{
    /* seed, public key, key id and .pub line are those of other programs */
    struct err e = { 0 };
    json_t *index = json_read(DATA "keys/index.json", 1 << 16, NULL, &e);

    (void)state;
    assert_non_null(index);
    for (size_t i = 0; i < countof(names); i++) {
        const json_t *row = json_object_get(index, names[i]);
        char *pub = mem_printf(DATA "keys/%s.ssh.pub", names[i]);
        struct signer s = fixture_signer(names[i]);
        struct pubkey k;
        char hex[DIGEST_HEX];

        assert_int_equal(pubkey_read(&k, pub, &e), 0);
        assert_true(pubkey_equal(&k, &s.public));
        assert_string_equal(pubkey_hex(&k, hex), json_string_value(
            json_object_get(row, "public_hex")));
        assert_string_equal(pubkey_id(&k, hex), json_string_value(
            json_object_get(row, "keyid_in_toto_1x_and_go")));
        assert_string_equal(s.keyid, hex);
        signer_release(&s);
        free(pub);
    }
    json_decref(index);
}

static void
made_keys_are_private(void **state)
{
    /* a made key can be read by its owner alone and is never overwritten */
    struct err e = { 0 };
    struct stat st;
    struct signer a, b;
    const char *path = fixture_path("fresh");

    (void)state;
    assert_int_equal(record_keygen(path, "me@example", NULL, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(signer_open(&a, path, &e), 0);
    assert_int_equal(record_keygen(path, "me", NULL, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "is there already"));
    err_clear(&e);
    assert_int_equal(record_keygen(fixture_path("fresh2"), "", NULL, &e), 0);
    assert_int_equal(signer_open(&b, fixture_path("fresh2"), &e), 0);
    assert_false(pubkey_equal(&a.public, &b.public));
    assert_int_equal(record_keygen(fixture_path("x"), "two\nlines", NULL, &e),
        ERR_WORK);
    assert_false(file_exists(fixture_path("x")));
    signer_release(&a);
    signer_release(&b);
}

/* The message with which a key file is refused. */
static const char *
refusal(const char *path)
{
    static struct err e;
    struct signer s;

    err_clear(&e);
    assert_int_equal(signer_open(&s, path, &e), ERR_WORK);
    assert_null(s.secret);
    signer_release(&s);
    return e.text;
}

static void
others_may_not_read_it(void **state)
{
    /* a private key that group or others may read, write or run is refused */
    static const mode_t modes[] = { 0640, 0604, 0644, 0660, 0610, 0601 };
    struct signer s = fixture_signer("root");
    char *path = mem_strdup(fixture_path("root"));
    char want[600];

    (void)state;
    signer_release(&s);
    for (size_t i = 0; i < countof(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        snprintf(want, sizeof want,
            "%s: others may read this private key (mode %04o); run "
            "'chmod 600' on it", path, (unsigned)modes[i]);
        assert_string_equal(refusal(path), want);
    }
    chmod(path, 0400);
    s = fixture_signer("root");
    signer_release(&s);
    chmod(path, 0600);
    free(path);
}

static void
not_a_key(void **state)
{
    /* missing, a folder, empty, or other text: one line that says so */
    const char *path = fixture_path("not");
    FILE *f;

    (void)state;
    assert_non_null(strstr(refusal(fixture_path("none")),
        "cannot open the private key: No such file"));
    assert_non_null(strstr(refusal(fixture_dir), "is not a file"));
    f = fopen(path, "w");
    assert_non_null(f);
    chmod(path, 0600);
    assert_non_null(strstr(refusal(path), "is not an OpenSSH private key"));
    for (int i = 0; i < 20000; i++)
        fputc('A', f);
    fclose(f);
    assert_non_null(strstr(refusal(path), "is too long for a key"));
}

/* The blob of a key file's text; caller frees. */
static uint8_t *
unwrap(const char *text, size_t *n)
{
    const char *p = strchr(text, '\n') + 1;
    struct str s = { 0 };
    uint8_t *blob = mem_calloc(2048, 1);

    for (; *p != '-'; p++)
        if (*p != '\n')
            str_addc(&s, *p);
    assert_true(base64_decode(blob, 2048, n, s.p, s.len));
    str_release(&s);
    return blob;
}

static int
parse_blob(const uint8_t *blob, size_t n, struct err *e)
{
    uint8_t secret[SIGN_SECRET];
    struct pubkey k;
    struct str s = { 0 };
    int code;

    str_add(&s, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    base64_encode(&s, blob, n, 70);
    str_add(&s, "-----END OPENSSH PRIVATE KEY-----\n");
    err_clear(e);
    code = key_parse(&k, secret, s.p, s.len, "key", e);
    str_release(&s);
    return code;
}

static void
any_flipped_bit_is_seen(void **state)
{
    /* only the comment may differ: every other changed byte is refused */
    struct signer s = fixture_signer("owner-release");
    struct blob file = fixture_read(fixture_path("owner-release"));
    size_t n, comment;
    uint8_t *blob = unwrap(file.p, &n);
    struct err e = { 0 };

    (void)state;
    assert_int_equal(parse_blob(blob, n, &e), 0);
    /* magic, names and lengths, public, private up to the comment's bytes */
    comment = 15 + 8 + 8 + 4 + 4 + 4 + KEY_BLOB + 4 + 8 + KEY_BLOB + 4 +
        SIGN_SECRET + 4;
    assert_memory_equal(blob + comment, "owner-release", 13);
    for (size_t i = 0; i < n; i++) {
        if (i >= comment && i < comment + 13)
            continue;
        for (int bit = 0; bit < 8; bit += 3) {
            blob[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(parse_blob(blob, n, &e), ERR_WORK);
            blob[i] ^= (uint8_t)(1 << bit);
        }
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(parse_blob(blob, i, &e), ERR_WORK);
    assert_int_equal(parse_blob(blob, n + 1, &e), ERR_WORK); /* something after */
    free(blob);
    blob_release(&file);
    signer_release(&s);
}

static void
encrypted_keys_are_told(void **state)
{
    /* a passphrase cannot be asked for: the message says what to do */
    struct signer s = fixture_signer("owner-quantize");
    struct blob file = fixture_read(fixture_path("owner-quantize"));
    size_t n;
    uint8_t *blob = unwrap(file.p, &n);
    struct err e = { 0 };

    (void)state;
    memcpy(blob + 19, "aes1", 4); /* another cipher's name */
    assert_int_equal(parse_blob(blob, n, &e), ERR_WORK);
    assert_string_equal(e.text,
        "key: is encrypted and nobody is there to give the passphrase; take "
        "it off with 'ssh-keygen -p -N \"\"' or use another key");
    free(blob);
    blob_release(&file);
    signer_release(&s);
}

static void
signing_checks_itself(void **state)
{
    /* a signer whose signature does not verify gives none out */
    struct signer s = fixture_signer("root");
    struct err e = { 0 };
    uint8_t sig[SIGN_BYTES];

    (void)state;
    assert_int_equal(signer_sign(&s, sig, "abc", 3, &e), 0);
    assert_true(sign_verify(sig, "abc", 3, s.public.b));
    assert_false(sign_verify(sig, "abd", 3, s.public.b));
    s.public.b[0] ^= 1;
    assert_int_equal(signer_sign(&s, sig, "abc", 3, &e), ERR_WORK);
    signer_release(&s);
}

static void
public_lines(void **state)
{
    /* what pubkey_text writes reads back; other types and damage do not */
    static const char *const wrong[] = { "", "ssh-ed25519", "ssh-ed25519 ",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ", "ssh-ed25519 AAAA",
        ("ssh-ed25519  AAAAC3NzaC1lZDI1NTE5AAAAIK1tG2g3BxfoYAn50TLsVb1sJsb/"
         "SFmzoP5VuVdUGJ2Q") };
    struct signer s = fixture_signer("root");
    struct err e = { 0 };
    struct str line = { 0 };
    struct pubkey k;

    (void)state;
    pubkey_text(&s.public, &line);
    str_add(&line, " a comment\n");
    fixture_write(fixture_path("line.pub"), line.p);
    assert_int_equal(pubkey_read(&k, fixture_path("line.pub"), &e), 0);
    assert_true(pubkey_equal(&k, &s.public));
    for (size_t i = 0; i < countof(wrong); i++) {
        fixture_write(fixture_path("wrong.pub"), wrong[i]);
        err_clear(&e);
        assert_int_equal(pubkey_read(&k, fixture_path("wrong.pub"), &e),
            ERR_WORK);
    }
    str_release(&line);
    signer_release(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_the_vectors),
        cmocka_unit_test(made_keys_are_private),
        cmocka_unit_test(others_may_not_read_it),
        cmocka_unit_test(not_a_key),
        cmocka_unit_test(any_flipped_bit_is_seen),
        cmocka_unit_test(encrypted_keys_are_told),
        cmocka_unit_test(signing_checks_itself),
        cmocka_unit_test(public_lines),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("record/key", tests, fixture_setup,
        fixture_teardown);
}
