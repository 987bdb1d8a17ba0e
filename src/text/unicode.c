#include "text/unicode.h"

#include <stddef.h>

/* Index of the last run that begins at or before `code`; the first run begins at 0. */
static size_t find_run(const uint32_t *runs, size_t n, unsigned shift, uint32_t code)
{
    size_t low = 0, high = n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (runs[middle] >> shift <= code)
            low = middle;
        else
            high = middle;
    }
    return low;
}

unsigned tess_char_find_run(uint32_t code)
{
    return tess_unicode_runs[find_run(tess_unicode_runs, TESS_UNICODE_N_RUNS, 3, code)] & 7;
}

uint8_t tess_char_get_combining(uint32_t code)
{
    if (code < TESS_FIRST_SENSITIVE) return 0;
    const uint32_t *runs = tess_unicode_combining_runs;
    return (uint8_t)runs[find_run(runs, TESS_UNICODE_N_COMBINING_RUNS, 8, code)];
}

const tess_unicode_pair *tess_char_get_decomposition(uint32_t code)
{
    size_t low = 0, high = TESS_UNICODE_N_DECOMPOSITIONS;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const tess_unicode_pair *pair = &tess_unicode_decompositions[middle];
        if (pair->code == code) return pair;
        if (pair->code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint32_t tess_char_get_composition(uint32_t first, uint32_t second)
{
    size_t low = 0, high = TESS_UNICODE_N_COMPOSITIONS;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const tess_unicode_pair *pair = &tess_unicode_decompositions[tess_unicode_compositions[middle]];
        if (pair->first == first && pair->second == second) return pair->code;
        if (pair->first < first || (pair->first == first && pair->second < second))
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}
