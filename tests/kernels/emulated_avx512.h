/* Included before a kernel file src/kernels/<name>_avx512.c, makes AVX2 of its AVX-512: SIMDe provides the
 * intrinsics, and the kernels are named tess_<operation>_<types>_emulated, so that they stand beside the
 * native ones.
 *
 * For -mavx2 -mfma and no AVX-512 flag: SIMDe calls the real intrinsics with the one, and without -mfma
 * rounds a product before it adds. */
#ifndef TESS_EMULATED_AVX512_H
#define TESS_EMULATED_AVX512_H

#if defined(__AVX512F__) || !defined(__AVX2__) || !defined(__FMA__)
#error "compile with -mavx2 -mfma and without AVX-512"
#endif

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>

/* The intrinsics that SIMDe 0.7.4 lacks. The compiler declares them too, so macros take their names. */

#define EMULATED static inline __attribute__((always_inline, unused))

EMULATED __m512 emulated_maskz_loadu_ps(__mmask16 k, const void *p)
{
    float lanes[16] = {0};
    for (int i = 0; i < 16; i++)
        if (k >> i & 1) memcpy(lanes + i, (const char *)p + sizeof(float) * (size_t)i, sizeof(float));
    return _mm512_loadu_ps(lanes);
}

EMULATED void emulated_mask_storeu_ps(void *p, __mmask16 k, __m512 a)
{
    float lanes[16];
    _mm512_storeu_ps(lanes, a);
    for (int i = 0; i < 16; i++)
        if (k >> i & 1) memcpy((char *)p + sizeof(float) * (size_t)i, lanes + i, sizeof(float));
}

EMULATED __m256i emulated_maskz_loadu_epi16(__mmask16 k, const void *p)
{
    uint16_t lanes[16] = {0};
    for (int i = 0; i < 16; i++)
        if (k >> i & 1) memcpy(lanes + i, (const char *)p + sizeof(uint16_t) * (size_t)i, sizeof(uint16_t));
    return _mm256_loadu_si256((const __m256i *)(const void *)lanes);
}

EMULATED __m512i emulated_cvtepu16_epi32(__m256i a)
{
    uint16_t narrow[16];
    uint32_t wide[16];
    _mm256_storeu_si256((__m256i *)(void *)narrow, a);
    for (int i = 0; i < 16; i++) wide[i] = narrow[i];
    return _mm512_loadu_si512(wide);
}

EMULATED __m512 emulated_mask3_fmadd_ps(__m512 a, __m512 b, __m512 c, __mmask16 k)
{
    return _mm512_mask_mov_ps(c, k, _mm512_fmadd_ps(a, b, c));
}

EMULATED __m512 emulated_permute_ps(__m512 a, int order)
{
    float from[16], to[16];
    _mm512_storeu_ps(from, a);
    for (int i = 0; i < 16; i++) to[i] = from[i / 4 * 4 + (order >> 2 * (i % 4) & 3)];
    return _mm512_loadu_ps(to);
}

EMULATED float emulated_reduce_max_ps(__m512 a)
{
    float lanes[16];
    _mm512_storeu_ps(lanes, a);
    for (int n = 8; n > 0; n /= 2)
        for (int i = 0; i < n; i++) lanes[i] = lanes[i] > lanes[i + n] ? lanes[i] : lanes[i + n];
    return lanes[0];
}

#undef _mm512_permute_ps
#undef _mm512_shuffle_f32x4
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps
#define _mm256_maskz_loadu_epi16 emulated_maskz_loadu_epi16
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_mask3_fmadd_ps emulated_mask3_fmadd_ps
#define _mm512_permute_ps emulated_permute_ps
#define _mm512_reduce_max_ps emulated_reduce_max_ps
#define _mm512_shuffle_f32x4 simde_mm512_shuffle_f32x4 /* which it has, but not by this name */

/* The names. */

#include "emulated.h"
#include "kernels/vec_avx512.h"
#undef KERNEL
#define KERNEL(op, types) tess_##op##_##types##_emulated

/* A kernel's assembly only says which register a value should lie in, and the emulated CPU has none. After
 * every other header: those of the system use the word as well. */
#define __asm__(...)

#endif
