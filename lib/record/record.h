/*
 * record.h - what one stage did, signed: program, arguments, inputs, outputs
 *
 * The same record is written twice, for two kinds of reader:
 *
 *   att/STAGE.KEYID8.link   a classic in-toto link (in-toto-verify reads it)
 *   att/STAGE.dsse.json     a DSSE envelope around an in-toto Statement v1
 *                           whose predicate is link/v0.3
 *
 *   link        statement               holds
 *   name        predicate.name          the stage's id
 *   command     predicate.command       "quern-STEP" and the arguments below
 *   materials   predicate.materials     every input by role, and the program
 *                                       itself as _tool/quern-STEP
 *   products    subject                 every output by role
 *   byproducts  predicate.byproducts    "return-value" 0, "stdout" "", "stderr"
 *                                       "", "quern.schema", and strings
 *                                       "quern.answer.ITEM" = "VERDICT figure",
 *                                       "quern.note.NAME"
 *   environment predicate.environment   {}
 *
 * Arguments are named by role, never by path, in one order: --stage, --phase,
 * --signer, then --item, --in, --src, --dst, --out and --set, each kind sorted.
 * So a record holds no time, no host and no path, and the same work always
 * gives the same bytes: a reader takes only the very bytes that a writer makes.
 */
#ifndef QUERN_RECORD_RECORD_H
#define QUERN_RECORD_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/record/key.h"

enum {
    RECORD_LIMIT = 16 * 1024 * 1024, /* bytes of a record that is read */
    RECORD_DEPTH = 32,               /* nesting of JSON in it */
};

struct record_file {
    char *name; /* role; owned */
    struct digest digest;
};

struct record_files {
    struct record_file *v; /* sorted by name, no name twice; owned */
    size_t n;
};

struct record {
    char *stage, *step;     /* owned */
    char *phase, *signer;   /* of the arguments; owned */
    char **args;            /* as listed above; owned */
    size_t n_args;
    struct digest program;
    struct record_files materials; /* without the program */
    struct record_files products;
    json_t *answers; /* {"item": {"verdict", "figure"}}; owned */
    json_t *notes;   /* {"name": "text"}; owned */

    /* Of a record that was read: */
    char keyid[DIGEST_HEX];  /* who claims to have signed it */
    uint8_t sig[SIGN_BYTES];
    char *signed_bytes;      /* what the signature covers; owned */
    size_t n_signed;
};

void record_release(struct record *r);
/* Takes `name` as it is; keep the order with record_sort. */
void record_add(struct record_files *f, const char *name,
    const struct digest *digest);
void record_sort(struct record_files *f);
const struct digest *record_find(const struct record_files *f,
    const char *name);
/* The next argument of one kind ("--item="): its value, or NULL at the end. */
const char *record_arg(const struct record *r, const char *kind, size_t *i);
/* 0 to 8 for an argument's kind in the order above, -1: none of them. */
int record_kind(const char *arg);

/* The two forms, unsigned. Caller decrefs. */
json_t *record_link(const struct record *r);
json_t *record_statement(const struct record *r);

/* DIR/att/STAGE.dsse.json and DIR/att/STAGE.KEYID8.link; caller frees. */
char *record_path(const char *dir, const char *stage);
char *record_link_path(const char *dir, const char *stage, const char *keyid);

/*
 * The link and the envelope, in this order, to be committed; equal bytes will
 * leave the old files alone. `out` is zeroed by the caller, who releases it.
 */
int record_prepare(const struct record *r, const struct signer *s,
    const char *dir, struct outfile out[2], struct err *e);
/* Writes and commits both. */
int record_write(const struct record *r, const struct signer *s,
    const char *dir, struct err *e);

/*
 * record_read - read either form and check its shape
 * Refuses anything that record_write does not write: unknown, missing or
 * double members, other whitespace, digests in capitals, names that lead out,
 * materials or products that are not the declared roles, a failed stage.
 * The signature is not looked at: that is record_verify.
 */
int record_read(struct record *r, const char *path, struct err *e);
/* The same for text that is already in memory; `place` is for messages. */
int record_parse(struct record *r, const char *text, size_t n,
    const char *place, struct err *e);
/* Whether `key` signed it, and its key id says so. */
bool record_verify(const struct record *r, const struct pubkey *key)
    __attribute__((warn_unused_result));
/* Whether two records say the same: a link and its envelope. */
bool record_same(const struct record *a, const struct record *b);

#endif
