#include "lib/text/chars.h"

#include <stdbool.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "lib/base/mem.h"

enum kind { OTHER, MARK, NUMBER, UPPER, LOWER, LETTER };

/*
 * Assigned in Unicode 15.1 and 16, so not in utf8proc 2.8. Found by asking
 * tokenizers 0.23.3 for every code point; symbols and punctuation need no line,
 * they count like the unassigned.
 */
static const struct {
    uint32_t first, last;
    enum kind kind;
} newer[] = {
    { 0x897, 0x897, MARK },
    { 0x1c89, 0x1c89, UPPER },
    { 0x1c8a, 0x1c8a, LOWER },
    { 0xa7cb, 0xa7cc, UPPER },
    { 0xa7cd, 0xa7cd, LOWER },
    { 0xa7da, 0xa7da, UPPER },
    { 0xa7db, 0xa7db, LOWER },
    { 0xa7dc, 0xa7dc, UPPER },
    { 0x105c0, 0x105f3, LETTER },
    { 0x10d40, 0x10d49, NUMBER },
    { 0x10d4a, 0x10d4f, LETTER },
    { 0x10d50, 0x10d65, UPPER },
    { 0x10d69, 0x10d6d, MARK },
    { 0x10d6f, 0x10d6f, LETTER },
    { 0x10d70, 0x10d85, LOWER },
    { 0x10ec2, 0x10ec4, LETTER },
    { 0x10efc, 0x10efc, MARK },
    { 0x11380, 0x11389, LETTER },
    { 0x1138b, 0x1138b, LETTER },
    { 0x1138e, 0x1138e, LETTER },
    { 0x11390, 0x113b5, LETTER },
    { 0x113b7, 0x113b7, LETTER },
    { 0x113b8, 0x113c0, MARK },
    { 0x113c2, 0x113c2, MARK },
    { 0x113c5, 0x113c5, MARK },
    { 0x113c7, 0x113ca, MARK },
    { 0x113cc, 0x113d0, MARK },
    { 0x113d1, 0x113d1, LETTER },
    { 0x113d2, 0x113d2, MARK },
    { 0x113d3, 0x113d3, LETTER },
    { 0x113e1, 0x113e2, MARK },
    { 0x116d0, 0x116e3, NUMBER },
    { 0x11bc0, 0x11be0, LETTER },
    { 0x11bf0, 0x11bf9, NUMBER },
    { 0x11f5a, 0x11f5a, MARK },
    { 0x13460, 0x143fa, LETTER },
    { 0x16100, 0x1611d, LETTER },
    { 0x1611e, 0x1612f, MARK },
    { 0x16130, 0x16139, NUMBER },
    { 0x16d40, 0x16d6c, LETTER },
    { 0x16d70, 0x16d79, NUMBER },
    { 0x18cff, 0x18cff, LETTER },
    { 0x1ccf0, 0x1ccf9, NUMBER },
    { 0x1e5d0, 0x1e5ed, LETTER },
    { 0x1e5ee, 0x1e5ef, MARK },
    { 0x1e5f0, 0x1e5f0, LETTER },
    { 0x1e5f1, 0x1e5fa, NUMBER },
    { 0x2ebf0, 0x2ee5d, LETTER },
};

static enum kind
kind_newer(uint32_t cp)
{
    for (size_t i = 0; i < countof(newer); i++) {
        if (cp >= newer[i].first && cp <= newer[i].last)
            return newer[i].kind;
    }
    return OTHER;
}

static enum kind
kind_of(uint32_t cp)
{
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return UPPER;
    case UTF8PROC_CATEGORY_LL:
        return LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return NUMBER;
    case UTF8PROC_CATEGORY_CN:
        return kind_newer(cp);
    default:
        return OTHER;
    }
}

static bool
is_space(uint32_t cp)
{
    return (cp >= 0x09 && cp <= 0x0d) || cp == 0x20 || cp == 0x85 ||
        cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) ||
        cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f ||
        cp == 0x3000;
}

/* Beyond letters and marks: Nd, Nl, Pc, joiners and the lettered symbols. */
static bool
is_word(uint32_t cp, enum kind kind)
{
    utf8proc_category_t cat = utf8proc_category((utf8proc_int32_t)cp);

    if (kind == NUMBER)
        return cat != UTF8PROC_CATEGORY_NO;
    return kind != OTHER || cat == UTF8PROC_CATEGORY_PC || cp == 0x200c ||
        cp == 0x200d || (cp >= 0x24b6 && cp <= 0x24e9) ||
        (cp >= 0x1f130 && cp <= 0x1f149) || (cp >= 0x1f150 && cp <= 0x1f169) ||
        (cp >= 0x1f170 && cp <= 0x1f189);
}

/*
 * NFC_Quick_Check yes and combining class 0: the character does not change by
 * itself and neither moves nor joins what stands before it.
 */
static bool
is_inert(uint32_t cp)
{
    const utf8proc_property_t *p =
        utf8proc_get_property((utf8proc_int32_t)cp);
    utf8proc_int32_t buf[32];
    utf8proc_ssize_t n;
    int boundclass = UTF8PROC_BOUNDCLASS_START;

    if (cp >= 0xd800 && cp <= 0xdfff)
        return false;
    if (p->combining_class != 0)
        return false;
    if (cp >= 0x1160 && cp <= 0x11ff) /* Hangul vowels and finals join */
        return false;
    /* comb_index of 0x8000 and up marks a second of a pair */
    if (p->comb_index != UINT16_MAX && p->comb_index >= 0x8000)
        return false;
    if (p->decomp_seqindex == UINT16_MAX)
        return true;
    n = utf8proc_decompose_char((utf8proc_int32_t)cp, buf, 32,
        UTF8PROC_STABLE | UTF8PROC_COMPOSE, &boundclass);
    if (n < 1 || n > 32)
        return false;
    n = utf8proc_normalize_utf32(buf, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    return n == 1 && buf[0] == (utf8proc_int32_t)cp;
}

static uint8_t
class_of(uint32_t cp)
{
    static const uint8_t of_kind[] = {
        [OTHER] = 0,
        [MARK] = CHAR_MARK | CHAR_UPPER | CHAR_LOWER,
        [NUMBER] = CHAR_NUMBER,
        [UPPER] = CHAR_LETTER | CHAR_UPPER,
        [LOWER] = CHAR_LETTER | CHAR_LOWER,
        [LETTER] = CHAR_LETTER | CHAR_UPPER | CHAR_LOWER,
    };
    enum kind kind = kind_of(cp);
    unsigned c = of_kind[kind];

    if (is_space(cp))
        c |= CHAR_SPACE;
    if (is_word(cp, kind))
        c |= CHAR_WORD;
    if (is_inert(cp))
        c |= CHAR_INERT;
    return (uint8_t)c;
}

const uint8_t *
chars_fill(struct chars *c, size_t p)
{
    uint8_t *page = mem_calloc(256, 1);

    for (size_t i = 0; i < 256; i++)
        page[i] = class_of((uint32_t)(p << 8 | i));
    c->page[p] = page;
    return page;
}

void
chars_release(struct chars *c)
{
    for (size_t p = 0; p < CHARS_PAGES; p++)
        free(c->page[p]);
    *c = (struct chars){ 0 };
}
