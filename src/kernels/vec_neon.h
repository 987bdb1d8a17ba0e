/* Sixteen floats in four AArch64 registers: the vocabulary in which lanes_body.h and attend_body.h are
 * written. Functions ending in _n touch only the first n lanes of memory (n >= 16: all); loads leave the
 * others zero. The lanes of vec_fma_n, vec_add_n and vec_max_n from n on keep the accumulator. */
#ifndef TESS_KERNELS_VEC_NEON_H
#define TESS_KERNELS_VEC_NEON_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/elementary.h"

#define KERNEL(op, types) tess_##op##_##types##_neon
#define VEC_REGISTERS 8 /* how many vec the register file holds */
#define VEC_INLINE static inline __attribute__((always_inline, unused))

typedef struct vec {
    float32x4_t q[4]; /* lanes 0-3, 4-7, 8-11, 12-15 */
} vec;

/* Applies one intrinsic of two operands to the four registers. */
#define VEC_MAP2(function, a, b)                                                                             \
    ((vec){{function((a).q[0], (b).q[0]), function((a).q[1], (b).q[1]), function((a).q[2], (b).q[2]),        \
            function((a).q[3], (b).q[3])}})

VEC_INLINE vec vec_set(float x)
{
    const float32x4_t a = vdupq_n_f32(x);
    return (vec){{a, a, a, a}};
}

VEC_INLINE vec vec_load(const float *p)
{
    return (vec){{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}

VEC_INLINE vec vec_load_n(const float *p, size_t n)
{
    if (n >= 16) return vec_load(p);
    float copy[16] = {0};
    memcpy(copy, p, n * sizeof *p);
    return vec_load(copy);
}

VEC_INLINE void vec_store(float *p, vec a)
{
    for (size_t i = 0; i < 4; i++) vst1q_f32(p + 4 * i, a.q[i]);
}

VEC_INLINE void vec_store_n(float *p, vec a, size_t n)
{
    if (n >= 16) {
        vec_store(p, a);
        return;
    }
    float copy[16];
    vec_store(copy, a);
    memcpy(p, copy, n * sizeof *p);
}

VEC_INLINE vec vec_load_bf16_n(const uint16_t *p, size_t n)
{
    uint16_t copy[16] = {0};
    if (n < 16) {
        memcpy(copy, p, n * sizeof *p);
        p = copy;
    }
    vec a;
    for (size_t i = 0; i < 4; i++) a.q[i] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16));
    return a;
}

VEC_INLINE vec vec_add(vec a, vec b)
{
    return VEC_MAP2(vaddq_f32, a, b);
}

VEC_INLINE vec vec_sub(vec a, vec b)
{
    return VEC_MAP2(vsubq_f32, a, b);
}

VEC_INLINE vec vec_mul(vec a, vec b)
{
    return VEC_MAP2(vmulq_f32, a, b);
}

VEC_INLINE vec vec_div(vec a, vec b)
{
    return VEC_MAP2(vdivq_f32, a, b);
}

/* a * b + c */
VEC_INLINE vec vec_fma(vec a, vec b, vec c)
{
    vec d;
    for (size_t i = 0; i < 4; i++) d.q[i] = vfmaq_f32(c.q[i], a.q[i], b.q[i]);
    return d;
}

/* The first n lanes of a, the others of c. */
VEC_INLINE vec vec_first_n(vec a, vec c, size_t n)
{
    if (n >= 16) return a;
    float first[16], rest[16];
    vec_store(first, a);
    vec_store(rest, c);
    memcpy(rest, first, n * sizeof *first);
    return vec_load(rest);
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
    return vec_first_n(VEC_MAP2(vmaxq_f32, c, a), c, n);
}

VEC_INLINE vec vec_abs(vec a)
{
    for (size_t i = 0; i < 4; i++) a.q[i] = vabsq_f32(a.q[i]);
    return a;
}

/* |a| with the sign of b. */
VEC_INLINE vec vec_copysign(vec a, vec b)
{
    const uint32x4_t sign = vdupq_n_u32(0x80000000u);
    for (size_t i = 0; i < 4; i++) a.q[i] = vbslq_f32(sign, b.q[i], a.q[i]);
    return a;
}

/* a < b ? yes : no */
VEC_INLINE vec vec_if_less(vec a, vec b, vec yes, vec no)
{
    for (size_t i = 0; i < 4; i++) a.q[i] = vbslq_f32(vcltq_f32(a.q[i], b.q[i]), yes.q[i], no.q[i]);
    return a;
}

/* Whether a < b in any lane. */
VEC_INLINE bool vec_any_less(vec a, vec b)
{
    uint32x4_t less = vcltq_f32(a.q[0], b.q[0]);
    for (size_t i = 1; i < 4; i++) less = vorrq_u32(less, vcltq_f32(a.q[i], b.q[i]));
    return vmaxvq_u32(less) != 0;
}

/* a, its sign flipped where the lowest bit of b is set. */
VEC_INLINE vec vec_flip_by_low_bit(vec a, vec b)
{
    for (size_t i = 0; i < 4; i++) {
        const uint32x4_t sign = vshlq_n_u32(vreinterpretq_u32_f32(b.q[i]), 31);
        a.q[i] = vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(a.q[i]), sign));
    }
    return a;
}

/* Lane i plus i+2, then i+1. */
VEC_INLINE float vec_sum_quarter(float32x4_t a)
{
    const float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(b, 0) + vget_lane_f32(b, 1);
}

/* Lane i plus lane i+8, then i+4, i+2, i+1. */
VEC_INLINE float vec_sum(vec a)
{
    return vec_sum_quarter(vaddq_f32(vaddq_f32(a.q[0], a.q[2]), vaddq_f32(a.q[1], a.q[3])));
}

