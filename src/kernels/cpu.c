/* What the processor and the operating system can run: CPUID says what the processor has, XGETBV whether
 * the operating system saves the registers. */
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum {
    FMA = 1u << 12, /* leaf 1, ecx */
    OSXSAVE = 1u << 27,
    AVX = 1u << 28,
    AVX2 = 1u << 5, /* leaf 7, ebx */
    AVX512F = 1u << 16,
    AVX512DQ = 1u << 17,
    AVX512BW = 1u << 30,
};
#define AVX512VL (1u << 31)

enum {
    XCR0_AVX = 0x06,   /* SSE and AVX state */
    XCR0_AVX512 = 0xe6 /* and opmask, upper halves, upper registers */
};

static unsigned enabled_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

unsigned tess_cpu_mask(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE) || !(c & AVX) || !(c & FMA)) return 0;
    const unsigned state = enabled_state();
    if ((state & XCR0_AVX) != XCR0_AVX) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2)) return 0;
    const unsigned wide = (unsigned)AVX512F | AVX512DQ | AVX512BW | AVX512VL;
    if ((state & XCR0_AVX512) == XCR0_AVX512 && (b & wide) == wide) return TESS_CPU_AVX2FMA | TESS_CPU_AVX512;
    return TESS_CPU_AVX2FMA;
}

#elif defined(__aarch64__)

unsigned tess_cpu_mask(void)
{
    return TESS_CPU_NEON; /* part of the architecture */
}

#else

unsigned tess_cpu_mask(void)
{
    return 0;
}

#endif
