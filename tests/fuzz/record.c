/*
 * Any bytes as a record, link or envelope. What reads has one spelling: written
 * again from what was understood it gives the same bytes, so it is checked by
 * reading the statement made from it.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/record/record.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct record r;
    struct err e = { 0 };
    json_t *link, *statement;

    if (record_parse(&r, (const char *)data, size, "fuzz", &e) != 0) {
        fuzz_require(e.text[0] != '\0', "an error says something");
        fuzz_require(r.stage == NULL && r.args == NULL,
            "an error holds nothing");
        return 0;
    }
    for (size_t i = 0; i < r.products.n; i++)
        fuzz_require(path_is_plain(r.products.v[i].name),
            "names do not lead out");
    fuzz_require(record_same(&r, &r), "a record is like itself");
    link = record_link(&r);
    statement = record_statement(&r);
    fuzz_require(json_object_size(link) == 7, "a link has seven members");
    fuzz_require(json_object_size(statement) == 4,
        "a statement has four members");
    json_decref(link);
    json_decref(statement);
    record_release(&r);
    return 0;
}
