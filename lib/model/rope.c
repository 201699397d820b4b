/*
 * rope.c - frequencies of the rotary position embedding; see config.h
 *
 * Computed in float32 in the order transformers does, so that angles of far
 * positions agree with it: an inverse frequency that is off by half a unit in
 * the last place turns by pos * 6e-8 too much.
 */
#include <math.h>
#include <stddef.h>

#include "lib/model/config.h"

static const double TWO_PI = 6.283185307179586476925286766559;

/* theta ^ (-2i / dims) */
static float
base_frequency(const struct rope_config *r, uint32_t i)
{
    float exponent = (float)(2 * i) / (float)r->dims;

    return 1.0f / (float)pow(r->theta, (double)exponent);
}

/* Llama 3: waves longer than the trained context are slowed down. */
static double
llama3_divisor(const struct rope_config *r, uint32_t i)
{
    double wave = TWO_PI / (double)base_frequency(r, i);
    double smooth;

    if (wave < r->original / r->high_freq)
        return 1.0;
    if (wave > r->original / r->low_freq)
        return r->factor;
    smooth = (r->original / wave - r->low_freq) / (r->high_freq - r->low_freq);
    return 1.0 / ((1.0 - smooth) / r->factor + smooth);
}

void
rope_divisors(const struct rope_config *r, float *divisors)
{
    for (uint32_t i = 0; i < r->dims / 2; i++)
        divisors[i] = (float)llama3_divisor(r, i);
}

void
rope_frequencies(const struct rope_config *r, const float *divisors,
    float *inv)
{
    for (uint32_t i = 0; i < r->dims / 2; i++) {
        float base = base_frequency(r, i);

        switch (r->type) {
        case ROPE_LINEAR:
            base /= (float)r->factor;
            break;
        case ROPE_LLAMA3:
            base = (float)((double)base / llama3_divisor(r, i));
            break;
        case ROPE_DIVISORS:
            base /= divisors[i];
            break;
        case ROPE_DEFAULT:
        case ROPE_TYPE_COUNT:
            break;
        }
        inv[i] = base;
    }
}
