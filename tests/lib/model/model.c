/* Tests of lib/model/model.c: what is read, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernels/decode.h"
#include "lib/model/model.h"
#include "tests/lib/model/tiny.h"

enum { N = 40, VOCAB = 320 };

static char dir[64], gguf[96];
static struct model_open_opts opts = { .no_tokenizer = true };

static int
setup(void **state)
{
    (void)state;
    scratch_make(dir);
    snprintf(gguf, sizeof gguf, "%s/m.gguf", dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

/* Logits of 40 ids from the model at `path`. */
static void
logits_of(const char *path, float *logits)
{
    struct model *m;
    struct err e = { 0 };
    struct session *s;
    int32_t ids[N];

    for (int i = 0; i < N; i++)
        ids[i] = (i * 31 + 7) % VOCAB;
    if (model_open(&m, path, &opts, &e) != 0)
        fail_msg("%s", e.text);
    s = session_new(m, 0, NULL);
    assert_int_equal(session_eval(s, ids, N, logits, LOGITS_ALL, &e), 0);
    session_free(s);
    model_free(m);
}

/* Root of the mean square of a - b over that of b. */
static double
relative(const float *a, const float *b)
{
    double d = 0.0, n = 0.0;

    for (size_t i = 0; i < N * VOCAB; i++) {
        double x = (double)a[i] - (double)b[i];

        d += x * x;
        n += (double)b[i] * (double)b[i];
    }
    return sqrt(d / n);
}

static void
every_float_type_is_the_same(void **state)
{
    /* BF16, F16 and F32 files of the same values, as folder and as GGUF. */
    static const char *const dtypes[] = { "F32", "F16", "BF16" };
    static const enum qtype types[] = { QT_F32, QT_F16, QT_BF16 };
    static const char *const patches[] = { NULL,
        "{\"tie_word_embeddings\": true}",
        "{\"attention_bias\": true, \"mlp_bias\": true}",
        "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 3.0}}",
        "{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, "
        "\"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
        "\"original_max_position_embeddings\": 64}}" };
    float *want = mem_aligned(N * VOCAB, sizeof *want);
    float *got = mem_aligned(N * VOCAB, sizeof *got);
    float *plain = mem_aligned(N * VOCAB, sizeof *plain);

    (void)state;
    for (size_t k = 0; k < countof(patches); k++) {
        struct tiny t;

        tiny_init(&t, patches[k]);
        for (size_t i = 0; i < countof(dtypes); i++) {
            tiny_write_hf(&t, dir, dtypes[i], NULL);
            logits_of(dir, i == 0 ? want : got);
            /* small values of bfloat16 are subnormal in float16 */
            if (i > 0)
                assert_true(relative(got, want) <= (i == 1 ? 1e-5 : 0.0));
        }
        for (size_t i = 0; i < countof(types); i++) {
            tiny_write_gguf(&t, gguf, types[i], NULL);
            logits_of(gguf, got);
            assert_true(relative(got, want) <= 1e-5);
        }
        if (k == 0)
            memcpy(plain, want, N * VOCAB * sizeof *plain);
        else /* and the patch does something */
            assert_true(relative(plain, want) > 1e-3);
        tiny_release(&t);
    }
    free(want);
    free(got);
    free(plain);
}

/* Every matrix becomes what it is after a trip through `type`. */
static void
round_weights(struct tiny *t, enum qtype type)
{
    for (size_t i = 0; i < t->plan.n; i++) {
        const struct tensor_plan *p = &t->plan.t[i];
        size_t count = (size_t)(p->rows * p->cols);
        uint8_t *packed = mem_aligned(count, sizeof(float));

        if (p->rank == 2) {
            assert_int_equal(qtype_encode(type, packed, t->w[i],
                (size_t)p->rows, (size_t)p->cols, NULL), count);
            qtype_decode(type, t->w[i], packed, count);
        }
        free(packed);
    }
}

static void
packed_weights_are_their_values(void **state)
{
    /*
     * A packed file computes what a float32 folder of the same values does,
     * but for activations in 8 bits.
     */
    static const enum qtype types[] = { QT_Q8_0, QT_Q4_0, QT_Q4_1, QT_Q5_0,
        QT_Q5_1, QT_Q2_K, QT_Q3_K, QT_Q4_K, QT_Q5_K, QT_Q6_K, QT_IQ4_NL,
        QT_IQ4_XS };
    float *want = mem_aligned(N * VOCAB, sizeof *want);
    float *got = mem_aligned(N * VOCAB, sizeof *got);

    (void)state;
    for (size_t i = 0; i < countof(types); i++) {
        struct tiny t;
        double d;

        tiny_init(&t, NULL);
        tiny_write_gguf(&t, gguf, types[i], NULL);
        round_weights(&t, types[i]);
        tiny_write_hf(&t, dir, "F32", NULL);
        logits_of(dir, want);
        logits_of(gguf, got);
        d = relative(got, want);
        printf("# %s: 8-bit activations change logits by %.4f\n",
            qtype_info(types[i])->name, d);
        assert_true(d > 0.0 && d <= 0.04);
        tiny_release(&t);
    }
    free(want);
    free(got);
}

