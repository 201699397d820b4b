/* Tests of lib/model/config_hf.c, config_gguf.c and rope.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/model/tiny.h"

/* The config of tiny.h with one key replaced (or, with NULL, left out). */
static int
with(struct model_config *c, const char *key, const char *value,
    struct err *e)
{
    json_t *v = json_loads(tiny_config_text, 0, NULL);
    int code;

    if (value == NULL)
        json_object_del(v, key);
    else
        json_object_set_new(v, key, json_loads(value, JSON_DECODE_ANY, NULL));
    code = config_from_hf(c, v, "c.json", e);
    json_decref(v);
    return code;
}

static void
bad_numbers_are_named(void **state)
{
    /* Zero, huge, missing and unknown values: the key is in the message. */
    static const struct {
        const char *key, *value, *text;
    } v[] = {
        { "hidden_size", "0", "c.json: 'hidden_size' is missing or not a "
            "whole number from 1 to 65536; repair the file" },
        { "hidden_size", "1000000000", "c.json: 'hidden_size' is missing or "
            "not a whole number from 1 to 65536; repair the file" },
        { "num_hidden_layers", "-1", "c.json: 'num_hidden_layers' is missing "
            "or not a whole number from 1 to 16384; repair the file" },
        { "vocab_size", NULL, "c.json: 'vocab_size' is missing or not a whole "
            "number from 1 to 4194304; repair the file" },
        { "vocab_size", "9223372036854775807", "c.json: 'vocab_size' is "
            "missing or not a whole number from 1 to 4194304"
            "; repair the file" },
        { "rms_norm_eps", NULL, "c.json: 'rms_norm_eps' is missing or not a "
            "number from 1e-12 to 0.1; repair the file" },
        { "head_dim", "0", "c.json: 'head_dim' is missing or not a whole "
            "number from 1 to 1024; repair the file" },
        { "head_dim", "33", "c.json: a head of 33 values cannot be rotated in "
            "pairs; repair 'head_dim'" },
        { "num_key_value_heads", "3", "c.json: 'num_attention_heads' 8 is no "
            "multiple of 'num_key_value_heads' 3; repair it" },
        { "num_key_value_heads", "16", "c.json: 'num_key_value_heads' is "
            "missing or not a whole number from 1 to 8; repair the file" },
        { "rope_theta", "0", "c.json: 'rope_theta' is missing or not a number "
            "from 1 to 1e+12; repair the file" },
        { "rope_scaling", "{\"rope_type\":\"yarn\",\"factor\":4}", "c.json: "
            "'original_max_position_embeddings' is missing or not a number "
            "from 1 to 1.34218e+08; repair the file" },
        { "rope_scaling", "{\"type\":\"ntk\",\"factor\":2}", "c.json: "
            "rope type 'ntk' is not carried out; quern knows default, linear, "
            "dynamic, llama3, yarn and longrope" },
        { "rope_scaling", "{\"type\":\"linear\"}", "c.json: 'factor' is "
            "missing or not a number from 1 to 1e+06; repair the file" },
        { "hidden_act", "\"gelu\"", "c.json: 'hidden_act' 'gelu' is not "
            "carried out for LlamaForCausalLM; it must be silu" },
        { "tie_word_embeddings", "5", "c.json: 'tie_word_embeddings' is "
            "missing or not true or false; repair the file" },
        { "quantization_config", "{}", "c.json: the model is quantized "
            "already ('quantization_config'); start from the full-precision "
            "one" },
    };

    (void)state;
    for (size_t i = 0; i < countof(v); i++) {
        struct err e = { 0 };
        struct model_config c;

        assert_int_equal(with(&c, v[i].key, v[i].value, &e), ERR_WORK);
        assert_string_equal(e.text, v[i].text);
    }
}

static void
both_ways_of_writing(void **state)
{
    /* The older and the newer way of writing give the same config. */
    struct err e = { 0 };
    struct model_config old, new;
    json_t *v = json_loads(tiny_config_text, 0, NULL);

    (void)state;
    json_object_set_new(v, "rope_theta", json_real(5e5));
    json_object_set_new(v, "torch_dtype", json_string("bfloat16"));
    json_object_set_new(v, "rope_scaling", json_pack("{ss sf sf sf si}",
        "rope_type", "llama3", "factor", 8.0, "low_freq_factor", 1.0,
        "high_freq_factor", 4.0, "original_max_position_embeddings", 8192));
    assert_int_equal(config_from_hf(&old, v, "c", &e), 0);
    json_object_set_new(v, "rope_parameters",
        json_deep_copy(json_object_get(v, "rope_scaling")));
    json_object_set_new(json_object_get(v, "rope_parameters"), "rope_theta",
        json_real(5e5));
    json_object_del(v, "rope_scaling");
    json_object_del(v, "rope_theta");
    json_object_del(v, "torch_dtype");
    json_object_set_new(v, "dtype", json_string("bfloat16"));
    assert_int_equal(config_from_hf(&new, v, "c", &e), 0);
    json_decref(v);
    assert_string_equal(new.dtype, "bfloat16");
    assert_int_equal(new.rope.type, ROPE_LLAMA3);
    assert_true(new.rope.theta == 5e5 && new.rope.original == 8192.0);
    assert_true(old.rope.type == new.rope.type &&
        old.rope.theta == new.rope.theta &&
        old.rope.factor == new.rope.factor &&
        old.rope.low_freq == new.rope.low_freq &&
        old.rope.high_freq == new.rope.high_freq &&
        old.rope.original == new.rope.original);
    assert_string_equal(old.dtype, new.dtype);
}