VEC_INLINE float vec_max_lane(vec a)
{
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.q[0], a.q[1]), vmaxq_f32(a.q[2], a.q[3])));
}

/* The sums of four vectors, as vec_sum orders each. */
VEC_INLINE void vec_sum4(float *out, vec a, vec b, vec c, vec d)
{
    out[0] = vec_sum(a);
    out[1] = vec_sum(b);
    out[2] = vec_sum(c);
    out[3] = vec_sum(d);
}

VEC_INLINE vec vec_round_bf16(vec a)
{
    const uint32x4_t high = vdupq_n_u32(0xffff0000u);
    for (size_t i = 0; i < 4; i++) {
        const uint32x4_t bits = vreinterpretq_u32_f32(a.q[i]);
        const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
        const uint32x4_t near = vandq_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff))), high);
        const uint32x4_t nan = vorrq_u32(vandq_u32(bits, high), vdupq_n_u32(0x00400000u));
        const uint32x4_t is_number = vceqq_f32(a.q[i], a.q[i]);
        a.q[i] = vreinterpretq_f32_u32(vbslq_u32(is_number, near, nan));
    }
    return a;
}

/* tess_exp in four lanes. */
VEC_INLINE float32x4_t vec_exp4(float32x4_t x)
{
    const float32x4_t least = vdupq_n_f32(TESS_EXP_MIN), magic = vdupq_n_f32(TESS_ROUND_MAGIC);
    const float32x4_t clamped = vmaxq_f32(least, vminq_f32(vdupq_n_f32(TESS_EXP_MAX), x));
    const float32x4_t shifted = vfmaq_f32(magic, clamped, vdupq_n_f32(TESS_LOG2E));
    const float32x4_t n = vsubq_f32(shifted, magic);
    const uint32x4_t n_int = vsubq_u32(vreinterpretq_u32_f32(shifted), vreinterpretq_u32_f32(magic));
    float32x4_t r = vfmaq_f32(clamped, n, vdupq_n_f32(-TESS_LN2_HI));
    r = vfmaq_f32(r, n, vdupq_n_f32(-TESS_LN2_LO));
    float32x4_t p = vdupq_n_f32(TESS_EXP_P0);
    p = vfmaq_f32(vdupq_n_f32(TESS_EXP_P1), p, r);
    p = vfmaq_f32(vdupq_n_f32(TESS_EXP_P2), p, r);
    p = vfmaq_f32(vdupq_n_f32(TESS_EXP_P3), p, r);
    p = vfmaq_f32(vdupq_n_f32(TESS_EXP_P4), p, r);
    p = vfmaq_f32(vdupq_n_f32(TESS_EXP_P5), p, r);
    p = vaddq_f32(vfmaq_f32(r, p, vmulq_f32(r, r)), vdupq_n_f32(1.0f));
    const uint32x4_t half = vsubq_u32(vshrq_n_u32(vaddq_u32(n_int, vdupq_n_u32(256)), 1), vdupq_n_u32(128));
    const uint32x4_t rest = vsubq_u32(n_int, half), bias = vdupq_n_u32(127);
    p = vmulq_f32(p, vreinterpretq_f32_u32(vshlq_n_u32(vaddq_u32(half, bias), 23)));
    p = vmulq_f32(p, vreinterpretq_f32_u32(vshlq_n_u32(vaddq_u32(rest, bias), 23)));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(p), vcltq_f32(x, least)));
}

VEC_INLINE vec vec_exp(vec x)
{
    for (size_t i = 0; i < 4; i++) x.q[i] = vec_exp4(x.q[i]);
    return x;
}

/* Eight floats, of which those from n on may be missing in memory. */
typedef struct vec8 {
    float32x4_t q[2];
} vec8;

VEC_INLINE vec8 vec8_set(float x)
{
    return (vec8){{vdupq_n_f32(x), vdupq_n_f32(x)}};
}

VEC_INLINE vec8 vec8_load_n(const float *p, size_t n)
{
    float copy[8] = {0};
    if (n < 8) {
        memcpy(copy, p, n * sizeof *p);
        p = copy;
    }
    return (vec8){{vld1q_f32(p), vld1q_f32(p + 4)}};
}

VEC_INLINE void vec8_store_n(float *p, vec8 a, size_t n)
{
    float copy[8];
    float *to = n < 8 ? copy : p;
    vst1q_f32(to, a.q[0]);
    vst1q_f32(to + 4, a.q[1]);
    if (n < 8) memcpy(p, copy, n * sizeof *p);
}

VEC_INLINE vec8 vec8_fma(vec8 a, vec8 b, vec8 c)
{
    return (vec8){{vfmaq_f32(c.q[0], a.q[0], b.q[0]), vfmaq_f32(c.q[1], a.q[1], b.q[1])}};
}

/* The index of the first infinity or NaN; 16 if there is none. */
VEC_INLINE size_t vec_find_non_finite(vec a)
{
    const uint32x4_t exponent = vdupq_n_u32(0x7f800000u);
    uint32_t found[16];
    uint32x4_t any = vdupq_n_u32(0);
    for (size_t i = 0; i < 4; i++) {
        const uint32x4_t q = vceqq_u32(vandq_u32(vreinterpretq_u32_f32(a.q[i]), exponent), exponent);
        any = vorrq_u32(any, q);
        vst1q_u32(found + 4 * i, q);
    }
    if (vmaxvq_u32(any) == 0) return 16;
    size_t first = 0;
    while (found[first] == 0) first++;
    return first;
}

#endif
