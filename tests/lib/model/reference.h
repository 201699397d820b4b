/*
 * reference.h - a real model against what transformers computed with it
 *
 * ref.json and ref.safetensors hold logits at some positions of two prompts,
 * sums of losses over a text, and greedy continuations, all in float32 from the
 * bfloat16 weights (models' README).
 */
#ifndef QUERN_TESTS_MODEL_REFERENCE_H
#define QUERN_TESTS_MODEL_REFERENCE_H

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/format/safetensors.h"
#include "lib/model/model.h"

enum { REF_WINDOW = 512 };
static const double REF_LOGIT_TOLERANCE = 2e-3, REF_NLL_TOLERANCE = 1e-4,
    REF_MARGIN = 1e-3;

struct reference {
    struct model *m;
    json_t *json;
    struct safetensors st;
    struct pool *pool;
    const char *text; /* file of the losses */
};

/* Ends the program when the model or the references cannot be read. */
static inline void
reference_open(struct reference *r, const char *model, const char *refs,
    const char *text)
{
    struct err e = { 0 };
    char *json = path_join(refs, "ref.json");
    char *tensors = path_join(refs, "ref.safetensors");

    *r = (struct reference){ .text = text, .pool = pool_new(0) };
    /* the tokenizer's strings have a NUL among them */
    r->json = json_load_file(json, JSON_ALLOW_NUL, NULL);
    if (model_open(&r->m, model, NULL, &e) != 0 ||
        safetensors_open(&r->st, tensors, &e) != 0 || r->json == NULL) {
        fprintf(stderr, "%s: cannot be used: %s\n", refs, e.text);
        exit(1);
    }
    free(json);
    free(tensors);
}

static inline void
reference_close(struct reference *r)
{
    model_free(r->m);
    safetensors_close(&r->st);
    json_decref(r->json);
    pool_free(r->pool);
}

static inline int32_t *
reference_ids(const json_t *list, size_t *n)
{
    int32_t *ids;

    *n = json_array_size(list);
    ids = mem_calloc(*n, sizeof *ids);
    for (size_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

/* Largest difference of n values; infinite if one is not a number. */
static inline double
worst_difference(const float *a, const float *b, size_t n)
{
    double worst = 0.0;

    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);

        if (!(d <= worst))
            worst = isnan(d) ? (double)INFINITY : d;
    }
    return worst;
}

static inline void
reference_check_prompt(const struct reference *r, const json_t *prompt,
    double *worst, double *worst_step)
{
    size_t n, vocab = model_config(r->m)->vocab;
    int32_t *ids = reference_ids(json_object_get(prompt, "ids"), &n);
    const char *name = json_string_value(json_object_get(prompt, "tensor"));
    const json_t *at = json_object_get(prompt, "positions");
    const struct st_tensor *t = safetensors_find(&r->st, name);
    float *all = mem_aligned(n * vocab, sizeof *all);
    float *one = mem_aligned(vocab, sizeof *one);
    float *want = mem_aligned(vocab, sizeof *want);
    struct session *s = session_new(r->m, 0, r->pool);
    struct err e = { 0 };

    assert_int_equal(session_eval(s, ids, n, all, LOGITS_ALL, &e), 0);
    for (size_t i = 0; i < json_array_size(at); i++) {
        size_t pos = (size_t)json_integer_value(json_array_get(at, i));

        memcpy(want, (const char *)safetensors_data(&r->st, t) +
            i * vocab * sizeof *want, vocab * sizeof *want);
        *worst = fmax(*worst, worst_difference(all + pos * vocab, want,
            vocab));
    }
    session_reset(s);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(session_eval(s, ids + i, 1, one, LOGITS_LAST, &e),
            0);
        *worst_step = fmax(*worst_step, worst_difference(all + i * vocab, one,
            vocab));
    }
    session_free(s);
    free(ids);
    free(all);
    free(one);
    free(want);
}