static void
what_is_left_out_has_a_default(void **state)
{
    /* head_dim may be null, kv heads and the rope base may be missing. */
    struct err e = { 0 };
    struct model_config c;

    (void)state;
    assert_int_equal(with(&c, "head_dim", "null", &e), 0);
    assert_int_equal(c.head_dim, 32);
    assert_int_equal(with(&c, "num_key_value_heads", NULL, &e), 0);
    assert_int_equal(c.kv_heads, 8);
    assert_int_equal(with(&c, "rope_theta", NULL, &e), 0);
    assert_true(c.rope.theta == 10000.0);
    assert_int_equal(with(&c, "eos_token_id", "[1, 7, 1]", &e), 0);
    assert_int_equal(c.n_eos, 2);
    assert_int_equal(c.eos[1], 7);
    assert_int_equal(with(&c, "eos_token_id", "null", &e), 0);
    assert_int_equal(c.n_eos, 0);
}

static void
llama3_divisors(void **state)
{
    /* The divisors of Llama 3.1, as transformers computes them. */
    static const struct {
        size_t i;
        double value;
    } v[] = { { 0, 1.0 }, { 28, 1.0 }, { 29, 1.207484 }, { 30, 1.553415 },
        { 31, 2.026313 }, { 34, 5.257327 }, { 35, 8.0 }, { 63, 8.0 } };
    struct rope_config r = { .type = ROPE_LLAMA3, .theta = 5e5, .factor = 8,
        .low_freq = 1, .high_freq = 4, .original = 8192, .dims = 128 };
    struct rope_config plain = r;
    float divisors[64], scaled[64], by_divisor[64];
    double sum = 0;

    (void)state;
    rope_divisors(&r, divisors);
    for (size_t i = 0; i < 64; i++)
        sum += (double)divisors[i];
    for (size_t i = 0; i < countof(v); i++)
        assert_true(fabs((double)divisors[v[i].i] - v[i].value) < 2e-6);
    assert_true(fabs(sum - 277.423321) < 1e-4);
    plain.type = ROPE_DIVISORS;
    memcpy(plain.divisors, divisors, sizeof divisors);
    rope_frequencies(&r, false, scaled);
    rope_frequencies(&plain, false, by_divisor);
    for (size_t i = 0; i < 64; i++)
        assert_true(fabsf(scaled[i] - by_divisor[i]) <= 2e-7f * scaled[i]);
}

static void
gguf_keys_give_the_same_config(void **state)
{
    /* A GGUF file of a model has the model's numbers. */
    char dir[64], path[96];
    struct tiny t;
    struct gguf g = { 0 };
    struct err e = { 0 };
    struct model_config c;

    (void)state;
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    tiny_init(&t, "{\"rope_scaling\": {\"type\": \"linear\", "
        "\"factor\": 4.0}}");
    tiny_write_gguf(&t, path, QT_Q8_0, NULL);
    assert_int_equal(gguf_open(&g, path, &e), 0);
    assert_int_equal(config_from_gguf(&c, &g, &e), 0);
    gguf_close(&g);
    assert_int_equal(c.hidden, 256);
    assert_int_equal(c.ffn, 512);
    assert_int_equal(c.layers, 2);
    assert_int_equal(c.heads, 8);
    assert_int_equal(c.kv_heads, 2);
    assert_int_equal(c.head_dim, 32);
    assert_int_equal(c.vocab, 320);
    assert_int_equal(c.positions, 2048);
    assert_false(c.tied);
    assert_int_equal(c.bos, 0);
    assert_int_equal(c.eos[0], 1);
    assert_true(c.rope.pairs);
    assert_int_equal(c.rope.type, ROPE_LINEAR);
    assert_true(c.rope.factor == 4.0);
    assert_true(fabs(c.norm_eps - 1e-5) < 1e-11);
    tiny_release(&t);
    scratch_remove(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_numbers_are_named),
        cmocka_unit_test(both_ways_of_writing),
        cmocka_unit_test(what_is_left_out_has_a_default),
        cmocka_unit_test(llama3_divisors),
        cmocka_unit_test(gguf_keys_give_the_same_config),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/model/config", tests, NULL, NULL);
}
