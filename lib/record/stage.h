/*
 * stage.h - the frame every step runs in: arguments, inputs, outputs, record
 *
 * A step's arguments all have the same form, so that one piece of code opens,
 * hashes, skips and attests (docs/stages.md has the list of stages):
 *
 *   --step=NAME        the program's own name, checked
 *   --stage=ID         e.g. quantize.q4k.l003
 *   --dir=DIR          the build folder; names below are relative to it
 *   --phase=PHASE      before, calibration, convert, ship or after
 *   --signer=NAME      principal that signs this stage
 *   --key=PATH         that owner's private key (never part of the record)
 *   --item=ID          checklist item this stage answers; may repeat
 *   --in=ROLE[=PATH]   an input: hashed when opened; PATH defaults to DIR/ROLE
 *   --src=ROLE=PATH    a source that is checked against a fingerprint while it
 *                      is read, not hashed here (the checkpoint folder)
 *   --dst=ROLE=PATH    a place outside the graph that is written (store,
 *                      repository)
 *   --out=ROLE         an output: DIR/ROLE
 *   --set=NAME=VALUE   a parameter
 *   --end              the last line of a stage file: it was written whole
 *   @FILE              arguments read from FILE, one a line
 *
 * ROLE is a plain name (path_is_plain). The record holds roles and parameters
 * only, never paths, so a moved checkout keeps its records valid.
 *
 * ROLE and NAME patterns that a step declares may hold `*`, which stands for
 * any characters.
 *
 * Life of a step, all of it in stage_main:
 *   parse      arguments are checked against what the step declares
 *   key        opened and checked now, not after an hour
 *   lock       DIR/state/STAGE.lock: two ninjas do not do one stage twice
 *   current?   outputs that carry a valid record of this key for this program,
 *              these arguments and these input digests: nothing to do
 *   launch     a heavy step hands itself to QUERN_LAUNCHER, if that is set
 *   inputs     opened and hashed from the descriptors the step will read
 *   lock       DIR/state/machine.lock: heavy steps share it, benchmark has it
 *              alone
 *   run        compute, stage_out, stage_put ...
 *   commit     what is still open is committed, inputs must not have moved;
 *              then link, then envelope
 *
 * Environment: QUERN_LAUNCHER (words for a shell, e.g. `srun -Q -n1
 * --mem=$QUERN_MEM -c $QUERN_CORES`; the step and its arguments follow),
 * QUERN_MEM and QUERN_CORES (else what the step declares), QUERN_STAGE (set for
 * the launcher), QUERN_LAUNCHED (set on the far side). None of them reaches an
 * output or a record.
 */
#ifndef QUERN_RECORD_STAGE_H
#define QUERN_RECORD_STAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/pool.h"
#include "lib/base/progress.h"
#include "lib/base/str.h"

struct stage_file {
    char *role;           /* plain name; owned */
    char *path;           /* where it lies; owned */
    struct map map;       /* an input's bytes; not for src, dst, out */
    struct digest digest; /* of an input when opened, an output when committed */
    uint64_t bytes;
    bool committed;       /* an output that is in place */
    struct outfile file;  /* an output while it is written */
};

struct stage_files {
    struct stage_file *v; /* sorted by role; owned */
    size_t n;
};

struct stage_param {
    char *name, *value; /* owned */
};

struct stage;

/* What a step declares about itself: static data in each steps/NAME.c. */
struct stage_spec {
    const char *step;    /* "quantize" */
    const char *purpose; /* one line for -h */
    const char *const *params; /* allowed --set names, NULL-terminated;
                                * "type.*" allows any name with that prefix,
                                * a leading '!' makes the parameter required
                                * (of a pattern: at least one); NULL: none */
    const char *const *ins;  /* allowed roles, same rules; NULL: none */
    const char *const *srcs;
    const char *const *dsts;
    const char *const *outs;
    /*
     * Asked when every file is current, or NULL: does what lies outside the
     * graph (a repository) still stand, too? Fills `why` and returns false
     * when the step must run again.
     */
    bool (*still)(struct stage *s, struct str *why);
    unsigned mem_mib, cores; /* for the launcher; 0: 2048 and 1 */
    bool heavy;  /* takes the machine lock shared; goes through the launcher */
    bool alone;  /* takes the machine lock alone */
    bool always; /* a probe: it looks again each time */
};

