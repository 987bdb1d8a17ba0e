/* What the machine can do at most: reading, and fused multiply-adds, in every instruction set. */
#ifndef TESS_BENCH_YARDSTICK_H
#define TESS_BENCH_YARDSTICK_H

#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include "measure.h"
#include "base/pool.h"
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

/* Twelve accumulators by name, or the compiler keeps them in memory. */
#define PEAK(name, target, vector, set, fmadd, registers)                                                    \
    target static void name(size_t n)                                                                        \
    {                                                                                                        \
        vector a0 = set(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0, a9 = a0, \
               a10 = a0, a11 = a0;                                                                           \
        const vector m = set(0.999f), c = set(0.001f);                                                       \
        for (size_t r = 0; r < n; r++) {                                                                     \
            a0 = fmadd(a0, m, c), a1 = fmadd(a1, m, c), a2 = fmadd(a2, m, c), a3 = fmadd(a3, m, c);          \
            a4 = fmadd(a4, m, c), a5 = fmadd(a5, m, c), a6 = fmadd(a6, m, c), a7 = fmadd(a7, m, c);          \
            a8 = fmadd(a8, m, c), a9 = fmadd(a9, m, c), a10 = fmadd(a10, m, c), a11 = fmadd(a11, m, c);      \
            __asm__ volatile(""                                                                              \
                             : "+" registers(a0), "+" registers(a1), "+" registers(a2), "+" registers(a3),   \
                               "+" registers(a4), "+" registers(a5), "+" registers(a6), "+" registers(a7),   \
                               "+" registers(a8), "+" registers(a9), "+" registers(a10),                     \
                               "+" registers(a11));                                                          \
        }                                                                                                    \
    }
#define READ(name, target, vector, load, combine, zero, low)                                                 \
    target static void name(const void *p, size_t bytes)                                                     \
    {                                                                                                        \
        const vector *q = p;                                                                                 \
        vector a = zero(), b = a, c = a, d = a;                                                              \
        for (size_t i = 0; i < bytes / sizeof(vector); i += 4) {                                             \
            a = combine(a, load(q + i)), b = combine(b, load(q + i + 1));                                    \
            c = combine(c, load(q + i + 2)), d = combine(d, load(q + i + 3));                                \
        }                                                                                                    \
        sink = (float)_mm_cvtsi128_si32(low(combine(combine(a, b), combine(c, d))));                         \
    }

PEAK(peak_avx2, AVX2, __m256, _mm256_set1_ps, _mm256_fmadd_ps, "x")
PEAK(peak_avx512, AVX512, __m512, _mm512_set1_ps, _mm512_fmadd_ps, "v")
READ(read_avx2, AVX2, __m256i, _mm256_loadu_si256, _mm256_or_si256, _mm256_setzero_si256,
     _mm256_castsi256_si128)
READ(read_avx512, AVX512, __m512i, _mm512_loadu_si512, _mm512_or_si512, _mm512_setzero_si512,
     _mm512_castsi512_si128)
#undef PEAK
#undef READ
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

/* Of an instruction set; the reference's is the strongest, which is what the machine can do. */
static inline const yardstick *yardstick_of(const char *isa)
{
#define FIND(name, need)                                                                                     \
    if ((need) != 0 && !strcmp(#name, isa)) return &yardstick_##name;
    TESS_ISA_LIST(FIND)
#undef FIND
    return strongest_yardstick();
}

/* ---- shared out among threads ---- */

typedef struct yardstick_work {
    const yardstick *stick;
    const char *bytes;
    size_t n_byte, n_round; /* a multiple of 1024; of multiply-adds, on each thread */
} yardstick_work;

static inline void yardstick_read_share(void *arg, int share, int n_share)
{
    const yardstick_work *w = arg;
    int64_t begin, end;
    tess_share_range((int64_t)(w->n_byte / 1024), 1, share, n_share, &begin, &end);
    w->stick->read(w->bytes + begin * 1024, (size_t)(end - begin) * 1024);
}

/* Seconds that the threads of a pool take to read n bytes, those of the work again and again. */
static inline double yardstick_read(yardstick_work *w, tess_pool *pool, double n)
{
    double done = 0, start = bench_now(CLOCK_MONOTONIC);
    for (; done < n; done += (double)w->n_byte) tess_pool_run(pool, yardstick_read_share, w);
    return (bench_now(CLOCK_MONOTONIC) - start) * n / done;
}

static inline void yardstick_multiply_share(void *arg, int share, int n_share)
{
    (void)share, (void)n_share;
    const yardstick_work *w = arg;
    w->stick->peak(w->n_round);
}

/* n multiply-adds. */
static inline void yardstick_multiply(yardstick_work *w, tess_pool *pool, int n_thread, double n)
{
    w->n_round = (size_t)(n / (double)(w->stick->lanes * CHAINS) / n_thread);
    tess_pool_run(pool, yardstick_multiply_share, w);
}

#endif
