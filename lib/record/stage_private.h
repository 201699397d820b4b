/*
 * stage_private.h - what the files of the frame share; no step includes it
 */
#ifndef QUERN_RECORD_STAGE_PRIVATE_H
#define QUERN_RECORD_STAGE_PRIVATE_H

#include "lib/base/hash_list.h"
#include "lib/record/key.h"
#include "lib/record/record.h"
#include "lib/record/stage.h"

struct stage_private {
    struct signer key;
    int stage_lock, machine_lock; /* descriptors, -1: not held */
    struct map program;         /* the running one */
    struct hash_item program_bytes;
    struct hash_later *hashing; /* them, until stage_program is asked */
    bool inputs_open;
    struct record before; /* the record that was there; stage NULL: none */
    bool before_valid;    /* it verifies under our key */
    json_t *reasons;      /* why the step runs; empty: outputs are current */
    int64_t started_ns;
};

/* stage_args.c: fills s from the command line; ERR_USAGE when it is wrong. */
int stage_parse(struct stage *s, const struct stage_spec *spec, int argc,
    char **argv, struct err *e);

/* stage_usage.c: what -h prints; caller frees. */
char *stage_usage(const struct stage_spec *spec);

/* stage_open.c */
int stage_open_key(struct stage *s, struct err *e);
int stage_open_inputs(struct stage *s, struct err *e);
void stage_release(struct stage *s);

/* stage_record.c: the record of this stage; digests as far as known. */
void stage_record(const struct stage *s, struct record *r);
int stage_commit(struct stage *s, struct err *e);

/* stage_why.c */
void stage_reason(struct stage *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Reads the earlier record and compares all that needs no input's bytes. */
void stage_compare_arguments(struct stage *s);
/* Compares inputs, outputs and the link. Needs open inputs. */
void stage_compare_files(struct stage *s);
/* Whether nothing was found that would make the step run. */
bool stage_is_current(const struct stage *s);
void stage_write_why(const struct stage *s, bool ran);

/* lock.c: waits for an flock; *fd is -1 where the file system has none. */
int lock_take(int *fd, const char *path, bool alone, struct err *e);
void lock_drop(int *fd);

/* launcher.c */
bool launcher_wanted(const struct stage_spec *spec);
/* Runs the step through the launcher and waits: its exit status, or -1. */
int launcher_run(const struct stage *s, int argc, char **argv, struct err *e);

#endif
