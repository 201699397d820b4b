/* Tests of lib/model/arch.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/model/arch.h"
#include "tests/lib/model/tiny.h"

static void
names_of_both_worlds(void **state)
{
    /* Every tensor has its name on both sides and its shape. */
    static const struct {
        const char *hf, *gguf;
        uint64_t rows, cols;
        enum input_role in;
    } v[] = {
        { "model.embed_tokens.weight", "token_embd.weight", 320, 256,
            IN_COUNT },
        { "model.layers.1.input_layernorm.weight", "blk.1.attn_norm.weight",
            256, 1, IN_COUNT },
        { "model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight",
            256, 256, IN_QKV },
        { "model.layers.0.self_attn.k_proj.weight", "blk.0.attn_k.weight", 64,
            256, IN_QKV },
        { "model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight", 64,
            256, IN_QKV },
        { "model.layers.1.self_attn.o_proj.weight",
            "blk.1.attn_output.weight", 256, 256, IN_O },
        { "model.layers.1.post_attention_layernorm.weight",
            "blk.1.ffn_norm.weight", 256, 1, IN_COUNT },
        { "model.layers.1.mlp.gate_proj.weight", "blk.1.ffn_gate.weight", 512,
            256, IN_GATE_UP },
        { "model.layers.1.mlp.up_proj.weight", "blk.1.ffn_up.weight", 512,
            256, IN_GATE_UP },
        { "model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight", 256,
            512, IN_DOWN },
        { "model.norm.weight", "output_norm.weight", 256, 1, IN_COUNT },
        { "lm_head.weight", "output.weight", 320, 256, IN_OUTPUT },
    };
    struct tiny t;

    (void)state;
    tiny_init(&t, NULL);
    assert_int_equal(t.plan.n, 1 + 2 * 9 + 2);
    for (size_t i = 0; i < countof(v); i++) {
        const struct tensor_plan *p = plan_find_hf(&t.plan, v[i].hf);

        assert_non_null(p);
        assert_string_equal(p->gguf, v[i].gguf);
        assert_ptr_equal(plan_find_gguf(&t.plan, v[i].gguf), p);
        assert_int_equal(p->rows, v[i].rows);
        assert_int_equal(p->cols, v[i].cols);
        assert_int_equal(p->input, v[i].in);
        assert_int_equal(p->permute_heads,
            p->role == ROLE_Q ? 8 : p->role == ROLE_K ? 2 : 0);
        assert_int_equal(p->norm, p->rank == 1);
    }
    assert_null(plan_find_hf(&t.plan, "model.layers.2.mlp.up_proj.weight"));
    tiny_release(&t);
}

static void
the_config_decides(void **state)
{
    /* Tied models have no output matrix; biases are there when asked for. */
    struct tiny t;

    (void)state;
    tiny_init(&t, "{\"tie_word_embeddings\": true}");
    assert_null(plan_find_hf(&t.plan, "lm_head.weight"));
    assert_true(arch_ignores(&t.c, "lm_head.weight"));
    assert_true(arch_ignores(&t.c,
        "model.layers.0.self_attn.rotary_emb.inv_freq"));
    assert_false(arch_ignores(&t.c, "model.norm.weight"));
    tiny_release(&t);
    tiny_init(&t, "{\"attention_bias\": true, \"mlp_bias\": true}");
    assert_int_equal(t.plan.n, 1 + 2 * (9 + 7) + 2);
    assert_string_equal(plan_find_hf(&t.plan,
        "model.layers.1.self_attn.k_proj.bias")->gguf, "blk.1.attn_k.bias");
    assert_false(arch_ignores(&t.c, "lm_head.weight"));
    tiny_release(&t);
}

static void
rows_of_heads_are_reordered(void **state)
{
    /* A head of 8 rows is 0 4 1 5 2 6 3 7 in GGUF. */
    static const uint64_t want[] = { 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13 };

    (void)state;
    for (uint64_t r = 0; r < countof(want); r++)
        assert_int_equal(arch_source_row(r, 8), want[r]);
}

static void
an_unknown_architecture_is_named(void **state)
{
    /* What quern does not know is refused with what it knows. */
    struct err e = { 0 };
    enum arch a;
    json_t *v = json_pack("{s[s]}", "architectures", "MambaForCausalLM");

    (void)state;
    assert_int_equal(arch_from_hf(&a, v, "m/config.json", &e), ERR_WORK);
    assert_memory_equal(e.text, "m/config.json: unknown architecture "
        "'MambaForCausalLM'; quern knows LlamaForCausalLM", 81);
    assert_non_null(strstr(e.text, "Gemma3ForConditionalGeneration"));
    err_clear(&e);
    json_object_del(v, "architectures");
    assert_int_equal(arch_from_hf(&a, v, "c", &e), ERR_WORK);
    json_decref(v);
    err_clear(&e);
    assert_int_equal(arch_from_gguf(&a, "rwkv", "m.gguf", &e), ERR_WORK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_both_worlds),
        cmocka_unit_test(the_config_decides),
        cmocka_unit_test(rows_of_heads_are_reordered),
        cmocka_unit_test(an_unknown_architecture_is_named),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/model/arch", tests, NULL, NULL);
}