static inline void
reference_check_logits(const struct reference *r)
{
    const json_t *prompts = json_object_get(r->json, "prompts"), *prompt;
    double worst = 0.0, worst_step = 0.0;
    size_t i;

    json_array_foreach(prompts, i, prompt)
        reference_check_prompt(r, prompt, &worst, &worst_step);
    printf("# largest difference of a logit: %.3g; prefill against step by "
        "step: %.3g\n", worst, worst_step);
    assert_true(i > 0 && worst <= REF_LOGIT_TOLERANCE);
    assert_true(worst_step <= REF_LOGIT_TOLERANCE);
}

/* Sum of losses over whole windows of ids, the first id of each unscored. */
static inline double
reference_nll(const struct reference *r, const int32_t *ids, size_t n)
{
    struct session *s = session_new(r->m, REF_WINDOW, r->pool);
    int32_t targets[REF_WINDOW];
    struct token_score score[REF_WINDOW];
    struct err e = { 0 };
    double nll = 0.0;

    for (size_t i = 0; i + REF_WINDOW <= n; i += REF_WINDOW) {
        memcpy(targets, ids + i + 1, (REF_WINDOW - 1) * sizeof *ids);
        targets[REF_WINDOW - 1] = -1;
        session_reset(s);
        assert_int_equal(session_score(s, ids + i, REF_WINDOW, targets, score,
            &e), 0);
        for (size_t j = 0; j + 1 < REF_WINDOW; j++)
            nll -= score[j].logprob;
    }
    session_free(s);
    return nll;
}

/* `key`: "nll" or "nll_all". */
static inline void
reference_check_nll(const struct reference *r, const char *key)
{
    const json_t *want = json_object_get(r->json, key);
    size_t n = (size_t)json_integer_value(json_object_get(want, "tokens"));
    double ref = json_number_value(json_object_get(want, "nll")), got;
    struct ids ids = { 0 };
    struct blob b;
    struct err e = { 0 };

    assert_int_equal(blob_read(&b, r->text, 1 << 24, &e), 0);
    assert_int_equal(tokenizer_encode(model_tokenizer(r->m), b.p, b.len,
        false, &ids, &e), 0);
    assert_true(ids.n >= n);
    got = reference_nll(r, ids.v, n);
    printf("# %s over %zu ids: %.4f, reference %.4f, relative difference "
        "%.3g\n", key, n, got, ref, fabs(got - ref) / ref);
    assert_true(fabs(got - ref) <= REF_NLL_TOLERANCE * ref);
    ids_release(&ids);
    blob_release(&b);
}

static inline void
reference_check_one_greedy(const struct reference *r, const json_t *g,
    size_t *same)
{
    size_t n, m, vocab = model_config(r->m)->vocab;
    int32_t *prompt = reference_ids(json_object_get(g, "prompt_ids"), &n);
    int32_t *want = reference_ids(json_object_get(g, "ids"), &m);
    const json_t *margin = json_object_get(g, "margin");
    float *logits = mem_aligned(vocab, sizeof *logits);
    struct session *s = session_new(r->m, 0, r->pool);
    struct err e = { 0 };

    assert_int_equal(session_eval(s, prompt, n, logits, LOGITS_LAST, &e), 0);
    for (size_t i = 0; i < m; i++) {
        size_t id = logits_argmax(logits, vocab);

        if (id != (size_t)want[i]) { /* rounding may flip a close choice */
            assert_true(json_number_value(json_array_get(margin, i)) <
                REF_MARGIN);
            break;
        }
        ++*same;
        assert_int_equal(session_eval(s, want + i, 1, logits, LOGITS_LAST,
            &e), 0);
    }
    session_free(s);
    free(prompt);
    free(want);
    free(logits);
}

static inline void
reference_check_greedy(const struct reference *r)
{
    const json_t *all = json_object_get(r->json, "generations"), *g;
    size_t same = 0, i;

    json_array_foreach(all, i, g)
        reference_check_one_greedy(r, g, &same);
    printf("# %zu greedy ids of %zu texts are equal\n", same, i);
    assert_true(i > 0);
}

#endif
