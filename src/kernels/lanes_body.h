/* The row operations, written once over sixteen lanes; each instruction set's file includes its vec_*.h
 * and then this. What has no partner in a sum is done lane by lane; sums use the sixteen lanes of kernels.h,
 * dot products two vectors of sixteen. The last vector of a row may be partial: vec_load_n and vec_store_n
 * touch only what exists. */
#include <math.h>

#include "kernels/kernel_list.h"

VEC_INLINE vec rounded(vec a, tess_rounding rounding)
{
    return rounding == TESS_ROUND_BF16 ? vec_round_bf16(a) : a;
}

float KERNEL(dot, f32)(const float *a, const float *b, size_t n)
{
    vec low = vec_set(0.0f), high = vec_set(0.0f); /* lanes 0-15 and 16-31 */
    size_t k = 0;
    for (; k + 32 <= n; k += 32) {
        low = vec_fma(vec_load(a + k), vec_load(b + k), low);
        high = vec_fma(vec_load(a + k + 16), vec_load(b + k + 16), high);
    }
    if (k < n) low = vec_fma_n(vec_load_n(a + k, n - k), vec_load_n(b + k, n - k), low, n - k);
    k += 16;
    if (k < n) high = vec_fma_n(vec_load_n(a + k, n - k), vec_load_n(b + k, n - k), high, n - k);
    return vec_sum(vec_add(low, high));
}

void KERNEL(softmax, f32)(float *x, size_t n)
{
    if (n == 0) return;
    vec maxima = vec_set(x[0]);
    for (size_t i = 0; i < n; i += 16) maxima = vec_max_n(maxima, vec_load_n(x + i, n - i), n - i);
    const vec max = vec_set(vec_max_lane(maxima));
    vec lanes = vec_set(0.0f);
    for (size_t i = 0; i < n; i += 16) {
        const vec e = vec_exp(vec_sub(vec_load_n(x + i, n - i), max));
        vec_store_n(x + i, e, n - i);
        lanes = vec_add_n(lanes, e, n - i);
    }
    const vec sum = vec_set(vec_sum(lanes));
    for (size_t i = 0; i < n; i += 16) vec_store_n(x + i, vec_div(vec_load_n(x + i, n - i), sum), n - i);
}

void KERNEL(rms_norm, bf16)(float *y, const float *x, const uint16_t *weight, size_t n, float eps,
                            tess_rounding rounding)
{
    vec lanes = vec_set(0.0f);
    for (size_t i = 0; i < n; i += 16) {
        const vec a = vec_load_n(x + i, n - i);
        lanes = vec_fma_n(a, a, lanes, n - i);
    }
    const float mean = vec_sum(lanes) / (float)n;
    const vec inverse = vec_set(1.0f / sqrtf(mean + eps));
    for (size_t i = 0; i < n; i += 16) {
        const vec normed = rounded(vec_mul(vec_load_n(x + i, n - i), inverse), rounding);
        vec_store_n(y + i, rounded(vec_mul(normed, vec_load_bf16_n(weight + i, n - i)), rounding), n - i);
    }
}

void KERNEL(layer_norm, bf16)(float *y, const float *x, const uint16_t *weight, const uint16_t *bias,
                              size_t n, float eps, tess_rounding rounding)
{
    vec lanes = vec_set(0.0f), squares = vec_set(0.0f);
    for (size_t i = 0; i < n; i += 16) lanes = vec_add_n(lanes, vec_load_n(x + i, n - i), n - i);
    const vec mean = vec_set(vec_sum(lanes) / (float)n);
    for (size_t i = 0; i < n; i += 16) {
        const vec deviation = vec_sub(vec_load_n(x + i, n - i), mean);
        squares = vec_fma_n(deviation, deviation, squares, n - i);
    }
    const float variance = vec_sum(squares) / (float)n;
    const vec inverse = vec_set(1.0f / sqrtf(variance + eps));
    for (size_t i = 0; i < n; i += 16) {
        const vec normed = vec_mul(vec_sub(vec_load_n(x + i, n - i), mean), inverse);
        const vec w = vec_load_bf16_n(weight + i, n - i), b = vec_load_bf16_n(bias + i, n - i);
        vec_store_n(y + i, rounded(vec_fma(normed, w, b), rounding), n - i);
    }
}

