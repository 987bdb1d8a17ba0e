/* Unicode data of the original tokenizer: character classes, combining classes, canonical pairs.
 *
 * Plain sorted arrays for binary search; unicode_tables.c is generated, and reference/unicode_tables.py says
 * how each fact was observed. Debian's libraries know other Unicode versions than the original does, hence
 * own tables: the classes are those of Unicode 16.0, normalisation that of Unicode 9.0 (98 newer marks are
 * not reordered).
 *
 * A *run* table holds the code points at which a value changes, ascending from 0; an entry's value holds up
 * to the next entry's code point. Surrogates have value 0. Hangul syllables are left to the standard's
 * arithmetic.
 */
#ifndef TESS_TEXT_UNICODE_TABLES_H
#define TESS_TEXT_UNICODE_TABLES_H

#include <stdint.h>

enum {
    TESS_UNICODE_N_RUNS = 1964,
    TESS_UNICODE_N_COMBINING_RUNS = 499,
    TESS_UNICODE_N_DECOMPOSITIONS = 2060,
    TESS_UNICODE_N_COMPOSITIONS = 940
};

/* What \p{L}, \p{N} and \s match in the original's pattern; every other code point is TESS_UNICODE_OTHER. */
typedef enum {
    TESS_UNICODE_OTHER,
    TESS_UNICODE_LETTER,
    TESS_UNICODE_NUMBER,
    TESS_UNICODE_SPACE
} tess_unicode_class;

/* Entry: code point << 3 | sensitive << 2 | tess_unicode_class.
 * `sensitive` is set where normalising can change something: the code point is reordered, replaced, or joined
 * to what stands before it. A text without sensitive code points is its own NFC. */
extern const uint32_t tess_unicode_runs[TESS_UNICODE_N_RUNS];

/* Entry: code point << 8 | canonical combining class (0 .. 240). */
extern const uint32_t tess_unicode_combining_runs[TESS_UNICODE_N_COMBINING_RUNS];

/* One step of a canonical decomposition: code = first second, or code = first alone where second is 0.
 * `first` may decompose again, `second` does not. Ascending by code. */
typedef struct tess_unicode_pair {
    uint32_t code, first, second;
} tess_unicode_pair;
extern const tess_unicode_pair tess_unicode_decompositions[TESS_UNICODE_N_DECOMPOSITIONS];

/* Indices into tess_unicode_decompositions of the pairs that NFC joins again, ascending by (first, second).
 */
extern const uint16_t tess_unicode_compositions[TESS_UNICODE_N_COMPOSITIONS];

#endif
