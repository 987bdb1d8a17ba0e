#include "kernels/packed_weights.h"

#include <string.h>

enum { NO_CODE = 0xff };

static size_t count_chunks(size_t n_col)
{
    return (n_col + TESS_PACKED_CHUNK - 1) / TESS_PACKED_CHUNK;
}

static size_t bytes_of_row(size_t n_col)
{
    return count_chunks(n_col) * TESS_PACKED_CHUNK_BYTES;
}

static size_t bytes_of_table(size_t n_col)
{
    return TESS_PACKED_ROW_CODES + TESS_PACKED_OWN_CODES * count_chunks(n_col);
}

size_t tess_packed_bytes(size_t n_row, size_t n_col, size_t n_exception)
{
    const size_t n =
        n_row * (bytes_of_row(n_col) + bytes_of_table(n_col)) + (n_row + 1 + n_exception) * sizeof(uint32_t);
    return (n + 63) / 64 * 64;
}

bool tess_weights_can_pack(size_t n_row, size_t n_col)
{
    return n_row > 1 && n_col > 0 && n_col <= TESS_PACKED_MAX_COLUMNS &&
           16 * (bytes_of_row(n_col) + bytes_of_table(n_col)) <= 27 * n_col;
}

static size_t most_exceptions(size_t n_row, size_t n_col)
{
    return n_row * n_col / 1000;
}

bool tess_packing_pays(size_t n_exception, size_t n_row, size_t n_col)
{
    return n_exception <= most_exceptions(n_row, n_col);
}

size_t tess_packed_room(size_t n_row, size_t n_col)
{
    return tess_packed_bytes(n_row, n_col, most_exceptions(n_row, n_col));
}

/* ---- codes ---- */

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

/* The most frequent high bytes of a row, the lower one first where two are as frequent; absent ones are 0. */
static void choose_high_bytes(uint8_t high[TESS_PACKED_ROW_CODES], const uint16_t *w, size_t n)
{
    uint32_t count[256];
    uint8_t there[256];
    size_t n_there = 0;
    count_high_bytes(count, w, n);
    for (size_t v = 0; v < 256; v++)
        if (count[v] > 0) there[n_there++] = (uint8_t)v;
    memset(high, 0, TESS_PACKED_ROW_CODES);
    for (size_t code = 0; code < TESS_PACKED_ROW_CODES && code < n_there; code++) {
        size_t best = code;
        for (size_t i = code + 1; i < n_there; i++)
            if (count[there[i]] > count[there[best]] ||
                (count[there[i]] == count[there[best]] && there[i] < there[best]))
                best = i;
        high[code] = there[best];
        there[best] = there[code];
    }
}

/* The codes of high bytes in a row, and in the chunk at hand. */
typedef struct codebook {
    uint8_t of[256];
    uint8_t *own; /* [TESS_PACKED_OWN_CODES] the chunk's high bytes */
    size_t n_own, n_exception;
} codebook;

static void begin_row(codebook *codes, const uint8_t high[TESS_PACKED_ROW_CODES])
{
    memset(codes->of, NO_CODE, sizeof codes->of);
    for (size_t c = TESS_PACKED_ROW_CODES; c-- > 0;) codes->of[high[c]] = (uint8_t)c;
    codes->n_exception = 0;
}

/* A code for a high byte of which the row has none. */
static uint8_t give_code(codebook *codes, uint8_t high)
{
    if (codes->n_own == TESS_PACKED_OWN_CODES) {
        codes->n_exception++;
        return 0;
    }
    codes->own[codes->n_own] = high;
    return codes->of[high] = (uint8_t)(TESS_PACKED_ROW_CODES + codes->n_own++);
}

/* Packs n weights, a chunk of a row; `own` becomes its part of the table. */
static void pack_chunk(uint8_t chunk[TESS_PACKED_CHUNK_BYTES], uint8_t own[TESS_PACKED_OWN_CODES],
                       codebook *codes, const uint16_t *w, size_t n)
{
    memset(chunk, 0, TESS_PACKED_CHUNK_BYTES);
    memset(own, 0, TESS_PACKED_OWN_CODES);
    codes->own = own;
    codes->n_own = 0;
    for (size_t k = 0; k < n; k += 8) {
        const size_t half = k / 64, place = tess_packed_place(k % 64), run = n - k < 8 ? n - k : 8;
        uint8_t *low = chunk + 64 * half + place, *code = chunk + 128 + place;
        for (size_t i = 0; i < run; i++) {
            const uint8_t high = (uint8_t)(w[k + i] >> 8);
            uint8_t c = codes->of[high];
            if (c == NO_CODE) c = give_code(codes, high);
            low[i] = (uint8_t)w[k + i];
            code[i] |= (uint8_t)(c << 4 * half);
        }
    }
    for (size_t i = 0; i < codes->n_own; i++) codes->of[own[i]] = NO_CODE;
}

size_t tess_weights_count_exceptions(const uint16_t *w, size_t n_row, size_t n_col)
{
    uint8_t high[TESS_PACKED_ROW_CODES], own[TESS_PACKED_OWN_CODES], chunk[TESS_PACKED_CHUNK_BYTES];
    codebook codes;
    size_t n = 0;
    for (size_t r = 0; r < n_row; r++, w += n_col) {
        choose_high_bytes(high, w, n_col);
        begin_row(&codes, high);
        for (size_t k = 0; k < n_col; k += TESS_PACKED_CHUNK)
            pack_chunk(chunk, own, &codes, w + k,
                       n_col - k < TESS_PACKED_CHUNK ? n_col - k : TESS_PACKED_CHUNK);
        n += codes.n_exception;
    }
    return n;
}

