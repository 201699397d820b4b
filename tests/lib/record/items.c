/* tests/lib/record/items.c - lib/record/items.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/record/items.h"

/* Text with ' for " as a JSON tree. */
static json_t *
tree(const char *text)
{
    size_t n = strlen(text);
    char *copy = strdup(text);
    struct err e = { 0 };
    json_t *v;

    for (size_t i = 0; i < n; i++)
        if (copy[i] == '\'')
            copy[i] = '"';
    v = json_parse(copy, n, "test", &e);
    if (!v)
        fail_msg("%s", e.text);
    free(copy);
    return v;
}

/* The only item of a policy, judged. */
static struct items
judge(const char *row, const char *decision, const char *answers,
    const char *waivers)
{
    char text[1024];
    struct items items;
    struct err e = { 0 };
    json_t *d = decision ? tree(decision) : NULL;
    json_t *a = answers ? tree(answers) : NULL;
    json_t *w = waivers ? tree(waivers) : NULL;
    static json_t *policy; /* items borrow from it */

    json_decref(policy);
    snprintf(text, sizeof text, "{'items':[%s]}", row);
    policy = tree(text);
    assert_int_equal(items_judge(&items, policy, d, a, w, &e), 0);
    assert_int_equal(items.n, 1);
    json_decref(d);
    json_decref(a);
    json_decref(w);
    return items;
}

#define EXPECT(want, text, row, decision, answers, waivers)              \
    do {                                                                 \
        struct items items_ = judge(row, decision, answers, waivers);    \
                                                                         \
        assert_string_equal(item_verdict_name(items_.v[0].verdict), want); \
        if (!strstr(items_.v[0].figure, text))                           \
            fail_msg("'%s' lacks '%s'", items_.v[0].figure, text);       \
        items_release(&items_);                                          \
    } while (0)

#define MEASURED                                                         \
    "{'id':'ship.stress','phase':'ship','owner':'bob','enforced':true,"  \
    "'stages':['gate.q4'],'waiver':{'because':'why not','until':"        \
    "'2999-12-31','signature':'waiver/ship.stress.sig'}}"
#define NEVER                                                            \
    "{'id':'ship.tasks','phase':'ship','enforced':true,"                 \
    "'stages':['gate.q4'],'never_waivable':false}"

static void
what_was_measured_counts(void **state)
{
    /* the decision's verdict, or a record's answer, with its figure */
    (void)state;
    EXPECT("PASS", "3 of 4", MEASURED,
        "{'items':[{'item':'ship.stress','verdict':'PASS','figure':'3 of 4'}]}",
        NULL, NULL);
    EXPECT("FAIL", "0 of 4", MEASURED, NULL,
        "{'ship.stress':{'verdict':'FAIL','figure':'0 of 4'}}", NULL);
    EXPECT("INCONCLUSIVE", "not measured yet", MEASURED, NULL, "{}", NULL);
    EXPECT("INCONCLUSIVE", "no figure", MEASURED, NULL,
        "{'ship.stress':{'verdict':'pass'}}", NULL);
}

static void
the_worse_of_two_verdicts_counts(void **state)
{
    /* a decision cannot say better than the records, nor they than it */
    (void)state;
    EXPECT("FAIL", "record", MEASURED,
        "{'items':[{'item':'ship.stress','verdict':'PASS','figure':'d'}]}",
        "{'ship.stress':{'verdict':'FAIL','figure':'record'}}", NULL);
    EXPECT("INCONCLUSIVE", "decision", MEASURED,
        "{'items':[{'item':'ship.stress','verdict':'INCONCLUSIVE',"
        "'figure':'decision'}]}",
        "{'ship.stress':{'verdict':'PASS','figure':'record'}}", NULL);
}

static void
what_is_not_carried_out_is_open(void **state)
{
    /* an item that is not enforced is never PASS, whatever anyone says */
    (void)state;
    EXPECT("INCONCLUSIVE", "not there yet",
        "{'id':'ship.flag','phase':'ship','enforced':false,"
        "'why_not':'not there yet'}",
        NULL, "{'ship.flag':{'verdict':'PASS'}}", NULL);
}

static void
what_needs_no_stage_was_checked(void **state)
{
    /* items without stages hold because the generator checked them */
    (void)state;
    EXPECT("PASS", "four bits",
        "{'id':'before.precision','phase':'before','enforced':true,"
        "'stages':[],'checked':'four bits'}",
        NULL, NULL, NULL);
}

