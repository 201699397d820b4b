/*
 * Tests of every architecture against transformers: tests/long/arch_vectors.py
 * wrote what is replayed here. `arches DIR TYPE` writes DIR/NAME.gguf instead,
 * for tests/long/arches.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/model/arches.h"

/* As near as float32 in another order of sums comes; the promise is 2e-3. */
static const double NEAR = 1e-4;

static double
farthest(const float *a, const float *b, size_t n)
{
    double far = 0.0;

    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);

        if (!(d <= far))
            far = d;
    }
    return far;
}

static double
mean_distance(const float *a, const float *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += fabs((double)a[i] - (double)b[i]);
    return sum / (double)n;
}

/* Logits of n ids, `step` at a time. */
static void
read_ids(struct session *s, const int32_t *ids, size_t n, size_t step,
    float *logits)
{
    struct err e = { 0 };

    for (size_t i = 0; i < n; i += step)
        if (session_eval(s, ids + i, n - i < step ? n - i : step,
            logits + i * VOCAB, LOGITS_ALL, &e) != 0)
            fail_msg("%s", e.text);
}

static void
logits_are_those_of_transformers(void **state)
{
    /* At once, in pieces and id by id, the logits are those of transformers. */
    static const size_t steps[] = { IDS, 7, 1 };
    float *out = mem_calloc(IDS * VOCAB, sizeof *out);

    (void)state;
    for (size_t i = 0; i < countof(arch_names); i++) {
        struct vectors v;
        struct model *m;

        vectors_init(&v, arch_names[i]);
        write_weights(&v, "model.safetensors", 0, 1);
        m = open_model(v.folder, &whole);
        for (size_t k = 0; k < countof(steps); k++) {
            struct session *s = session_new(m, 0, NULL);
            size_t from = 0;
            double far;

            if (v.brief != NULL && steps[k] < IDS)
                from = (size_t)v.c.rope.original / steps[k] * steps[k];
            read_ids(s, v.ids, IDS, steps[k], out);
            far = farthest(out + from * VOCAB, v.logits + from * VOCAB,
                (IDS - from) * VOCAB);
            print_message("# %s, %zu at a time: %.1e\n", arch_names[i], steps[k],
                far);
            if (!(far < NEAR))
                fail_msg("%s is off by %g", arch_names[i], far);
            if (v.brief != NULL) { /* short again, then long again */
                session_truncate(s, SHORT / 2);
                read_ids(s, v.ids + SHORT / 2, SHORT / 2, steps[k], out);
                assert_true(farthest(out, v.brief + SHORT / 2 * VOCAB,
                    SHORT / 2 * VOCAB) < NEAR);
                read_ids(s, v.ids + SHORT, IDS - SHORT, IDS, out);
                assert_true(farthest(out, v.logits + SHORT * VOCAB,
                    (IDS - SHORT) * VOCAB) < NEAR);
            }
            session_free(s);
        }
        model_free(m);
        vectors_release(&v);
    }
    free(out);
}

static void
shards_are_the_same(void **state)
{
    /* Two files and three threads give the very bits of one file and one. */
    struct pool *pool = pool_new(3);
    float *one = mem_calloc(IDS * VOCAB, sizeof *one);
    float *two = mem_calloc(IDS * VOCAB, sizeof *two);

    (void)state;
    for (size_t i = 0; i < countof(arch_names); i++) {
        struct vectors v;
        json_t *map = json_object(), *index;
        struct err e = { 0 };
        struct session *s;
        struct model *m;
        char *path;

        vectors_init(&v, arch_names[i]);
        write_weights(&v, "model.safetensors", 0, 1);
        m = open_model(v.folder, &whole);
        s = session_new(m, 0, NULL);
        read_ids(s, v.ids, IDS, IDS, one);
        session_free(s);
        model_free(m);

        path = path_join(v.folder, "model.safetensors");
        assert_int_equal(remove(path), 0);
        free(path);
        write_weights(&v, "model-00001-of-00002.safetensors", 0, 2);
        write_weights(&v, "model-00002-of-00002.safetensors", 1, 2);
        for (size_t k = 0; k < v.plan.n; k++)
            json_object_set_new(map, v.plan.t[k].hf, json_string(k % 2 == 0 ?
                "model-00001-of-00002.safetensors" :
                "model-00002-of-00002.safetensors"));
        index = json_pack("{s{} so}", "metadata", "weight_map", map);
        path = path_join(v.folder, "model.safetensors.index.json");
        assert_int_equal(json_write(index, path, &e), 0);
        m = open_model(v.folder, &whole);
        s = session_new(m, 0, pool);
        read_ids(s, v.ids, IDS, IDS, two);
        assert_memory_equal(one, two, IDS * VOCAB * sizeof *one);
        session_free(s);
        model_free(m);
        json_decref(index);
        free(path);
        vectors_release(&v);
    }
    pool_free(pool);
    free(one);
    free(two);
}

