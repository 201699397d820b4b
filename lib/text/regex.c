#include "lib/text/regex.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/base/mem.h"

/* Steps of one match; real splits take a few hundred. */
enum { MATCH_LIMIT = 10000000, JIT_STACK_MOST = 8 << 20, PATTERN_MOST = 65536 };

struct regex {
    pcre2_code *code;          /* owned, like the rest */
    pcre2_match_data *data;
    pcre2_match_context *ctx;
    pcre2_jit_stack *stack;
};

struct regex *
regex_new(const char *pattern, const char *path, struct err *e)
{
    struct regex *r = mem_calloc(1, sizeof *r);
    pcre2_compile_context *cc = pcre2_compile_context_create(NULL);
    int code = 0;
    PCRE2_SIZE at = 0;

    if (cc != NULL) {
        pcre2_set_max_pattern_length(cc, PATTERN_MOST);
        r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
            PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, cc);
        pcre2_compile_context_free(cc);
    }
    if (r->code == NULL) {
        PCRE2_UCHAR why[256] = { 0 };

        pcre2_get_error_message(code, why, sizeof why);
        err_set(e, ERR_WORK,
            "%s: regex '%.200s' cannot be used, at %zu: %s; quern cannot "
            "read this tokenizer",
            path, pattern, (size_t)at, (const char *)why);
        regex_free(r);
        return NULL;
    }
    r->data = pcre2_match_data_create(1, NULL);
    r->ctx = pcre2_match_context_create(NULL);
    if (r->data == NULL || r->ctx == NULL) {
        err_set(e, ERR_WORK, "%s: no memory for a regex", path);
        regex_free(r);
        return NULL;
    }
    pcre2_set_match_limit(r->ctx, MATCH_LIMIT);
    /* without the JIT, matching is slower and the same */
    if (pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0) {
        r->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_MOST, NULL);
        if (r->stack != NULL)
            pcre2_jit_stack_assign(r->ctx, NULL, r->stack);
    }
    return r;
}

void
regex_free(struct regex *r)
{
    if (r == NULL)
        return;
    pcre2_jit_stack_free(r->stack);
    pcre2_match_context_free(r->ctx);
    pcre2_match_data_free(r->data);
    pcre2_code_free(r->code);
    free(r);
}

int
regex_find(struct regex *r, const char *s, size_t n, size_t from, bool *found,
    size_t *start, size_t *end, struct err *e)
{
    int got = pcre2_match(r->code, (PCRE2_SPTR)s, n, from, PCRE2_NO_UTF_CHECK,
        r->data, r->ctx);

    *found = false;
    if (got == PCRE2_ERROR_NOMATCH)
        return 0;
    if (got < 0) {
        PCRE2_UCHAR why[256] = { 0 };

        pcre2_get_error_message(got, why, sizeof why);
        return err_set(e, ERR_WORK,
            "text: the tokenizer's regex gave up after byte %zu: %s; "
            "quern cannot split this text",
            from, (const char *)why);
    }

    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->data);

    if (at[0] > at[1] || at[1] > n) /* \K in a lookahead */
        return err_set(e, ERR_WORK,
            "text: the tokenizer's regex gave a match that ends before it "
            "begins; quern cannot use this tokenizer");
    *found = true;
    *start = at[0];
    *end = at[1];
    return 0;
}
