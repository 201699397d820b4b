/*
 * stand_in - any step, without its work: for tests of the graph
 *
 * Linked or copied as quern-NAME it stands in for that step, in the frame that
 * every step runs in, so that skipping, attesting and replacing of files are
 * the real ones. Each output is a few lines: its role, the parameters, and the
 * digests of all inputs and, for traffic, of the source; so it changes exactly
 * when something that it depends on does.
 *
 * QUERN_STAND_IN_LOG    file that gets a line "ID" when work is really done
 * QUERN_STAND_IN_SLEEP  "ID MS": this stage sleeps between its two halves
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/record/stage.h"

static const char *const any[] = { "*", NULL };

static int
log_run(const struct stage *s, struct err *e)
{
    const char *path = getenv("QUERN_STAND_IN_LOG");
    struct str line = { 0 };
    ssize_t n;
    int fd;

    if (path == NULL)
        return 0;
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_sys(e, path, "cannot open", NULL);
    str_addf(&line, "%s\n", s->id);
    n = write(fd, line.p, line.len);
    close(fd);
    str_release(&line);
    return n > 0 ? 0 : err_sys(e, path, "cannot write", NULL);
}

static void
maybe_sleep(const struct stage *s)
{
    const char *text = getenv("QUERN_STAND_IN_SLEEP");
    size_t n = strlen(s->id);
    long ms;

    if (text == NULL || strncmp(text, s->id, n) != 0 || text[n] != ' ')
        return;
    ms = strtol(text + n, NULL, 10);
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000,
        .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static int
run(struct stage *s, struct err *e)
{
    const char *source = stage_src(s, "traffic");
    struct str text = { 0 };
    char hex[DIGEST_HEX];

    for (size_t i = 0; i < s->n_params; i++)
        str_addf(&text, "%s=%s\n", s->params[i].name, s->params[i].value);
    for (size_t i = 0; i < s->in.n; i++)
        str_addf(&text, "%s %s\n", s->in.v[i].role,
            digest_hex(&s->in.v[i].digest, hex));
    if (source != NULL) {
        struct digest d;

        if (digest_file(&d, NULL, source, e) == 0)
            str_addf(&text, "%s\n", digest_hex(&d, hex));
    }
    for (size_t i = 0; i < s->out.n && e->code == 0; i++) {
        struct str out = { 0 };

        str_addf(&out, "%s\n%s", s->out.v[i].role, str_get(&text));
        stage_put(s, s->out.v[i].role, out.p, out.len, e);
        str_release(&out);
        if (i == 0)
            maybe_sleep(s);
    }
    str_release(&text);
    return e->code == 0 ? log_run(s, e) : e->code;
}

int
main(int argc, char **argv)
{
    const char *base = strrchr(argv[0], '/');
    struct stage_spec spec = { .purpose = "stands in for a step",
        .params = any, .ins = any, .srcs = any, .dsts = any, .outs = any };

    base = base != NULL ? base + 1 : argv[0];
    spec.step = strncmp(base, "quern-", 6) == 0 ? base + 6 : base;
    spec.always = strcmp(spec.step, "traffic") == 0;
    spec.alone = strcmp(spec.step, "benchmark") == 0;
    return stage_main(&spec, argc, argv, run);
}
