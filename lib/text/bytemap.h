/*
 * bytemap.h - GPT-2's alphabet: a printable character for every byte
 *
 * Bytes 21-7E, A1-AC and AE-FF stand for the code points of the same number;
 * the other 68, in increasing order, for U+0100 and on.
 */
#ifndef QUERN_TEXT_BYTEMAP_H
#define QUERN_TEXT_BYTEMAP_H

#include <stdint.h>

enum { BYTEMAP_LAST = 0x143 };

/* Code point of a byte. */
uint32_t bytemap_char(uint8_t byte);
/* Byte of a code point, -1 if it is none of the 256. */
int bytemap_byte(uint32_t cp);

#endif
