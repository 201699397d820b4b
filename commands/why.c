/*
 * quern-why - say in words what made a stage run
 *
 * usage: quern why [-C DIR] STAGE
 * Reads DIR/why/STAGE.json, which the stage left when it last ran. Without a
 * STAGE it lists every stage that has run, the newest last.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/option.h"
#include "lib/base/str.h"

enum { WHY_LIMIT = 1 << 20 };

static const char usage[] =
    "usage: quern why [-C DIR] [STAGE]\n"
    "\n"
    "  -C DIR   build folder (default: build)\n"
    "  STAGE    e.g. quantize.q4k.l003; without it every stage is listed\n";

struct ran {
    char *stage; /* owned */
    time_t when;
};

static int
by_time(const void *a, const void *b)
{
    const struct ran *x = a, *y = b;

    if (x->when != y->when)
        return x->when < y->when ? -1 : 1;
    return strcmp(x->stage, y->stage);
}

/* One stage's reasons, one a line. */
static int
print_stage(const char *dir, const char *stage, struct err *e)
{
    char *path = mem_printf("%s/why/%s.json", dir, stage);
    json_t *why = NULL;
    json_t *reasons, *reason;
    size_t i;

    if (!path_is_plain(stage) || !file_exists(path)) {
        err_set(e, ERR_WORK,
            "%s: no such stage has run; `quern why -C %s` lists those that did",
            stage, dir);
        goto done;
    }
    why = json_read(path, WHY_LIMIT, NULL, e);
    reasons = why ? json_get_array(why, "reasons", path, e) : NULL;
    if (!reasons)
        goto done;
    if (json_is_true(json_object_get(why, "ran")))
        printf("%s ran", stage);
    else
        printf("%s was started but had nothing to do", stage);
    if (json_is_number(json_object_get(why, "seconds")))
        printf(" (%.2f s)", json_number_value(json_object_get(why, "seconds")));
    printf("%s\n", json_array_size(reasons) ? ", because" : "");
    json_array_foreach(reasons, i, reason)
        printf("  %s\n", json_string_value(reason));
done:
    json_decref(why);
    free(path);
    return e->code;
}

static int
list_stages(const char *dir, struct err *e)
{
    char *folder = path_join(dir, "why");
    DIR *d = opendir(folder);
    struct ran *v = NULL;
    size_t n = 0;
    struct dirent *entry;

    if (!d) {
        err_sys(e, folder, "cannot open", "run 'quern build' first");
        goto done;
    }
    while ((entry = readdir(d))) {
        char *path;
        struct stat st;

        if (entry->d_name[0] == '.' || !str_ends(entry->d_name, ".json"))
            continue;
        path = path_join(folder, entry->d_name);
        if (stat(path, &st) == 0) {
            v = mem_realloc(v, n + 1, sizeof *v);
            v[n].stage =
                mem_strndup(entry->d_name, strlen(entry->d_name) - 5);
            v[n++].when = st.st_mtime;
        }
        free(path);
    }
    closedir(d);
    if (n)
        qsort(v, n, sizeof *v, by_time);
    for (size_t i = 0; i < n && !e->code; i++)
        print_stage(dir, v[i].stage, e);
done:
    for (size_t i = 0; i < n; i++)
        free(v[i].stage);
    free(v);
    free(folder);
    return e->code;
}

int
main(int argc, char **argv)
{
    struct option_scan o = { .prog = "quern-why", .usage = usage,
        .known = ":hC:" };
    const char *dir = "build";
    struct err e = { 0 };

    while (option_next(&o, argc, argv) != -1)
        dir = optarg;
    if (o.stop)
        return o.status;
    if (argc - optind > 1)
        return option_wrong(&o, "'%s': one stage at a time",
            argv[optind + 1]);
    if (optind < argc)
        print_stage(dir, argv[optind], &e);
    else
        list_stages(dir, &e);
    return err_exit("quern-why", &e);
}
