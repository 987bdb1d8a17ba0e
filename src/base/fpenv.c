#include "base/fpenv.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* MXCSR: all exceptions masked, round to nearest, flush-to-zero and denormals-are-zero off. */
enum { MXCSR_DEFAULT = 0x1f80 };

tess_fpenv tess_fpenv_enter(void)
{
    tess_fpenv saved = {_mm_getcsr()};
    _mm_setcsr(MXCSR_DEFAULT);
    return saved;
}

void tess_fpenv_leave(tess_fpenv saved)
{
    _mm_setcsr((unsigned)saved.control);
}
#elif defined(__aarch64__)
tess_fpenv tess_fpenv_enter(void)
{
    tess_fpenv saved;
    uint64_t zero = 0; /* FPCR 0: round to nearest, no flush to zero, no default NaN */
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved.control));
    __asm__ volatile("msr fpcr, %0" ::"r"(zero));
    return saved;
}

void tess_fpenv_leave(tess_fpenv saved)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(saved.control));
}
#else
#error "tess_fpenv_enter is written for x86-64 and aarch64"
#endif
