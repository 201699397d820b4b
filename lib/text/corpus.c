#include "lib/text/corpus.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "lib/base/mem.h"

/* FNV-1a with a final mix (SplitMix64's), enough to tell word runs apart. */
static const uint64_t hash_start = 0xcbf29ce484222325u;

static uint64_t
hash_bytes(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

static uint64_t
hash_end(uint64_t h)
{
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static bool
is_space(utf8proc_int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        return (c >= '\t' && c <= '\r') || c == 0x85;
    }
}

static bool
is_word(utf8proc_int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);

    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO);
}

bool
corpus_normalize(const char *text, size_t len, struct str *out)
{
    utf8proc_uint8_t *nfc = NULL, buf[4];
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text,
        (utf8proc_ssize_t)len, &nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    bool space = false;

    str_clear(out);
    if (n < 0)
        return false;
    for (utf8proc_ssize_t at = 0; at < n;) {
        utf8proc_int32_t c;

        at += utf8proc_iterate(nfc + at, n - at, &c);
        if (is_space(c)) {
            space = out->len > 0;
            continue;
        }
        if (space)
            str_addc(out, ' ');
        space = false;
        str_addn(out, buf,
            (size_t)utf8proc_encode_char(utf8proc_tolower(c), buf));
    }
    free(nfc);
    return true;
}

static int
u64_order(const void *pa, const void *pb)
{
    uint64_t a, b;

    memcpy(&a, pa, sizeof a);
    memcpy(&b, pb, sizeof b);
    return (a > b) - (a < b);
}

static void
sort_unique(struct shingles *s)
{
    size_t n = 0;

    qsort(s->v, s->n, sizeof *s->v, u64_order);
    for (size_t i = 0; i < s->n; i++)
        if (n == 0 || s->v[n - 1] != s->v[i])
            s->v[n++] = s->v[i];
    s->n = n;
}

/* Hashes of all words in order. */
static size_t
word_hashes(uint64_t **out, const char *norm, size_t len)
{
    size_t n = 0, cap = 0, start = 0;
    bool inside = false;
    uint64_t *v = NULL;

    for (size_t at = 0; at <= len;) {
        utf8proc_int32_t c = ' ';
        utf8proc_ssize_t step = 1;

        if (at < len) {
            step = utf8proc_iterate((const utf8proc_uint8_t *)norm + at,
                (utf8proc_ssize_t)(len - at), &c);
            if (step <= 0) /* not ours: corpus_normalize gives UTF-8 */
                break;
        }
        if (is_word(c) && !inside)
            start = at;
        if (!is_word(c) && inside) {
            if (n == cap) {
                cap = cap == 0 ? 64 : 2 * cap;
                v = mem_realloc(v, cap, sizeof *v);
            }
            v[n++] = hash_end(hash_bytes(hash_start, norm + start,
                at - start));
        }
        inside = is_word(c);
        at += (size_t)step;
    }
    *out = v;
    return n;
}

void
corpus_shingles(struct shingles *s, const char *norm, size_t len)
{
    uint64_t *word;
    size_t n = word_hashes(&word, norm, len);

    s->n = n >= CORPUS_SHINGLE_WORDS ? n - CORPUS_SHINGLE_WORDS + 1 : 1;
    s->v = mem_calloc(s->n, sizeof *s->v);
    if (n < CORPUS_SHINGLE_WORDS)
        s->v[0] = hash_end(hash_bytes(hash_start, norm, len));
    else
        for (size_t i = 0; i < s->n; i++)
            s->v[i] = hash_end(hash_bytes(hash_start, word + i,
                CORPUS_SHINGLE_WORDS * sizeof *word));
    free(word);
    sort_unique(s);
}

void
shingles_release(struct shingles *s)
{
    free(s->v);
    memset(s, 0, sizeof *s);
}

double
shingles_jaccard(const struct shingles *a, const struct shingles *b)
{
    size_t both = 0, i = 0, j = 0;

    if (a->n == 0 && b->n == 0)
        return 1;
    while (i < a->n && j < b->n) {
        if (a->v[i] == b->v[j]) {
            both++;
            i++;
            j++;
        } else if (a->v[i] < b->v[j]) {
            i++;
        } else {
            j++;
        }
    }
    return (double)both / (double)(a->n + b->n - both);
}

static bool
cap_holds(const uint64_t *len, size_t n, double share, uint64_t c)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += len[i] < c ? len[i] : c;
    return (double)c <= share * (double)sum;
}

uint64_t
corpus_cap(const uint64_t *len, size_t n, double share)
{
    uint64_t low = 0, high = 0;

    for (size_t i = 0; i < n; i++)
        high = len[i] > high ? len[i] : high;
    /* share * sum - c is concave in c and 0 at 0: one crossing */
    while (low < high) {
        uint64_t mid = low + (high - low + 1) / 2;

        if (cap_holds(len, n, share, mid))
            low = mid;
        else
            high = mid - 1;
    }
    return low;
}