static void
refuse(const char *path, const char *text)
{
    struct model *m = (struct model *)(uintptr_t)1;
    struct err e = { 0 };

    assert_int_equal(model_open(&m, path, &opts, &e), ERR_WORK);
    assert_null(m);
    if (strstr(e.text, text) == NULL)
        fail_msg("'%s' does not say '%s'", e.text, text);
}

static void
damaged_folders_are_refused(void **state)
{
    /* A tensor that is missing, foreign, misshapen or not finite is named. */
    static const struct {
        struct tiny_damage d;
        const char *text;
    } v[] = {
        { { .skip = "model.layers.1.mlp.up_proj.weight" },
            ": tensor 'model.layers.1.mlp.up_proj.weight' is missing; fetch "
            "the model again" },
        { { .extra = "model.layers.0.self_attn.q_norm.weight" },
            "/model.safetensors: tensor "
            "'model.layers.0.self_attn.q_norm.weight' is not part of a "
            "LlamaForCausalLM with this config; is config.json of another "
            "model?" },
        { { .flat = "lm_head.weight" }, "/model.safetensors: tensor "
            "'lm_head.weight' has shape [81920] where the config asks for "
            "[320, 256]; fetch the model again" },
        { { .i32 = "model.norm.weight" }, "/model.safetensors: tensor "
            "'model.norm.weight' has type I32; quern reads F32, F16 and BF16 "
            "weights" },
        { { .nan = "model.layers.1.self_attn.v_proj.weight" },
            "/model.safetensors: tensor "
            "'model.layers.1.self_attn.v_proj.weight': row 63, column 255 is "
            "not a number; the file is damaged or the model is, fetch it "
            "again" },
        { { .nan = "model.norm.weight" }, "/model.safetensors: tensor "
            "'model.norm.weight': row 0, column 255 is not a number; the file "
            "is damaged or the model is, fetch it again" },
    };
    struct tiny t;

    (void)state;
    tiny_init(&t, NULL);
    for (size_t i = 0; i < countof(v); i++) {
        tiny_write_hf(&t, dir, "BF16", &v[i].d);
        refuse(dir, v[i].text);
    }
    json_object_set_new(t.config, "vocab_size", json_integer(321));
    tiny_write_hf(&t, dir, "BF16", NULL);
    refuse(dir, "tensor 'model.embed_tokens.weight' has shape [320, 256] "
        "where the config asks for [321, 256]");
    json_object_set_new(t.config, "num_hidden_layers", json_integer(1));
    json_object_set_new(t.config, "vocab_size", json_integer(320));
    tiny_write_hf(&t, dir, "BF16", NULL);
    refuse(dir, "tensor 'model.layers.1.input_layernorm.weight' is not part "
        "of a LlamaForCausalLM");
    tiny_release(&t);
}

static void
damaged_ggufs_are_refused(void **state)
{
    /* A missing tensor of a GGUF file, and what is no model at all. */
    struct tiny t;
    char other[96];
    struct err e = { 0 };

    (void)state;
    tiny_init(&t, NULL);
    tiny_write_gguf(&t, gguf, QT_Q8_0, "blk.1.ffn_down.weight");
    refuse(gguf, "/m.gguf: tensor 'blk.1.ffn_down.weight' is missing; make "
        "the file again");
    tiny_release(&t);
    snprintf(other, sizeof other, "%s/text", dir);
    assert_int_equal(file_write(other, "hello", 5, &e), 0);
    refuse(other, "/text: ");
    refuse("no/such/model", "no/such/model: cannot open the model: No such "
        "file or directory; check the name");
}

static void
the_tokenizer_must_fit(void **state)
{
    /* A tokenizer with more tokens than rows is another model's. */
    static const char *const names[] = { "tokenizer.json",
        "tokenizer_config.json" };
    struct model *m;
    struct err e = { 0 };
    struct tiny t;

    (void)state;
    tiny_init(&t, NULL);
    tiny_write_hf(&t, dir, "BF16", NULL);
    tiny_release(&t);
    for (size_t i = 0; i < countof(names); i++) {
        char *from = path_join("examples/pebble/model", names[i]);
        char *to = path_join(dir, names[i]);
        struct blob b;

        assert_int_equal(blob_read(&b, from, 1 << 24, &e), 0);
        assert_int_equal(file_write(to, b.p, b.len, &e), 0);
        blob_release(&b);
        free(from);
        free(to);
    }
    assert_int_equal(model_open(&m, dir, NULL, &e), ERR_WORK);
    assert_non_null(strstr(e.text, ": the tokenizer has 2048 tokens, the "
        "embedding 320 rows; is it another model's tokenizer?"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(every_float_type_is_the_same),
        TEST(packed_weights_are_their_values),
        TEST(damaged_folders_are_refused),
        TEST(damaged_ggufs_are_refused),
        TEST(the_tokenizer_must_fit),
#undef TEST
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/model/model", tests, NULL, NULL);
}