static void
a_waiver_sets_aside(void **state)
{
    /* a valid waiver makes WAIVED of FAIL; one that does not hold says why */
    (void)state;
    EXPECT("WAIVED", "until 2999-12-31: why not [0 of 4]", MEASURED, NULL,
        "{'ship.stress':{'verdict':'FAIL','figure':'0 of 4'}}",
        "{'ship.stress':{'ok':true}}");
    EXPECT("FAIL", "its waiver does not hold: unsigned", MEASURED, NULL,
        "{'ship.stress':{'verdict':'FAIL','figure':'0 of 4'}}",
        "{'ship.stress':{'ok':false,'why':'unsigned'}}");
    EXPECT("PASS", "4 of 4", MEASURED, NULL,
        "{'ship.stress':{'verdict':'PASS','figure':'4 of 4'}}",
        "{'ship.stress':{'ok':true}}");
}

static void
three_items_are_never_waived(void **state)
{
    /* no policy, waiver or flag in a file lets these be set aside */
    (void)state;
    assert_true(item_is_never_waivable("calibration.in-domain"));
    assert_true(item_is_never_waivable("ship.tasks"));
    assert_true(item_is_never_waivable("ship.rollback"));
    assert_false(item_is_never_waivable("ship.stress"));
    EXPECT("FAIL", "may never be waived", NEVER, NULL,
        "{'ship.tasks':{'verdict':'FAIL','figure':'0 of 4'}}",
        "{'ship.tasks':{'ok':true}}");
}

static void
a_record_must_answer_them(void **state)
{
    /* for those three a decision alone is not enough, nor leaving them out */
    static const char all[] =
        "{'items':[{'id':'ship.tasks','phase':'ship','enforced':true},"
        "{'id':'ship.rollback','phase':'ship','enforced':true},"
        "{'id':'calibration.in-domain','phase':'calibration','enforced':true}"
        "]}";
    static const char some[] =
        "{'profile':'qat','items':[{'id':'ship.tasks','phase':'ship',"
        "'enforced':true},{'id':'ship.rollback','phase':'ship',"
        "'enforced':true}]}";
    json_t *policy = tree(all), *fewer = tree(some);
    json_t *answers = tree("{'ship.tasks':{'verdict':'PASS'},"
                           "'ship.rollback':{'verdict':'PASS'}}");
    struct items items;
    struct err e = { 0 };
    char *text;

    (void)state;
    assert_int_equal(items_judge(&items, policy, NULL, answers, NULL, &e), 0);
    assert_int_equal(items.open, 0);
    assert_int_equal(items_insist(&items, policy, answers, &e), 0);
    text = items_open_text(&items);
    assert_string_equal(text,
        "calibration.in-domain INCONCLUSIVE (no signed record says PASS)");
    assert_int_equal(items.open, 1);
    free(text);
    items_release(&items);

    assert_int_equal(items_judge(&items, fewer, NULL, answers, NULL, &e), 0);
    assert_int_equal(items_insist(&items, fewer, answers, &e), 0);
    assert_int_equal(items.open, 0);
    json_object_set_new(fewer, "profile", json_string("internal"));
    assert_int_equal(items_insist(&items, fewer, answers, &e), ERR_WORK);
    assert_string_equal(e.text,
        "policy.json: lacks 'calibration.in-domain', which may never be left "
        "out; run `quern gen` again");
    items_release(&items);
    json_decref(policy);
    json_decref(fewer);
    json_decref(answers);
}

static void
a_policy_without_items_is_an_error(void **state)
{
    /* damaged files are named, not guessed at */
    json_t *none = tree("{}"), *bad = tree("{'items':[{'phase':'ship'}]}");
    struct items items;
    struct err e = { 0 };

    (void)state;
    assert_int_not_equal(items_judge(&items, none, NULL, NULL, NULL, &e), 0);
    assert_non_null(strstr(e.text, "policy.json"));
    items_release(&items);
    err_clear(&e);
    assert_int_not_equal(items_judge(&items, bad, NULL, NULL, NULL, &e), 0);
    assert_non_null(strstr(e.text, "'id'"));
    items_release(&items);
    json_decref(none);
    json_decref(bad);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_measured_counts),
        cmocka_unit_test(the_worse_of_two_verdicts_counts),
        cmocka_unit_test(what_is_not_carried_out_is_open),
        cmocka_unit_test(what_needs_no_stage_was_checked),
        cmocka_unit_test(a_waiver_sets_aside),
        cmocka_unit_test(three_items_are_never_waived),
        cmocka_unit_test(a_record_must_answer_them),
        cmocka_unit_test(a_policy_without_items_is_an_error),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/record/items", tests, NULL, NULL);
}
