#include "lib/text/scan.h"

#include <stdbool.h>
#include <string.h>

#include "lib/text/utf8.h"

static const struct {
    const char *name, *regex;
} known[SCAN_COUNT] = {
    [SCAN_GPT2] = { "gpt-2",
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
        "\\s+(?!\\S)|\\s+" },
    [SCAN_LLAMA3] = { "llama-bpe",
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
        "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
        "\\s+(?!\\S)|\\s+" },
    [SCAN_QWEN2] = { "qwen2",
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
        "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
        "\\s+(?!\\S)|\\s+" },
    [SCAN_QWEN35] = { "qwen35",
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|"
        "\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
        "\\s+(?!\\S)|\\s+" },
    [SCAN_TEKKEN] = { "tekken",
        "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*"
        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|"
        "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|"
        "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|"
        "\\s+(?!\\S)|\\s+" },
    [SCAN_GPT4O] = { "gpt-4o",
        "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*"
        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|"
        "\\s+(?!\\S)|\\s+" },
};

enum scan_kind
scan_find(const char *regex)
{
    for (int k = SCAN_NONE + 1; k < SCAN_COUNT; k++) {
        if (strcmp(regex, known[k].regex) == 0)
            return (enum scan_kind)k;
    }
    return SCAN_NONE;
}

const char *
scan_regex(enum scan_kind kind)
{
    return known[kind].regex;
}

const char *
scan_name(enum scan_kind kind)
{
    return known[kind].name;
}

/* Class of the character at s[i], its size in *size. */
static inline unsigned
class_at(struct chars *c, const char *s, size_t i, size_t *size)
{
    size_t next = i;
    unsigned cls = chars_get(c, utf8_next(s, &next));

    *size = next - i;
    return cls;
}

/* End of the run from i of characters that have a bit of `mask`. */
static inline size_t
run_of(struct chars *c, const char *s, size_t i, size_t n, unsigned mask)
{
    size_t size;

    while (i < n && (class_at(c, s, i, &size) & mask) != 0)
        i += size;
    return i;
}

/* End of the run from i of characters that have no bit of `mask`. */
static inline size_t
run_not(struct chars *c, const char *s, size_t i, size_t n, unsigned mask)
{
    size_t size;

    while (i < n && (class_at(c, s, i, &size) & mask) == 0)
        i += size;
    return i;
}

/* Length of 's 't 'm 'd 're 've 'll at s, or 0. */
static size_t
contraction(const char *s, size_t n)
{
    if (n < 2 || s[0] != '\'')
        return 0;
    if (s[1] == 's' || s[1] == 't' || s[1] == 'm' || s[1] == 'd')
        return 2;
    if (n < 3)
        return 0;
    if ((s[1] == 'r' && s[2] == 'e') || (s[1] == 'v' && s[2] == 'e') ||
        (s[1] == 'l' && s[2] == 'l'))
        return 3;
    return 0;
}

