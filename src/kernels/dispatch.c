/* Fills the kernel table from the list, the weakest instruction set first, so that each stronger one
 * replaces what it implements and leaves the rest. */
#include "kernels/kernels.h"

#include <string.h>

#include "kernels/kernel_list.h"

#define DECLARE_NEED(isa, bits) enum { NEED_##isa = (bits) };
TESS_ISA_LIST(DECLARE_NEED)

void tess_kernels_init(tess_kernels *k, unsigned cpu_mask)
{
    const unsigned mask = cpu_mask & tess_cpu_mask();
    memset(k, 0, sizeof *k);
#define FILL(op, types, isa)                                                                                 \
    if ((mask & NEED_##isa) == NEED_##isa) k->op = tess_##op##_##types##_##isa;
    TESS_KERNEL_LIST(FILL)
#define NAME(isa, bits)                                                                                      \
    if ((mask & NEED_##isa) == NEED_##isa) k->name = #isa;
    TESS_ISA_LIST(NAME)
}

bool tess_isa_from_name(const char *name, unsigned *mask)
{
    static const struct {
        const char *name;
        unsigned mask;
    } isas[] = {
        {"reference", 0u},
        {"avx2", TESS_CPU_AVX2FMA},
        {"avx512", TESS_CPU_AVX2FMA | TESS_CPU_AVX512},
        {"neon", TESS_CPU_NEON},
    };
    if (strcmp(name, "auto") == 0) {
        *mask = tess_cpu_mask();
        return true;
    }
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        if (strcmp(name, isas[i].name) == 0) {
            *mask = isas[i].mask;
            return true;
        }
    }
    return false;
}

bool tess_isa_available(unsigned mask)
{
    return (mask & ~tess_cpu_mask()) == 0;
}
