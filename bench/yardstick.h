/* What the machine can do at most: reading, and fused multiply-adds, in every instruction set. */
#ifndef TESS_BENCH_YARDSTICK_H
#define TESS_BENCH_YARDSTICK_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel_list.h"

static volatile float sink; /* keeps what is computed from being left out */

typedef void peak_fn(size_t n);                    /* n rounds of FMA_PER_ROUND vector FMAs */
typedef void read_fn(const void *p, size_t bytes); /* bytes a multiple of 1024 */
typedef struct yardstick {
    peak_fn *peak;
    read_fn *read;
    size_t lanes;
} yardstick;

enum { CHAINS = 12 }; /* enough independent accumulators to fill two units of four cycles */

static void read_plain(const void *p, size_t bytes)
{
    const uint64_t *q = p;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (size_t i = 0; i < bytes / 8; i += 4) a += q[i], b += q[i + 1], c += q[i + 2], d += q[i + 3];
    sink = (float)(a + b + c + d);
}

static void peak_plain(size_t n)
{
    float a[CHAINS];
    for (int i = 0; i < CHAINS; i++) a[i] = (float)i;
    for (size_t r = 0; r < n; r++)
        for (int i = 0; i < CHAINS; i++) a[i] = __builtin_fmaf(a[i], 0.999f, 0.001f);
    for (int i = 0; i < CHAINS; i++) sink = a[i];
}

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))

AVX2 static void peak_avx2(size_t n)
{
    __m256 a0 = _mm256_set1_ps(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0,
           a9 = a0, a10 = a0, a11 = a0;
    const __m256 m = _mm256_set1_ps(0.999f), c = _mm256_set1_ps(0.001f);
#define STEP(a)                                                                                              \
    a = _mm256_fmadd_ps(a, m, c);                                                                            \
    __asm__ volatile("" : "+x"(a));
    for (size_t r = 0; r < n; r++) {
        STEP(a0)
        STEP(a1) STEP(a2) STEP(a3) STEP(a4) STEP(a5) STEP(a6) STEP(a7) STEP(a8) STEP(a9) STEP(a10) STEP(a11)
    }
#undef STEP
}

AVX512 static void peak_avx512(size_t n)
{
    __m512 a0 = _mm512_set1_ps(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0,
           a9 = a0, a10 = a0, a11 = a0;
    const __m512 m = _mm512_set1_ps(0.999f), c = _mm512_set1_ps(0.001f);
#define STEP(a)                                                                                              \
    a = _mm512_fmadd_ps(a, m, c);                                                                            \
    __asm__ volatile("" : "+v"(a));
    for (size_t r = 0; r < n; r++) {
        STEP(a0)
        STEP(a1) STEP(a2) STEP(a3) STEP(a4) STEP(a5) STEP(a6) STEP(a7) STEP(a8) STEP(a9) STEP(a10) STEP(a11)
    }
#undef STEP
}

AVX2 static void read_avx2(const void *p, size_t bytes)
{
    const __m256i *q = p;
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i < bytes / 32; i += 4) {
        a = _mm256_or_si256(a, _mm256_loadu_si256(q + i));
        b = _mm256_or_si256(b, _mm256_loadu_si256(q + i + 1));
        c = _mm256_or_si256(c, _mm256_loadu_si256(q + i + 2));
        d = _mm256_or_si256(d, _mm256_loadu_si256(q + i + 3));
    }
    a = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
    sink = (float)_mm_cvtsi128_si32(_mm256_castsi256_si128(a));
}

AVX512 static void read_avx512(const void *p, size_t bytes)
{
    const __m512i *q = p;
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t i = 0; i < bytes / 64; i += 4) {
        a = _mm512_or_si512(a, _mm512_loadu_si512(q + i));
        b = _mm512_or_si512(b, _mm512_loadu_si512(q + i + 1));
        c = _mm512_or_si512(c, _mm512_loadu_si512(q + i + 2));
        d = _mm512_or_si512(d, _mm512_loadu_si512(q + i + 3));
    }
    a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
    sink = (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(a));
}
#endif

#if defined(__aarch64__)
#include <arm_neon.h>

static void peak_neon(size_t n)
{
    float32x4_t a[CHAINS];
    for (int i = 0; i < CHAINS; i++) a[i] = vdupq_n_f32(0.0f);
    const float32x4_t m = vdupq_n_f32(0.999f);
    for (size_t r = 0; r < n; r++)
        for (int i = 0; i < CHAINS; i++) {
            a[i] = vfmaq_f32(m, a[i], m);
            __asm__ volatile("" : "+w"(a[i]));
        }
    for (int i = 0; i < CHAINS; i++) sink = vgetq_lane_f32(a[i], 0);
}
#endif

static const yardstick yardstick_reference = {peak_plain, read_plain, 1};
#if defined(__x86_64__)
static const yardstick yardstick_avx2 = {peak_avx2, read_avx2, 8};
static const yardstick yardstick_avx512 = {peak_avx512, read_avx512, 16};
#elif defined(__aarch64__)
static const yardstick yardstick_neon = {peak_neon, read_plain, 4};
#endif

/* Of the strongest instruction set that is here. */
static inline const yardstick *strongest_yardstick(void)
{
    const yardstick *strongest = &yardstick_reference;
#define TAKE(isa, need)                                                                                      \
    if (tess_isa_available(need)) strongest = &yardstick_##isa;
    TESS_ISA_LIST(TAKE)
#undef TAKE
    return strongest;
}

#endif
