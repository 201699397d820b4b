/* Any bytes as config.json: what is accepted lies within the model's limits. */
#include <math.h>

#include "lib/base/json.h"
#include "lib/model/config.h"
#include "tests/fuzz/fuzz.h"

static void
check_rope(const struct rope_config *r)
{
    static float inv[MODEL_MAX_HEAD_DIM / 2];

    fuzz_require(r->dims % 2 == 0 && r->dims <= MODEL_MAX_HEAD_DIM,
        "pairs of rotated values fit a head");
    for (int far = 0; far < 2; far++) {
        rope_frequencies(r, far, inv);
        for (uint32_t i = 0; i < r->dims / 2; i++)
            fuzz_require(isfinite(inv[i]), "frequencies are numbers");
    }
}

int
fuzz_one(const uint8_t *data, size_t size)
{
    static struct model_config c;
    struct err e = { 0 };
    json_t *config = json_parse((const char *)data, size, "config.json", &e);

    if (config == NULL || config_from_hf(&c, config, "config.json", &e) != 0) {
        fuzz_require(e.text[0] != 0, "an error says something");
        json_decref(config);
        return 0;
    }
    fuzz_require(c.hidden > 0 && c.hidden <= MODEL_MAX_HIDDEN &&
        c.layers > 0 && c.layers <= MODEL_MAX_LAYERS && c.heads > 0 &&
        c.kv_heads > 0 && c.heads % c.kv_heads == 0 &&
        c.head_dim <= MODEL_MAX_HEAD_DIM && c.vocab <= MODEL_MAX_VOCAB &&
        c.positions > 0 && c.positions <= MODEL_MAX_POSITIONS &&
        c.n_eos <= MODEL_MAX_EOS, "sizes are within limits");
    fuzz_require(c.experts_used <= c.experts, "no more experts than there are");
    check_rope(&c.rope);
    if (c.two_ropes)
        check_rope(&c.rope_local);
    config_add_eos(&c, config);
    json_decref(config);
    return 0;
}
