/*
 * yaml.h - a YAML file as a tree that knows where everything stands
 *
 * One document of mappings with plain scalar keys, sequences and scalars, read
 * through libfyaml. Anchors and aliases are shared, not copied, and what they
 * would expand to is counted, so that a bomb is refused before it goes off.
 * Tags, merge keys and several documents are not used. Everything lives in the
 * tree's arena.
 */
#ifndef QUERN_GEN_YAML_H
#define QUERN_GEN_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

enum {
    YAML_MAX_BYTES = 1 << 20,
    YAML_MAX_NODES = 20000,    /* also of what aliases expand to */
    YAML_MAX_DEPTH = 24,
    YAML_MAX_SCALAR = 4096,    /* bytes of one value */
};

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    unsigned line, column; /* from 1, of the value */
    bool quoted;           /* a scalar in quotes or a block: always text */
    const char *text;      /* scalar */
    const char *key;       /* of this entry in its mapping, or NULL */
    unsigned key_line, key_column;
    struct yaml *child;    /* first entry of a list or mapping */
    struct yaml *next;     /* next entry of the parent */
    size_t weight;         /* nodes in it, aliases expanded */
};

struct yaml_file {
    const char *path;      /* what messages name; borrowed */
    struct yaml *root;
    struct arena arena;
};

/* `text` of `n` bytes; duplicate keys are errors, too. */
int yaml_parse(struct yaml_file *f, const char *path, const char *text,
    size_t n, struct err *e);
void yaml_release(struct yaml_file *f);

/* Entry of a mapping by key; NULL if there is none or `map` is NULL. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);
/* First entry of a list or mapping; the next one is ->next. */
const struct yaml *yaml_first(const struct yaml *v);
/* "text", "a list" or "a mapping", for messages. */
const char *yaml_kind_name(const struct yaml *v);

#endif
