/*
 * Small tokenizers of every family against ids that the package `tokenizers`
 * gave: tests/interop/tokenizer_families.py --vectors made them.
 */
#include "lib/text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

#define DATA "tests/data/tokenizer/families/"

static const char *const families[] = { "llama3", "qwen2", "qwen35", "tekken",
    "gpt4o", "smollm", "deepseek", "llama2", "mistral", "mistral-always",
    "phi3", "gemma", "unknown", "nfkc", "odd-added", "split-next" };

static struct tokenizer *
must_open(const char *name)
{
    char *path = mem_printf(DATA "%s.json", name);
    struct tokenizer *t;
    struct err e = { 0 };

    if (tokenizer_open(&t, path, NULL, &e) != 0)
        fail_msg("%s", e.text);
    free(path);
    return t;
}

static json_t *
must_load(const char *name)
{
    char *path = mem_printf(DATA "%s.ref.json", name);
    json_error_t why;
    json_t *list = json_load_file(path, JSON_ALLOW_NUL, &why);

    assert_non_null(list);
    assert_true(json_array_size(list) >= 40);
    free(path);
    return list;
}

static void
check_ids(const char *name, size_t i, struct tokenizer *t, const json_t *item,
    const char *key, struct ids *got)
{
    const json_t *text = json_object_get(item, "text");
    const json_t *want = json_object_get(item, key);
    struct err e = { 0 };

    ids_clear(got);
    assert_int_equal(tokenizer_encode(t, json_string_value(text),
                         json_string_length(text),
                         strcmp(key, "ids") != 0, got, &e),
        0);
    if (got->n != json_array_size(want))
        fail_msg("%s, string %zu: %zu ids, not %zu", name, i, got->n,
            json_array_size(want));
    for (size_t k = 0; k < got->n; k++) {
        if (got->v[k] != json_integer_value(json_array_get(want, k)))
            fail_msg("%s, string %zu, id %zu: %d", name, i, k,
                (int)got->v[k]);
    }
}

/* Every family gives the package's ids, and its text back from them. */
static void
test_families(void **state)
{
    (void)state;
    for (size_t f = 0; f < countof(families); f++) {
        struct tokenizer *t = must_open(families[f]);
        json_t *list = must_load(families[f]), *item;
        struct ids ids = { 0 };
        struct str out = { 0 };
        size_t i;

        json_array_foreach(list, i, item) {
            const json_t *want = json_object_get(item, "decoded");

            check_ids(families[f], i, t, item, "ids", &ids);
            check_ids(families[f], i, t, item, "ids_with_special", &ids);
            str_clear(&out);
            tokenizer_decode(t, ids.v, ids.n, true, &out);
            assert_int_equal(out.len, json_string_length(want));
            assert_memory_equal(str_get(&out), json_string_value(want),
                out.len);
        }
        str_release(&out);
        ids_release(&ids);
        json_decref(list);
        tokenizer_free(t);
    }
}

/* Arrays of a GGUF file made of a tokenizer. */
struct trip {
    struct arena a;
    const char **tokens, **merges;
    int32_t *types;
    float *scores;
    struct tokenizer_gguf g;
};

static void
make_trip(struct trip *x, struct tokenizer *t)
{
    size_t n = tokenizer_size(t), n_merges = tokenizer_merges(t);
    struct err e = { 0 };
    struct str s = { 0 };

    x->tokens = arena_alloc(&x->a, n * sizeof *x->tokens);
    x->merges = arena_alloc(&x->a, n_merges * sizeof *x->merges);
    x->types = arena_alloc(&x->a, n * sizeof *x->types);
    x->scores = arena_alloc(&x->a, n * sizeof *x->scores);
    for (size_t i = 0; i < n; i++) {
        str_clear(&s);
        tokenizer_gguf_token(t, (int32_t)i, &s);
        x->tokens[i] = arena_strndup(&x->a, s.p, s.len);
        x->types[i] = (int32_t)tokenizer_gguf_type(t, (int32_t)i);
        x->scores[i] = tokenizer_gguf_score(t, (int32_t)i);
    }
    for (size_t i = 0; i < n_merges; i++) {
        str_clear(&s);
        tokenizer_merge(t, i, &s);
        x->merges[i] = arena_strndup(&x->a, s.p, s.len);
    }
    str_release(&s);
    x->g = (struct tokenizer_gguf){
        .path = "x.gguf",
        .model = tokenizer_gguf_model(t),
        .pre = tokenizer_gguf_pre(t, &e),
        .tokens = x->tokens,
        .n = n,
        .types = x->types,
        .merges = x->merges,
        .n_merges = n_merges,
        .scores = x->scores,
        .bos = tokenizer_id(t, "<s>"),
        .eos = tokenizer_id(t, "</s>"),
        .unk = tokenizer_unk(t),
        .pad = -1,
        .add_bos = tokenizer_add_bos(t),
        .add_eos = tokenizer_add_eos(t),
        .add_space_prefix = tokenizer_add_space_prefix(t),
    };
}

/*
 * A tokenizer made of the GGUF keys of another gives the same ids, by merges
 * for byte-level ones and by scores for Llama-2. What the keys cannot say is
 * left out: the strings with an added token that is searched in normalized
 * text, and normalization itself.
 */
