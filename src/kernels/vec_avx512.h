/* Sixteen floats in AVX-512: the vocabulary in which lanes_body.h and attend_body.h are written.
 * Functions ending in _n touch only the first n lanes of memory (n >= 16: all); loads leave the others zero.
 * The lanes of vec_fma_n, vec_add_n and vec_max_n from n on keep the accumulator. */
#ifndef TESS_KERNELS_VEC_AVX512_H
#define TESS_KERNELS_VEC_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/elementary.h"

#define KERNEL(op, types) tess_##op##_##types##_avx512
#define VEC_REGISTERS 32 /* how many vec the register file holds */
#define VEC_INLINE static inline __attribute__((always_inline, unused))

typedef __m512 vec;

VEC_INLINE __mmask16 vec_mask(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1u);
}

VEC_INLINE vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

VEC_INLINE vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

VEC_INLINE vec vec_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vec_mask(n), p);
}

VEC_INLINE void vec_store(float *p, vec a)
{
    _mm512_storeu_ps(p, a);
}

VEC_INLINE void vec_store_n(float *p, vec a, size_t n)
{
    _mm512_mask_storeu_ps(p, vec_mask(n), a);
}

VEC_INLINE vec vec_load_bf16_n(const uint16_t *p, size_t n)
{
    const __m256i narrow = _mm256_maskz_loadu_epi16(vec_mask(n), p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

VEC_INLINE vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

VEC_INLINE vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

VEC_INLINE vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

VEC_INLINE vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

/* a * b + c */
VEC_INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

VEC_INLINE vec vec_fma_n(vec a, vec b, vec c, size_t n)
{
    return _mm512_mask3_fmadd_ps(a, b, c, vec_mask(n));
}

VEC_INLINE vec vec_add_n(vec c, vec a, size_t n)
{
    return _mm512_mask_add_ps(c, vec_mask(n), c, a);
}

VEC_INLINE vec vec_max_n(vec c, vec a, size_t n)
{
    return _mm512_mask_max_ps(c, vec_mask(n), c, a);
}

VEC_INLINE vec vec_abs(vec a)
{
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7fffffff)));
}

/* |a| with the sign of b. */
VEC_INLINE vec vec_copysign(vec a, vec b)
{
    const __m512i sign = _mm512_set1_epi32((int)0x80000000u);
    const __m512i bits = _mm512_andnot_si512(sign, _mm512_castps_si512(a));
    return _mm512_castsi512_ps(_mm512_or_si512(bits, _mm512_and_si512(_mm512_castps_si512(b), sign)));
}

/* a < b ? yes : no */
VEC_INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

/* Whether a < b in any lane. */
VEC_INLINE bool vec_any_less(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ) != 0;
}

/* a, its sign flipped where the lowest bit of b is set. */
VEC_INLINE vec vec_flip_by_low_bit(vec a, vec b)
{
    const __m512i sign = _mm512_slli_epi32(_mm512_castps_si512(b), 31);
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(a), sign));
}

VEC_INLINE __m256 vec_upper_half(vec a)
{
    return _mm256_castsi256_ps(_mm512_extracti64x4_epi64(_mm512_castps_si512(a), 1));
}

/* Lane i plus lane i+8, then i+4, i+2, i+1. */
VEC_INLINE float vec_sum(vec a)
{
    const __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), vec_upper_half(a));
    const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

VEC_INLINE float vec_max_lane(vec a)
{
    return _mm512_reduce_max_ps(a);
}

/* The sums of four vectors, as vec_sum orders each. */
VEC_INLINE __m128 vec_sums4(vec a, vec b, vec c, vec d)
{
    const vec ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const vec cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    vec s = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0x4e));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0xb1));
    const __m512i every_fourth = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(every_fourth, s));
}

VEC_INLINE void vec_sum4(float *out, vec a, vec b, vec c, vec d)
{
    _mm_storeu_ps(out, vec_sums4(a, b, c, d));
}

VEC_INLINE vec vec_round_bf16(vec a)
{
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i high = _mm512_set1_epi32((int)0xffff0000u);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i near = _mm512_and_si512(sum, high);
    const __m512i nan = _mm512_or_si512(_mm512_and_si512(bits, high), _mm512_set1_epi32(0x00400000));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    return _mm512_castsi512_ps(_mm512_mask_blend_epi32(is_nan, near, nan));
}

/* tess_exp in every lane. */
VEC_INLINE vec vec_exp(vec x)
{
    const vec clamped =
        _mm512_max_ps(_mm512_set1_ps(TESS_EXP_MIN), _mm512_min_ps(_mm512_set1_ps(TESS_EXP_MAX), x));
    const vec magic = _mm512_set1_ps(TESS_ROUND_MAGIC);
    const vec shifted = _mm512_fmadd_ps(clamped, _mm512_set1_ps(TESS_LOG2E), magic);
    const vec n = _mm512_sub_ps(shifted, magic);
    const __m512i n_int = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_castps_si512(magic));
    vec r = _mm512_fmadd_ps(n, _mm512_set1_ps(-TESS_LN2_HI), clamped);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-TESS_LN2_LO), r);
    vec p = _mm512_set1_ps(TESS_EXP_P0);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(TESS_EXP_P1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(TESS_EXP_P2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(TESS_EXP_P3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(TESS_EXP_P4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(TESS_EXP_P5));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
    const __m512i half = _mm512_sub_epi32(
        _mm512_srli_epi32(_mm512_add_epi32(n_int, _mm512_set1_epi32(256)), 1), _mm512_set1_epi32(128));
    const __m512i rest = _mm512_sub_epi32(n_int, half);
    const __m512i bias = _mm512_set1_epi32(127);
    p = _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(half, bias), 23)));
    p = _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(rest, bias), 23)));
    const __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(TESS_EXP_MIN), _CMP_NLT_UQ);
    return _mm512_maskz_mov_ps(normal, p);
}

/* Eight floats, of which those from n on may be missing in memory. */
typedef __m256 vec8;

VEC_INLINE vec8 vec8_set(float x)
{
    return _mm256_set1_ps(x);
}

VEC_INLINE vec8 vec8_load_n(const float *p, size_t n)
{
    if (n >= 8) return _mm256_loadu_ps(p);
    return _mm512_castps512_ps256(vec_load_n(p, n));
}

VEC_INLINE void vec8_store_n(float *p, vec8 a, size_t n)
{
    vec_store_n(p, _mm512_castps256_ps512(a), n < 8 ? n : 8);
}

VEC_INLINE vec8 vec8_fma(vec8 a, vec8 b, vec8 c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* The index of the first infinity or NaN; 16 if there is none. */
VEC_INLINE size_t vec_find_non_finite(vec a)
{
    const __m512i exponent = _mm512_set1_epi32(0x7f800000);
    const __m512i masked = _mm512_and_si512(_mm512_castps_si512(a), exponent);
    const unsigned found = _mm512_cmpeq_epi32_mask(masked, exponent);
    return (size_t)__builtin_ctz(found | 0x10000u);
}

#endif
