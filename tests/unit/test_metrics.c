/* Sums of a comparison: distances, counts, and the steps of bfloat16. */
#include "verify/compare/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The next bfloat16 number away from zero. */
static double next_bf16(double value)
{
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    bits += 0x10000;
    memcpy(&narrow, &bits, sizeof bits);
    return (double)narrow;
}

static void test_bf16_ulp(void **state)
{
    (void)state;
    static const double values[] = {1, 1.5, 1.9921875, 2, 0.75, 240, 0x1p-126, 0x1.fep127, 0x1p-133, 0};
    for (size_t i = 0; i + 3 < sizeof values / sizeof values[0]; i++)
        assert_true(tess_bf16_ulp(values[i]) == next_bf16(values[i]) - values[i]);
    assert_true(tess_bf16_ulp(0x1.fep127) == 0x1p120);
    assert_true(tess_bf16_ulp(0x1p-133) == 0x1p-133); /* subnormal numbers all have the same step */
    assert_true(tess_bf16_ulp(0) == 0x1p-133);
}

static void test_sums(void **state)
{
    (void)state;
    const float a[] = {1, 2, -3, INFINITY, 0.5f}, b[] = {1, 2.5f, -4, 1, 0.5f};
    tess_sums sums = {0};
    assert_int_equal(tess_sums_add(&sums, a, b, 3), 1);
    assert_true(sums.max_abs == 1 && sums.max_reference == 4 && sums.n_different == 2);
    assert_true(fabs(tess_sums_rel_l2(&sums) - sqrt(1.25 / 23.25)) < 1e-15);
    tess_sums more = {0};
    assert_int_equal(tess_sums_add(&more, a + 3, b + 3, 2), 0);
    assert_int_equal(more.n_nonfinite, 1);
    assert_true(more.max_abs == 0 && more.max_reference == 0.5);
    tess_sums_fold(&sums, &more);
    assert_true(sums.n == 5 && sums.max_abs == 1 && sums.max_reference == 4 && sums.n_nonfinite == 1);
}

static void test_bf16_steps(void **state)
{
    (void)state;
    const float b[4] = {1, -1, 1, 1}, a[4] = {1 + 0x1p-7f, -1, 1, 1}, zero[4] = {0};
    tess_sums sums = {0};
    tess_sums_add(&sums, a, b, 4);
    assert_true(tess_sums_bf16_steps(&sums) == 1); /* one element of one step, and an L2 of one step too */
    const float all[4] = {1 + 0x1p-7f, -1 - 0x1p-7f, 1 + 0x1p-7f, 1 - 0x1p-7f};
    sums = (tess_sums){0};
    tess_sums_add(&sums, all, b, 4);
    assert_true(fabs(tess_sums_bf16_steps(&sums) - 2) < 1e-12); /* by its L2 */
    sums = (tess_sums){0};
    tess_sums_add(&sums, zero, zero, 4);
    assert_true(tess_sums_bf16_steps(&sums) == 0);
    tess_sums_add(&sums, b, zero, 4);
    assert_true(isinf(tess_sums_bf16_steps(&sums)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bf16_ulp),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_bf16_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
