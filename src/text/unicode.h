/* Questions about one code point, answered from unicode_tables.c. */
#ifndef TESS_TEXT_UNICODE_H
#define TESS_TEXT_UNICODE_H

#include <stdbool.h>

#include "text/unicode_tables.h"

/* What the runs say beyond ASCII: sensitive << 2 | class. */
unsigned tess_char_find_run(uint32_t code);

/* The first code point that normalising may change; the combining marks begin there. */
enum { TESS_FIRST_SENSITIVE = 0x300 };

/* Classes of ASCII, two bits each, 16 characters a word: what unicode_tables.c says of them, for speed. */
static const uint32_t tess_ascii_classes[8] = {0x0ffc0000, 0x00000000, 0x00000003, 0x000aaaaa,
                                               0x55555554, 0x00155555, 0x55555554, 0x00155555};

static inline tess_unicode_class tess_char_get_class(uint32_t code)
{
    if (code < 0x80) return (tess_unicode_class)(tess_ascii_classes[code >> 4] >> (code & 15) * 2 & 3);
    return (tess_unicode_class)(tess_char_find_run(code) & 3);
}

/* True if normalising may reorder, replace or join this code point to what stands before it. */
static inline bool tess_char_is_sensitive(uint32_t code)
{
    return code >= TESS_FIRST_SENSITIVE && (tess_char_find_run(code) & 4);
}

/* Canonical combining class; 0 for a starter. */
uint8_t tess_char_get_combining(uint32_t code);

/* One step of the canonical decomposition, NULL if there is none. Hangul syllables are not in the table. */
const tess_unicode_pair *tess_char_get_decomposition(uint32_t code);

/* The code point that `first` and `second` are joined to, or 0. Hangul is not in the table. */
uint32_t tess_char_get_composition(uint32_t first, uint32_t second);

#endif
