/*
 * fuzz.h - one function per parser, fed by a corpus or by libFuzzer
 *
 * A target is tests/fuzz/NAME.c with fuzz_one(); its corpus is
 * tests/data/fuzz/NAME. Linked with driver.c it replays the corpus; compiled
 * with driver.c, -DQUERN_FUZZER and -fsanitize=fuzzer,address,undefined it
 * searches for new inputs:
 *
 *   clang -std=c11 -D_GNU_SOURCE -g -O1 -I. -DQUERN_FUZZER \
 *       -fsanitize=fuzzer,address,undefined tests/fuzz/NAME.c \
 *       tests/fuzz/driver.c LIB... -o fuzz-NAME && ./fuzz-NAME corpus
 */
#ifndef QUERN_TESTS_FUZZ_H
#define QUERN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Feeds one input to the parser; returns 0. A finding is a crash. */
int fuzz_one(const uint8_t *data, size_t size);

/*
 * For parsers that take a path: a file in memory with these bytes, and the path
 * that opens it. Valid until the next call.
 */
const char *fuzz_file(const uint8_t *data, size_t size);

/*
 * For parsers that take a folder: the input is cut at lines `=== NAME`, each
 * section becomes a file NAME in a folder that is emptied before each call.
 * Names are cut to letters, digits, '.', '_' and '-'. Returns the folder.
 */
const char *fuzz_folder(const uint8_t *data, size_t size);

/* Says that a condition which the parser promises does not hold. */
void fuzz_require(int condition, const char *what);

#endif
