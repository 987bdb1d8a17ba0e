/* Matrix product with bf16 weights, AVX2 and FMA.
 *
 * Thirty-two bf16 are two registers; each splits into its even and its odd elements by a shift and a mask.
 * So the 32 canonical lanes live in four registers of eight, and a packed row is four planes:
 *
 *   plane 0: elements 0, 2, ... 14 of each 32      plane 1: 1, 3, ... 15
 *   plane 2: elements 16, 18, ... 30               plane 3: 17, 19, ... 31
 *
 * The lanes are independent until the final tree, so the tile for many tokens walks K four times, once per
 * plane: each (row, token) pair then costs one register instead of four, and 4 rows x 3 tokens fit in
 * sixteen.
 */
#include <immintrin.h>

#include "kernels/kernel_list.h"
#include "kernels/vec_avx2.h"

enum {
    PLANES = 4,
    TILE_ROWS = 4,
    TILE_TOKENS = 3,
    TOKEN_BLOCK_FLOATS = 48 * 1024, /* packed rows that stay in the L2 cache while rows of weights pass */
    PREFETCH_BYTES = 8192 /* how far ahead of use the weights of a matrix-vector product are asked for */
};

void tess_pack_f32_avx2(float *packed, const float *x, size_t n_col)
{
    const size_t plane = tess_packed_floats(n_col) / PLANES;
    for (size_t g = 0; g < n_col / 32; g++)
        for (size_t j = 0; j < 8; j++) {
            packed[8 * g + j] = x[32 * g + 2 * j];
            packed[8 * g + j + plane] = x[32 * g + 2 * j + 1];
            packed[8 * g + j + 2 * plane] = x[32 * g + 2 * j + 16];
            packed[8 * g + j + 3 * plane] = x[32 * g + 2 * j + 17];
        }
    for (size_t k = n_col / 32 * 32; k < plane * PLANES; k++) {
        const size_t in_group = k % 32, p = in_group / 16 * 2 + in_group % 2;
        packed[p * plane + k / 32 * 8 + in_group % 16 / 2] = k < n_col ? x[k] : 0.0f;
    }
}

/* The weights of one plane, at w the first of its 16 elements. */
VEC_INLINE __m256 plane_lanes(const uint16_t *w, size_t plane)
{
    const __m256i bits = _mm256_loadu_si256((const __m256i *)w);
    if (plane % 2 == 0) return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
    return _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32((int)0xffff0000u)));
}

/* The lanes of a plane that exist in a tail of n < 32 elements. */
VEC_INLINE __m256 plane_active(size_t n, size_t plane)
{
    const size_t first = plane / 2 * 16 + plane % 2; /* element of lane 0; lane j has first + 2j */
    const size_t lanes = n > first ? (n - first + 1) / 2 : 0;
    return _mm256_castsi256_ps(vec_mask_lo(lanes < 8 ? lanes : 8));
}

VEC_INLINE __m256 fma_active(__m256 w, __m256 x, __m256 acc, __m256 active)
{
    return _mm256_blendv_ps(acc, _mm256_fmadd_ps(w, x, acc), active);
}

/* The tail of a row of weights, padded so that whole registers can be read. */
VEC_INLINE void copy_tail(uint16_t *copy, const uint16_t *w, size_t n)
{
    for (size_t k = 0; k < 32; k++) copy[k] = k < n ? w[k] : 0;
}

/* The canonical tree over the four planes: step 16 adds the upper planes to the lower, steps 8, 4, 2 stay
 * within a register, step 1 adds the odd plane to the even. */
VEC_INLINE float add_lanes(__m256 p0, __m256 p1, __m256 p2, __m256 p3)
{
    const __m256 even = _mm256_add_ps(p0, p2), odd = _mm256_add_ps(p1, p3);
    const __m128 e4 = _mm_add_ps(_mm256_castps256_ps128(even), _mm256_extractf128_ps(even, 1));
    const __m128 o4 = _mm_add_ps(_mm256_castps256_ps128(odd), _mm256_extractf128_ps(odd, 1));
    const __m128 eo = _mm_add_ps(_mm_movelh_ps(e4, o4), _mm_movehl_ps(o4, e4)); /* e e o o */
    const __m128 sums = _mm_add_ps(eo, _mm_movehdup_ps(eo));                    /* e . o . */
    return _mm_cvtss_f32(_mm_add_ss(sums, _mm_movehl_ps(sums, sums)));
}

