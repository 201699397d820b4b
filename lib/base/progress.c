/*
 * progress.c - see progress.h
 */
#include "lib/base/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/file.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

static const int64_t DRAW_NS = 100000000, BEAT_NS = 1000000000;

static int64_t
now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
draw(struct progress *p, int64_t now)
{
    double share = p->total > 0 ? (double)p->done / (double)p->total : 0.0;

    if (!p->tty)
        return;
    p->drawn_ns = now;
    fprintf(stderr, "\r%s: %s %llu/%llu %s (%.0f%%)\033[K", p->stage, p->what,
        (unsigned long long)p->done, (unsigned long long)p->total, p->unit,
        100.0 * share);
    fflush(stderr);
}

/* Talk: a heartbeat that cannot be written is no reason to stop work. */
static void
beat(struct progress *p, int64_t now)
{
    json_t *v;
    char *text, *tmp;
    FILE *f;

    if (p->file == NULL)
        return;
    p->beat_ns = now;
    v = json_pack("{ss si sI sI ss ss sI sI}", "stage", p->stage, "pid",
        (int)getpid(), "done", (json_int_t)p->done, "total",
        (json_int_t)p->total, "unit", p->unit, "what", p->what, "started",
        (json_int_t)(p->started_ns / 1000000000), "at",
        (json_int_t)time(NULL));
    if (v == NULL)
        return; /* a stage whose name is not UTF-8 */
    text = json_text(v, true);
    tmp = mem_printf("%s.%ld.tmp", p->file, (long)getpid());
    f = fopen(tmp, "we");
    if (f != NULL) {
        int bad = fputs(text, f) < 0;

        bad |= fclose(f) != 0;
        if (bad || rename(tmp, p->file) != 0)
            unlink(tmp);
    }
    free(tmp);
    free(text);
    json_decref(v);
}

void
progress_start(struct progress *p, const char *stage, const char *file,
    const char *what, const char *unit, uint64_t total)
{
    struct err quiet = { 0 };
    int64_t now = now_ns(CLOCK_MONOTONIC);

    *p = (struct progress){ .what = what, .unit = unit, .total = total };
    p->stage = mem_strdup(stage);
    p->started_ns = now_ns(CLOCK_REALTIME);
    p->tty = isatty(STDERR_FILENO);
    p->slot = -1;
    if (file != NULL) {
        char *dir = path_dir(file);

        file_mkdirs(dir, &quiet);
        free(dir);
        p->file = mem_strdup(file);
        p->slot = cleanup_add(file);
    }
    draw(p, now);
    beat(p, now);
}

void
progress_add(struct progress *p, uint64_t n)
{
    int64_t now;

    if (p->stage == NULL)
        return;
    p->done += n;
    now = now_ns(CLOCK_MONOTONIC);
    if (now - p->drawn_ns >= DRAW_NS)
        draw(p, now);
    if (now - p->beat_ns >= BEAT_NS)
        beat(p, now);
}

void
progress_end(struct progress *p)
{
    if (p->stage == NULL)
        return;
    if (p->tty)
        fputs("\r\033[K", stderr);
    if (p->file != NULL) {
        unlink(p->file);
        cleanup_drop(p->slot);
    }
    free(p->file);
    free(p->stage);
    *p = (struct progress){ 0 };
}