static void
newer_configs(void **state)
{
    /* What transformers 5 writes as config.json says the same, to the bit. */
    float *old = mem_calloc(IDS * VOCAB, sizeof *old);
    float *new = mem_calloc(IDS * VOCAB, sizeof *new);

    (void)state;
    for (size_t i = 0; i < countof(arch_names); i++) {
        char *from = mem_printf("tests/data/arch/%s/config.new.json",
            arch_names[i]);
        struct err e = { 0 };
        struct vectors v;
        struct session *s;
        struct model *m;
        json_t *config;
        char *to;

        vectors_init(&v, arch_names[i]);
        write_weights(&v, "model.safetensors", 0, 1);
        to = path_join(v.folder, "config.json");
        for (int k = 0; k < 2; k++) {
            m = open_model(v.folder, &whole);
            s = session_new(m, 0, NULL);
            read_ids(s, v.ids, IDS, IDS, k == 0 ? old : new);
            session_free(s);
            model_free(m);
            config = json_read(from, 1 << 20, NULL, &e);
            assert_non_null(config);
            json_write(config, to, &e);
            json_decref(config);
        }
        assert_memory_equal(old, new, IDS * VOCAB * sizeof *old);
        free(from);
        free(to);
        vectors_release(&v);
    }
    free(old);
    free(new);
}

static void
texts_written_together(void **state)
{
    /*
     * Texts of different lengths that step together are those that stepped
     * alone, even while one of them outgrows the trained context.
     */
    enum { TEXTS = 3, STEPS = 12 };
    static const size_t lead[TEXTS] = { 1, 17, 26 };
    float *alone = mem_calloc(TEXTS * VOCAB, sizeof *alone);
    float *together = mem_calloc(TEXTS * VOCAB, sizeof *together);

    (void)state;
    for (size_t i = 0; i < countof(arch_names); i++) {
        struct session *a[TEXTS], *b[TEXTS];
        struct err e = { 0 };
        int32_t next[TEXTS];
        struct vectors v;
        struct model *m;

        vectors_init(&v, arch_names[i]);
        write_weights(&v, "model.safetensors", 0, 1);
        m = open_model(v.folder, &whole);
        for (size_t k = 0; k < TEXTS; k++) {
            a[k] = session_new(m, 0, NULL);
            b[k] = session_new(m, 0, NULL);
            session_eval(a[k], v.ids, lead[k], NULL, LOGITS_NONE, &e);
            session_eval(b[k], v.ids, lead[k], NULL, LOGITS_NONE, &e);
        }
        for (size_t step = 0; step < STEPS; step++) {
            for (size_t k = 0; k < TEXTS; k++) {
                next[k] = v.ids[lead[k] + step];
                session_eval(a[k], &next[k], 1, alone + k * VOCAB,
                    LOGITS_LAST, &e);
            }
            assert_int_equal(session_step(b, next, TEXTS, together, &e), 0);
            assert_true(farthest(alone, together, TEXTS * VOCAB) < NEAR);
        }
        for (size_t k = 0; k < TEXTS; k++) {
            session_free(a[k]);
            session_free(b[k]);
        }
        model_free(m);
        vectors_release(&v);
    }
    free(alone);
    free(together);
}

