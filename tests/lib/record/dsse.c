/* tests/lib/record/dsse.c - lib/record/dsse.c */
#include "lib/record/dsse.h"

#include "lib/base/json.h"
#include "tests/lib/record/fixture.h"

static void
as_other_programs_sign(void **state)
{
    /* envelopes made elsewhere verify, and sealing their payload again gives
     * the same signature */
    static const char *const files[] = { DATA "statement/quantize.link.dsse.json",
        DATA "statement/quantize.slsa.dsse.json" };
    struct signer s = fixture_signer("owner-quantize");
    struct signer other = fixture_signer("root");

    (void)state;
    for (size_t i = 0; i < countof(files); i++) {
        struct err e = { 0 };
        json_t *v = json_read(files[i], 1 << 20, NULL, &e), *again;
        struct dsse d;
        char *text;

        assert_non_null(v);
        assert_int_equal(dsse_open(&d, v, DSSE_INTOTO, files[i], &e), 0);
        assert_true(dsse_verify(&d, DSSE_INTOTO, &s.public));
        assert_false(dsse_verify(&d, DSSE_INTOTO, &other.public));
        assert_false(dsse_verify(&d, "text/plain", &s.public));
        text = dsse_seal(&s, DSSE_INTOTO, d.payload.p, d.payload.len, &e);
        again = json_parse(text, strlen(text), "again", &e);
        assert_true(json_equal(v, again));
        for (size_t k = 0; k < d.payload.len; k += 7) {
            d.payload.p[k] ^= 1;
            assert_false(dsse_verify(&d, DSSE_INTOTO, &s.public));
            d.payload.p[k] ^= 1;
        }
        for (size_t k = 0; k < SIGN_BYTES; k++) {
            d.sig[k] ^= 0x10;
            assert_false(dsse_verify(&d, DSSE_INTOTO, &s.public));
            d.sig[k] ^= 0x10;
        }
        d.keyid[3] ^= 1; /* the claim has to be right, too */
        assert_false(dsse_verify(&d, DSSE_INTOTO, &s.public));
        free(text);
        json_decref(again);
        json_decref(v);
        dsse_release(&d);
    }
    signer_release(&s);
    signer_release(&other);
}

static void
what_is_signed(void **state)
{
    /* the pre-authentication encoding is that of the vectors */
    struct blob want = fixture_read(DATA "statement/quantize.slsa.pae.bin");
    struct err e = { 0 };
    json_t *v = json_read(DATA "statement/quantize.slsa.dsse.json", 1 << 20,
        NULL, &e);
    struct dsse d;
    struct str got = { 0 };

    (void)state;
    assert_int_equal(dsse_open(&d, v, DSSE_INTOTO, "x", &e), 0);
    dsse_pae(&got, DSSE_INTOTO, d.payload.p, d.payload.len);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.p, want.p, want.len);
    str_clear(&got);
    dsse_pae(&got, "http://example.com/HelloWorld", "hello world", 11);
    assert_string_equal(got.p,
        "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    str_release(&got);
    dsse_release(&d);
    json_decref(v);
    blob_release(&want);
}

#define ID "93cc8fcf0a23afd9e55e86bd044ede9ae1e382abb436b590a828efd6b3e9e8e8"
#define SIG "UC4Vid7ocNx3WNEnrb6rL4Bd7QTVYZFk5KBdLgLZaLY/9ufnwwR6qHglel3xp+J0" \
    "+SUbf6bACGk9m+i6dcwzBQ=="
#define ONE "{\"keyid\":\"" ID "\",\"sig\":\"" SIG "\"}"
#define TYPE "\"payloadType\":\"application/vnd.in-toto+json\""

static void
shapes_that_are_refused(void **state)
{
    /* missing, extra and malformed members, and anything but one signature */
    static const char *const rows[][2] = {
        { "{" TYPE ",\"payload\":\"e30=\",\"signatures\":[" ONE "]}", NULL },
        { "{}", "payloadType, payload and signatures" },
        { "[]", "payloadType, payload and signatures" },
        { "{" TYPE ",\"payload\":\"e30=\",\"signatures\":[" ONE "],\"x\":1}",
            "and no more" },
        { "{" TYPE ",\"payload\":\"e30=\",\"signatures\":[]}",
            "one signature" },
        { "{" TYPE ",\"payload\":\"e30=\",\"signatures\":[" ONE "," ONE "]}",
            "one signature" },
        { "{" TYPE ",\"payload\":\"e30=\",\"signatures\":{}}",
            "one signature" },
        { "{" TYPE ",\"payload\":\"e30=\",\"signatures\":[{\"sig\":\"" SIG
          "\"}]}", "one signature" },
        { "{" TYPE ",\"payload\":\"e30\",\"signatures\":[" ONE "]}",
            "not strict base64" },
        { "{" TYPE ",\"payload\":\"e3 0=\",\"signatures\":[" ONE "]}",
            "not strict base64" },
        { "{" TYPE ",\"payload\":7,\"signatures\":[" ONE "]}", "it needs" },
        { "{\"payloadType\":\"text/plain\",\"payload\":\"e30=\",\"signatures\":["
          ONE "]}", "of another type" },
        { "{" TYPE ",\"payload\":\"e30=\",\"signatures\":[{\"keyid\":\"" ID
          "\",\"sig\":\"AAAA\"}]}", "malformed" },
        { "{" TYPE ",\"payload\":\"e30=\",\"signatures\":[{\"keyid\":\"AB\","
          "\"sig\":\"" SIG "\"}]}", "malformed" },
    };

    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct err e = { 0 };
        json_t *v = json_parse(rows[i][0], strlen(rows[i][0]), "t", &e);
        struct dsse d;
        int code = dsse_open(&d, v, DSSE_INTOTO, "t", &e);

        assert_int_equal(code, rows[i][1] != NULL ? ERR_WORK : 0);
        if (rows[i][1] != NULL)
            assert_non_null(strstr(e.text, rows[i][1]));
        dsse_release(&d);
        json_decref(v);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_other_programs_sign),
        cmocka_unit_test(what_is_signed),
        cmocka_unit_test(shapes_that_are_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("record/dsse", tests, fixture_setup,
        fixture_teardown);
}
