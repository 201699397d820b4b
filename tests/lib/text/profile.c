/* Tests of lib/text/profile.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/text/profile.h"

static void
distance(void **state)
{
    /* Jensen-Shannon distance in nats of a worked example. */
    static const double p[] = { .1, .2, .3, .4 }, q[] = { 5, 5, 5, 5 };
    static const double a[] = { 1, 0 }, b[] = { 0, 1 };

    (void)state;
    assert_float_equal(js_distance(p, q, 4), .166930, 5e-7);
    assert_float_equal(js_distance(q, p, 4), .166930, 5e-7);
    assert_float_equal(js_distance(p, p, 4), 0, 1e-9);
    assert_float_equal(js_distance(a, b, 2), sqrt(log(2)), 1e-12);
}

static void
bags(void **state)
{
    /* Tokens are counted by id modulo 4,096; a cut keeps so many of them. */
    static const int32_t ids[] = { 5, 4101, 5, 9, 4095, 5 };
    struct bag b = { 0 };

    (void)state;
    bag_count(&b, ids, countof(ids));
    assert_int_equal(b.tokens, 6);
    assert_int_equal(b.len, 3);
    assert_int_equal(b.bucket[0], 5);
    assert_int_equal(b.count[0], 4);
    assert_int_equal(b.bucket[2], 4095);
    bag_cut(&b, 6, 1, 1);
    assert_int_equal(b.tokens, 6);
    bag_cut(&b, 2, 1, 1);
    assert_int_equal(b.tokens, 2);
    bag_release(&b);
    bag_release(&b);
}

/* n documents of `len` tokens, drawn from a skewed distribution over `words`. */
static struct bag *
draw_bags(size_t n, size_t len, uint64_t words, uint64_t seed)
{
    struct bag *b = mem_calloc(n, sizeof *b);
    int32_t *ids = mem_calloc(len, sizeof *ids);
    struct random r;

    random_init(&r, seed, 0);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < len; k++)
            ids[k] = (int32_t)random_below(&r, 1 + random_below(&r, words));
        bag_count(&b[i], ids, len);
    }
    free(ids);
    return b;
}

static void
free_bags(struct bag *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bag_release(&b[i]);
    free(b);
}

static void
null_holds(void **state)
{
    /* Documents of the same source pass, other ones and a longer cut do not. */
    struct bag *ref = draw_bags(400, 100, 500, 1);
    struct bag *same = draw_bags(60, 100, 500, 2);
    struct bag *other = draw_bags(60, 100, 450, 3);
    struct bag *longer = draw_bags(400, 1000, 500, 4);
    struct shift s;

    (void)state;
    shift_measure(&s, same, 60, ref, 400, 0, 200, 0.99, 7);
    assert_true(s.enough);
    assert_int_equal(s.size, 60);
    assert_true(s.value <= s.null_top);
    assert_true(fabs(s.value - s.null_mean) < 0.05 * s.null_mean);
    shift_measure(&s, other, 60, ref, 400, 0, 200, 0.99, 7);
    assert_true(s.value > s.null_top);
    /* without the same window the sizes differ and the test would be wrong */
    shift_measure(&s, same, 60, longer, 400, 0, 200, 0.99, 7);
    assert_true(s.value > s.null_top);
    shift_measure(&s, same, 60, longer, 400, 100, 200, 0.99, 7);
    assert_true(s.value <= s.null_top);
    /* more documents than half of the reference: halves are compared */
    shift_measure(&s, longer, 400, longer, 400, 0, 50, 0.99, 7);
    assert_int_equal(s.size, 200);
    shift_measure(&s, same, 19, ref, 400, 0, 200, 0.99, 7);
    assert_false(s.enough);
    free_bags(ref, 400);
    free_bags(same, 60);
    free_bags(other, 60);
    free_bags(longer, 400);
}

static void
round_trip(void **state)
{
    /* A profile survives being written and read. */
    struct profile p = { .n = 5, .epoch = 3, .limit = 10, .seed = 4 }, q;
    struct err e = { 0 };
    char *text;
    json_t *o;

    (void)state;
    p.doc = draw_bags(5, 30, 9000, 1);
    p.tokens = 150;
    memset(p.source, 'a', 64);
    memset(p.tokenizer, 'b', 64);
    o = profile_json(&p);
    text = json_text(o, false);
    assert_int_equal(profile_parse(&q, "t.json", text, strlen(text), &e), 0);
    assert_int_equal(q.n, 5);
    assert_int_equal(q.tokens, 150);
    assert_int_equal(q.epoch, 3);
    assert_string_equal(q.source, p.source);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(q.doc[i].len, p.doc[i].len);
        assert_memory_equal(q.doc[i].count, p.doc[i].count,
            p.doc[i].len * sizeof *p.doc[i].count);
    }
    profile_release(&q);
    profile_release(&p);
    free(text);
    json_decref(o);
}

static void
refused(void **state)
{
    /* Counts that are out of order, do not add up or name no bucket. */
    static const char *const bad[] = {
        "{\"n\":3,\"c\":[5,1,4,2]}", "{\"n\":3,\"c\":[5,1]}",
        "{\"n\":1,\"c\":[4096,1]}", "{\"n\":1,\"c\":[-1,1]}",
        "{\"n\":0,\"c\":[5,0]}", "{\"n\":1,\"c\":[5,1,6]}",
        "{\"n\":-1,\"c\":[]}", "7",
    };
    char hex[65];

    (void)state;
    memset(hex, '0', 64);
    hex[64] = 0;
    for (size_t i = 0; i < countof(bad); i++) {
        char *text = mem_printf("{\"schema\":\"quern.traffic/1\",\"buckets\":"
            "4096,\"epoch\":1,\"limit\":1,\"seed\":0,\"source_sha256\":\"%s\","
            "\"tokenizer_sha256\":\"%s\",\"counts\":[%s]}", hex, hex, bad[i]);
        struct profile p;
        struct err e = { 0 };

        assert_int_equal(profile_parse(&p, "t.json", text, strlen(text), &e),
            ERR_WORK);
        assert_memory_equal(e.text, "t.json", 6);
        assert_int_equal(p.n, 0);
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance),
        cmocka_unit_test(bags),
        cmocka_unit_test(null_holds),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(refused),
    };

    if (getenv("CMOCKA_MESSAGE_OUTPUT") == NULL)
        cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/text/profile", tests, NULL, NULL);
}
