/*
 * config_rope.c - the rotary part of a Hugging Face config.json
 *
 * The older way of writing has `rope_theta` and `rope_scaling` at the top, and
 * `rope_local_base_freq` for Gemma 3; the newer has all of it in
 * `rope_parameters`, once for each kind of layer where there are two. A type
 * that is not known is refused, never skipped.
 */
#include <math.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/model/arch.h"
#include "lib/model/config.h"

/* What reading the rotary part needs everywhere. */
struct reading {
    const struct model_config *c;
    const json_t *config; /* the whole */
    const json_t *o;      /* rope_scaling or rope_parameters, or NULL */
    const char *place;
};

static bool
is_set(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return v != NULL && !json_is_null(v);
}

/* From the rope object or else the top; the top's is where Phi-3 has it. */
static double
get_original(const struct reading *in, struct err *e)
{
    const char *key = "original_max_position_embeddings";

    return json_get_real(is_set(in->o, key) ? in->o : in->config, key, 1.0,
        MODEL_MAX_POSITIONS, in->place, e);
}

static int
read_linear(struct rope_config *r, const struct reading *in, struct err *e)
{
    r->type = ROPE_LINEAR;
    r->factor = json_get_real(in->o, "factor", 1.0, 1e6, in->place, e);
    return e->code;
}

/* Until a text is longer than the model was made for nothing changes. */
static int
read_dynamic(struct rope_config *r, const struct reading *in, struct err *e)
{
    (void)in;
    r->type = ROPE_DYNAMIC;
    return e->code;
}

static int
read_llama3(struct rope_config *r, const struct reading *in, struct err *e)
{
    r->type = ROPE_LLAMA3;
    r->factor = json_get_real(in->o, "factor", 1.0, 1e6, in->place, e);
    r->low_freq = json_get_real(in->o, "low_freq_factor", 1e-6, 1e6,
        in->place, e);
    r->high_freq = json_get_real(in->o, "high_freq_factor", 1e-6, 1e6,
        in->place, e);
    r->original = json_get_real(in->o, "original_max_position_embeddings",
        1.0, MODEL_MAX_POSITIONS, in->place, e);
    if (e->code == 0 && !(r->high_freq > r->low_freq))
        err_set(e, ERR_WORK, "%s: 'high_freq_factor' must be larger than "
            "'low_freq_factor'; repair it", in->place);
    return e->code;
}

static int
read_yarn(struct rope_config *r, const struct reading *in, struct err *e)
{
    static const char *const refused[] = { "mscale", "mscale_all_dim" };

    r->type = ROPE_YARN;
    r->factor = json_get_real(in->o, "factor", 1.0, 1e6, in->place, e);
    r->beta_fast = is_set(in->o, "beta_fast") ?
        json_get_real(in->o, "beta_fast", 1e-3, 1e6, in->place, e) : 32.0;
    r->beta_slow = is_set(in->o, "beta_slow") ?
        json_get_real(in->o, "beta_slow", 1e-3, 1e6, in->place, e) : 1.0;
    r->original = get_original(in, e);
    r->attention = is_set(in->o, "attention_factor") ?
        json_get_real(in->o, "attention_factor", 1e-3, 1e3, in->place, e) :
        0.1 * log(r->factor) + 1.0;
    for (size_t i = 0; e->code == 0 && i < countof(refused); i++)
        if (is_set(in->o, refused[i]))
            err_set(e, ERR_WORK, "%s: '%s' of rope type 'yarn' is not carried "
                "out; take another model", in->place, refused[i]);
    if (e->code == 0 && is_set(in->o, "truncate") &&
        !json_get_bool(in->o, "truncate", in->place, e) && e->code == 0)
        err_set(e, ERR_WORK, "%s: 'truncate' false of rope type 'yarn' is not "
            "carried out; take another model", in->place);
    if (e->code == 0 && !(r->theta > 1.0))
        err_set(e, ERR_WORK, "%s: rope type 'yarn' needs a 'rope_theta' above "
            "1; repair it", in->place);
    return e->code;
}

static int
read_factors(float *out, const char *key, const struct reading *in,
    uint32_t n, struct err *e)
{
    const json_t *list = json_object_get(in->o, key);

    if (!json_is_array(list) || json_array_size(list) != n)
        return err_set(e, ERR_WORK, "%s: '%s' is missing or not a list of %u "
            "numbers; repair it", in->place, key, n);
    for (size_t i = 0; i < n; i++) {
        double v = json_number_value(json_array_get(list, i));

        if (!(v >= 1e-3 && v <= 1e6))
            return err_set(e, ERR_WORK, "%s: '%s': item %zu is not a number "
                "from 0.001 to 1e6; repair it", in->place, key, i);
        out[i] = (float)v;
    }
    return 0;
}