struct seen {
    size_t rows[IN_COUNT];
    bool named[IN_COUNT][16];
};

static void
see(void *ctx, enum input_role in, int expert, const float *x, size_t n,
    size_t cols)
{
    struct seen *s = ctx;

    assert_true(n > 0 && cols > 0 && isfinite(x[n * cols - 1]));
    s->rows[in] += n;
    assert_int_equal(expert >= 0, in == IN_EXPERT || in == IN_EXPERT_DOWN);
    if (expert >= 0)
        s->named[in][expert] = true;
}

/* The matrix that makes logits, as the folder has it. */
static const struct tensor_plan *
output_of(const struct vectors *v)
{
    for (size_t i = 0; i < v->plan.n; i++)
        if (v->plan.t[i].role == (v->c.tied ? ROLE_EMBED : ROLE_OUTPUT))
            return &v->plan.t[i];
    return NULL;
}

static void
check_last_logits(const struct vectors *v, const float *normed)
{
    for (size_t r = 0; r < VOCAB; r++) {
        double sum = 0.0;

        for (size_t k = 0; k < HIDDEN; k++)
            sum += (double)weight(output_of(v), r * HIDDEN + k) *
                (double)normed[(IDS - 1) * HIDDEN + k];
        if (v->c.logit_cap > 0)
            sum = v->c.logit_cap * tanh(sum / v->c.logit_cap);
        assert_true(fabs(sum - (double)v->logits[(IDS - 1) * VOCAB + r]) <
            NEAR);
    }
}

static void
layers_one_by_one(void **state)
{
    /*
     * Calibration's way through the layers ends at the same logits; its hook
     * sees every position once for each matrix that reads it, and as many
     * positions in all experts together as the router sends there.
     */
    float *x = mem_calloc(IDS * HIDDEN, sizeof *x);
    float *normed = mem_calloc(IDS * HIDDEN, sizeof *normed);

    (void)state;
    for (size_t i = 0; i < countof(arch_names); i++) {
        struct vectors v;
        struct seen seen = { 0 };
        struct err e = { 0 };
        struct model *m;
        size_t moe = 0;

        vectors_init(&v, arch_names[i]);
        write_weights(&v, "model.safetensors", 0, 1);
        m = open_model(v.folder, &lazy);
        assert_int_equal(model_embed(m, v.ids, IDS, x, &e), 0);
        for (uint32_t k = 0; k < v.c.layers; k++) {
            struct layer *l;

            assert_int_equal(layer_load(&l, m, k, NULL, &e), 0);
            layer_forward(l, x, IDS, NULL, see, &seen);
            layer_free(l);
            moe += config_has_experts(&v.c, k);
        }
        model_final_norm(m, x, IDS, normed);
        check_last_logits(&v, normed);
        assert_int_equal(seen.rows[IN_QKV], v.c.layers * IDS);
        assert_int_equal(seen.rows[IN_O], v.c.layers * IDS);
        assert_int_equal(seen.rows[IN_DOWN], (v.c.layers - moe) * IDS);
        assert_int_equal(seen.rows[IN_EXPERT], moe * IDS * v.c.experts_used);
        assert_int_equal(seen.rows[IN_EXPERT_DOWN], seen.rows[IN_EXPERT]);
        assert_memory_equal(seen.named[IN_EXPERT], seen.named[IN_EXPERT_DOWN],
            sizeof seen.named[IN_EXPERT]);
        model_free(m);
        vectors_release(&v);
    }
    free(x);
    free(normed);
}

/* How far the logits of the file are from those of the folder. */
static void
check_file(const struct vectors *v, const char *path, const char *name,
    const struct how *how, size_t scaled)
{
    float *out = mem_calloc(IDS * VOCAB, sizeof *out);
    struct model *m = open_model(path, &whole);
    size_t n = model_config(m)->positions < IDS ? model_config(m)->positions
                                                : IDS;
    struct session *s = session_new(m, 0, NULL);
    double far, mean;

    read_ids(s, v->ids, n, IDS, out);
    far = farthest(out, v->logits, n * VOCAB);
    mean = mean_distance(out, v->logits, n * VOCAB);
    print_message("# %s as %s %s: %.1e, on average %.1e, over %zu; %zu groups "
        "scaled\n", name, qtype_info(how->type)->name,
        quantize_method_name(how->method), far, mean, n, scaled);
    if (!(far < how->near && mean < how->mean))
        fail_msg("%s: off by %g, %g on average", name, far, mean);
    session_free(s);
    model_free(m);
    free(out);
}

