#include "conditions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"

bool test_has_isa(const char *isa)
{
    static char told[64]; /* names */
    unsigned mask;
    if (!isa) return true;
    assert_true(tess_isa_from_name(isa, &mask));
    if (tess_isa_available(mask)) return true;
    const char *required = getenv("TESS_REQUIRE_ISA");
    if (required && strstr(required, isa) && strcmp(isa, "avx512") != 0)
        fail_msg("this CPU has no %s, and TESS_REQUIRE_ISA asks for it", isa);
    if (strstr(told, isa)) return false;
    print_message("# %s is not tested: this CPU has %s\n", isa, tess_cpu_describe());
    strncat(told, isa, sizeof told - strlen(told) - 1);
    return false;
}

uint64_t test_find_tightest_budget(const tess_engine_options *base, bool is_streamed)
{
    tess_engine_options options = *base;
    tess_error err;
    tess_plan plan, tightest = {0};
    if (tess_plan_make(&options, &plan, &err) != TESS_OK) fail_msg("%s", err.message);
    if (getenv("TESS_SANITIZED")) return options.memory_bytes;
    options.memory_bytes = plan.smallest_budget_bytes;
    while (tess_plan_make(&options, &plan, &err) == TESS_OK) {
        tightest = plan;
        options.memory_bytes -= 64u << 10;
    }
    assert_int_equal(err.status, TESS_EBUDGET);
    bool all_stay = tightest.layers_resident || tightest.n_expert_slot >= tightest.n_expert_total;
    assert_true(!is_streamed || !all_stay);
    return tightest.budget_bytes + (64u << 10); /* the process grows by some pages until the engine plans */
}
