/*
 * Any bytes as a policy: read as YAML and held against the tables. Complaints
 * name a line, aliases do not explode, nothing is read past the end.
 */
#include <string.h>

#include "gen/policy_schema.h"
#include "gen/yaml.h"
#include "tests/fuzz/fuzz.h"

/* Entries of the tree, aliases followed, up to a bound. */
static size_t
count(const struct yaml *v)
{
    size_t n = 1;

    for (const struct yaml *i = yaml_first(v); i != NULL; i = i->next) {
        fuzz_require(v->kind != YAML_MAP || i->key != NULL,
            "an entry of a mapping has a key");
        fuzz_require(i->line >= 1 && i->column >= 1, "it has a place");
        n += count(i);
    }
    return n;
}

int
fuzz_one(const uint8_t *data, size_t size)
{
    static struct problems p;
    struct yaml_file f = { 0 };
    struct err e = { 0 };

    p = (struct problems){ .file = "fuzz" };
    if (yaml_parse(&f, "fuzz", (const char *)data, size, &e) != 0) {
        fuzz_require(strncmp(e.text, "fuzz:", 5) == 0,
            "an error says where");
        fuzz_require(f.root == NULL, "an error holds nothing");
        return 0;
    }
    fuzz_require(count(f.root) <= 2 * YAML_MAX_NODES, "the tree is bounded");
    if (f.root->kind == YAML_MAP)
        schema_map(&p, policy_fields, f.root);
    for (size_t i = 0; i < p.n; i++)
        fuzz_require(strncmp(p.v[i].text, "fuzz:", 5) == 0,
            "a problem says where");
    yaml_release(&f);
    return 0;
}