static int
read_longrope(struct rope_config *r, const struct reading *in, struct err *e)
{
    double stretch;

    r->type = ROPE_LONGROPE;
    r->original = get_original(in, e);
    if (e->code != 0 ||
        read_factors(r->divisors, "short_factor", in, r->dims / 2, e) != 0 ||
        read_factors(r->far_divisors, "long_factor", in, r->dims / 2, e) != 0)
        return e->code;
    if (!(r->original > 1.0))
        return err_set(e, ERR_WORK, "%s: "
            "'original_max_position_embeddings' must be above 1; repair it",
            in->place);
    stretch = (double)in->c->positions / r->original;
    if (is_set(in->o, "factor") &&
        is_set(in->o, "original_max_position_embeddings"))
        stretch = json_get_real(in->o, "factor", 1.0, 1e6, in->place, e);
    r->attention = stretch > 1.0 ?
        sqrt(1.0 + log(stretch) / log(r->original)) : 1.0;
    if (is_set(in->o, "attention_factor"))
        r->attention = json_get_real(in->o, "attention_factor", 1e-3, 1e3,
            in->place, e);
    return e->code;
}

static int
read_scaling(struct rope_config *r, const struct reading *in, struct err *e)
{
    static const struct {
        const char *name;
        int (*read)(struct rope_config *r, const struct reading *in,
            struct err *e);
    } types[] = { { "linear", read_linear }, { "dynamic", read_dynamic },
        { "llama3", read_llama3 }, { "yarn", read_yarn },
        { "longrope", read_longrope }, { "su", read_longrope } };
    const char *key = is_set(in->o, "rope_type") ? "rope_type" : "type";
    const char *type = is_set(in->o, key) ?
        json_get_str(in->o, key, in->place, e) : "default";

    if (type == NULL)
        return e->code;
    if (strcmp(type, "default") == 0)
        return 0;
    for (size_t i = 0; i < countof(types); i++)
        if (strcmp(type, types[i].name) == 0)
            return types[i].read(r, in, e);
    return err_set(e, ERR_WORK, "%s: rope type '%.60s' is not carried out; "
        "quern knows default, linear, dynamic, llama3, yarn and longrope",
        in->place, type);
}

/* How many values of a head turn. */
static int
read_dims(struct rope_config *r, const struct reading *in, struct err *e)
{
    const char *key = "partial_rotary_factor";
    const json_t *at = is_set(in->o, key) ? in->o : in->config;
    double part = is_set(at, key) ?
        json_get_real(at, key, 0.0, 1.0, in->place, e) : 1.0;

    if (e->code != 0)
        return e->code;
    r->dims = (uint32_t)((double)in->c->head_dim * part);
    if (r->dims < 2 || r->dims % 2 != 0)
        return err_set(e, ERR_WORK, "%s: '%s' makes %u of %u values turn, "
            "which is not in pairs; repair it", in->place, key, r->dims,
            in->c->head_dim);
    return 0;
}

/* One kind of layers; `theta`: the older key, at the top. */
static int
read_one(struct rope_config *r, const struct reading *in, const char *theta,
    struct err *e)
{
    const json_t *at = is_set(in->o, "rope_theta") ? in->o : in->config;
    const char *key = at == in->o ? "rope_theta" : theta;

    r->attention = 1.0;
    r->theta = is_set(at, key) ?
        json_get_real(at, key, 1.0, 1e12, in->place, e) :
        10000.0; /* the first Llamas' files do not say */
    if (e->code != 0 || read_dims(r, in, e) != 0)
        return e->code;
    return in->o != NULL ? read_scaling(r, in, e) : 0;
}

/* Local layers and global ones turn each in their own way. */
static int
read_two(struct model_config *c, struct reading *in, struct err *e)
{
    const json_t *both = in->o;
    const json_t *local = json_object_get(both, "sliding_attention");

    c->two_ropes = true;
    if (json_is_object(local) &&
        json_is_object(json_object_get(both, "full_attention"))) {
        in->o = json_object_get(both, "full_attention");
        if (read_one(&c->rope, in, "rope_theta", e) != 0)
            return e->code;
        in->o = local;
        return read_one(&c->rope_local, in, "rope_local_base_freq", e);
    }
    if (read_one(&c->rope, in, "rope_theta", e) != 0)
        return e->code;
    if (!is_set(in->config, "rope_local_base_freq"))
        return err_set(e, ERR_WORK, "%s: 'rope_local_base_freq' is missing; "
            "fetch the model again", in->place);
    in->o = NULL; /* local layers are never scaled */
    return read_one(&c->rope_local, in, "rope_local_base_freq", e);
}

int
config_rope_from_hf(struct model_config *c, const json_t *config,
    const char *place, struct err *e)
{
    struct reading in = { .c = c, .config = config, .place = place };
    const char *key = NULL;

    if (is_set(config, "rope_parameters"))
        key = "rope_parameters";
    else if (is_set(config, "rope_scaling"))
        key = "rope_scaling";
    if (key != NULL) {
        in.o = json_get_object(config, key, place, e);
        if (in.o == NULL)
            return e->code;
    }
    return c->arch == ARCH_GEMMA3 ? read_two(c, &in, e) :
        read_one(&c->rope, &in, "rope_theta", e);
}
