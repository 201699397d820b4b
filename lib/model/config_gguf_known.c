/*
 * config_gguf_known.c - no key of the architecture is passed over in silence
 *
 * A key that nobody here reads may scale, clamp or route something: without it
 * the model would compute something else. (llama.cpp: src/llama-arch.cpp.)
 */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/model/arch.h"
#include "lib/model/config.h"

/* Read by config_gguf.c, or of no consequence for what is computed. */
static const char *const known[] = { "attention.head_count",
    "attention.head_count_kv", "attention.key_length",
    "attention.layer_norm_rms_epsilon", "attention.value_length",
    "block_count", "context_length", "embedding_length", "expert_count",
    "expert_feed_forward_length", "expert_used_count", "feed_forward_length",
    "rope.dimension_count", "rope.freq_base", "rope.scaling.attn_factor",
    "rope.scaling.factor", "rope.scaling.finetuned",
    "rope.scaling.original_context_length", "rope.scaling.type",
    "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
    "tensor_data_layout", "vocab_size" };

/* Read for some architectures; the others' results do not follow them. */
static const struct {
    enum arch arch;
    const char *name;
} known_for[] = {
    { ARCH_GEMMA2, "attention.sliding_window" },
    { ARCH_GEMMA2, "attn_logit_softcapping" },
    { ARCH_GEMMA2, "final_logit_softcapping" },
    { ARCH_GEMMA3, "attention.sliding_window" },
    { ARCH_GEMMA3, "attention.sliding_window_pattern" },
    { ARCH_GEMMA3, "rope.freq_base_swa" },
    { ARCH_PHI3, "attention.sliding_window" },
};

/* Written by some converters with the value that changes nothing. */
static const struct {
    const char *name, *value;
} harmless[] = {
    { "attention.causal", "true" },
    { "attention.clamp_kqv", "0" },
    { "attention.max_alibi_bias", "0" },
    { "attention.scale", "0" },
    { "attention.sliding_window", "0" },
    { "attn_logit_softcapping", "0" },
    { "embedding_scale", "0" },
    { "expert_gating_func", "1" }, /* softmax */
    { "expert_shared_count", "0" },
    { "expert_weights_norm", "true" },
    { "expert_weights_scale", "1" },
    { "final_logit_softcapping", "0" },
    { "leading_dense_block_count", "0" },
    { "logit_scale", "0" },
    { "nextn_predict_layers", "0" },
    { "residual_scale", "0" },
    { "rope.scaling.yarn_log_multiplier", "0" },
    { "use_parallel_residual", "false" },
};

static bool
is_known(enum arch arch, const char *name)
{
    for (size_t i = 0; i < countof(known); i++)
        if (strcmp(known[i], name) == 0)
            return true;
    for (size_t i = 0; i < countof(known_for); i++)
        if (known_for[i].arch == arch && strcmp(known_for[i].name, name) == 0)
            return true;
    return false;
}

static bool
is_harmless(const char *name, const char *value)
{
    for (size_t i = 0; i < countof(harmless); i++)
        if (strcmp(harmless[i].name, name) == 0)
            return strcmp(harmless[i].value, value) == 0;
    return false;
}

int
config_gguf_known(const struct model_config *c, const struct gguf *g,
    struct err *e)
{
    char *prefix = mem_printf("%s.", arch_gguf_name(c->arch));
    const size_t len = strlen(prefix);
    struct str value = { 0 };

    for (size_t i = 0; i < g->n_kv && e->code == 0; i++) {
        const char *key = g->kv[i].key;

        if (strncmp(key, prefix, len) != 0 || is_known(c->arch, key + len))
            continue;
        str_clear(&value);
        gguf_kv_text(&g->kv[i], 40, &value);
        if (!is_harmless(key + len, str_get(&value)))
            err_set(e, ERR_WORK, "%s: key '%.80s' (%.60s) is not carried out "
                "for %s, and the model may compute something else without it; "
                "take a checkpoint without it", g->map.path, key,
                str_get(&value), arch_gguf_name(c->arch));
    }
    str_release(&value);
    free(prefix);
    return e->code;
}
