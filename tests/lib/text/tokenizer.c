#include "lib/text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

#define PEBBLE "examples/pebble/model/tokenizer.json"
#define PEBBLE_CONFIG "examples/pebble/model/tokenizer_config.json"
#define DATA "tests/data/tokenizer/"

static struct tokenizer *
must_open(const char *json, const char *config)
{
    struct tokenizer *t;
    struct err e = { 0 };

    if (tokenizer_open(&t, json, config, &e) != 0)
        fail_msg("%s", e.text);
    return t;
}

static void
check_ids(struct tokenizer *t, const json_t *item, bool special)
{
    const json_t *text = json_object_get(item, "text");
    const json_t *want =
        json_object_get(item, special ? "ids_with_special" : "ids");
    struct ids got = { 0 };
    struct err e = { 0 };

    assert_int_equal(tokenizer_encode(t, json_string_value(text),
                         json_string_length(text), special, &got, &e),
        0);
    assert_int_equal(got.n, json_array_size(want));
    for (size_t i = 0; i < got.n; i++)
        assert_int_equal(got.v[i],
            json_integer_value(json_array_get(want, i)));
    ids_release(&got);
}

static void
check_reference(const char *json, const char *config, const char *ref)
{
    struct tokenizer *t = must_open(json, config);
    struct err e = { 0 };
    json_t *list = NULL, *item;
    json_error_t why;
    size_t i;

    list = json_load_file(ref, JSON_ALLOW_NUL, &why);
    assert_non_null(list);
    assert_int_equal(json_array_size(list), 54);
    json_array_foreach(list, i, item) {
        check_ids(t, item, false);
        check_ids(t, item, true);
    }
    assert_int_equal(e.code, 0);
    json_decref(list);
    tokenizer_free(t);
}

/* pebble's 54 awkward strings become the ids that transformers gave. */
static void
test_pebble(void **state)
{
    (void)state;
    check_reference(PEBBLE, PEBBLE_CONFIG, DATA "pebble.ref.json");
}

/* boulder's 54 awkward strings become the ids that transformers gave. */
static void
test_boulder(void **state)
{
    (void)state;
    check_reference(DATA "boulder.json", DATA "boulder_config.json",
        DATA "boulder.ref.json");
}

/* Decoding byte-level ids gives the text back, byte for byte. */
static void
test_round_trip(void **state)
{
    struct tokenizer *t = must_open(PEBBLE, NULL);
    json_error_t why;
    json_t *list = json_load_file(DATA "pebble.ref.json", JSON_ALLOW_NUL, &why);
    json_t *item;
    size_t i;

    (void)state;
    json_array_foreach(list, i, item) {
        const json_t *text = json_object_get(item, "text");
        struct ids ids = { 0 };
        struct str back = { 0 };
        struct err e = { 0 };

        tokenizer_encode(t, json_string_value(text), json_string_length(text),
            true, &ids, &e);
        tokenizer_decode(t, ids.v + 1, ids.n - 1, false, &back);
        assert_int_equal(back.len, json_string_length(text));
        assert_memory_equal(str_get(&back), json_string_value(text), back.len);
        str_release(&back);
        ids_release(&ids);
    }
    json_decref(list);
    tokenizer_free(t);
}

/* Special ids vanish when asked for, and a cut character becomes U+FFFD. */
static void
test_decode(void **state)
{
    struct tokenizer *t = must_open(PEBBLE, PEBBLE_CONFIG);
    struct str out = { 0 };
    struct ids ids = { 0 };
    struct err e = { 0 };

    (void)state;
    tokenizer_encode(t, "a</s>\xe6\xb0\xb4", 8, true, &ids, &e);
    tokenizer_decode(t, ids.v, ids.n, true, &out);
    assert_string_equal(str_get(&out), "a\xe6\xb0\xb4");
    str_clear(&out);
    tokenizer_decode(t, ids.v, ids.n, false, &out);
    assert_string_equal(str_get(&out), "<s>a</s>\xe6\xb0\xb4");
    str_clear(&out);
    tokenizer_decode(t, ids.v, ids.n - 1, true, &out);
    assert_string_equal(str_get(&out), "a\xef\xbf\xbd");
    str_clear(&out);
    tokenizer_decode(t, (const int32_t[]){ -1, 1 << 30 }, 2, true, &out);
    assert_string_equal(str_get(&out), "");
    str_release(&out);
    ids_release(&ids);
    tokenizer_free(t);
}

