/* Any bytes as a suite, and each item's check on a part of the same bytes. */
#include <stdlib.h>

#include "lib/model/suite.h"
#include "tests/fuzz/fuzz.h"

int
fuzz_one(const uint8_t *data, size_t size)
{
    struct suite s = { 0 };
    struct err e = { 0 };
    char *answer;

    if (suite_parse(&s, "fuzz", data, size, &e)) {
        fuzz_require(e.text[0] != 0, "an error says something");
        fuzz_require(s.items == NULL, "an error holds nothing");
        return 0;
    }
    fuzz_require(s.n > 0, "a suite has items");
    fuzz_require(suite_metric(&s) != NULL, "a suite has a metric");
    answer = mem_strndup((const char *)data, size / 2);
    for (size_t i = 0; i < s.n; i++) {
        struct str got = { 0 };
        bool invalid;

        if (s.kind == SUITE_GENERATE)
            check_run(&s.items[i].check, answer, &got, &invalid);
        else
            fuzz_require(s.items[i].answer < s.items[i].n_choices,
                "the answer is one of the choices");
        str_release(&got);
    }
    free(answer);
    suite_release(&s);
    return 0;
}
