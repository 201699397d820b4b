/*
 * suite.h - task suites: files of questions with a way to check each answer
 *
 * A suite is UTF-8 text, one JSON object a line (a final newline is fine, empty
 * lines are not). Every item has `id` (unique in the file) and `prompt`. The
 * items of one suite are all of one kind:
 *
 *   choice    `choices` [2..64 texts], `answer` (index of the right one). The
 *             model is asked how likely each choice is after the prompt.
 *   generate  the model writes on after the prompt, until `stop` (a text or a
 *             list of texts), and what it wrote is checked:
 *             `match`: "exact" or "last_number" with `target`; or `check`, an
 *             object with `type` and what that type needs:
 *               exact        value
 *               last_number  value
 *               json_object  value {..}, keys [..]: equal, in this order
 *               lines_from   n, set [..], distinct
 *               sentence     ends_with, and contains, starts where given
 *               word_count   n, and contains where given
 *
 * Other keys (kind, tags, length) are for people and stay unread, but belong to
 * the item's digest: SHA-256 of its line without the newline.
 */
#ifndef QUERN_MODEL_SUITE_H
#define QUERN_MODEL_SUITE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum {
    SUITE_MAX_BYTES = 1 << 30,
    SUITE_MAX_LINE = 64 << 20,
    SUITE_MAX_ITEMS = 1 << 20,
    SUITE_MAX_CHOICES = 64,
    SUITE_MAX_STOPS = 16,
    SUITE_MAX_SET = 65536, /* texts in a check's list */
    SUITE_MAX_ID = 256,    /* bytes of an id */
};

enum suite_kind { SUITE_CHOICE, SUITE_GENERATE, SUITE_KIND_COUNT };

enum check_type {
    CHECK_EXACT,
    CHECK_LAST_NUMBER,
    CHECK_JSON_OBJECT,
    CHECK_LINES_FROM,
    CHECK_SENTENCE,
    CHECK_WORD_COUNT,
    CHECK_COUNT
};

/* All pointers are owned by the suite's arena or the item's JSON. */
struct suite_check {
    enum check_type type;
    const char *value;       /* exact, last_number */
    const json_t *object;    /* json_object */
    const char *const *list; /* keys of json_object, set of lines_from */
    size_t n_list;
    int64_t n;               /* lines_from, word_count */
    bool distinct;
    const char *ends_with, *contains, *starts; /* NULL: not asked */
};

struct suite_item {
    const char *id;
    const char *prompt; /* UTF-8 without NUL, may be empty */
    enum suite_kind kind;
    const char *const *choices; /* choice */
    size_t n_choices, answer;
    const char *const *stops;   /* generate */
    size_t n_stops;
    struct suite_check check;
    struct digest digest; /* of the item's line */
    json_t *json;         /* owned by the suite */
};

struct suite {
    enum suite_kind kind;
    struct suite_item *items; /* [n], in file order */
    size_t n;
    struct digest digest; /* of the whole file: the suite's identity */
    struct arena arena;
};

/*
 * suite_parse - `s` is zeroed by the caller; on error nothing is held
 * `path` is for messages, which name the line: "facts.jsonl:12: ...".
 */
int suite_parse(struct suite *s, const char *path, const void *bytes,
    size_t len, struct err *e);
int suite_read(struct suite *s, const char *path, struct err *e);
void suite_release(struct suite *s); /* twice is fine */

/* "acc" or "exact_match/last_number", "check/...": the rule's name. */
const char *suite_metric(const struct suite *s);

/*
 * check_run - is this answer right?
 * `text` is what the model wrote, cut before the stop text and stripped. What
 * was taken out of it to compare goes to `extracted`; *invalid tells that
 * nothing could be (no number, no JSON): a lost format, not a wrong answer.
 */
bool check_run(const struct suite_check *c, const char *text,
    struct str *extracted, bool *invalid);

/*
 * text_strip - the part of text[0..*len) without white space at both ends
 * (Unicode's, as Python's str.strip). *len becomes its length.
 */
const char *text_strip(const char *text, size_t *len);

#endif
