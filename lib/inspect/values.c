/*
 * values.c - pieces of JSON that readers and views share; see kinds.h
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/inspect/kinds.h"
#include "lib/text/utf8.h"

json_t *
value_text(const char *p, size_t n)
{
    struct str s = { 0 };
    json_t *v;

    utf8_add_lossy(&s, p, n);
    v = json_stringn(str_get(&s), s.len);
    str_release(&s);
    return v;
}

json_t *
value_string(const char *s)
{
    return s != NULL ? value_text(s, strlen(s)) : json_null();
}

json_t *
value_count(uint64_t n)
{
    if (n > INT64_MAX)
        return json_sprintf("%" PRIu64, n);
    return json_integer((json_int_t)n);
}

json_t *
value_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

void
value_set(json_t *v, const char *key, json_t *value)
{
    json_object_set_new(v, key, value != NULL ? value : json_null());
}

uint64_t
view_count(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

const char *
view_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s != NULL ? s : "";
}

json_t *
value_floats(const uint8_t *p, uint64_t n)
{
    double sum = 0, low = (double)INFINITY, high = -(double)INFINITY;
    uint64_t zero = 0, bad = 0;
    json_t *v = json_object();

    for (uint64_t i = 0; i < n; i++) {
        const double x = (double)load_f32le(p + 4 * i);

        if (!isfinite(x)) {
            bad++;
            continue;
        }
        zero += x == 0;
        sum += x;
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    value_set(v, "min", value_real(low));
    value_set(v, "mean", value_real(sum / (double)(n - bad)));
    value_set(v, "max", value_real(high));
    value_set(v, "zero", value_count(zero));
    value_set(v, "bad", value_count(bad));
    return v;
}
