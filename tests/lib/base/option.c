/* tests of lib/base/option.c: wrong options are refused by name */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/option.h"

static const char usage[] = "usage: x [-j] [-C DIR]\n";

static const struct option longer[] = {
    { "tokens", required_argument, NULL, 't' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/* Scans `words`; what came goes to `got`, what was said to `said`. */
static int
scan(const struct option *names, char *const words[], char got[64],
    char said[256])
{
    struct option_scan o = { .prog = "quern-x", .usage = usage,
        .known = names ? ":hjC:t:" : ":hjC:", .longer = names };
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), c;
    FILE *f = tmpfile();
    char *argv[8] = { (char[]){ "x" } };
    int argc = 1;
    size_t n;

    while (words[argc - 1] != NULL) {
        argv[argc] = words[argc - 1];
        argc++;
    }
    fflush(stdout);
    dup2(fileno(f), STDOUT_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    optind = 0; /* glibc: start anew */
    got[0] = '\0';
    while ((c = option_next(&o, argc, argv)) != -1) {
        n = strlen(got);
        snprintf(got + n, 64 - n, "%c%s ", c, optarg ? optarg : "");
    }
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    rewind(f);
    n = fread(said, 1, 255, f);
    said[n] = '\0';
    fclose(f);
    return o.stop ? o.status : -1;
}

static void
check(const struct option *names, char *const words[], int want,
    const char *options, const char *message)
{
    char got[64], said[256], whole[256];

    assert_int_equal(scan(names, words, got, said), want);
    assert_string_equal(got, options);
    snprintf(whole, sizeof whole, "%s%s", message,
        want == ERR_USAGE ? usage : "");
    assert_string_equal(said, whole);
}

#define WORDS(...) (char *const[]){ __VA_ARGS__, NULL }
#define W(text) ((char[]){ text })

/* Good options come one by one with their values; operands are left alone. */
static void
good_ones(void **state)
{
    (void)state;
    check(NULL, WORDS(W("-j"), W("-C"), W("a"), W("b")), -1, "j Ca ", "");
    check(NULL, WORDS(W("-jCa"), W("--"), W("-x")), -1, "j Ca ", "");
    check(longer, WORDS(W("--tokens=1,2"), W("-j")), -1, "t1,2 j ", "");
}

/* -h and --help print the usage on stdout and stop with status 0. */
static void
help(void **state)
{
    (void)state;
    check(NULL, WORDS(W("-h")), 0, "", usage);
    check(longer, WORDS(W("-j"), W("--help"), W("-x")), 0, "j ", usage);
}

/* What is unknown, without its value or given twice is named in one line. */
static void
wrong_ones(void **state)
{
    (void)state;
    check(NULL, WORDS(W("-x")), 2, "", "quern-x: '-x': no such option\n");
    check(NULL, WORDS(W("--no-such")), 2, "",
        "quern-x: '--no-such': no such option\n");
    check(NULL, WORDS(W("-x-")), 2, "", "quern-x: '-x': no such option\n");
    check(NULL, WORDS(W("-C")), 2, "", "quern-x: '-C': its value is missing\n");
    check(NULL, WORDS(W("-j"), W("-j")), 2, "j ",
        "quern-x: '-j': given twice; give it once\n");
    check(NULL, WORDS(W("-\x1b")), 2, "",
        "quern-x: '-\\x1b': no such option\n");
}

/* Long options are refused by their long names. */
static void
wrong_long_ones(void **state)
{
    (void)state;
    check(longer, WORDS(W("--no-such"), W("y")), 2, "",
        "quern-x: '--no-such': no such option\n");
    check(longer, WORDS(W("--tokens")), 2, "",
        "quern-x: '--tokens': its value is missing\n");
    check(longer, WORDS(W("--tokens=1"), W("-t2")), 2, "t1 ",
        "quern-x: '--tokens': given twice; give it once\n");
    check(longer, WORDS(W("--help=3")), 2, "",
        "quern-x: '--help': takes no value\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(help),
        cmocka_unit_test(wrong_ones),
        cmocka_unit_test(wrong_long_ones),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/base/option", tests, NULL, NULL);
}
