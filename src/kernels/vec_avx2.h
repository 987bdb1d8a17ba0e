/* Sixteen floats in two AVX2 registers: the vocabulary in which lanes_body.h and attend_body.h are written.
 * Functions ending in _n touch only the first n lanes of memory (n >= 16: all); loads leave the others zero.
 * The lanes of vec_fma_n, vec_add_n and vec_max_n from n on keep the accumulator. */
#ifndef TESS_KERNELS_VEC_AVX2_H
#define TESS_KERNELS_VEC_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/elementary.h"

#define KERNEL(op, types) tess_##op##_##types##_avx2
#define VEC_REGISTERS 8 /* how many vec the register file holds */
#define VEC_INLINE static inline __attribute__((always_inline, unused))

typedef struct vec {
    __m256 lo, hi; /* lanes 0-7, 8-15 */
} vec;

/* Sixteen ones, then sixteen zeros: a window of 16 starting at 16-n has its first n lanes set. */
static const int32_t vec_window[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

VEC_INLINE __m256i vec_mask_lo(size_t n)
{
    return _mm256_loadu_si256((const __m256i *)(vec_window + 16 - n));
}

VEC_INLINE __m256i vec_mask_hi(size_t n)
{
    return _mm256_loadu_si256((const __m256i *)(vec_window + 24 - n));
}

VEC_INLINE vec vec_set(float x)
{
    return (vec){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

VEC_INLINE vec vec_load(const float *p)
{
    return (vec){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

VEC_INLINE vec vec_load_n(const float *p, size_t n)
{
    if (n >= 16) return vec_load(p);
    const __m256 hi = n > 8 ? _mm256_maskload_ps(p + 8, vec_mask_hi(n)) : _mm256_setzero_ps();
    return (vec){_mm256_maskload_ps(p, vec_mask_lo(n)), hi};
}

VEC_INLINE void vec_store(float *p, vec a)
{
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}

VEC_INLINE void vec_store_n(float *p, vec a, size_t n)
{
    if (n >= 16) {
        vec_store(p, a);
        return;
    }
    _mm256_maskstore_ps(p, vec_mask_lo(n), a.lo);
    if (n > 8) _mm256_maskstore_ps(p + 8, vec_mask_hi(n), a.hi);
}

VEC_INLINE __m256 vec_widen8(__m128i narrow)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
}

VEC_INLINE vec vec_load_bf16_n(const uint16_t *p, size_t n)
{
    uint16_t tail[16] = {0};
    if (n < 16) {
        for (size_t i = 0; i < n; i++) tail[i] = p[i];
        p = tail;
    }
    return (vec){vec_widen8(_mm_loadu_si128((const __m128i *)p)),
                 vec_widen8(_mm_loadu_si128((const __m128i *)(p + 8)))};
}

VEC_INLINE vec vec_add(vec a, vec b)
{
    return (vec){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}

VEC_INLINE vec vec_sub(vec a, vec b)
{
    return (vec){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}

VEC_INLINE vec vec_mul(vec a, vec b)
{
    return (vec){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}

VEC_INLINE vec vec_div(vec a, vec b)
{
    return (vec){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}

/* a * b + c */
VEC_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return (vec){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

/* The first n lanes of a, the others of c. */
VEC_INLINE vec vec_first_n(vec a, vec c, size_t n)
{
    if (n >= 16) return a;
    return (vec){_mm256_blendv_ps(c.lo, a.lo, _mm256_castsi256_ps(vec_mask_lo(n))),
                 _mm256_blendv_ps(c.hi, a.hi, _mm256_castsi256_ps(vec_mask_hi(n)))};
}

VEC_INLINE vec vec_fma_n(vec a, vec b, vec c, size_t n)
{
    return vec_first_n(vec_fma(a, b, c), c, n);
}

VEC_INLINE vec vec_add_n(vec c, vec a, size_t n)
{
    return vec_first_n(vec_add(c, a), c, n);
}

VEC_INLINE vec vec_max_n(vec c, vec a, size_t n)
{
    return vec_first_n((vec){_mm256_max_ps(c.lo, a.lo), _mm256_max_ps(c.hi, a.hi)}, c, n);
}

VEC_INLINE vec vec_abs(vec a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (vec){_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}

/* |a| with the sign of b. */
VEC_INLINE vec vec_copysign(vec a, vec b)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (vec){_mm256_or_ps(_mm256_andnot_ps(sign, a.lo), _mm256_and_ps(sign, b.lo)),
                 _mm256_or_ps(_mm256_andnot_ps(sign, a.hi), _mm256_and_ps(sign, b.hi))};
}

/* a < b ? yes : no */
VEC_INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return (vec){_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
                 _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}

/* Whether a < b in any lane. */
VEC_INLINE bool vec_any_less(vec a, vec b)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)) |
           _mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ));
}

VEC_INLINE __m256 vec_flip8(__m256 a, __m256 b)
{
    return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(b), 31)));
}

/* a, its sign flipped where the lowest bit of b is set. */
VEC_INLINE vec vec_flip_by_low_bit(vec a, vec b)
{
    return (vec){vec_flip8(a.lo, b.lo), vec_flip8(a.hi, b.hi)};
}

/* Lane i plus lane i+8, then i+4, i+2, i+1. */
VEC_INLINE float vec_sum(vec a)
{
    const __m256 b = _mm256_add_ps(a.lo, a.hi);
    const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

VEC_INLINE float vec_max_lane(vec a)
{
    const __m256 b = _mm256_max_ps(a.lo, a.hi);
    const __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

/* The sums of four vectors, as vec_sum orders each. */
VEC_INLINE void vec_sum4(float *out, vec a, vec b, vec c, vec d)
{
    const __m256 a8 = _mm256_add_ps(a.lo, a.hi), b8 = _mm256_add_ps(b.lo, b.hi);
    const __m256 c8 = _mm256_add_ps(c.lo, c.hi), d8 = _mm256_add_ps(d.lo, d.hi);
    const __m256 ab =
        _mm256_add_ps(_mm256_permute2f128_ps(a8, b8, 0x20), _mm256_permute2f128_ps(a8, b8, 0x31));
    const __m256 cd =
        _mm256_add_ps(_mm256_permute2f128_ps(c8, d8, 0x20), _mm256_permute2f128_ps(c8, d8, 0x31));
    /* ab holds a, b; cd holds c, d: four lanes each */
    const __m256 acbd = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    const __m256 s = _mm256_add_ps(acbd, _mm256_movehdup_ps(acbd));
    const __m128 ac = _mm256_castps256_ps128(s), bd = _mm256_extractf128_ps(s, 1);
    /* ac = a . c . and bd = b . d . */
    const __m128 adjacent = _mm_shuffle_ps(ac, bd, 0x88); /* a c b d */
    _mm_storeu_ps(out, _mm_shuffle_ps(adjacent, adjacent, 0xd8));
}

VEC_INLINE __m256 vec_round8(__m256 a)
{
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i near = _mm256_and_si256(sum, high);
    const __m256i nan = _mm256_or_si256(_mm256_and_si256(bits, high), _mm256_set1_epi32(0x00400000));
    return _mm256_blendv_ps(_mm256_castsi256_ps(near), _mm256_castsi256_ps(nan),
                            _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

VEC_INLINE vec vec_round_bf16(vec a)
{
    return (vec){vec_round8(a.lo), vec_round8(a.hi)};
}

/* tess_exp in eight lanes. */
VEC_INLINE __m256 vec_exp8(__m256 x)
{
    const __m256 clamped =
        _mm256_max_ps(_mm256_set1_ps(TESS_EXP_MIN), _mm256_min_ps(_mm256_set1_ps(TESS_EXP_MAX), x));
    const __m256 magic = _mm256_set1_ps(TESS_ROUND_MAGIC);
    const __m256 shifted = _mm256_fmadd_ps(clamped, _mm256_set1_ps(TESS_LOG2E), magic);
    const __m256 n = _mm256_sub_ps(shifted, magic);
    const __m256i n_int = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_castps_si256(magic));
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-TESS_LN2_HI), clamped);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-TESS_LN2_LO), r);
    __m256 p = _mm256_set1_ps(TESS_EXP_P0);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(TESS_EXP_P1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(TESS_EXP_P2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(TESS_EXP_P3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(TESS_EXP_P4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(TESS_EXP_P5));
    p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
    const __m256i half = _mm256_sub_epi32(
        _mm256_srli_epi32(_mm256_add_epi32(n_int, _mm256_set1_epi32(256)), 1), _mm256_set1_epi32(128));
    const __m256i rest = _mm256_sub_epi32(n_int, half);
    const __m256i bias = _mm256_set1_epi32(127);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
    return _mm256_and_ps(p, _mm256_cmp_ps(x, _mm256_set1_ps(TESS_EXP_MIN), _CMP_NLT_UQ));
}

VEC_INLINE vec vec_exp(vec x)
{
    return (vec){vec_exp8(x.lo), vec_exp8(x.hi)};
}

/* Eight floats, of which those from n on may be missing in memory. */
typedef __m256 vec8;

VEC_INLINE vec8 vec8_set(float x)
{
    return _mm256_set1_ps(x);
}

VEC_INLINE vec8 vec8_load_n(const float *p, size_t n)
{
    return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, vec_mask_lo(n));
}

VEC_INLINE void vec8_store_n(float *p, vec8 a, size_t n)
{
    if (n >= 8)
        _mm256_storeu_ps(p, a);
    else
        _mm256_maskstore_ps(p, vec_mask_lo(n), a);
}

VEC_INLINE vec8 vec8_fma(vec8 a, vec8 b, vec8 c)
{
    return _mm256_fmadd_ps(a, b, c);
}

VEC_INLINE unsigned vec_non_finite8(__m256 a)
{
    const __m256i exponent = _mm256_set1_epi32(0x7f800000);
    const __m256i found = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_castps_si256(a), exponent), exponent);
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(found));
}

/* The index of the first infinity or NaN; 16 if there is none. */
VEC_INLINE size_t vec_find_non_finite(vec a)
{
    return (size_t)__builtin_ctz(vec_non_finite8(a.lo) | vec_non_finite8(a.hi) << 8 | 0x10000u);
}

#endif
