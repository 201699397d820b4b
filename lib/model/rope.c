/*
 * rope.c - frequencies of the rotary position embedding; see config.h
 *
 * Computed in float32 in the order transformers does (modeling_rope_utils.py),
 * so that angles of far positions agree with it: an inverse frequency that is
 * off by half a unit in the last place turns by pos * 6e-8 too much.
 */
#include <math.h>
#include <stddef.h>

#include "lib/model/config.h"

static const double TWO_PI = 6.283185307179586476925286766559;

/* theta ^ (2i / dims) */
static float
base_period(const struct rope_config *r, uint32_t i)
{
    float exponent = (float)(2 * i) / (float)r->dims;

    return (float)pow(r->theta, (double)exponent);
}

static float
base_frequency(const struct rope_config *r, uint32_t i)
{
    return 1.0f / base_period(r, i);
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

/* The index whose wave turns so often over the trained context. */
static double
turns_at(const struct rope_config *r, double turns)
{
    return (double)r->dims * log(r->original / (turns * TWO_PI)) /
        (2.0 * log(r->theta));
}

/* YaRN (arXiv 2309.00071): fast waves are kept, slow ones stretched. */
static float
yarn_frequency(const struct rope_config *r, uint32_t i)
{
    double low = fmax(floor(turns_at(r, r->beta_fast)), 0.0);
    double high = fmin(ceil(turns_at(r, r->beta_slow)),
        (double)r->dims - 1.0);
    float kept = base_frequency(r, i);
    float stretched = 1.0f / ((float)r->factor * base_period(r, i));
    float ramp;

    if (low == high)
        high += 0.001;
    ramp = ((float)i - (float)low) / (float)(high - low);
    ramp = ramp < 0.0f ? 0.0f : ramp > 1.0f ? 1.0f : ramp;
    return stretched * ramp + kept * (1.0f - ramp);
}

bool
rope_is_far(const struct rope_config *r, size_t positions)
{
    return r->type == ROPE_LONGROPE && (double)positions > r->original;
}

void
rope_frequencies(const struct rope_config *r, bool far, float *inv)
{
    const float *divisors = far ? r->far_divisors : r->divisors;

    for (uint32_t i = 0; i < r->dims / 2; i++) {
        float base = base_frequency(r, i);

        switch (r->type) {
        case ROPE_LINEAR:
            base /= (float)r->factor;
            break;
        case ROPE_LLAMA3:
            base = (float)((double)base / llama3_divisor(r, i));
            break;
        case ROPE_YARN:
            base = yarn_frequency(r, i);
            break;
        case ROPE_LONGROPE:
            base = 1.0f / (divisors[i] * base_period(r, i));
            break;
        case ROPE_DIVISORS:
            base /= divisors[i];
            break;
        case ROPE_DEFAULT:
        case ROPE_DYNAMIC:
        case ROPE_TYPE_COUNT:
            break;
        }
        inv[i] = base;
    }
}
