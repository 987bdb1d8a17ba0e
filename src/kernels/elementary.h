/* Elementary functions, scalar. The vector variants do the same operations in the same order, so every
 * instruction set gives the same bits. Of libm only fma is used: glibc chooses its exp by processor.
 *
 * exp: |error| < 1.1 ulp where the result is normal; +0 where e^x is below the smallest normal; the argument
 *      is clamped at TESS_EXP_MAX, so the result is always finite.
 * log: x must be positive and finite; |error| < 1 ulp.
 * erf, tanh: |error| < 1.1 and 1.4 ulp; odd to the bit, never beyond 1. A polynomial next to zero, elsewhere
 * 1 less what the exponential gives; which one counts is chosen after both, as vectors do it.
 * sin: |error| < 2 ulp for every finite argument; odd to the bit, never beyond 1. The argument is reduced
 * by n * pi, with pi a sum of three floats up to TESS_SIN_NEAR, where fused steps lose nothing however close
 * it is to a multiple of pi, and by integers beyond. Vectors take the second road lane by lane.
 */
#ifndef TESS_KERNELS_ELEMENTARY_H
#define TESS_KERNELS_ELEMENTARY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define TESS_EXP_MIN -87.33654f /* the smallest float whose exponential is a normal number */
#define TESS_EXP_MAX 88.72283f  /* the largest float whose exponential is finite */
#define TESS_LOG2E 1.44269504f
#define TESS_ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer, held in the low bits */
/* ln 2 in two parts; the first has so few bits that n times it is exact. */
#define TESS_LN2_HI 0.693359375f
#define TESS_LN2_LO -2.12194440e-4f
/* (e^r - 1 - r) / r^2 for |r| <= ln2/2, highest power first (Cephes' coefficients) */
#define TESS_EXP_P0 1.9875691500e-4f
#define TESS_EXP_P1 1.3981999507e-3f
#define TESS_EXP_P2 8.3334519073e-3f
#define TESS_EXP_P3 4.1665795894e-2f
#define TESS_EXP_P4 1.6666665459e-1f
#define TESS_EXP_P5 5.0000001201e-1f
/* erf(t) / t - 1 in t^2 for t < TESS_ERF_NEAR; log(1 - erf(t)) / t + 1 in t from there to TESS_ERF_MAX,
 * beyond which erf is 1 in float32; highest power first */
#define TESS_ERF_NEAR 0.921875f
#define TESS_ERF_MAX 4.0f
#define TESS_ERF_N0 8.320077177e-05f
#define TESS_ERF_N1 -8.130187634e-04f
#define TESS_ERF_N2 5.199891981e-03f
#define TESS_ERF_N3 -2.685895003e-02f
#define TESS_ERF_N4 1.128368676e-01f
#define TESS_ERF_N5 -3.761263192e-01f
#define TESS_ERF_N6 1.283791661e-01f
#define TESS_ERF_F0 -1.123585389e-05f
#define TESS_ERF_F1 3.228138376e-04f
#define TESS_ERF_F2 -3.642461030e-03f
#define TESS_ERF_F3 2.376207337e-02f
#define TESS_ERF_F4 -1.062368676e-01f
#define TESS_ERF_F5 -6.351513863e-01f
#define TESS_ERF_F6 -1.286484450e-01f
/* (tanh(t) - t) / t^3 in t^2 for t < TESS_TANH_NEAR, highest power first */
#define TESS_TANH_NEAR 0.65f
#define TESS_TANH_N0 -5.515458528e-03f
#define TESS_TANH_N1 2.046941780e-02f
#define TESS_TANH_N2 -5.368796736e-02f
#define TESS_TANH_N3 1.333083063e-01f
#define TESS_TANH_N4 -3.333325982e-01f
/* pi in three parts; (sin(r) - r) / r^3 in r^2 for |r| <= 1.6, highest power first */
#define TESS_SIN_NEAR 1048576.0f
#define TESS_1_PI 0.318309886f
#define TESS_PI_HI 3.14159274f
#define TESS_PI_MID -8.74227766e-08f
#define TESS_PI_LO -3.43024902e-15f
#define TESS_SIN_P0 -2.384417463e-08f
#define TESS_SIN_P1 2.752285582e-06f
#define TESS_SIN_P2 -1.984081900e-04f
#define TESS_SIN_P3 8.333330974e-03f
#define TESS_SIN_P4 -1.666666716e-01f
#define TESS_SNAKE_LEAST 1e-9f      /* what a snake's divisor is kept from zero by */
#define TESS_SQRT_HALF 0.707106781f /* sqrt(1/2) */
#define TESS_SQRT_2_PI 0.797884561f /* sqrt(2/pi) */
#define TESS_GELU_CUBE 0.044715f