/* One walk over K for `rows` x `tokens` accumulators: the lanes of one plane. */
VEC_INLINE void walk(__m256 sum[TILE_ROWS][TILE_TOKENS], const uint16_t *w, size_t n_col, const float *x,
                     size_t x_stride, size_t rows, size_t tokens, size_t plane)
{
    const size_t whole = n_col / 32, tail = n_col % 32;
    __m256 acc[TILE_ROWS][TILE_TOKENS];
    for (size_t i = 0; i < rows; i++)
        for (size_t t = 0; t < tokens; t++) acc[i][t] = _mm256_setzero_ps();
    for (size_t g = 0; g < whole; g++) {
        __m256 u[TILE_TOKENS];
        for (size_t t = 0; t < tokens; t++) u[t] = _mm256_loadu_ps(x + t * x_stride + 8 * g);
        for (size_t i = 0; i < rows; i++) {
            const __m256 v = plane_lanes(w + i * n_col + 32 * g + plane / 2 * 16, plane);
            for (size_t t = 0; t < tokens; t++) acc[i][t] = _mm256_fmadd_ps(v, u[t], acc[i][t]);
        }
    }
    if (tail > 0) {
        const __m256 active = plane_active(tail, plane);
        for (size_t i = 0; i < rows; i++) {
            uint16_t copy[32];
            copy_tail(copy, w + i * n_col + 32 * whole, tail);
            const __m256 v = plane_lanes(copy + plane / 2 * 16, plane);
            for (size_t t = 0; t < tokens; t++)
                acc[i][t] = fma_active(v, _mm256_loadu_ps(x + t * x_stride + 8 * whole), acc[i][t], active);
        }
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t t = 0; t < tokens; t++) sum[i][t] = acc[i][t];
}

VEC_INLINE float rounded(float x, tess_rounding rounding)
{
    return rounding == TESS_ROUND_BF16 ? tess_round_bf16(x) : x;
}

VEC_INLINE void tile(float *y, size_t y_stride, const uint16_t *w, size_t n_col, const float *x, size_t rows,
                     size_t tokens, tess_rounding rounding)
{
    const size_t x_stride = tess_packed_floats(n_col), plane = x_stride / PLANES;
    __m256 sum[PLANES][TILE_ROWS][TILE_TOKENS];
    walk(sum[0], w, n_col, x, x_stride, rows, tokens, 0);
    walk(sum[1], w, n_col, x + plane, x_stride, rows, tokens, 1);
    walk(sum[2], w, n_col, x + 2 * plane, x_stride, rows, tokens, 2);
    walk(sum[3], w, n_col, x + 3 * plane, x_stride, rows, tokens, 3);
    for (size_t i = 0; i < rows; i++)
        for (size_t t = 0; t < tokens; t++)
            y[t * y_stride + i] =
                rounded(add_lanes(sum[0][i][t], sum[1][i][t], sum[2][i][t], sum[3][i][t]), rounding);
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
    if (n_tok - t == 1) tile(y, y_stride, w, n_col, x, rows, 1, rounding);
    if (n_tok - t == 2) tile(y, y_stride, w, n_col, x, rows, 2, rounding);
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
static float row_dot(const uint16_t *w, size_t n_col, const float *x)
{
    const size_t whole = n_col / 32, tail = n_col % 32, plane = tess_packed_floats(n_col) / PLANES;
    __m256 acc[PLANES];
    for (size_t p = 0; p < PLANES; p++) acc[p] = _mm256_setzero_ps();
    for (size_t g = 0; g < whole; g++) {
        _mm_prefetch((const char *)(w + 32 * g) + PREFETCH_BYTES, _MM_HINT_T0);
        for (size_t p = 0; p < PLANES; p++)
            acc[p] = _mm256_fmadd_ps(plane_lanes(w + 32 * g + p / 2 * 16, p),
                                     _mm256_loadu_ps(x + p * plane + 8 * g), acc[p]);
    }
    if (tail > 0) {
        uint16_t copy[32];
        copy_tail(copy, w + 32 * whole, tail);
        for (size_t p = 0; p < PLANES; p++)
            acc[p] = fma_active(plane_lanes(copy + p / 2 * 16, p), _mm256_loadu_ps(x + p * plane + 8 * whole),
                                acc[p], plane_active(tail, p));
    }
    return add_lanes(acc[0], acc[1], acc[2], acc[3]);
}

void tess_matmul_bf16_avx2(float *y, size_t y_stride, const uint16_t *w, size_t n_col, size_t row_begin,
                           size_t row_end, const float *packed, size_t n_tok, tess_rounding rounding)
{
    const size_t x_stride = tess_packed_floats(n_col), n_row = row_end - row_begin;
    y += row_begin;
    w += row_begin * n_col;
    if (n_tok == 1) {
        for (size_t r = 0; r < n_row; r++) y[r] = rounded(row_dot(w + r * n_col, n_col, packed), rounding);
        return;
    }
    const size_t fitting = TOKEN_BLOCK_FLOATS / (x_stride + 1) / TILE_TOKENS * TILE_TOKENS;
    const size_t block = fitting > TILE_TOKENS ? fitting : TILE_TOKENS;
    for (size_t t = 0; t < n_tok; t += block) {
        const size_t n = n_tok - t < block ? n_tok - t : block;
        matrix_matrix(y + t * y_stride, y_stride, w, n_col, n_row, packed + t * x_stride, n, rounding);
    }
}