static void
gguf_says_the_same(void **state)
{
    /*
     * Written as GGUF and read again the model computes the same, as far as
     * the format promises: where it has no window, as far as that. Q8_0 comes
     * near on average (a single position may go to another expert), with
     * scales folded into norms, v and up as well.
     */
    static const struct how how[] = { { QT_F32, METHOD_RTN, 1e-4, 1e-5 },
        { QT_Q8_0, METHOD_RTN, 4, 0.15 }, { QT_Q8_0, METHOD_AWQ, 4, 0.15 } };

    (void)state;
    for (size_t i = 0; i < countof(arch_names); i++) {
        struct err e = { 0 };
        struct vectors v;
        char *path;

        vectors_init(&v, arch_names[i]);
        write_weights(&v, "model.safetensors", 0, 1);
        path = path_join(v.dir, "all.gguf");
        calibrate(&v);
        for (size_t k = 0; k < countof(how); k++) {
            size_t scaled = 0;

            if (strcmp(arch_names[i], "qwen3moe-dense") == 0) {
                err_clear(&e);
                assert_int_equal(pack(&v, path, &how[k], &scaled, &e), -1);
                assert_string_equal(e.text, "here: a GGUF file of a "
                    "'qwen3moe' cannot say 'norm_topk_prob' false, and would "
                    "compute something else; take another format");
                continue;
            }
            if (pack(&v, path, &how[k], &scaled, &e) != 0)
                fail_msg("%s", e.text);
            assert_true(how[k].method != METHOD_AWQ || scaled > 0);
            check_file(&v, path, arch_names[i], &how[k], scaled);
        }
        free(path);
        vectors_release(&v);
    }
}

static void
what_differs_is_refused(void **state)
{
    /* A key that would change the result and is not known is named. */
    static const struct {
        const char *arch, *key, *value, *text;
    } v[] = {
        { "gemma3", "use_bidirectional_attention", "true", "c: "
            "'use_bidirectional_attention' is not carried out; take another "
            "model" },
        { "gemma2", "query_pre_attn_scalar", "null", "c: "
            "'query_pre_attn_scalar' is missing or not a number from 0.001 to "
            "1e+06; repair the file" },
        { "gemma2", "hidden_activation", "\"gelu\"", "c: 'hidden_activation' "
            "'gelu' is not carried out for Gemma2ForCausalLM; it must be "
            "gelu_pytorch_tanh" },
        { "gemma3", "rope_local_base_freq", "null", "c: "
            "'rope_local_base_freq' is missing; fetch the model again" },
        { "gemma3", "layer_types", "[\"full_attention\"]", "c: 'layer_types' "
            "is not a list of 7 words, one for each layer; repair it" },
        { "gemma2", "layer_types", "[\"full_attention\", "
            "\"sliding_attention\", \"chunked_attention\", "
            "\"full_attention\"]", "c: 'layer_types': layer 2 is "
            "'chunked_attention'; quern knows full_attention and "
            "sliding_attention" },
        { "qwen3", "head_dim", "null", "c: 'head_dim' is missing or not a "
            "whole number from 1 to 1024; repair the file" },
        { "mixtral", "num_local_experts", "0", "c: 'num_local_experts' is "
            "missing or not a whole number from 1 to 1024; repair the file" },
        { "mixtral", "num_experts_per_tok", "9", "c: 'num_experts_per_tok' is "
            "missing or not a whole number from 1 to 8; repair the file" },
        { "qwen3moe", "mlp_only_layers", "[2]", "c: 'mlp_only_layers': item 0 "
            "is no layer's number; repair it" },
        { "phi3", "partial_rotary_factor", "0.01", "c: "
            "'partial_rotary_factor' makes 0 of 16 values turn, which is not "
            "in pairs; repair it" },
        { "llama2", "partial_rotary_factor", "0.5", "c: "
            "'partial_rotary_factor' is not carried out for LlamaForCausalLM; "
            "take another model" },
        { "phi3-longrope", "original_max_position_embeddings", "null", "c: "
            "'original_max_position_embeddings' is missing or not a number "
            "from 1 to 1.34218e+08; repair the file" },
        { "phi3-longrope", "rope_scaling", "{\"type\": \"longrope\", "
            "\"short_factor\": [1], \"long_factor\": [1]}", "c: "
            "'short_factor' is missing or not a list of 8 numbers; repair "
            "it" },
        { "llama-yarn", "rope_scaling", "{\"type\": \"yarn\", \"factor\": 2, "
            "\"original_max_position_embeddings\": 64, \"mscale\": 1}",
            "c: 'mscale' of rope type 'yarn' is not carried out; take another "
            "model" },
        { "llama2", "rope_scaling", "{\"type\": \"ntk\"}", "c: rope type "
            "'ntk' is not carried out; quern knows default, linear, dynamic, "
            "llama3, yarn and longrope" },
    };

    (void)state;
    for (size_t i = 0; i < countof(v); i++) {
        char *path = mem_printf("tests/data/arch/%s/config.json", v[i].arch);
        struct err e = { 0 };
        json_t *config = json_read(path, 1 << 20, NULL, &e);
        struct model_config c;

        json_object_set_new(config, v[i].key, json_loads(v[i].value,
            JSON_DECODE_ANY, NULL));
        assert_int_equal(config_from_hf(&c, config, "c", &e), ERR_WORK);
        assert_string_equal(e.text, v[i].text);
        json_decref(config);
        free(path);
    }
}

