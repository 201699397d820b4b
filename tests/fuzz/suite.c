/*
 * Fuzz target: suite files, and every check run on a part of the same bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model/suite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct suite s = { 0 };
    struct err e = { 0 };

    if (suite_parse(&s, "fuzz", data, size, &e) != 0)
        return 0;

    char *answer = mem_strndup((const char *)data, size / 2);

    suite_metric(&s);
    for (size_t i = 0; i < s.n; i++) {
        struct str got = { 0 };
        bool invalid;

        if (s.kind == SUITE_GENERATE)
            check_run(&s.items[i].check, answer, &got, &invalid);
        str_release(&got);
    }
    free(answer);
    suite_release(&s);
    return 0;
}
