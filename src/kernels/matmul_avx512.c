/* Matrix product with bf16 weights, AVX-512.
 *
 * A register of 32 bf16 holds the even lanes in its low halves and the odd lanes in its high halves: a shift
 * and a mask widen them, no shuffle. So the 32 canonical lanes live in two registers, "even" and "odd", and
 * a packed row holds all its even elements first, then all its odd ones.
 *
 * The lanes are independent until the final tree, so the tile for many tokens walks K twice, once for the
 * even and once for the odd lanes: each (row, token) pair then costs one register instead of two, and a
 * tile of 6 rows x 4 tokens fits.
 */
#include <immintrin.h>

#include "kernels/kernel_list.h"
#include "kernels/vec_avx512.h"

enum {
    TILE_ROWS = 6,
    TILE_TOKENS = 4,
    TOKEN_BLOCK_FLOATS = 96 * 1024, /* packed rows that stay in the L2 cache while rows of weights pass */
    PREFETCH_BYTES = 8192 /* how far ahead of use the weights of a matrix-vector product are asked for */
};

void tess_pack_f32_avx512(float *packed, const float *x, size_t n_col)
{
    const size_t half = tess_packed_floats(n_col) / 2;
    for (size_t j = 0; j < n_col / 2; j++) {
        packed[j] = x[2 * j];
        packed[half + j] = x[2 * j + 1];
    }
    for (size_t j = n_col / 2; j < half; j++) {
        packed[j] = 2 * j < n_col ? x[2 * j] : 0.0f;
        packed[half + j] = 0.0f;
    }
}

VEC_INLINE __m512 even_lanes(__m512i w)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(w, 16));
}

VEC_INLINE __m512 odd_lanes(__m512i w)
{
    return _mm512_castsi512_ps(_mm512_and_si512(w, _mm512_set1_epi32((int)0xffff0000u)));
}

VEC_INLINE __m512i load_tail(const uint16_t *w, size_t n)
{
    return _mm512_maskz_loadu_epi16((__mmask32)((1u << n) - 1u), w);
}

/* The canonical tree over four pairs of accumulators at once. Lane l of `even` is lane 2l of the dot, lane l
 * of `odd` lane 2l+1: steps 16, 8, 4, 2 stay within a register, step 1 adds odd to even. */
VEC_INLINE __m128 add_lanes4(const __m512 *even, const __m512 *odd, tess_rounding rounding)
{
    float e[4], o[4];
    vec_sum4(e, even[0], even[1], even[2], even[3]);
    vec_sum4(o, odd[0], odd[1], odd[2], odd[3]);
    const __m128 sum = _mm_add_ps(_mm_loadu_ps(e), _mm_loadu_ps(o));
    return rounding == TESS_ROUND_BF16 ? _mm512_castps512_ps128(vec_round_bf16(_mm512_castps128_ps512(sum)))
                                       : sum;
}

/* One walk over K for `rows` x `tokens` accumulators: the even lanes or the odd ones. */
VEC_INLINE void walk(__m512 acc[TILE_ROWS][TILE_TOKENS], const uint16_t *w, size_t n_col, const float *x,
                     size_t x_stride, size_t rows, size_t tokens, int odd)
{
    const size_t whole = n_col / 32, tail = n_col % 32;
    for (size_t i = 0; i < rows; i++)
        for (size_t t = 0; t < tokens; t++) acc[i][t] = _mm512_setzero_ps();
    for (size_t g = 0; g < whole; g++) {
        __m512 v[TILE_ROWS];
        for (size_t i = 0; i < rows; i++) {
            const __m512i bits = _mm512_loadu_si512(w + i * n_col + 32 * g);
            v[i] = odd ? odd_lanes(bits) : even_lanes(bits);
        }
        for (size_t t = 0; t < tokens; t++) {
            const __m512 u = _mm512_loadu_ps(x + t * x_stride + 16 * g);
            for (size_t i = 0; i < rows; i++) acc[i][t] = _mm512_fmadd_ps(v[i], u, acc[i][t]);
        }
    }
    if (tail == 0) return;
    const __mmask16 active = vec_mask(odd ? tail / 2 : (tail + 1) / 2);
    for (size_t i = 0; i < rows; i++) {
        const __m512i bits = load_tail(w + i * n_col + 32 * whole, tail);
        const __m512 v = odd ? odd_lanes(bits) : even_lanes(bits);
        for (size_t t = 0; t < tokens; t++)
            acc[i][t] =
                _mm512_mask3_fmadd_ps(v, _mm512_loadu_ps(x + t * x_stride + 16 * whole), acc[i][t], active);
    }
}

VEC_INLINE void tile(float *y, size_t y_stride, const uint16_t *w, size_t n_col, const float *x, size_t rows,
                     size_t tokens, tess_rounding rounding)
{
    const size_t x_stride = tess_packed_floats(n_col);
    __m512 even[TILE_ROWS][TILE_TOKENS], odd[TILE_ROWS][TILE_TOKENS];
    walk(even, w, n_col, x, x_stride, rows, tokens, 0);
    walk(odd, w, n_col, x + x_stride / 2, x_stride, rows, tokens, 1);
    for (size_t i = 0; i < rows; i++) {
        for (size_t t = tokens; t < TILE_TOKENS; t++) even[i][t] = odd[i][t] = _mm512_setzero_ps();
        float sums[4];
        _mm_storeu_ps(sums, add_lanes4(even[i], odd[i], rounding));
        for (size_t t = 0; t < tokens; t++) y[t * y_stride + i] = sums[t];
    }
}