static void
tensors_must_fit(void **state)
{
    /* A tensor that is missing, or one too many, is named. */
    struct vectors v;
    struct model *m;
    struct err e = { 0 };

    (void)state;
    vectors_init(&v, "mixtral");
    v.plan.n--; /* the last one: lm_head */
    write_weights(&v, "model.safetensors", 0, 1);
    assert_int_equal(model_open(&m, v.folder, &whole, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "tensor 'lm_head.weight' is missing"));
    v.plan.n++;
    err_clear(&e);
    v.plan.t[5].hf = "model.layers.0.block_sparse_moe.experts.8.w1.weight";
    write_weights(&v, "model.safetensors", 0, 1);
    assert_int_equal(model_open(&m, v.folder, &whole, &e), ERR_WORK);
    assert_non_null(strstr(e.text, "is missing"));
    vectors_release(&v);
}

/*
 * Writes what the format can express, and prints of each its name and the
 * positions up to which it promises the same results.
 */
static int
write_files(const char *dir, const char *type)
{
    struct how how = { .method = METHOD_RTN };

    if (qtype_from_name(type, &how.type) != 0)
        return 2;
    for (size_t i = 0; i < countof(arch_names); i++) {
        char *path = mem_printf("%s/%s.gguf", dir, arch_names[i]);
        struct err e = { 0 };
        size_t scaled = 0;
        struct vectors v;

        vectors_init(&v, arch_names[i]);
        write_weights(&v, "model.safetensors", 0, 1);
        if (pack(&v, path, &how, &scaled, &e) == 0) {
            struct model *m = open_model(path, &whole);

            printf("%s %u\n", arch_names[i], model_config(m)->positions);
            model_free(m);
        }
        vectors_release(&v);
        free(path);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_transformers),
        cmocka_unit_test(shards_are_the_same),
        cmocka_unit_test(newer_configs),
        cmocka_unit_test(texts_written_together),
        cmocka_unit_test(layers_one_by_one),
        cmocka_unit_test(gguf_says_the_same),
        cmocka_unit_test(what_differs_is_refused),
        cmocka_unit_test(tensors_must_fit),
    };

    if (argc == 3)
        return write_files(argv[1], argv[2]);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/model/arches", tests, NULL, NULL);
}