/* ---- packing ---- */

tess_packed_weights tess_packed_weights_at(const void *packed, size_t n_row, size_t n_col)
{
    tess_packed_weights w = {
        .rows = packed, .row_bytes = bytes_of_row(n_col), .table_bytes = bytes_of_table(n_col)};
    w.tables = w.rows + n_row * w.row_bytes;
    w.first = (const uint32_t *)(const void *)(w.tables + n_row * w.table_bytes);
    w.exceptions = w.first + n_row + 1;
    return w;
}

/* Whether the exceptions of a row are of its columns, ascending. */
static bool has_sound_list(const uint32_t *list, size_t n, size_t n_col)
{
    for (size_t e = 0; e < n; e++)
        if (list[e] >> 16 >= n_col || (e > 0 && list[e - 1] >> 16 >= list[e] >> 16)) return false;
    return true;
}

bool tess_packed_is_sound(const void *packed, size_t n_row, size_t n_col, size_t n_byte)
{
    if (!tess_weights_can_pack(n_row, n_col) || n_byte < tess_packed_bytes(n_row, n_col, 0)) return false;
    const tess_packed_weights w = tess_packed_weights_at(packed, n_row, n_col);
    if (w.first[0] != 0 || tess_packed_bytes(n_row, n_col, w.first[n_row]) > n_byte) return false;
    for (size_t r = 0; r < n_row; r++)
        if (w.first[r] > w.first[r + 1] || w.first[r + 1] > w.first[n_row]) return false;
    for (size_t r = 0; r < n_row; r++)
        if (!has_sound_list(w.exceptions + w.first[r], w.first[r + 1] - w.first[r], n_col)) return false;
    return true;
}

/* The parts of a matrix that is being packed. */
typedef struct packing {
    uint8_t *rows, *tables;
    uint32_t *first, *exceptions;
} packing;

static packing parts_of(void *packed, size_t n_row, size_t n_col)
{
    packing p = {.rows = packed};
    p.tables = p.rows + n_row * bytes_of_row(n_col);
    p.first = (uint32_t *)(void *)(p.tables + n_row * bytes_of_table(n_col));
    p.exceptions = p.first + n_row + 1;
    return p;
}

void tess_packing_write_rows(void *packed, const uint16_t *w, size_t n_row, size_t n_col, size_t begin,
                             size_t end)
{
    const packing p = parts_of(packed, n_row, n_col);
    codebook codes;
    for (size_t r = begin; r < end; r++) {
        const uint16_t *from = w + r * n_col;
        uint8_t *row = p.rows + r * bytes_of_row(n_col), *table = p.tables + r * bytes_of_table(n_col),
                *own = table + TESS_PACKED_ROW_CODES;
        choose_high_bytes(table, from, n_col);
        begin_row(&codes, table);
        for (size_t k = 0; k < n_col; k += TESS_PACKED_CHUNK) {
            pack_chunk(row, own, &codes, from + k,
                       n_col - k < TESS_PACKED_CHUNK ? n_col - k : TESS_PACKED_CHUNK);
            row += TESS_PACKED_CHUNK_BYTES;
            own += TESS_PACKED_OWN_CODES;
        }
        p.first[r + 1] = (uint32_t)codes.n_exception;
    }
}

size_t tess_packing_place_exceptions(void *packed, size_t n_row, size_t n_col)
{
    const packing p = parts_of(packed, n_row, n_col);
    p.first[0] = 0;
    for (size_t r = 0; r < n_row; r++) p.first[r + 1] += p.first[r];
    return p.first[n_row];
}

/* The weights of a row that its codes do not give back are its exceptions. */
static void list_exceptions(uint32_t *list, const uint8_t *row, const uint8_t *table, const uint16_t *w,
                            size_t n_col)
{
    for (size_t k = 0; k < n_col; k++) {
        const size_t c = k / TESS_PACKED_CHUNK;
        const uint8_t codes = row[c * TESS_PACKED_CHUNK_BYTES + 128 + tess_packed_place(k % 64)];
        if (tess_packed_high(table, c, codes >> 4 * (k / 64 % 2) & 15) != w[k] >> 8)
            *list++ = (uint32_t)k << 16 | w[k];
    }
}

void tess_packing_write_exceptions(void *packed, const uint16_t *w, size_t n_row, size_t n_col, size_t begin,
                                   size_t end)
{
    const packing p = parts_of(packed, n_row, n_col);
    for (size_t r = begin; r < end; r++)
        if (p.first[r + 1] > p.first[r])
            list_exceptions(p.exceptions + p.first[r], p.rows + r * bytes_of_row(n_col),
                            p.tables + r * bytes_of_table(n_col), w + r * n_col, n_col);
    if (end < n_row) return;
    uint8_t *behind = (uint8_t *)(p.exceptions + p.first[n_row]);
    memset(behind, 0, tess_packed_bytes(n_row, n_col, p.first[n_row]) - (size_t)(behind - p.rows));
}

void tess_weights_pack(void *packed, const uint16_t *w, size_t n_row, size_t n_col)
{
    tess_packing_write_rows(packed, w, n_row, n_col, 0, n_row);
    tess_packing_place_exceptions(packed, n_row, n_col);
    tess_packing_write_exceptions(packed, w, n_row, n_col, 0, n_row);
}
