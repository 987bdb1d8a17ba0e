#include "kernels/packed_weights.h"

#include <string.h>

enum { NO_CODE = 0xff };

static size_t bytes_of_row(size_t n_col)
{
    return (n_col + TESS_PACKED_CHUNK - 1) / TESS_PACKED_CHUNK * TESS_PACKED_CHUNK_BYTES;
}

size_t tess_packed_bytes(size_t n_row, size_t n_col, size_t n_exception)
{
    const size_t n =
        n_row * (bytes_of_row(n_col) + TESS_PACKED_CODES) + (n_row + 1 + n_exception) * sizeof(uint32_t);
    return (n + 63) / 64 * 64;
}

bool tess_weights_can_pack(size_t n_row, size_t n_col)
{
    return n_row > 0 && n_col > 0 && n_col <= TESS_PACKED_MAX_COLUMNS &&
           16 * (bytes_of_row(n_col) + TESS_PACKED_CODES) <= 27 * n_col;
}

bool tess_packing_pays(size_t n_exception, size_t n_row, size_t n_col)
{
    return n_exception <= n_row * n_col / 1000;
}

/* Counted in four tables, or equal bytes behind each other would wait for each other. */
static void count_high_bytes(uint32_t count[256], const uint16_t *w, size_t n)
{
    uint32_t part[3][256] = {{0}};
    memset(count, 0, 256 * sizeof *count);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        count[w[i] >> 8]++;
        for (size_t j = 0; j < 3; j++) part[j][w[i + 1 + j] >> 8]++;
    }
    for (; i < n; i++) count[w[i] >> 8]++;
    for (size_t v = 0; v < 256; v++) count[v] += part[0][v] + part[1][v] + part[2][v];
}

/* The sixteen most frequent high bytes of a row, the lower one first where two are as frequent; absent ones
 * are 0. Returns how many weights have another. */
static size_t choose_high_bytes(uint8_t high[TESS_PACKED_CODES], const uint16_t *w, size_t n)
{
    uint32_t count[256];
    uint8_t there[256];
    size_t n_there = 0, left = n;
    count_high_bytes(count, w, n);
    for (size_t v = 0; v < 256; v++)
        if (count[v] > 0) there[n_there++] = (uint8_t)v;
    memset(high, 0, TESS_PACKED_CODES);
    for (size_t code = 0; code < TESS_PACKED_CODES && code < n_there; code++) {
        size_t best = code;
        for (size_t i = code + 1; i < n_there; i++)
            if (count[there[i]] > count[there[best]] ||
                (count[there[i]] == count[there[best]] && there[i] < there[best]))
                best = i;
        high[code] = there[best];
        there[best] = there[code];
        left -= count[high[code]];
    }
    return left;
}

size_t tess_weights_count_exceptions(const uint16_t *w, size_t n_row, size_t n_col)
{
    uint8_t high[TESS_PACKED_CODES];
    size_t n = 0;
    for (size_t r = 0; r < n_row; r++) n += choose_high_bytes(high, w + r * n_col, n_col);
    return n;
}

/* Packs n <= 8 weights, those from column k on, whose places are next to each other; returns where exceptions
 * end. */
static uint32_t *pack_run(uint8_t *low, uint8_t *codes, size_t half, uint32_t *exception,
                          const uint8_t code[256], const uint16_t *w, size_t k, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c = code[w[i] >> 8];
        if (c == NO_CODE) {
            *exception++ = (uint32_t)(k + i) << 16 | w[i];
            c = 0;
        }
        low[i] = (uint8_t)w[i];
        codes[i] |= (uint8_t)(c << 4 * half);
    }
    return exception;
}

/* Packs a row; returns where its exceptions end. */
static uint32_t *pack_row(uint8_t *row, uint32_t *exception, const uint8_t high[TESS_PACKED_CODES],
                          const uint16_t *w, size_t n_col)
{
    uint8_t code[256];
    memset(code, NO_CODE, sizeof code);
    for (size_t c = TESS_PACKED_CODES; c-- > 0;) code[high[c]] = (uint8_t)c;
    memset(row, 0, bytes_of_row(n_col));
    for (size_t k = 0; k < n_col; k += 8) {
        uint8_t *chunk = row + k / TESS_PACKED_CHUNK * TESS_PACKED_CHUNK_BYTES;
        const size_t half = k / 64 % 2, place = tess_packed_place(k % 64);
        exception = pack_run(chunk + 64 * half + place, chunk + 128 + place, half, exception, code, w + k, k,
                             n_col - k < 8 ? n_col - k : 8);
    }
    return exception;
}

void tess_weights_pack(void *packed, size_t n_exception, const uint16_t *w, size_t n_row, size_t n_col)
{
    uint8_t *rows = packed, *high = rows + n_row * bytes_of_row(n_col);
    uint32_t *first = (uint32_t *)(void *)(high + n_row * TESS_PACKED_CODES), *list = first + n_row + 1,
             *end = list;
    for (size_t r = 0; r < n_row; r++) {
        choose_high_bytes(high + r * TESS_PACKED_CODES, w + r * n_col, n_col);
        first[r] = (uint32_t)(end - list);
        end =
            pack_row(rows + r * bytes_of_row(n_col), end, high + r * TESS_PACKED_CODES, w + r * n_col, n_col);
    }
    first[n_row] = (uint32_t)(end - list);
    memset(end, 0, tess_packed_bytes(n_row, n_col, n_exception) - (size_t)((uint8_t *)end - rows));
}

tess_packed_weights tess_packed_weights_at(const void *packed, size_t n_row, size_t n_col)
{
    tess_packed_weights w = {.rows = packed, .row_bytes = bytes_of_row(n_col)};
    w.high = w.rows + n_row * w.row_bytes;
    w.first = (const uint32_t *)(const void *)(w.high + n_row * TESS_PACKED_CODES);
    w.exceptions = w.first + n_row + 1;
    return w;
}
