/* Weights in three quarters of their bytes, without loss, in a form that products read as it is.
 *
 * The high byte of a bf16, its sign and all but the last bit of its exponent, has few values in a row of a
 * trained matrix: sixteen of them, other ones for every row, cover all but some in a hundred thousand
 * elements. It becomes a code of four bits, the low byte stays. A weight of any other high byte is an
 * exception: its code means nothing, and it stands, whole, in a list of its row. So every bit pattern has its
 * form, rows are found without a search, and one byte shuffle and one interleaving give back what plain
 * weights are. An exception costs a branch that is guessed wrong, as much as some hundred weights: a matrix
 * with many of them is better left plain.
 *
 * A packed matrix, in bytes from its beginning, which is aligned to 4 (64 is faster):
 *
 *   0           rows, each of TESS_PACKED_CHUNK_BYTES for every TESS_PACKED_CHUNK elements begun
 *   then        for every row the high bytes of codes 0 .. 15
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
    TESS_PACKED_CODES = 16,
    TESS_PACKED_MAX_COLUMNS = 65536
};

/* Where the parts of a packed matrix lie; owns nothing. */
typedef struct tess_packed_weights {
    const uint8_t *rows;
    size_t row_bytes;
    const uint8_t *high;        /* [n_row, 16] */
    const uint32_t *first;      /* [n_row + 1] */
    const uint32_t *exceptions; /* [first[n_row]] */
} tess_packed_weights;

/* Whether a matrix of this shape can be packed: no column too many, and no padding that eats the gain. */
bool tess_weights_can_pack(size_t n_row, size_t n_col);

/* Weights of w[n_row, n_col], bf16, row-major, aligned to 2 bytes only, that are exceptions. */
size_t tess_weights_count_exceptions(const uint16_t *w, size_t n_row, size_t n_col);

/* Whether products with so many exceptions are faster than with plain weights. */
bool tess_packing_pays(size_t n_exception, size_t n_row, size_t n_col);

/* Bytes of a packed matrix. */
size_t tess_packed_bytes(size_t n_row, size_t n_col, size_t n_exception);

/* packed[tess_packed_bytes()], aligned to 4, = w[n_row, n_col], whose exceptions were counted. */
void tess_weights_pack(void *packed, size_t n_exception, const uint16_t *w, size_t n_row, size_t n_col);

/* The parts of a packed matrix of this shape. */
tess_packed_weights tess_packed_weights_at(const void *packed, size_t n_row, size_t n_col);

/* The byte of a half where its element k < 64 lies. */
static inline size_t tess_packed_place(size_t k)
{
    return 16 * (k % 32 / 8) + 8 * (k / 32) + k % 8;
}

/* out[n] = elements begin .. begin+n-1 of a row. Those of a multiple of 8 on lie next to each other. */
static inline void tess_packed_read(uint16_t *out, const tess_packed_weights *w, size_t row, size_t begin,
                                    size_t n)
{
    const uint8_t *chunks = w->rows + row * w->row_bytes, *high = w->high + TESS_PACKED_CODES * row;
    for (size_t i = 0; i < n;) {
        const size_t k = begin + i, half = k / 64 % 2, place = tess_packed_place(k % 64);
        const size_t run = n - i < 8 - k % 8 ? n - i : 8 - k % 8;
        const uint8_t *chunk = chunks + k / TESS_PACKED_CHUNK * TESS_PACKED_CHUNK_BYTES + place;
        for (size_t j = 0; j < run; j++)
            out[i + j] = (uint16_t)(high[chunk[128 + j] >> 4 * half & 15] << 8 | chunk[64 * half + j]);
        i += run;
    }
    for (uint32_t e = w->first[row]; e < w->first[row + 1]; e++) {
        const size_t k = w->exceptions[e] >> 16;
        if (k >= begin && k < begin + n) out[k - begin] = (uint16_t)w->exceptions[e];
    }
}

#endif
