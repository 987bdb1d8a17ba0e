/* What convolutions over time need beside products of rows, written once over sixteen lanes: a product with
 * the columns of a matrix, convolutions channel by channel, and the snake. Each instruction set's file
 * includes its vec_*.h and then this. Activations lie [position, channel], and channels or columns go along
 * the lanes, so that no sum needs a shuffle.
 */
#include <string.h>

#include "kernels/kernel_list.h"

VEC_INLINE vec rounded_vec(vec a, tess_rounding rounding)
{
    return rounding == TESS_ROUND_BF16 ? vec_round_bf16(a) : a;
}

/* -- a product with columns -- */

enum {
    GROUP = VEC_REGISTERS >= 32 ? 12 : 6, /* tokens at once, an accumulator each */
    MAX_DEPTH = 5                         /* of the tree of 32 lanes */
};

/* The lanes in the order in which partners in the tree come next to each other: their bits reversed. */
VEC_INLINE size_t lane_at(size_t t, size_t n_lane)
{
    size_t lane = 0;
    for (size_t bit = n_lane / 2; bit > 0; bit /= 2, t /= 2)
        if (t & 1) lane += bit;
    return lane;
}

/* turned[group][element][GROUP] = the elements of every token, lane by lane; absent tokens are zeros. */
static void turn_tokens(float *turned, const float *x, size_t n_row, size_t n_tok, size_t n_lane)
{
    for (size_t first = 0; first < n_tok; first += GROUP)
        for (size_t t = 0; t < n_lane; t++)
            for (size_t k = lane_at(t, n_lane); k < n_row; k += n_lane)
                for (size_t i = first; i < first + GROUP; i++)
                    *turned++ = i < n_tok ? x[i * n_row + k] : 0.0f;
}

/* Columns of weights, plain or packed. */
typedef struct column_source {
    const uint16_t *plain; /* [n_row, stride], or NULL */
    size_t stride;
    const tess_packed_weights *packed;
    size_t first; /* column of the packed weights */
} column_source;

/* near[element][16] = the same elements of n <= 16 columns from c on. */
static void gather_columns(uint16_t *near, const column_source *w, size_t c, size_t n_row, size_t n,
                           size_t n_lane)
{
    if (n < 16) memset(near, 0, n_row * 16 * sizeof *near);
    for (size_t t = 0; t < n_lane; t++)
        for (size_t k = lane_at(t, n_lane); k < n_row; k += n_lane, near += 16) {
            if (!w->plain)
                tess_packed_read(near, w->packed, k, w->first + c, n);
            else if (n == 16)
                memcpy(near, w->plain + k * w->stride + c, 16 * sizeof *near);
            else
                memcpy(near, w->plain + k * w->stride + c, n * sizeof *near);
        }
}

/* sum = the dots of a group of tokens with sixteen columns: a lane at a time, whose finished subtrees wait in
 * `level` for their partners. */
VEC_INLINE void column_dots(vec sum[GROUP], const uint16_t *near, const float *turned, size_t n_row,
                            size_t n_lane)
{
    vec level[MAX_DEPTH][GROUP];
    size_t t = 0;
    do {
        for (size_t i = 0; i < GROUP; i++) sum[i] = vec_set(0.0f);
        for (size_t k = lane_at(t, n_lane); k < n_row; k += n_lane, near += 16, turned += GROUP) {
            const vec w = vec_load_bf16_n(near, 16);
            for (size_t i = 0; i < GROUP; i++) sum[i] = vec_fma(w, vec_set(turned[i]), sum[i]);
        }
        size_t depth = 0;
        for (; t >> depth & 1; depth++)
            for (size_t i = 0; i < GROUP; i++) sum[i] = vec_add(level[depth][i], sum[i]);
        if (t + 1 < n_lane)
            for (size_t i = 0; i < GROUP; i++) level[depth][i] = sum[i];
    } while (++t < n_lane);
}

static void multiply_columns(float *y, size_t y_stride, const column_source *w, size_t n_row, size_t n_col,
                             const float *x, size_t n_tok, size_t n_lane, float *scratch)
{
    uint16_t *near = (uint16_t *)(void *)scratch; /* [n_row, 16] */
    float *turned = scratch + n_row * 8;
    turn_tokens(turned, x, n_row, n_tok, n_lane);
    for (size_t c = 0; c < n_col; c += 16) {
        const size_t n = n_col - c < 16 ? n_col - c : 16;
        gather_columns(near, w, c, n_row, n, n_lane);
        for (size_t first = 0; first < n_tok; first += GROUP) {
            vec sum[GROUP];
            column_dots(sum, near, turned + first * n_row, n_row, n_lane);
            for (size_t i = 0; i < GROUP && first + i < n_tok; i++)
                vec_store_n(y + (first + i) * y_stride + c, sum[i], n);
        }
    }
}

void KERNEL(matmul_columns, bf16)(float *y, size_t y_stride, const uint16_t *w, size_t w_stride, size_t n_row,
                                  size_t n_col, const float *x, size_t n_tok, size_t n_lane, float *scratch)
{
    const column_source from = {.plain = w, .stride = w_stride};
    multiply_columns(y, y_stride, &from, n_row, n_col, x, n_tok, n_lane, scratch);
}

void KERNEL(matmul_columns_packed, bf16)(float *y, size_t y_stride, const tess_packed_weights *w,
                                         size_t n_row, size_t first, size_t n_col, const float *x,
                                         size_t n_tok, size_t n_lane, float *scratch)
{
    const column_source from = {.packed = w, .first = first};
    multiply_columns(y, y_stride, &from, n_row, n_col, x, n_tok, n_lane, scratch);
}

