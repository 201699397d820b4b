/*
 * progress.h - long work tells a person how far it is, and a file for status
 *
 * On a terminal (stderr) one line is redrawn at most ten times a second. The
 * heartbeat, a small JSON file {"stage","pid","done","total","unit","what",
 * "started","at"}, is rewritten at most once a second and removed at the end;
 * `quern status` reads it. Both are talk: no output depends on them.
 */
#ifndef QUERN_BASE_PROGRESS_H
#define QUERN_BASE_PROGRESS_H

#include <stdint.h>

struct progress {
    char *file;  /* heartbeat path or NULL; owned */
    char *stage; /* owned */
    const char *unit, *what;
    uint64_t done, total;
    int64_t started_ns, drawn_ns, beat_ns;
    int tty;
    int slot; /* in cleanup.c's table; -1: none */
};

void progress_start(struct progress *p, const char *stage, const char *file,
    const char *what, const char *unit, uint64_t total);
void progress_add(struct progress *p, uint64_t n); /* from one thread only */
void progress_end(struct progress *p);             /* twice is fine */

#endif