static inline float tess_float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t tess_bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The nearest bf16, ties to even, as a float; by integers, so that subnormals survive on every machine. */
static inline float tess_round_bf16(float x)
{
    const uint32_t bits = tess_bits_of_float(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return tess_float_of_bits((bits & 0xffff0000u) | 0x00400000u);
    return tess_float_of_bits((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
}

static inline float tess_exp(float x)
{
    const float clamped = x > TESS_EXP_MAX ? TESS_EXP_MAX : (x < TESS_EXP_MIN ? TESS_EXP_MIN : x);
    /* n = round(x / ln 2) as a float and, from the low bits of the same sum, as an integer */
    const float shifted = fmaf(clamped, TESS_LOG2E, TESS_ROUND_MAGIC);
    const float n = shifted - TESS_ROUND_MAGIC;
    const uint32_t n_int = tess_bits_of_float(shifted) - tess_bits_of_float(TESS_ROUND_MAGIC);
    float r = fmaf(n, -TESS_LN2_HI, clamped);
    r = fmaf(n, -TESS_LN2_LO, r);
    float p = TESS_EXP_P0;
    p = fmaf(p, r, TESS_EXP_P1);
    p = fmaf(p, r, TESS_EXP_P2);
    p = fmaf(p, r, TESS_EXP_P3);
    p = fmaf(p, r, TESS_EXP_P4);
    p = fmaf(p, r, TESS_EXP_P5);
    p = fmaf(p, r * r, r) + 1.0f;
    /* 2^n as 2^(n - n/2) * 2^(n/2): n = 128 has no exponent of its own */
    const uint32_t half = (n_int + 256u) / 2 - 128u;
    p = p * tess_float_of_bits((half + 127u) << 23);
    p = p * tess_float_of_bits((n_int - half + 127u) << 23);
    return x < TESS_EXP_MIN ? 0.0f : p;
}

static inline float tess_sigmoid(float x)
{
    return 1.0f / (1.0f + tess_exp(-x));
}

static inline float tess_silu(float x)
{
    return x / (1.0f + tess_exp(-x));
}

static inline float tess_erf(float x)
{
    const float abs = fabsf(x);
    const float t = abs < TESS_ERF_MAX ? abs : TESS_ERF_MAX;
    const float s = t * t;
    float near = TESS_ERF_N0;
    near = fmaf(near, s, TESS_ERF_N1);
    near = fmaf(near, s, TESS_ERF_N2);
    near = fmaf(near, s, TESS_ERF_N3);
    near = fmaf(near, s, TESS_ERF_N4);
    near = fmaf(near, s, TESS_ERF_N5);
    near = fmaf(near, s, TESS_ERF_N6);
    near = fmaf(near, t, t);
    float far = TESS_ERF_F0;
    far = fmaf(far, t, TESS_ERF_F1);
    far = fmaf(far, t, TESS_ERF_F2);
    far = fmaf(far, t, TESS_ERF_F3);
    far = fmaf(far, t, TESS_ERF_F4);
    far = fmaf(far, t, TESS_ERF_F5);
    far = fmaf(far, t, TESS_ERF_F6);
    far = fmaf(far, t, -t);
    far = 1.0f - tess_exp(far);
    return copysignf(t < TESS_ERF_NEAR ? near : far, x);
}

static inline float tess_tanh(float x)
{
    const float t = fabsf(x);
    const float s = t * t;
    float near = TESS_TANH_N0;
    near = fmaf(near, s, TESS_TANH_N1);
    near = fmaf(near, s, TESS_TANH_N2);
    near = fmaf(near, s, TESS_TANH_N3);
    near = fmaf(near, s, TESS_TANH_N4);
    near = fmaf(near, s * t, t);
    const float far = 1.0f - 2.0f / (tess_exp(t + t) + 1.0f);
    return copysignf(t < TESS_TANH_NEAR ? near : far, x);
}

static inline float tess_gelu_erf(float x)
{
    return x * 0.5f * (1.0f + tess_erf(x * TESS_SQRT_HALF));
}

static inline float tess_gelu_tanh(float x)
{
    const float inner = TESS_SQRT_2_PI * fmaf(TESS_GELU_CUBE, x * x * x, x);
    return x * 0.5f * (1.0f + tess_tanh(inner));
}

/* (-1)^n * sin(r), |r| <= 1.6; of n the lowest bit counts. */
static inline float tess_sin_reduced(float r, uint32_t n)
{
    const float z = r * r;
    float p = TESS_SIN_P0;
    p = fmaf(p, z, TESS_SIN_P1);
    p = fmaf(p, z, TESS_SIN_P2);
    p = fmaf(p, z, TESS_SIN_P3);
    p = fmaf(p, z, TESS_SIN_P4);
    const float s = fmaf(r * z, p, r);
    return tess_float_of_bits(tess_bits_of_float(s) ^ n << 31);
}

/* sin for |x| > TESS_SIN_NEAR: x = m * 2^e, and of 2^e/pi only what is below 2 counts, 96 bits of it. */
static inline float tess_sin_far(float x)
{
    static const uint32_t one_over_pi[8] = {0, /* the bits behind the point begin with the second word */
                                            0x517cc1b7u, 0x27220a94u, 0xfe13abe8u, 0xfa9a6ee0u,
                                            0x6db14accu, 0x9e21c820u, 0xff28b1d5u};
    const uint32_t bits = tess_bits_of_float(x), exponent = bits >> 23 & 255u;
    if (exponent == 255u) return x - x; /* NaN */
    const uint64_t m = (bits & 0x007fffffu) | 0x00800000u;
    const uint32_t first = exponent - 150u + 31u, shift = first % 32; /* the bit of weight 1 */
    const uint32_t *word = one_over_pi + first / 32;
    uint32_t part[3];
    for (int i = 0; i < 3; i++) part[i] = (uint32_t)(((uint64_t)word[i] << 32 | word[i + 1]) >> (32 - shift));
    /* m times that, modulo 2, in units of 2^-63 */
    const uint64_t turns = m * ((uint64_t)part[0] << 32 | part[1]) + (m * part[2] >> 32);
    const uint64_t n = (turns + (UINT64_C(1) << 62)) >> 63;
    const int64_t left = (int64_t)(turns - (n << 63));
    const float r = (float)((double)left * (0x1p-63 * 3.14159265358979311600e+00));
    return tess_sin_reduced(tess_float_of_bits(tess_bits_of_float(r) ^ (bits & 0x80000000u)), (uint32_t)n);
}

static inline float tess_sin(float x)
{
    if (fabsf(x) > TESS_SIN_NEAR) return tess_sin_far(x);
    const float shifted = fmaf(x, TESS_1_PI, TESS_ROUND_MAGIC);
    const float n = shifted - TESS_ROUND_MAGIC;
    float r = fmaf(n, -TESS_PI_HI, x);
    r = fmaf(n, -TESS_PI_MID, r);
    r = fmaf(n, -TESS_PI_LO, r);
    return tess_sin_reduced(r, tess_bits_of_float(shifted));
}

static inline float tess_log(float x)
{
    uint32_t bits = tess_bits_of_float(x);
    float e = 0.0f;
    if (bits < 0x00800000u) { /* subnormal: scale by 2^23 */
        bits = tess_bits_of_float(x * 8388608.0f);
        e = -23.0f;
    }
    /* x = 2^e * m, sqrt(1/2) <= m < sqrt(2) */
    bits -= 0x3f3504f3u;
    e += (float)((int32_t)bits >> 23);
    const float m = tess_float_of_bits((bits & 0x007fffffu) + 0x3f3504f3u);
    const float f = m - 1.0f;
    const float z = f * f;
    float p = 7.0376836292e-2f;
    p = fmaf(p, f, -1.1514610310e-1f);
    p = fmaf(p, f, 1.1676998740e-1f);
    p = fmaf(p, f, -1.2420140846e-1f);
    p = fmaf(p, f, 1.4249322787e-1f);
    p = fmaf(p, f, -1.6668057665e-1f);
    p = fmaf(p, f, 2.0000714765e-1f);
    p = fmaf(p, f, -2.4999993993e-1f);
    p = fmaf(p, f, 3.3333331174e-1f);
    float y = f * z * p;
    y = fmaf(e, TESS_LN2_LO, y);
    y = fmaf(-0.5f, z, y);
    return fmaf(e, TESS_LN2_HI, f + y);
}

#endif