/* The same in any case; U+017F, the long s, folds to s. */
static size_t
contraction_caseless(const char *s, size_t n)
{
    char low[3] = { 0 };

    if (n < 2 || s[0] != '\'')
        return 0;
    if (n > 2 && memcmp(s + 1, "\xc5\xbf", 2) == 0)
        return 3;
    for (size_t i = 0; i < 3 && i < n; i++)
        low[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
    return contraction(low, n < 3 ? n : 3);
}

/* `\s+(?!\S)|\s+` at a white space character. */
static size_t
spaces(struct chars *c, const char *s, size_t n)
{
    size_t end = run_of(c, s, 0, n, CHAR_SPACE), last;

    if (end == n)
        return end;
    last = utf8_before(s, end);
    return last > 0 ? last : end;
}

/* `\s*[\r\n]+|\s+(?!\S)|\s+` at a white space character. */
static size_t
lines_or_spaces(struct chars *c, const char *s, size_t n)
{
    size_t end = run_of(c, s, 0, n, CHAR_SPACE), nl;

    for (nl = end; nl > 0; nl--) {
        if (s[nl - 1] == '\n' || s[nl - 1] == '\r')
            return nl;
    }
    if (end == n)
        return end;
    nl = utf8_before(s, end);
    return nl > 0 ? nl : end;
}

/* Up to `most` numbers; 0 when there is none. */
static size_t
numbers(struct chars *c, const char *s, size_t n, unsigned most)
{
    size_t i = 0, size;

    while (most-- > 0 && i < n && (class_at(c, s, i, &size) & CHAR_NUMBER))
        i += size;
    return i;
}

/* ` ?[^\s..]+[\r\n/]*`; 0 when it does not match. */
static size_t
symbols(struct chars *c, const char *s, size_t n, unsigned not, bool slash)
{
    size_t from = s[0] == ' ' ? 1 : 0;
    size_t end = run_not(c, s, from, n, not);

    if (end == from)
        return 0;
    while (end < n &&
        (s[end] == '\r' || s[end] == '\n' || (slash && s[end] == '/')))
        end++;
    return end;
}

static size_t
next_gpt2(struct chars *c, const char *s, size_t n)
{
    size_t i = contraction(s, n), size;
    unsigned cls;

    if (i > 0)
        return i;
    i = s[0] == ' ' && n > 1 ? 1 : 0;
    cls = class_at(c, s, i, &size);
    if (cls & CHAR_LETTER)
        return run_of(c, s, i + size, n, CHAR_LETTER);
    if (cls & CHAR_NUMBER)
        return run_of(c, s, i + size, n, CHAR_NUMBER);
    if (cls & CHAR_SPACE)
        return spaces(c, s, n);
    return run_not(c, s, i + size, n, CHAR_LETTER | CHAR_NUMBER | CHAR_SPACE);
}

/* llama3, qwen2 and, with marks counted as letters, qwen35 */
static size_t
next_llama3(struct chars *c, const char *s, size_t n, unsigned letter,
    unsigned digits)
{
    size_t size, end;
    unsigned cls = class_at(c, s, 0, &size);

    if (cls & letter)
        return run_of(c, s, size, n, letter);
    if (s[0] == '\'' && (end = contraction_caseless(s, n)) > 0)
        return end;
    if (cls & CHAR_NUMBER)
        return numbers(c, s, n, digits);
    if (s[0] != '\r' && s[0] != '\n') {
        end = run_of(c, s, size, n, letter);
        if (end > size)
            return end;
    }
    end = symbols(c, s, n, letter | CHAR_NUMBER | CHAR_SPACE, false);
    return end > 0 ? end : lines_or_spaces(c, s, n);
}

/*
 * `U*L+` at s[i..n), as backtracking finds it: the upper run and what is lower
 * after it, or else the run given back down to its last character that is
 * lower too. 0 when it does not match.
 */
static size_t
upper_lower(struct chars *c, const char *s, size_t i, size_t n)
{
    size_t upper = run_of(c, s, i, n, CHAR_UPPER), size;
    size_t end = run_of(c, s, upper, n, CHAR_LOWER);

    if (end > upper)
        return end;
    while (upper > i) {
        size_t at = utf8_before(s, upper);

        if (class_at(c, s, at, &size) & CHAR_LOWER)
            return upper;
        upper = at;
    }
    return 0;
}

/* The two letter alternatives of tekken and gpt4o; 0 when neither matches. */
static size_t
cased_word(struct chars *c, const char *s, size_t n)
{
    size_t size, end;
    unsigned cls = class_at(c, s, 0, &size);
    bool opt = s[0] != '\r' && s[0] != '\n' &&
        (cls & (CHAR_LETTER | CHAR_NUMBER)) == 0;

    if (opt && size < n && (end = upper_lower(c, s, size, n)) > 0)
        return end;
    if ((end = upper_lower(c, s, 0, n)) > 0)
        return end;
    if (opt && (end = run_of(c, s, size, n, CHAR_UPPER)) > size)
        return end;
    return run_of(c, s, 0, n, CHAR_UPPER);
}

static size_t
next_tekken(struct chars *c, const char *s, size_t n, bool gpt4o)
{
    size_t end = cased_word(c, s, n);

    if (end > 0)
        return gpt4o ? end + contraction_caseless(s + end, n - end) : end;
    if ((end = numbers(c, s, n, gpt4o ? 3 : 1)) > 0)
        return end;
    end = symbols(c, s, n, CHAR_LETTER | CHAR_NUMBER | CHAR_SPACE, true);
    return end > 0 ? end : lines_or_spaces(c, s, n);
}

size_t
scan_next(enum scan_kind kind, struct chars *c, const char *s, size_t n)
{
    switch (kind) {
    case SCAN_GPT2:
        return next_gpt2(c, s, n);
    case SCAN_LLAMA3:
        return next_llama3(c, s, n, CHAR_LETTER, 3);
    case SCAN_QWEN2:
        return next_llama3(c, s, n, CHAR_LETTER, 1);
    case SCAN_QWEN35:
        return next_llama3(c, s, n, CHAR_LETTER | CHAR_MARK, 1);
    case SCAN_TEKKEN:
        return next_tekken(c, s, n, false);
    case SCAN_GPT4O:
        return next_tekken(c, s, n, true);
    case SCAN_NONE:
    case SCAN_COUNT:
        break;
    }
    return n;
}
