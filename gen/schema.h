/*
 * schema.h - what a mapping may hold, as tables, and the one checker for them
 *
 * Every table ends with a field whose name is NULL. Values are checked for
 * kind, range and spelling here; how they belong together is policy_check's.
 */
#ifndef QUERN_GEN_SCHEMA_H
#define QUERN_GEN_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "gen/problems.h"
#include "gen/yaml.h"

enum field_type {
    FIELD_WORD,   /* [a-z0-9][a-z0-9-]*, at most 40 bytes */
    FIELD_TEXT,   /* one line of text, not empty */
    FIELD_PATH,   /* a file or folder, relative to the policy */
    FIELD_INT,    /* whole number, min to max */
    FIELD_REAL,   /* number, min to max */
    FIELD_SIZE,   /* number, or one with KB, MB, GB, KiB, MiB, GiB */
    FIELD_CHOICE, /* one of `choices` */
    FIELD_DATE,   /* YYYY-MM-DD */
    FIELD_AUTO,   /* nothing to answer: the word auto */
    FIELD_MAP,    /* `fields` */
    FIELD_LIST,   /* a list of mappings with `fields` */
    FIELD_TABLE,  /* free names, each with a value like `fields[0]` */
};

enum {
    FIELD_NEEDED = 1, /* must be there */
    FIELD_ITEM = 2,   /* a checklist item: policy_check asks for the answer */
};

struct field {
    const char *name; /* first, for nearest_name */
    enum field_type type;
    unsigned flags;
    double min, max;
    const char *const *choices; /* NULL-terminated */
    const struct field *fields;
    const char *what;     /* in words: "the largest drop of one suite" */
    const char *example;  /* what to write, for the cure */
    const char *fallback; /* the value when there is none, or NULL */
};

/* Checks `v` (a mapping) against a table; problems go to `p`. */
void schema_map(struct problems *p, const struct field *fields,
    const struct yaml *v);

/* The entry's text, else the field's fallback, else NULL. */
const char *schema_text(const struct field *fields, const struct yaml *map,
    const char *name);
/* The same as a number; only for checked values. NAN if there is none. */
double schema_real(const struct field *fields, const struct yaml *map,
    const char *name);
int64_t schema_int(const struct field *fields, const struct yaml *map,
    const char *name);

const struct field *schema_find(const struct field *fields, const char *name);
/* "a, b or c" into `buf`; returns it. */
const char *schema_or(char *buf, size_t size, const char *const *choices);
/* A day that exists, as days since 1970; false if it does not. */
bool date_parse(const char *text, int64_t *days);

#endif