struct stage {
    const struct stage_spec *spec;
    char *id, *dir, *phase, *signer, *key_path; /* owned */
    struct stage_files in, src, dst, out;
    struct stage_param *params; /* sorted by name; owned */
    size_t n_params;
    char **items; /* sorted; owned */
    size_t n_items;
    struct pool *pool;      /* made by stage_main; owned */
    struct progress progress;
    json_t *answers; /* measured values that stand beside the items; owned:
                      * {"item id": {"verdict": "PASS", "figure": "..."}} */
    json_t *notes; /* {"name": "text"}: what else the record shall say; owned */
    struct stage_private *priv; /* key, locks, earlier record; owned */
};

/* Digest of the running program, whose bytes decide like an input's. */
const struct digest *stage_program(const struct stage *s);

/* Parameters: declared ones only. NULL / error text names the parameter. */
const char *stage_param(const struct stage *s, const char *name);
int stage_param_int(const struct stage *s, const char *name, int64_t min,
    int64_t max, int64_t *out, struct err *e);
int stage_param_real(const struct stage *s, const char *name, double min,
    double max, double *out, struct err *e);

struct signer;
/* The owner's key, for a step that signs more than its record (release). */
const struct signer *stage_signer(const struct stage *s);

/* By exact role, or NULL. */
const struct stage_file *stage_in(const struct stage *s, const char *role);
const char *stage_src(const struct stage *s, const char *role); /* path */
const char *stage_dst(const struct stage *s, const char *role); /* path */
/* The first input at or after *i whose role starts with prefix; *i moves on. */
const struct stage_file *stage_in_next(const struct stage *s,
    const char *prefix, size_t *i);
/* The input as JSON; caller decrefs. */
json_t *stage_in_json(const struct stage *s, const char *role, struct err *e);

/* An output to be written piece by piece; stage_commit commits it. */
struct outfile *stage_out(struct stage *s, const char *role, struct err *e);
/* Whole outputs at once; JSON in quern's one form. */
int stage_put(struct stage *s, const char *role, const void *p, size_t n,
    struct err *e);
int stage_put_json(struct stage *s, const char *role, const json_t *v,
    struct err *e);
/*
 * For outputs made by a writer that names its own file (GGUF, safetensors):
 * the path to write to, and the digest to hand back when it is in place.
 */
const char *stage_out_path(const struct stage *s, const char *role);
int stage_out_done(struct stage *s, const char *role,
    const struct digest *digest, uint64_t bytes, struct err *e);
/* Or the file itself, whole but not in place: stage_commit commits it. */
int stage_out_take(struct stage *s, const char *role, struct outfile *from,
    struct err *e);

/* A measured value beside an item: goes into the record and the reports. */
void stage_answer(struct stage *s, const char *item, const char *verdict,
    const char *figure_fmt, ...) __attribute__((format(printf, 4, 5)));

/* A string beside the answers, e.g. ("openblas", "0.3.21 Haswell, 1 thread"). */
void stage_note(struct stage *s, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Begins a part of the work that people can watch: (s, "layers", "layer", 32).
 * Go on with progress_add(&s->progress, n). `what` and `unit` are borrowed.
 */
void stage_progress(struct stage *s, const char *what, const char *unit,
    uint64_t total);

/*
 * stage_main - the whole life of a step; returns the exit status
 * `run` computes and puts every declared output. It is not called when the
 * outputs are current.
 */
int stage_main(const struct stage_spec *spec, int argc, char **argv,
    int (*run)(struct stage *s, struct err *e));

#endif
