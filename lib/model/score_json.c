/*
 * score_json.c - scores as they are written to eval/MODEL; see score.h
 */
#include <math.h>

#include "lib/model/score.h"

static const char *const stop_names[STOP_COUNT] = {
    [STOP_NONE] = "",
    [STOP_EOS] = "eos",
    [STOP_STRING] = "string",
    [STOP_LENGTH] = "length",
};

static json_t *
hex(const struct digest *d)
{
    char text[DIGEST_HEX];

    return json_string(digest_hex(d, text));
}

/* JSON has no NaN; a sum that is not finite is written as null. */
static json_t *
real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *
item_score_json(const struct suite_item *it, const struct item_score *r)
{
    json_t *o = json_object();

    json_object_set_new(o, "id", json_string(it->id));
    json_object_set_new(o, "item", hex(&it->digest));
    json_object_set_new(o, "prompt", hex(&r->prompt));
    json_object_set_new(o, "score", json_integer(r->correct));
    json_object_set_new(o, "ntok", json_integer((json_int_t)r->tokens));
    json_object_set_new(o, "finite", json_boolean(r->finite));
    if (r->cut)
        json_object_set_new(o, "cut", json_true());
    if (it->kind == SUITE_CHOICE) {
        json_t *ll = json_array();

        for (size_t k = 0; k < it->n_choices; k++)
            json_array_append_new(ll, real_or_null(r->ll[k]));
        json_object_set_new(o, "ll", ll);
        json_object_set_new(o, "pick", json_integer((json_int_t)r->pick));
        json_object_set_new(o, "gold", json_integer((json_int_t)it->answer));
        return o;
    }
    json_object_set_new(o, "out", json_string(str_get(&r->out)));
    json_object_set_new(o, "extracted",
        r->invalid ? json_null() : json_string(str_get(&r->extracted)));
    json_object_set_new(o, "stop", json_string(stop_names[r->stop]));
    return o;
}

json_t *
suite_score_json(const struct suite *s, const struct suite_score *r)
{
    size_t right = 0, invalid = 0, length = 0, cut = 0, nonfinite = 0;
    double tokens = 0.0;
    const double n = (double)r->n;
    json_t *o = json_object();

    for (size_t i = 0; i < r->n; i++) {
        const struct item_score *it = &r->items[i];

        right += it->correct;
        invalid += it->invalid;
        cut += it->cut;
        nonfinite += !it->finite;
        length += it->stop == STOP_LENGTH;
        tokens += (double)it->tokens;
    }

    const double mean = (double)right / n;

    json_object_set_new(o, "metric", json_string(suite_metric(s)));
    json_object_set_new(o, "items", json_integer((json_int_t)r->n));
    json_object_set_new(o, "mean", json_real(mean));
    json_object_set_new(o, "stderr",
        json_real(r->n > 1 ? sqrt(mean * (1.0 - mean) / (n - 1.0)) : 0.0));
    json_object_set_new(o, "invalid", json_integer((json_int_t)invalid));
    json_object_set_new(o, "length_stops", json_integer((json_int_t)length));
    json_object_set_new(o, "cut", json_integer((json_int_t)cut));
    json_object_set_new(o, "nonfinite", json_integer((json_int_t)nonfinite));
    json_object_set_new(o, "mean_tokens", json_real(tokens / n));
    return o;
}
