/*
 * config_nested.c - configs of models that have more parts than the one for
 * text; see config_text in config.h
 */
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/model/config.h"

/* Gemma3TextConfig of transformers 5.23 and 4.57; published files leave out
 * whatever is equal to these. */
static json_t *
gemma3_defaults(void)
{
    return json_pack("{si si si si si si si si ss sf sf sf sb si si si si}",
        "vocab_size", 262208, "hidden_size", 2304, "intermediate_size", 9216,
        "num_hidden_layers", 26, "num_attention_heads", 8,
        "num_key_value_heads", 4, "head_dim", 256, "max_position_embeddings",
        131072, "hidden_activation", "gelu_pytorch_tanh", "rms_norm_eps", 1e-6,
        "rope_theta", 1e6, "rope_local_base_freq", 1e4, "tie_word_embeddings",
        1, "query_pre_attn_scalar", 256, "sliding_window", 4096,
        "bos_token_id", 2, "eos_token_id", 1);
}

static const struct {
    const char *whole, *text; /* architectures */
    json_t *(*defaults)(void);
} nested[] = {
    { "Gemma3ForConditionalGeneration", "Gemma3ForCausalLM", gemma3_defaults },
};

/* Said of the whole, if it is said: they count before the text part's. */
static const char *const of_whole[] = { "dtype", "torch_dtype",
    "eos_token_id", "bos_token_id", "tie_word_embeddings",
    "quantization_config" };

const char *
config_whole(size_t i)
{
    return i < countof(nested) ? nested[i].whole : NULL;
}

json_t *
config_text(const json_t *config, const char *place, struct err *e)
{
    const char *name = json_string_value(json_array_get(
        json_object_get(config, "architectures"), 0));
    json_t *text = NULL, *said;

    for (size_t i = 0; i < countof(nested) && name != NULL; i++) {
        if (strcmp(nested[i].whole, name) != 0)
            continue;
        said = json_get_object(config, "text_config", place, e);
        if (said == NULL)
            return NULL;
        text = nested[i].defaults();
        json_object_update(text, said);
        json_object_set_new(text, "architectures",
            json_pack("[s]", nested[i].text));
    }
    for (size_t i = 0; i < countof(of_whole) && text != NULL; i++) {
        said = json_object_get(config, of_whole[i]);
        if (said != NULL && !json_is_null(said))
            json_object_set(text, of_whole[i], said);
    }
    return text;
}
