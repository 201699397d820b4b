/*
 * teststep - the smallest step, to drive the frame that every step runs in
 *
 * Copies its inputs, in order of role, behind the parameter `text` into the
 * output `out/all`; `sleep-ms` makes it slow, `fail` makes it fail after it has
 * written, and `count` appends a byte to the file of that name each time the
 * work is really done. Called by a name that holds "alone" it wants the machine
 * for itself, by one that holds "always" it is a probe.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/record/stage.h"

static const char *const params[] = { "!text", "sleep-ms", "fail", "count",
    NULL };
static const char *const ins[] = { "data/*", NULL };
static const char *const srcs[] = { "base", NULL };
static const char *const outs[] = { "!out/*", NULL };

static void
wait_ms(int64_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000,
        .tv_nsec = ms % 1000 * 1000000 };

    nanosleep(&t, NULL);
}

static int
count_run(const char *path, struct err *e)
{
    FILE *f = fopen(path, "ae");

    if (f == NULL)
        return err_sys(e, path, "cannot open", NULL);
    fputc('x', f);
    return fclose(f) == 0 ? 0 : err_sys(e, path, "cannot write", NULL);
}

static int
run(struct stage *s, struct err *e)
{
    const char *count = stage_param(s, "count");
    struct outfile *o;
    int64_t ms = 0;

    if (stage_param(s, "sleep-ms") != NULL &&
        stage_param_int(s, "sleep-ms", 0, 60000, &ms, e) != 0)
        return e->code;
    if (count != NULL && count_run(count, e) != 0)
        return e->code;
    o = stage_out(s, "out/all", e);
    if (o == NULL)
        return e->code;
    outfile_printf(o, "%s\n", stage_param(s, "text"));
    stage_progress(s, "inputs", "input", s->in.n);
    for (size_t i = 0; i < s->in.n; i++) {
        outfile_write(o, s->in.v[i].map.p, s->in.v[i].map.len);
        progress_add(&s->progress, 1);
    }
    if (stage_out_path(s, "out/more") != NULL &&
        stage_put(s, "out/more", "more\n", 5, e) != 0)
        return e->code;
    wait_ms(ms);
    stage_answer(s, "before.bottleneck", "PASS", "%zu inputs", s->in.n);
    stage_note(s, "numeric", "none");
    if (stage_param(s, "fail") != NULL)
        return err_set(e, ERR_WORK, "told to fail; take the parameter away");
    return 0;
}

int
main(int argc, char **argv)
{
    struct stage_spec spec = {
        .step = "teststep",
        .purpose = "copy inputs behind a text, for tests",
        .params = params,
        .ins = ins,
        .srcs = srcs,
        .outs = outs,
        .mem_mib = 300,
        .cores = 2,
        .heavy = true,
    };

    if (strstr(argv[0], "alone") != NULL) {
        spec.heavy = false;
        spec.alone = true;
    }
    spec.always = strstr(argv[0], "always") != NULL;

    return stage_main(&spec, argc, argv, run);
}