void KERNEL(add_bias, bf16)(float *y, const uint16_t *bias, size_t n, tess_rounding rounding)
{
    for (size_t i = 0; i < n; i += 16) {
        const vec sum = vec_add(vec_load_n(y + i, n - i), vec_load_bf16_n(bias + i, n - i));
        vec_store_n(y + i, rounded(sum, rounding), n - i);
    }
}

/* tess_erf in every lane: both roads, and the one that counts. */
VEC_INLINE vec vec_erf(vec x)
{
    const vec max = vec_set(TESS_ERF_MAX), abs = vec_abs(x);
    const vec t = vec_if_less(abs, max, abs, max);
    const vec s = vec_mul(t, t);
    vec near = vec_set(TESS_ERF_N0);
    near = vec_fma(near, s, vec_set(TESS_ERF_N1));
    near = vec_fma(near, s, vec_set(TESS_ERF_N2));
    near = vec_fma(near, s, vec_set(TESS_ERF_N3));
    near = vec_fma(near, s, vec_set(TESS_ERF_N4));
    near = vec_fma(near, s, vec_set(TESS_ERF_N5));
    near = vec_fma(near, s, vec_set(TESS_ERF_N6));
    near = vec_fma(near, t, t);
    vec far = vec_set(TESS_ERF_F0);
    far = vec_fma(far, t, vec_set(TESS_ERF_F1));
    far = vec_fma(far, t, vec_set(TESS_ERF_F2));
    far = vec_fma(far, t, vec_set(TESS_ERF_F3));
    far = vec_fma(far, t, vec_set(TESS_ERF_F4));
    far = vec_fma(far, t, vec_set(TESS_ERF_F5));
    far = vec_fma(far, t, vec_set(TESS_ERF_F6));
    far = vec_fma(far, t, vec_sub(vec_set(-0.0f), t));
    far = vec_sub(vec_set(1.0f), vec_exp(far));
    return vec_copysign(vec_if_less(t, vec_set(TESS_ERF_NEAR), near, far), x);
}

/* tess_tanh in every lane. */
VEC_INLINE vec vec_tanh(vec x)
{
    const vec t = vec_abs(x), one = vec_set(1.0f);
    const vec s = vec_mul(t, t);
    vec near = vec_set(TESS_TANH_N0);
    near = vec_fma(near, s, vec_set(TESS_TANH_N1));
    near = vec_fma(near, s, vec_set(TESS_TANH_N2));
    near = vec_fma(near, s, vec_set(TESS_TANH_N3));
    near = vec_fma(near, s, vec_set(TESS_TANH_N4));
    near = vec_fma(near, vec_mul(s, t), t);
    const vec far = vec_sub(one, vec_div(vec_set(2.0f), vec_add(vec_exp(vec_add(t, t)), one)));
    return vec_copysign(vec_if_less(t, vec_set(TESS_TANH_NEAR), near, far), x);
}

void KERNEL(gelu_erf, f32)(float *y, const float *x, size_t n, tess_rounding rounding)
{
    const vec half = vec_set(0.5f), one = vec_set(1.0f);
    for (size_t i = 0; i < n; i += 16) {
        const vec a = vec_load_n(x + i, n - i);
        const vec erf = vec_erf(vec_mul(a, vec_set(TESS_SQRT_HALF)));
        vec_store_n(y + i, rounded(vec_mul(vec_mul(a, half), vec_add(one, erf)), rounding), n - i);
    }
}