/* -- channel by channel -- */

/* The dots of sixteen channels with the n_tap <= 16 rows from x on. A lane of a dot has one product, and
 * absent lanes are +0: after the first step of the tree, which adds one to every lane, no lane is -0, and
 * adding another changes nothing. */
VEC_INLINE vec tap_dots(vec w[TESS_DEPTHWISE_TAPS], const float *x, size_t n_channel, size_t n_tap, size_t n)
{
    const vec zero = vec_set(0.0f);
    vec lane[TESS_DEPTHWISE_TAPS];
    for (size_t k = 0; k < n_tap; k++)
        lane[k] = vec_add(vec_fma(w[k], vec_load_n(x + k * n_channel, n), zero), zero);
    for (size_t half = TESS_DEPTHWISE_TAPS / 2; half > 0; half /= 2)
        for (size_t k = 0; k < half && k + half < n_tap; k++) lane[k] = vec_add(lane[k], lane[k + half]);
    return lane[0];
}

void KERNEL(depthwise, bf16)(float *y, const float *x, const uint16_t *w, const uint16_t *bias,
                             size_t n_channel, size_t n_tap, size_t n_row, tess_rounding rounding)
{
    for (size_t c = 0; c < n_channel; c += 16) {
        const size_t n = n_channel - c < 16 ? n_channel - c : 16;
        const vec b = vec_load_bf16_n(bias + c, n);
        vec weight[TESS_DEPTHWISE_TAPS];
        for (size_t k = 0; k < n_tap; k++) {
            uint16_t tap[16] = {0};
            for (size_t i = 0; i < n; i++) tap[i] = w[(c + i) * n_tap + k];
            weight[k] = vec_load_bf16_n(tap, 16);
        }
        for (size_t row = 0; row < n_row; row++) {
            const vec sum = tap_dots(weight, x + row * n_channel + c, n_channel, n_tap, n);
            vec_store_n(y + row * n_channel + c, rounded_vec(vec_add(sum, b), rounding), n);
        }
    }
}

/* -- snake -- */

enum { SNAKE_CHANNELS = 512 /* whose parameters stay near while all rows pass */ };

/* tess_sin in every lane. */
VEC_INLINE vec vec_sin(vec x)
{
    const vec magic = vec_set(TESS_ROUND_MAGIC), shifted = vec_fma(x, vec_set(TESS_1_PI), magic);
    const vec n = vec_sub(shifted, magic);
    vec r = vec_fma(n, vec_set(-TESS_PI_HI), x);
    r = vec_fma(n, vec_set(-TESS_PI_MID), r);
    r = vec_fma(n, vec_set(-TESS_PI_LO), r);
    const vec z = vec_mul(r, r);
    vec p = vec_set(TESS_SIN_P0);
    p = vec_fma(p, z, vec_set(TESS_SIN_P1));
    p = vec_fma(p, z, vec_set(TESS_SIN_P2));
    p = vec_fma(p, z, vec_set(TESS_SIN_P3));
    p = vec_fma(p, z, vec_set(TESS_SIN_P4));
    vec sine = vec_flip_by_low_bit(vec_fma(vec_mul(r, z), p, r), shifted);
    if (vec_any_less(vec_set(TESS_SIN_NEAR), vec_abs(x))) {
        float from[16], to[16];
        vec_store(from, x);
        vec_store(to, sine);
        for (size_t i = 0; i < 16; i++)
            if (fabsf(from[i]) > TESS_SIN_NEAR) to[i] = tess_sin_far(from[i]);
        sine = vec_load(to);
    }
    return sine;
}

VEC_INLINE vec snake_of(vec x, vec alpha, vec inverse, tess_rounding rounding)
{
    const vec sine = rounded_vec(vec_sin(rounded_vec(vec_mul(x, alpha), rounding)), rounding);
    const vec square = rounded_vec(vec_mul(sine, sine), rounding);
    return rounded_vec(vec_add(x, rounded_vec(vec_mul(inverse, square), rounding)), rounding);
}

void KERNEL(snake, bf16)(float *y, const float *x, const uint16_t *alpha, const uint16_t *beta,
                         size_t n_channel, size_t n_row, tess_rounding rounding)
{
    float factor[SNAKE_CHANNELS], inverse[SNAKE_CHANNELS];
    const vec one = vec_set(1.0f), least = vec_set(TESS_SNAKE_LEAST);
    for (size_t c = 0; c < n_channel; c += SNAKE_CHANNELS) {
        const size_t n = n_channel - c < SNAKE_CHANNELS ? n_channel - c : SNAKE_CHANNELS;
        for (size_t i = 0; i < n; i += 16) {
            const vec b = rounded_vec(vec_exp(vec_load_bf16_n(beta + c + i, n - i)), rounding);
            const vec divided = vec_div(one, rounded_vec(vec_add(b, least), rounding));
            vec_store_n(factor + i, rounded_vec(vec_exp(vec_load_bf16_n(alpha + c + i, n - i)), rounding),
                        n - i);
            vec_store_n(inverse + i, rounded_vec(divided, rounding), n - i);
        }
        for (size_t row = 0; row < n_row; row++)
            for (size_t i = 0; i < n; i += 16) {
                const size_t at = row * n_channel + c + i;
                vec_store_n(y + at,
                            snake_of(vec_load_n(x + at, n - i), vec_load_n(factor + i, n - i),
                                     vec_load_n(inverse + i, n - i), rounding),
                            n - i);
            }
    }
}
