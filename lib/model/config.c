/*
 * config.c - what both readers of a config share; see config.h
 */
#include "lib/model/config.h"

static bool
bit(const uint8_t *bits, uint32_t layer)
{
    return (bits[layer / 8] >> layer % 8 & 1) != 0;
}

bool
config_is_local(const struct model_config *c, uint32_t layer)
{
    return bit(c->local, layer);
}

bool
config_has_experts(const struct model_config *c, uint32_t layer)
{
    return c->experts > 0 && !bit(c->dense, layer);
}

void
config_set_layer(uint8_t *bits, uint32_t layer)
{
    bits[layer / 8] = (uint8_t)(bits[layer / 8] | 1u << layer % 8);
}