/* What the files say about bos, eos, pad and the special tokens is found. */
static void
test_config(void **state)
{
    struct tokenizer *t = must_open(PEBBLE, PEBBLE_CONFIG);

    (void)state;
    assert_int_equal(tokenizer_bos(t), 0);
    assert_int_equal(tokenizer_eos(t), 1);
    assert_int_equal(tokenizer_pad(t), 1);
    assert_int_equal(tokenizer_unk(t), -1);
    assert_true(tokenizer_add_bos(t));
    assert_false(tokenizer_add_eos(t));
    assert_int_equal(tokenizer_size(t), 2048);
    assert_true(tokenizer_is_special(t, 1));
    assert_false(tokenizer_is_special(t, 2));
    assert_int_equal(tokenizer_id(t, "</s>"), 1);
    assert_int_equal(tokenizer_id(t, "nonesuch"), -1);
    assert_string_equal(tokenizer_token(t, 0), "<s>");
    assert_null(tokenizer_token(t, 2048));
    assert_null(tokenizer_chat_template(t));
    tokenizer_free(t);

    /* without tokenizer_config.json, special_tokens_map.json answers */
    t = must_open(PEBBLE, NULL);
    assert_int_equal(tokenizer_bos(t), 0);
    tokenizer_free(t);

    t = must_open(DATA "boulder.json", DATA "boulder_config.json");
    assert_int_equal(tokenizer_bos(t), 0);
    assert_int_equal(tokenizer_eos(t), 0);
    assert_int_equal(tokenizer_pad(t), 1);
    assert_false(tokenizer_add_bos(t));
    tokenizer_free(t);
}

/* Invalid UTF-8 is refused with the offset of its first byte; no id is left. */
static void
test_invalid_utf8(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *what;
    } bad[] = {
        { "abc\xff", 4, "byte 3" },
        { "\xc0\x80", 2, "byte 0" },          /* overlong */
        { "x\xed\xa0\x80", 4, "byte 1" },     /* surrogate */
        { "xy\xf4\x90\x80\x80", 6, "byte 2" }, /* past U+10FFFF */
        { "\xe6\xb0", 2, "byte 0" },          /* cut */
        { "12345678\x80", 9, "byte 8" },
    };
    struct tokenizer *t = must_open(PEBBLE, NULL);

    (void)state;
    for (size_t i = 0; i < countof(bad); i++) {
        struct ids out = { 0 };
        struct err e = { 0 };
        char *want = mem_printf("text: %s is not valid UTF-8; convert the "
                                "text to UTF-8",
            bad[i].what);

        assert_int_equal(
            tokenizer_encode(t, bad[i].text, bad[i].n, true, &out, &e),
            ERR_WORK);
        assert_string_equal(e.text, want);
        assert_int_equal(out.n, 0);
        free(want);
    }
    tokenizer_free(t);
}

/* The GGUF keys of a tokenizer make a tokenizer that gives the same ids. */
static void
check_through_gguf(const char *json, const char *config, const char *ref,
    const char *pre)
{
    struct tokenizer *t = must_open(json, config), *back;
    size_t n = tokenizer_size(t), n_merges = tokenizer_merges(t), i;
    const char **tokens = mem_calloc(n, sizeof *tokens);
    const char **merges = mem_calloc(n_merges, sizeof *merges);
    int32_t *types = mem_calloc(n, sizeof *types);
    struct arena a = { 0 };
    struct err e = { 0 };
    struct tokenizer_gguf g = {
        .path = "x.gguf",
        .model = tokenizer_gguf_model(t),
        .pre = tokenizer_gguf_pre(t, &e),
        .tokens = tokens,
        .n = n,
        .types = types,
        .merges = merges,
        .n_merges = n_merges,
        .bos = tokenizer_bos(t),
        .eos = tokenizer_eos(t),
        .unk = tokenizer_unk(t),
        .pad = tokenizer_pad(t),
        .add_bos = tokenizer_add_bos(t),
        .add_eos = tokenizer_add_eos(t),
        .add_space_prefix = tokenizer_add_space_prefix(t),
    };
    json_error_t why;
    json_t *list = json_load_file(ref, JSON_ALLOW_NUL, &why), *item;

    assert_string_equal(g.pre, pre);
    assert_string_equal(g.model, "gpt2");
    for (i = 0; i < n; i++) {
        struct str s = { 0 };

        tokenizer_gguf_token(t, (int32_t)i, &s);
        tokens[i] = arena_strndup(&a, s.p, s.len);
        types[i] = (int32_t)tokenizer_gguf_type(t, (int32_t)i);
        str_release(&s);
    }
    for (i = 0; i < n_merges; i++) {
        struct str s = { 0 };

        tokenizer_merge(t, i, &s);
        merges[i] = arena_strndup(&a, s.p, s.len);
        str_release(&s);
    }
    assert_int_equal(types[0], TOKEN_CONTROL);
    if (tokenizer_open_gguf(&back, &g, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(tokenizer_bos(back), tokenizer_bos(t));
    json_array_foreach(list, i, item) {
        check_ids(back, item, false);
        check_ids(back, item, true);
    }
    json_decref(list);
    arena_release(&a);
    free(tokens);
    free(merges);
    free(types);
    tokenizer_free(back);
    tokenizer_free(t);
}

static void
test_through_gguf(void **state)
{
    (void)state;
    check_through_gguf(PEBBLE, PEBBLE_CONFIG, DATA "pebble.ref.json", "gpt-2");
    check_through_gguf(DATA "boulder.json", DATA "boulder_config.json",
        DATA "boulder.ref.json", "gpt-2");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pebble),
        cmocka_unit_test(test_boulder),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_through_gguf),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/text/tokenizer", tests, NULL,
        NULL);
}
