/* Any bytes as an importance matrix, in either form. */
#include <math.h>
#include <stdlib.h>

#include "lib/format/imatrix.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct imatrix im = { 0 };
    struct err e = { 0 };

    if (imatrix_open(&im, fuzz_file(data, size), &e)) {
        fuzz_require(e.text[0] != 0, "an error says something");
        return 0;
    }
    for (size_t i = 0; i < im.n; i++) {
        const struct imatrix_entry *entry = &im.entry[i];
        float *v = mem_calloc((size_t)entry->cols, sizeof *v);

        fuzz_require(imatrix_find(&im, entry->name) == entry,
            "an entry is found by name");
        fuzz_require(imatrix_importance(&im, entry, entry->mats - 1,
            entry->mats, entry->cols, v, &e) == 0, "its own size fits");
        fuzz_require(isfinite(v[0]) && v[0] >= 0.0f, "a value is a weight");
        free(v);
    }
    imatrix_close(&im);
    return 0;
}
