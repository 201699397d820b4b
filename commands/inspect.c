/*
 * quern-inspect - what a file holds
 *
 * usage: quern inspect [-a] [-j] [-s ALLOWED_SIGNERS] FILE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/option.h"
#include "lib/inspect/inspect.h"

static const char usage[] =
    "usage: quern inspect [-a] [-j] [-s ALLOWED_SIGNERS] FILE\n"
    "\n"
    "  -a, --all      every tensor on a line of its own, arrays and digests "
    "whole\n"
    "  -j, --json     one JSON object, for scripts\n"
    "  -s, --signers  check a record's signature against these owners\n"
    "  FILE           a model's folder, a .gguf or .safetensors file, activation\n"
    "                 statistics, an importance matrix, or any file of a build\n"
    "                 folder: records, stage files, results\n";

struct opts {
    bool json;
    const char *file, *signers;
    struct inspect_opts how;
};

static void
print(const json_t *v, const struct opts *o)
{
    struct str text = { 0 };

    if (o->json) {
        char *line = json_text(v, false);

        fputs(line, stdout);
        free(line);
        return;
    }
    inspect_text(v, o->how.all, &text);
    fwrite(str_get(&text), 1, text.len, stdout);
    str_release(&text);
}

/* A signature that was to be checked and does not hold is an error. */
static void
judge(const json_t *v, const char *path, struct err *e)
{
    const json_t *s = json_object_get(v, "signature");
    const char *state = json_string_value(json_object_get(s, "state"));
    const char *why = json_string_value(json_object_get(s, "why"));

    if (state != NULL && strcmp(state, "bad") == 0)
        err_set(e, ERR_WORK, "%s: its signature does not hold: %s; run the "
            "stage again", path, why);
}

static int
run(struct opts *o, struct err *e)
{
    struct signers owners = { 0 };
    json_t *v = NULL;

    if (o->signers != NULL) {
        if (signers_read(&owners, o->signers, e) != 0)
            goto done;
        o->how.signers = &owners;
    }
    v = inspect_path(o->file, &o->how, e);
    if (v != NULL)
        print(v, o);
    if (v != NULL)
        judge(v, o->file, e);
done:
    json_decref(v);
    signers_release(&owners);
    return e->code;
}

int
main(int argc, char **argv)
{
    static const struct option longer[] = {
        { "all", no_argument, NULL, 'a' },
        { "json", no_argument, NULL, 'j' },
        { "signers", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct option_scan scan = { .prog = "quern-inspect", .usage = usage,
        .known = ":hajs:", .longer = longer };
    struct opts o = { 0 };
    struct err e = { 0 };
    int c;

    while ((c = option_next(&scan, argc, argv)) != -1) {
        o.how.all = o.how.all || c == 'a';
        o.json = o.json || c == 'j';
        if (c == 's')
            o.signers = optarg;
    }
    if (scan.stop)
        return scan.status;
    if (argc - optind != 1)
        return option_wrong(&scan, "name one file or folder");
    o.file = argv[optind];
    run(&o, &e);
    return err_exit("quern-inspect", &e);
}
