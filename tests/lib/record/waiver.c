/* tests/lib/record/waiver.c - lib/record/waiver.c */
#include "lib/record/waiver.h"

#include "lib/record/sshsig.h"
#include "tests/lib/record/owners.h"

static struct str armor; /* what signature() hands out; p NULL: none */

static const char *
signature(void *ctx, const char *item, size_t *n)
{
    (void)ctx;
    (void)item;
    *n = armor.len;
    return armor.p;
}

/* The waiver of one item of alice's, as the policy has it. */
static json_t *
policy_of(const char *id, const char *until, const char *because)
{
    return json_pack("{ss s[{ss ss s{ss ss}}]}", "name", "test", "items", "id",
        id, "owner", "alice", "waiver", "until", until, "because", because);
}

static void
sign(const struct signer *s, const char *ns, const char *text)
{
    struct err e = { 0 };

    str_release(&armor);
    assert_int_equal(sshsig_sign(s, ns, text, strlen(text), &armor, &e), 0);
}

static const char *
day(int64_t year)
{
    static char text[16];

    snprintf(text, sizeof text, "%04lld-06-30", (long long)year);
    return text;
}

/* "ok" or why the waiver does not hold at `now`. */
static const char *
checked(const char *id, const char *until, const char *because, int64_t now)
{
    static char why[256];
    json_t *policy = policy_of(id, until, because);
    json_t *all = waivers_check(policy, &allowed, now, signature, NULL);
    json_t *row = json_object_get(all, id);
    const char *text = json_string_value(json_object_get(row, "why"));

    snprintf(why, sizeof why, "%s",
        json_is_true(json_object_get(row, "ok")) ? "ok" : text);
    json_decref(all);
    json_decref(policy);
    return why;
}

enum { JUNE_2026 = 1782777600 }; /* 2026-06-30T00:00:00Z */

#define TEXT                                                             \
    "quern waiver 1\nitem ship.flag\npolicy test\nuntil 2026-06-30\n"    \
    "because nobody uses it\n"

static void
the_text_is_exact(void **state)
{
    /* what is signed is five lines that other tools can be given */
    struct str text = { 0 };

    (void)state;
    waiver_text(&text, "ship.flag", "test", "2026-06-30", "nobody uses it");
    assert_string_equal(text.p, TEXT);
    str_release(&text);
}

static void
it_holds_through_its_last_day(void **state)
{
    /* in UTC, to the second */
    (void)state;
    sign(&alice, WAIVER_NAMESPACE, TEXT);
    assert_string_equal(
        checked("ship.flag", "2026-06-30", "nobody uses it", JUNE_2026), "ok");
    assert_string_equal(checked("ship.flag", "2026-06-30", "nobody uses it",
                            JUNE_2026 + 86399),
        "ok");
    assert_string_equal(checked("ship.flag", "2026-06-30", "nobody uses it",
                            JUNE_2026 + 86400),
        "its last day is past");
}

static void
only_a_date_is_a_date(void **state)
{
    /* text that sorts behind every date does not make a waiver eternal */
    static const char *const bad[] = { "never", "", "9999", "2026-6-30",
        "2026-06-30 ", "2026/06/30", "zzzz-zz-zz" };

    (void)state;
    for (size_t i = 0; i < countof(bad); i++)
        assert_string_equal(
            checked("ship.flag", bad[i], "nobody uses it", JUNE_2026),
            "'until' is no date; write it as 2027-06-30");
}

static void
the_owner_signs_this_text(void **state)
{
    /* another owner, another text, another namespace or none: refused */
    static const char wrong[] = "its signature is not the owner's over this "
                                "text; run `quern waive` again";

    (void)state;
    sign(&bob, WAIVER_NAMESPACE, TEXT);
    assert_string_equal(
        checked("ship.flag", "2026-06-30", "nobody uses it", JUNE_2026), wrong);
    sign(&alice, "file", TEXT);
    assert_string_equal(
        checked("ship.flag", "2026-06-30", "nobody uses it", JUNE_2026), wrong);
    sign(&alice, WAIVER_NAMESPACE, TEXT);
    assert_string_equal(
        checked("ship.flag", "2026-06-30", "somebody uses it", JUNE_2026),
        wrong);
    assert_string_equal(
        checked("ship.flag", day(2027), "nobody uses it", JUNE_2026), wrong);
    assert_string_equal(
        checked("team.review", "2026-06-30", "nobody uses it", JUNE_2026),
        wrong);
    armor.p[40] ^= 1;
    assert_string_equal(
        checked("ship.flag", "2026-06-30", "nobody uses it", JUNE_2026), wrong);
    str_release(&armor);
    assert_string_equal(
        checked("ship.flag", "2026-06-30", "nobody uses it", JUNE_2026),
        "it is not signed; run `quern waive`");
}

static void
a_line_break_smuggles_nothing_in(void **state)
{
    /* a reason with lines of its own is another text than the two fields */
    (void)state;
    sign(&alice, WAIVER_NAMESPACE,
        "quern waiver 1\nitem ship.flag\npolicy test\nuntil 2020-06-30\n"
        "because x\n");
    assert_string_not_equal(
        checked("ship.flag", "2026-06-30", "x", JUNE_2026), "ok");
}

static void
the_three_are_refused_first(void **state)
{
    /* a perfect signature does not waive what may never be waived */
    (void)state;
    sign(&alice, WAIVER_NAMESPACE,
        "quern waiver 1\nitem ship.tasks\npolicy test\nuntil 2026-06-30\n"
        "because x\n");
    assert_string_equal(checked("ship.tasks", "2026-06-30", "x", JUNE_2026),
        "this item may never be waived");
}

static int
setup(void **state)
{
    return owners_setup(state, "namespaces=\"waiver@quern,file\" ",
        "namespaces=\"waiver@quern\" ");
}

static int
teardown(void **state)
{
    str_release(&armor);
    return owners_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_exact),
        cmocka_unit_test(it_holds_through_its_last_day),
        cmocka_unit_test(only_a_date_is_a_date),
        cmocka_unit_test(the_owner_signs_this_text),
        cmocka_unit_test(a_line_break_smuggles_nothing_in),
        cmocka_unit_test(the_three_are_refused_first),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/record/waiver", tests, setup,
        teardown);
}
