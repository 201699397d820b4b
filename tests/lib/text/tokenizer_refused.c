/*
 * Tokenizer files that must be refused, taken from the fuzzer's corpus
 * (tests/fuzz/tokenizer_seeds.py says what each one is).
 */
#include "lib/text/tokenizer.h"

#include "lib/base/str.h"
#include "tests/lib/format/scratch.h"

#define CORPUS "tests/data/fuzz/tokenizer/"

/* Writes the section `name` of the blob as a file; false if there is none. */
static bool
section(const struct blob *b, const char *name, const char *path)
{
    char *head = mem_printf("=== %s\n", name);
    const char *at = strstr(b->p, head), *end;
    struct err e = { 0 };

    unlink(path);
    if (at != NULL) {
        at += strlen(head);
        end = strstr(at, "\n=== ");
        if (end == NULL)
            end = b->p + b->len;
        assert_int_equal(file_write(path, at, (size_t)(end - at), &e), 0);
    }
    free(head);
    return at != NULL;
}

/* What opening the case says, without the folder; "" when it opens. */
static void
open_case(const char *name, struct err *e)
{
    char *path = mem_printf(CORPUS "%s", name);
    const char *json = in_scratch("tokenizer.json");
    const char *config = in_scratch("tokenizer_config.json");
    struct tokenizer *t = NULL;
    struct blob b = { 0 };
    size_t folder = strlen(json) - strlen("tokenizer.json");

    assert_int_equal(blob_read(&b, path, 1 << 20, e), 0);
    assert_true(section(&b, "tokenizer.json", json));
    section(&b, "tokenizer_config.json", config);
    if (tokenizer_open(&t, json, config, e) == 0)
        tokenizer_free(t);
    else
        memmove(e->text, e->text + folder, strlen(e->text) + 1 - folder);
    blob_release(&b);
    free(path);
}

/* Each refusal names the file, what is wrong and what to do. */
static void
test_refused(void **state)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        { "wordpiece", "tokenizer.json: tokenizer model 'WordPiece' is not "
                       "implemented; quern knows BPE" },
        { "bert", "tokenizer.json: pre_tokenizer 'BertPreTokenizer' is not "
                  "implemented; quern knows ByteLevel, Split, Metaspace, "
                  "Digits and Sequence" },
        { "bad-regex",
            "tokenizer.json: regex '([' cannot be used, at 2: missing "
            "terminating ] for character class; quern cannot read this "
            "tokenizer" },
        { "byte-level-first",
            "tokenizer.json: pre_tokenizer: a stage after ByteLevel is not "
            "implemented; quern cannot read this tokenizer" },
        { "clash", "tokenizer.json: added token '<s>' has id 100, but 0 in "
                   "the vocabulary; repair the file" },
        { "clash-other", "tokenizer.json: added token 'new' has id 100, which "
                         "is 'He' in the vocabulary; repair the file" },
        { "added-twice", "tokenizer.json: added token 'new' or its id 601 "
                         "occurs twice; repair the file" },
        { "huge-id", "tokenizer.json: vocabulary: 'a' has no id from 0 to "
                     "4194303; repair the file" },
        { "negative-id", "tokenizer.json: vocabulary: 'a' has no id from 0 to "
                         "4194303; repair the file" },
        { "twice-id", "tokenizer.json: vocabulary: id 1 of 'b' occurs twice; "
                      "repair the file" },
        { "merge-missing", "tokenizer.json: merge 0: 'Hl' is not in the "
                           "vocabulary; fetch the file again" },
        { "merge-shape", "tokenizer.json: merge 0 is neither a string nor a "
                         "pair of strings; repair the file" },
        { "merge-spaces", "tokenizer.json: merge 0: 'a b c' is not two tokens "
                          "with a space between; repair the file" },
        { "template-twice",
            "tokenizer.json: post_processor: a template for one text that "
            "does not hold it just once; quern cannot read this tokenizer" },
        { "template-no-id",
            "tokenizer.json: post_processor: no ids for '<s>' in "
            "special_tokens; repair the file" },
        { "template-no-token", "tokenizer.json: post_processor adds id 90, "
                               "which is no token; repair the file" },
        { "config-no-token",
            "tokenizer_config.json: 'bos_token' names 'nonesuch', which is no "
            "token of tokenizer.json; repair the file" },
        { "not-object",
            "tokenizer.json: is not a JSON object; fetch it again" },
        { "grow", "tokenizer.json: added token 'wor' cannot be normalized; "
                  "repair the normalizer" },
        { "long-token", "tokenizer.json: added token 'xxxxxxxxxxxxxxxxxxxxxxxx"
                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' has 513 bytes, "
                        "at most 512; repair the file" },
        { "byte-level", "" },
        { "sentence", "" },
    };

    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct err e = { 0 };

        open_case(cases[i].name, &e);
        assert_string_equal(e.text, cases[i].text);
    }
}

/* What cannot be read as JSON says where. */
static void
test_not_json(void **state)
{
    static const char *const names[] = { "deep-json", "not-json", "empty" };

    (void)state;
    for (size_t i = 0; i < countof(names); i++) {
        struct err e = { 0 };

        open_case(names[i], &e);
        assert_int_equal(e.code, ERR_WORK);
        assert_true(str_starts(e.text, "tokenizer.json:"));
        assert_non_null(strstr(e.text, "not JSON"));
    }
}

/* A file that is not there is named. */
static void
test_missing(void **state)
{
    struct tokenizer *t;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(
        tokenizer_open(&t, "no/such/tokenizer.json", NULL, &e), ERR_WORK);
    assert_null(t);
    assert_true(str_starts(e.text, "no/such/tokenizer.json: "));
}

/* Text that a regex gives up on is an error and gives no ids. */
static void
test_refused_text(void **state)
{
    const char *json = in_scratch("tokenizer.json");
    const char *text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
    struct tokenizer *t = NULL;
    struct ids ids = { 0 };
    struct blob b = { 0 };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(blob_read(&b, CORPUS "slow-regex", 1 << 20, &e), 0);
    assert_true(section(&b, "tokenizer.json", json));
    assert_int_equal(tokenizer_open(&t, json, NULL, &e), 0);
    assert_int_equal(
        tokenizer_encode(t, text, strlen(text), false, &ids, &e), ERR_WORK);
    assert_string_equal(e.text,
        "text: the tokenizer's regex gave up after byte 0: match limit "
        "exceeded; quern cannot split this text");
    assert_int_equal(ids.n, 0);
    tokenizer_free(t);
    blob_release(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_refused_text),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("lib/text/tokenizer_refused", tests,
        scratch_setup, scratch_teardown);
}