void KERNEL(gelu_tanh, f32)(float *y, const float *x, size_t n, tess_rounding rounding)
{
    const vec half = vec_set(0.5f), one = vec_set(1.0f), cube = vec_set(TESS_GELU_CUBE);
    for (size_t i = 0; i < n; i += 16) {
        const vec a = vec_load_n(x + i, n - i);
        const vec inner = vec_fma(cube, vec_mul(vec_mul(a, a), a), a);
        const vec tanh = vec_tanh(vec_mul(vec_set(TESS_SQRT_2_PI), inner));
        vec_store_n(y + i, rounded(vec_mul(vec_mul(a, half), vec_add(one, tanh)), rounding), n - i);
    }
}

void KERNEL(swiglu, f32)(float *h, const float *gate, const float *up, size_t n, tess_rounding rounding)
{
    const vec one = vec_set(1.0f), minus_zero = vec_set(-0.0f);
    for (size_t i = 0; i < n; i += 16) {
        const vec g = vec_load_n(gate + i, n - i);
        const vec silu = vec_div(g, vec_add(one, vec_exp(vec_sub(minus_zero, g))));
        vec_store_n(h + i, rounded(vec_mul(rounded(silu, rounding), vec_load_n(up + i, n - i)), rounding),
                    n - i);
    }
}

void KERNEL(rope, f32)(float *x, const float *cosines, const float *sines, size_t d_head,
                       tess_rounding rounding)
{
    const size_t half = d_head / 2;
    for (size_t i = 0; i < half; i += 16) {
        const size_t n = half - i;
        const vec a = vec_load_n(x + i, n), b = vec_load_n(x + half + i, n);
        const vec c = vec_load_n(cosines + i, n), s = vec_load_n(sines + i, n);
        const vec ac = rounded(vec_mul(a, c), rounding), bs = rounded(vec_mul(b, s), rounding);
        const vec bc = rounded(vec_mul(b, c), rounding), as = rounded(vec_mul(a, s), rounding);
        vec_store_n(x + i, rounded(vec_sub(ac, bs), rounding), n);
        vec_store_n(x + half + i, rounded(vec_add(bc, as), rounding), n);
    }
}

void KERNEL(add, f32)(float *y, const float *x, size_t n, tess_rounding rounding)
{
    for (size_t i = 0; i < n; i += 16)
        vec_store_n(y + i, rounded(vec_add(vec_load_n(y + i, n - i), vec_load_n(x + i, n - i)), rounding),
                    n - i);
}

void KERNEL(add_scaled, f32)(float *acc, const float *x, float weight, size_t n, tess_rounding rounding)
{
    const vec w = vec_set(weight);
    for (size_t i = 0; i < n; i += 16) {
        const vec product = rounded(vec_mul(vec_load_n(x + i, n - i), w), rounding);
        vec_store_n(acc + i, rounded(vec_add(vec_load_n(acc + i, n - i), product), rounding), n - i);
    }
}

void KERNEL(add_layer_scale, bf16)(float *acc, const float *x, const uint16_t *scale, size_t n,
                                   tess_rounding rounding)
{
    for (size_t i = 0; i < n; i += 16) {
        const vec scaled = vec_mul(vec_load_n(x + i, n - i), vec_load_bf16_n(scale + i, n - i));
        const vec sum = vec_add(vec_load_n(acc + i, n - i), rounded(scaled, rounding));
        vec_store_n(acc + i, rounded(sum, rounding), n - i);
    }
}

void KERNEL(widen, bf16)(float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) vec_store_n(y + i, vec_load_bf16_n(x + i, n - i), n - i);
}

void KERNEL(round_bf16, f32)(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) vec_store_n(x + i, vec_round_bf16(vec_load_n(x + i, n - i)), n - i);
}

size_t KERNEL(find_non_finite, f32)(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        const size_t found = vec_find_non_finite(vec_load_n(x + i, n - i));
        if (found < 16) return i + found;
    }
    return n;
}
