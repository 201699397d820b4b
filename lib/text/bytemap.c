#include "lib/text/bytemap.h"

uint32_t
bytemap_char(uint8_t byte)
{
    if (byte <= 0x20)
        return 0x100U + byte;
    if (byte >= 0x7f && byte <= 0xa0)
        return 0x121U + (uint32_t)(byte - 0x7f);
    if (byte == 0xad)
        return 0x143;
    return byte;
}

int
bytemap_byte(uint32_t cp)
{
    if (cp >= 0x100 && cp <= 0x120)
        return (int)(cp - 0x100);
    if (cp >= 0x121 && cp <= 0x142)
        return (int)(cp - 0x121 + 0x7f);
    if (cp == 0x143)
        return 0xad;
    if (cp > 0x20 && cp < 0x100 && !(cp >= 0x7f && cp <= 0xa0) && cp != 0xad)
        return (int)cp;
    return -1;
}
