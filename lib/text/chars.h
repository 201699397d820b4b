/*
 * chars.h - what the splitters ask about a character, one byte per code point
 *
 * Categories are Unicode 16's, those of the library that wrote the reference
 * ids (tokenizers 0.23 with Oniguruma): utf8proc's Unicode 15 and the
 * characters assigned since. White space is Unicode's White_Space.
 */
#ifndef QUERN_TEXT_CHARS_H
#define QUERN_TEXT_CHARS_H

#include <stddef.h>
#include <stdint.h>

enum char_class {
    CHAR_LETTER = 1,  /* L */
    CHAR_UPPER = 2,   /* Lu Lt Lm Lo M: may begin a cased word */
    CHAR_LOWER = 4,   /* Ll Lm Lo M: may go on in one */
    CHAR_MARK = 8,    /* M */
    CHAR_NUMBER = 16, /* N */
    CHAR_SPACE = 32,  /* White_Space */
    CHAR_WORD = 64,   /* \w of Rust's regex: Alphabetic, M, Nd, Pc, joiners */
    CHAR_INERT = 128, /* text of such characters only is NFC as it stands */
};

enum { CHARS_PAGES = 0x1100 };

/* Pages are made when first asked for; a zeroed struct is empty. */
struct chars {
    uint8_t *page[CHARS_PAGES]; /* 256 classes each; owned */
};

/* Makes the page of code points `p` * 256 and on; returns it. */
const uint8_t *chars_fill(struct chars *c, size_t p);
void chars_release(struct chars *c);

/* enum char_class bits of `cp`, which must be at most U+10FFFF */
static inline unsigned
chars_get(struct chars *c, uint32_t cp)
{
    const uint8_t *page = c->page[cp >> 8];

    if (page == NULL)
        page = chars_fill(c, cp >> 8);
    return page[cp & 0xff];
}

#endif
