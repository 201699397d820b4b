/*
 * quern-table - the outcome of a build folder, on a terminal
 *
 * usage: quern-table [-h] DIR
 * Prints baseline and candidates from DIR/decision.json, and which one won.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/judge/table.h"

static const char usage[] = "usage: quern-table [-h] DIR\n";

/* What was refused, and for what. */
static void
print_reasons(const json_t *decision)
{
    const json_t *o, *reason;
    size_t i, k;

    json_array_foreach(json_object_get(decision, "candidates"), i, o)
        json_array_foreach(json_object_get(o, "reasons"), k, reason)
            printf("  %s: %s\n", json_string_value(json_object_get(o, "name")),
                json_string_value(reason));
}

static int
print_outcome(const char *dir, struct err *e)
{
    char *path = path_join(dir, "decision.json");
    struct table t = { 0 };
    json_t *decision = json_read(path, 64 << 20, NULL, e);
    const char *why;

    if (decision != NULL &&
        table_from_decision(&t, decision, path, e) == 0 &&
        (why = json_get_str(decision, "why", path, e)) != NULL) {
        char *text = table_text(&t);

        fputs(text, stdout);
        printf("\n%s\n", why);
        print_reasons(decision);
        free(text);
    }
    table_release(&t);
    json_decref(decision);
    free(path);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct option_scan o = { .prog = "quern-table", .usage = usage,
        .known = ":h" };
    struct err e = { 0 };

    option_next(&o, argc, argv);
    if (o.stop)
        return o.status;
    if (argc - optind != 1)
        return option_wrong(&o, "give one DIR");
    print_outcome(argv[optind], &e);
    return err_exit("quern-table", &e);
}