/* `rows` rows against every token of a block: the weights stay in the L1 cache, the tokens in the L2. */
VEC_INLINE void tile_rows(float *y, size_t y_stride, const uint16_t *w, size_t n_col, const float *x,
                          size_t n_tok, size_t rows, tess_rounding rounding)
{
    const size_t x_stride = tess_packed_floats(n_col);
    size_t t = 0;
    for (; t + TILE_TOKENS <= n_tok; t += TILE_TOKENS)
        tile(y + t * y_stride, y_stride, w, n_col, x + t * x_stride, rows, TILE_TOKENS, rounding);
    y += t * y_stride, x += t * x_stride;
    switch (n_tok - t) {
    case 1:
        tile(y, y_stride, w, n_col, x, rows, 1, rounding);
        break;
    case 2:
        tile(y, y_stride, w, n_col, x, rows, 2, rounding);
        break;
    case 3:
        tile(y, y_stride, w, n_col, x, rows, 3, rounding);
        break;
    default:
        break;
    }
}

static void matrix_matrix(float *y, size_t y_stride, const uint16_t *w, size_t n_col, size_t n_row,
                          const float *x, size_t n_tok, tess_rounding rounding)
{
    size_t r = 0;
    for (; r + TILE_ROWS <= n_row; r += TILE_ROWS)
        tile_rows(y + r, y_stride, w + r * n_col, n_col, x, n_tok, TILE_ROWS, rounding);
    for (; r < n_row; r++) tile_rows(y + r, y_stride, w + r * n_col, n_col, x, n_tok, 1, rounding);
}

/* One row of a matrix-vector product. Rows are read one after another, as one stream: four streams at once
 * reach half the rate of one from memory, and rows of 4 KiB end where the hardware's prefetcher stops. */
VEC_INLINE void row_lanes(__m512 *even, __m512 *odd, const uint16_t *w, size_t n_col, const float *x)
{
    const size_t whole = n_col / 32, tail = n_col % 32;
    const float *x_odd = x + tess_packed_floats(n_col) / 2;
    __m512 e = _mm512_setzero_ps(), o = _mm512_setzero_ps();
    for (size_t g = 0; g < whole; g++) {
        _mm_prefetch((const char *)(w + 32 * g) + PREFETCH_BYTES, _MM_HINT_T0);
        const __m512i bits = _mm512_loadu_si512(w + 32 * g);
        e = _mm512_fmadd_ps(even_lanes(bits), _mm512_loadu_ps(x + 16 * g), e);
        o = _mm512_fmadd_ps(odd_lanes(bits), _mm512_loadu_ps(x_odd + 16 * g), o);
    }
    if (tail > 0) {
        const __m512i bits = load_tail(w + 32 * whole, tail);
        e = _mm512_mask3_fmadd_ps(even_lanes(bits), _mm512_loadu_ps(x + 16 * whole), e,
                                  vec_mask((tail + 1) / 2));
        o = _mm512_mask3_fmadd_ps(odd_lanes(bits), _mm512_loadu_ps(x_odd + 16 * whole), o,
                                  vec_mask(tail / 2));
    }
    *even = e;
    *odd = o;
}

static void matrix_vector(float *y, const uint16_t *w, size_t n_col, size_t n_row, const float *x,
                          tess_rounding rounding)
{
    size_t r = 0;
    for (; r < n_row; r += 4) {
        const size_t rows = n_row - r < 4 ? n_row - r : 4;
        __m512 even[4], odd[4];
        for (size_t i = 0; i < 4; i++) {
            even[i] = odd[i] = _mm512_setzero_ps();
            if (i < rows) row_lanes(&even[i], &odd[i], w + (r + i) * n_col, n_col, x);
        }
        float sums[4];
        _mm_storeu_ps(sums, add_lanes4(even, odd, rounding));
        for (size_t i = 0; i < rows; i++) y[r + i] = sums[i];
    }
}

void tess_matmul_bf16_avx512(float *y, size_t y_stride, const uint16_t *w, size_t n_col, size_t row_begin,
                             size_t row_end, const float *packed, size_t n_tok, tess_rounding rounding)
{
    const size_t x_stride = tess_packed_floats(n_col), n_row = row_end - row_begin;
    y += row_begin;
    w += row_begin * n_col;
    if (n_tok == 1) {
        matrix_vector(y, w, n_col, n_row, packed, rounding);
        return;
    }
    const size_t fitting = TOKEN_BLOCK_FLOATS / (x_stride + 1) / TILE_TOKENS * TILE_TOKENS;
    const size_t block = fitting > TILE_TOKENS ? fitting : TILE_TOKENS;
    for (size_t t = 0; t < n_tok; t += block) {
        const size_t n = n_tok - t < block ? n_tok - t : block;
        matrix_matrix(y + t * y_stride, y_stride, w, n_col, n_row, packed + t * x_stride, n, rounding);
    }
}
