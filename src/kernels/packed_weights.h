/* Weights in some three quarters of their bytes, without loss, in a form that products read as it is.
 *
 * The high byte of a bf16, its sign and all but the last bit of its exponent, has few values in a row of a
 * trained matrix. It becomes a code of four bits, the low byte stays. Twelve codes mean the same in all of a
 * row, its most frequent high bytes; four mean in each chunk of 128 elements what this chunk has besides.
 * A weight for which its chunk has no code left is an exception: its code means nothing, and it stands,
 * whole, in a list of its row. So every bit pattern has its form, rows are found without a search, and one
 * byte shuffle and one interleaving give back what plain weights are. Codes of a chunk's own cost next to
 * nothing, an exception a branch that is guessed wrong: a matrix with many of them is better left plain.
 *
 * A packed matrix, in bytes from its beginning, which is aligned to 4 (64 is faster):
 *
 *   0           rows, each of TESS_PACKED_CHUNK_BYTES for every TESS_PACKED_CHUNK elements begun
 *   then        for every row its table: the high bytes of codes 0 .. 11, then of codes 12 .. 15 by chunk
 *   then        first[n_row + 1], uint32: where the exceptions of a row begin in the list
 *   then        the list, uint32: column << 16 | weight, ascending in a row
 *   then        zeros up to a multiple of 64
 *
 * A chunk of 128 elements is two halves of 64: their low bytes, 64 and 64, then 64 bytes of codes, the first
 * half's in the lower four bits, the second's in the upper. Element k of a half has byte
 * 16*(k%32/8) + 8*(k/32) + k%8 of it, so that interleaving the lower and the upper 8 bytes of every 16 with
 * their high bytes gives elements 0 .. 31 and 32 .. 63 in order, in registers of any width. What fills the
 * last chunk of a row is code 0, low byte 0.
 *
 * All numbers are little-endian. Nothing is allocated, nothing fails, any thread may call.
 */
#ifndef TESS_KERNELS_PACKED_WEIGHTS_H
#define TESS_KERNELS_PACKED_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TESS_PACKED_CHUNK = 128,
    TESS_PACKED_CHUNK_BYTES = 192,
    TESS_PACKED_ROW_CODES = 12,
    TESS_PACKED_OWN_CODES = 4, /* of a chunk */
    TESS_PACKED_MAX_COLUMNS = 65536
};

/* Where the parts of a packed matrix lie; owns nothing. */
typedef struct tess_packed_weights {
    const uint8_t *rows, *tables;
    size_t row_bytes, table_bytes;
    const uint32_t *first;      /* [n_row + 1] */
    const uint32_t *exceptions; /* [first[n_row]] */
} tess_packed_weights;

/* Whether a matrix of this shape can be packed: no vector, whose elements norms read, no column too many, and
 * no padding that eats the gain. */
bool tess_weights_can_pack(size_t n_row, size_t n_col);

/* Weights of w[n_row, n_col], bf16, row-major, aligned to 2 bytes only, that are exceptions. */
size_t tess_weights_count_exceptions(const uint16_t *w, size_t n_row, size_t n_col);

/* Whether products with so many exceptions are faster than with plain weights. */
bool tess_packing_pays(size_t n_exception, size_t n_row, size_t n_col);

/* Bytes of a packed matrix, and the most that one has for which packing pays. */
size_t tess_packed_bytes(size_t n_row, size_t n_col, size_t n_exception);
size_t tess_packed_room(size_t n_row, size_t n_col);

/* packed[tess_packed_bytes()], aligned to 4, = w[n_row, n_col], whose exceptions were counted. */
void tess_weights_pack(void *packed, const uint16_t *w, size_t n_row, size_t n_col);

/* The same in three steps, of which the first and the last may be done by several threads, each for rows of
 * its own, begin <= r < end. Before the last step nothing is written where exceptions will stand, so a caller
 * with less room than tess_packed_bytes() learns from the second, which returns how many there are. */
void tess_packing_write_rows(void *packed, const uint16_t *w, size_t n_row, size_t n_col, size_t begin,
                             size_t end);
size_t tess_packing_place_exceptions(void *packed, size_t n_row, size_t n_col);
void tess_packing_write_exceptions(void *packed, const uint16_t *w, size_t n_row, size_t n_col, size_t begin,
                                   size_t end);

/* Whether n_byte bytes, aligned to 4, hold a packed matrix of this shape, so that nothing outside of them is
 * read; what weights they give is not asked. Bytes from elsewhere are checked before they are used. */
bool tess_packed_is_sound(const void *packed, size_t n_row, size_t n_col, size_t n_byte);

/* The parts of a packed matrix of this shape. */
tess_packed_weights tess_packed_weights_at(const void *packed, size_t n_row, size_t n_col);

/* The byte of a half where its element k < 64 lies. */
static inline size_t tess_packed_place(size_t k)
{
    return 16 * (k % 32 / 8) + 8 * (k / 32) + k % 8;
}

/* The high byte that a code means in a chunk, by the table of the row. */
static inline uint8_t tess_packed_high(const uint8_t *table, size_t chunk, size_t code)
{
    return table[code < TESS_PACKED_ROW_CODES ? code : code + TESS_PACKED_OWN_CODES * chunk];
}

/* out[n] = elements begin .. begin+n-1 of a row. Those of a multiple of 8 on lie next to each other. */
static inline void tess_packed_read(uint16_t *out, const tess_packed_weights *w, size_t row, size_t begin,
                                    size_t n)
{
    const uint8_t *chunks = w->rows + row * w->row_bytes, *table = w->tables + row * w->table_bytes;
    for (size_t i = 0; i < n;) {
        const size_t k = begin + i, half = k / 64 % 2, place = tess_packed_place(k % 64);
        const size_t run = n - i < 8 - k % 8 ? n - i : 8 - k % 8, c = k / TESS_PACKED_CHUNK;
        const uint8_t *chunk = chunks + c * TESS_PACKED_CHUNK_BYTES + place;
        for (size_t j = 0; j < run; j++)
            out[i + j] = (uint16_t)(tess_packed_high(table, c, chunk[128 + j] >> 4 * half & 15) << 8 |
                                    chunk[64 * half + j]);
        i += run;
    }
    for (uint32_t e = w->first[row]; e < w->first[row + 1]; e++) {
        const size_t k = w->exceptions[e] >> 16;
        if (k >= begin && k < begin + n) out[k - begin] = (uint16_t)w->exceptions[e];
    }
}

#endif