static void
test_through_gguf(void **state)
{
    static const struct {
        const char *name, *model, *pre;
    } trips[] = {
        { "llama3", "gpt2", "llama-bpe" },
        { "tekken", "gpt2", "tekken" },
        { "gpt4o", "gpt2", "gpt-4o" },
        { "smollm", "gpt2", "smollm" },
        { "llama2", "llama", "default" },
    };

    (void)state;
    for (size_t f = 0; f < countof(trips); f++) {
        struct tokenizer *t = must_open(trips[f].name), *back = NULL;
        json_t *list = must_load(trips[f].name), *item;
        struct trip x = { 0 };
        struct ids ids = { 0 };
        struct err e = { 0 };
        size_t i, seen = 0;

        make_trip(&x, t);
        assert_string_equal(x.g.model, trips[f].model);
        assert_string_equal(x.g.pre, trips[f].pre);
        if (tokenizer_open_gguf(&back, &x.g, &e) != 0)
            fail_msg("%s", e.text);
        json_array_foreach(list, i, item) {
            const json_t *text = json_object_get(item, "text");

            if (strstr(json_string_value(text), "tool") != NULL ||
                strlen(json_string_value(text)) != json_string_length(text))
                continue;
            seen++;
            check_ids(trips[f].name, i, back, item, "ids", &ids);
            check_ids(trips[f].name, i, back, item, "ids_with_special", &ids);
        }
        assert_true(seen > 20);
        ids_release(&ids);
        arena_release(&x.a);
        json_decref(list);
        tokenizer_free(back);
        tokenizer_free(t);
    }
}

/* Where llama.cpp would split or normalize otherwise, there is no name. */
static void
test_no_name(void **state)
{
    static const char *const names[] = { "deepseek", "unknown", "nfkc",
        "split-next" };

    (void)state;
    for (size_t f = 0; f < countof(names); f++) {
        struct tokenizer *t = must_open(names[f]);
        struct err e = { 0 };

        assert_null(tokenizer_gguf_pre(t, &e));
        assert_string_equal(e.text,
            "tokenizer.json: llama.cpp has no name for this way to split "
            "text, so a GGUF could not say it; use another format");
        tokenizer_free(t);
    }
}

/* Wrong GGUF keys are refused by name. */
static void
test_refused_gguf(void **state)
{
    const char *tokens[] = { "a", "b", "ab", "a" };
    const char *merges[] = { "a b", "b a" };
    const float scores[] = { -1, -2, -3, (float)(0.0 / 0.0) };
    const struct tokenizer_gguf good = { .path = "m.gguf", .model = "gpt2",
        .pre = "gpt-2", .tokens = tokens, .n = 3, .merges = merges,
        .n_merges = 1, .bos = 1, .eos = -1, .unk = -1, .pad = -1,
        .add_bos = -1, .add_eos = -1, .add_space_prefix = -1 };
    struct tokenizer_gguf g[8] = { good, good, good, good, good, good, good,
        good };
    static const char *const want[] = {
        "m.gguf: tokenizer.ggml.model 'bert' is not implemented; quern knows "
        "gpt2 and llama",
        "m.gguf: tokenizer.ggml.pre 'nonesuch' is not known; quern knows "
        "gpt-2, llama-bpe, qwen2, qwen35, tekken, gpt-4o and smollm",
        "m.gguf: token 3, 'a', occurs twice; fetch the file again",
        "m.gguf: merge 1, 'b a', is not two tokens that make a third; fetch "
        "the file again",
        "m.gguf: tokenizer.ggml.bos_token_id is 3, but there are 3 tokens; "
        "fetch the file again",
        "m.gguf: tokenizer.ggml.pre is missing, so nobody knows how to split "
        "text; convert the model again with a newer converter",
        "m.gguf: score 3 is not a number; fetch the file again",
        "m.gguf: token 1 has 1025 bytes, at most 1024; fetch the file again",
    };
    char *piece = mem_calloc(1026, 1);
    const char *long_tokens[] = { "a", piece };
    struct tokenizer *t;
    struct err e = { 0 };

    (void)state;
    g[0].model = "bert";
    g[1].pre = "nonesuch";
    g[2].n = 4;
    g[3].n_merges = 2;
    g[4].bos = 3;
    g[5].pre = NULL;
    g[6].model = "llama";
    g[6].scores = scores;
    g[6].n = 4;
    memset(piece, 'b', 1025);
    g[7].model = "llama"; /* all its cuts would be looked at */
    g[7].scores = scores;
    g[7].tokens = long_tokens;
    g[7].n = 2;
    tokens[3] = "c";
    assert_int_equal(tokenizer_open_gguf(&t, &good, &e), 0);
    tokenizer_free(t);
    for (size_t i = 0; i < countof(g); i++) {
        tokens[3] = i == 2 ? "a" : "c";
        err_clear(&e);
        assert_int_equal(tokenizer_open_gguf(&t, &g[i], &e), ERR_WORK);
        assert_null(t);
        assert_string_equal(e.text, want[i]);
    }
    free(piece);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_through_gguf),
        cmocka_unit_test(test_no_name),
        cmocka_unit_test(test_refused_gguf),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/text/tokenizer_families", tests,
        NULL, NULL);
}
