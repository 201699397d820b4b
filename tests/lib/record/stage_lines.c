/* tests/lib/record/stage_lines.c - lib/record/stage_lines.c */
#include "lib/record/stage_lines.h"

#include "tests/lib/record/fixture.h"

#define HEAD                                                             \
    "--step=release\n--stage=release\n--dir=b\n--phase=ship\n"           \
    "--signer=bob\n--key=keys/bob\n"
#define FILES                                                            \
    "--in=a.json\n--in=waiver/x.sig=../w/x.sig\n--dst=repository=r=1\n"  \
    "--out=release.json\n"
#define SETS "--set=title=a=b\n"

static struct stage_lines
parse(const char *text)
{
    struct stage_lines l;
    struct err e = { 0 };

    assert_int_equal(stage_lines_parse(&l, text, strlen(text), "f", &e), 0);
    return l;
}

static void
lines_are_looked_up(void **state)
{
    /* values and paths, also those that hold a '='; what is not there is NULL */
    struct stage_lines l = parse(HEAD FILES SETS "--end\n");
    char *path;

    (void)state;
    assert_string_equal(stage_lines_value(&l, "key"), "keys/bob");
    assert_null(stage_lines_value(&l, "ke"));
    assert_string_equal(stage_lines_path(&l, "dst", "repository"), "r=1");
    assert_null(stage_lines_path(&l, "dst", "store"));
    assert_null(stage_lines_path(&l, "in", "a.json"));
    path = stage_lines_in(&l, "b", "a.json");
    assert_string_equal(path, "b/a.json");
    free(path);
    path = stage_lines_in(&l, "b", "waiver/x.sig");
    assert_string_equal(path, "../w/x.sig");
    free(path);
    stage_lines_release(&l);
    stage_lines_release(&l);
}

static void
a_file_that_was_cut_is_refused(void **state)
{
    /* every prefix of a stage file, and one with a byte of NUL, is not whole */
    static const char text[] = HEAD FILES SETS "--end\n";
    char nul[sizeof text];
    struct stage_lines l;

    (void)state;
    for (size_t n = 0; n < sizeof text - 2; n++) {
        struct err e = { 0 };

        assert_int_equal(stage_lines_parse(&l, text, n, "f", &e), ERR_WORK);
        assert_string_equal(e.text,
            "f: is not a whole stage file; run `quern gen` again");
        stage_lines_release(&l);
    }
    for (size_t n = 0; n < sizeof text - 3; n++) {
        struct err e = { 0 };

        memcpy(nul, text, sizeof text);
        nul[n] = 0;
        assert_int_equal(
            stage_lines_parse(&l, nul, sizeof text - 1, "f", &e), ERR_WORK);
        stage_lines_release(&l);
    }
}

/* The record of these arguments. */
static struct record
record_of(const char *const *args, size_t n)
{
    struct record r = { .stage = mem_strdup("release"),
        .step = mem_strdup("release"), .args = mem_calloc(n, sizeof *r.args),
        .n_args = n };

    for (size_t i = 0; i < n; i++)
        r.args[i] = mem_strdup(args[i]);
    return r;
}

static void
arguments_match_the_record(void **state)
{
    /* whatever the order and the paths; any other line is named */
    static const char *const args[] = { "--stage=release", "--phase=ship",
        "--signer=bob", "--in=a.json", "--in=waiver/x.sig", "--dst=repository",
        "--out=release.json", "--set=title=a=b" };
    static const struct {
        const char *text, *message;
    } cases[] = {
        { HEAD FILES SETS "--end\n", NULL },
        { SETS HEAD FILES "--end\n", NULL },
        { HEAD FILES "--end\n", "f: lacks '--set=title=a=b', which" },
        { HEAD FILES SETS "--set=more=1\n--end\n", "f: says '--set=more=1'" },
        { HEAD FILES "--set=title=a=c\n--end\n", "f: lacks '--set=title=a=b'" },
        { HEAD FILES SETS "--hm\n--end\n", "f: says '--hm'" },
        { HEAD FILES SETS SETS "--end\n", "f: says '--set=title=a=b'" },
        { FILES SETS "--end\n", "f: is for step ''" },
    };
    struct record r = record_of(args, countof(args));

    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct stage_lines l = parse(cases[i].text);
        struct err e = { 0 };
        int code = stage_lines_match(&l, &r, "f", &e);

        if (!cases[i].message && code != 0)
            fail_msg("case %zu: %s", i, e.text);
        if (cases[i].message && !strstr(e.text, cases[i].message))
            fail_msg("case %zu: '%s' lacks '%s'", i, e.text, cases[i].message);
        stage_lines_release(&l);
    }
    record_release(&r);
}

static void
a_missing_file_is_an_error(void **state)
{
    /* the message names it */
    struct stage_lines l;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(stage_lines_read(&l, "/none/x.stage", &e), ERR_WORK);
    assert_non_null(strstr(e.text, "/none/x.stage: "));
    stage_lines_release(&l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_looked_up),
        cmocka_unit_test(a_file_that_was_cut_is_refused),
        cmocka_unit_test(arguments_match_the_record),
        cmocka_unit_test(a_missing_file_is_an_error),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/record/stage_lines", tests, NULL,
        NULL);
}
