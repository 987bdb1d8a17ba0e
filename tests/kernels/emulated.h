/* The kernels of instruction sets that this build also has emulated, beside the native ones, for processors
 * that lack them. */
#ifndef TESS_TEST_EMULATED_H
#define TESS_TEST_EMULATED_H

#include <string.h>

#include "kernels/kernel_list.h"

#if defined(__x86_64__) && !defined(TESS_WITHOUT_EMULATION)

#define DECLARE_EMULATED(op, types, isa) tess_##op##_fn tess_##op##_##types##_##isa;
TESS_EVERY_KERNEL(DECLARE_EMULATED, emulated)
#undef DECLARE_EMULATED

/* Fills the table with the emulated kernels of `isa`. False, and the table untouched, if there are none or
 * this processor cannot run even those. */
static inline bool test_emulated_init(tess_kernels *k, const char *isa)
{
    if (strcmp(isa, "avx512") != 0 || !tess_isa_available(TESS_CPU_AVX2FMA)) return false;
    k->name = "avx512";
#define FILL_EMULATED(op, types, suffix) k->op = tess_##op##_##types##_##suffix;
    TESS_EVERY_KERNEL(FILL_EMULATED, emulated)
#undef FILL_EMULATED
    return true;
}

#else

static inline bool test_emulated_init(tess_kernels *k, const char *isa)
{
    (void)k, (void)isa;
    return false;
}

#endif

#endif
