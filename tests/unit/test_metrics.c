/* The isolated bar of bfloat16: how many elements may differ, and by how much. */
#include "verify/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static float bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits &= 0xffff0000;
    memcpy(&value, &bits, 4);
    return value;
}

static float step(float value, int ulp)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits += (uint32_t)(ulp * 0x10000);
    memcpy(&value, &bits, 4);
    return value;
}

static void test_isolated_bf16_bar(void **state)
{
    (void)state;
    enum { N = 200 };
    float a[N], b[N];
    for (int i = 0; i < N; i++) a[i] = b[i] = bf16(0.01f * (float)(i - 100) + 0.003f);
    tess_bf16_bar bar = {0};
    assert_false(tess_bf16_bar_holds(&bar));
    tess_bf16_bar_add(&bar, a, b, N);
    assert_true(tess_bf16_bar_holds(&bar));
    a[5] = step(a[5], 2);
    a[150] = step(a[150], -2);
    bar = (tess_bf16_bar){0};
    tess_bf16_bar_add(&bar, a, b, N);
    assert_true(tess_bf16_bar_holds(&bar)); /* 1 % differs, by two ulp */
    assert_int_equal(bar.worst_ulp, 2);
    a[7] = step(a[7], 1);
    bar = (tess_bf16_bar){0};
    tess_bf16_bar_add(&bar, a, b, N);
    assert_false(tess_bf16_bar_holds(&bar)); /* more than 1 % */
    a[7] = b[7], a[5] = step(b[5], 3);
    bar = (tess_bf16_bar){0};
    tess_bf16_bar_add(&bar, a, b, N);
    assert_false(tess_bf16_bar_holds(&bar)); /* three ulp */
    assert_int_equal(bar.worst_index, 5);
    a[5] = NAN;
    bar = (tess_bf16_bar){0};
    tess_bf16_bar_add(&bar, a, b, N);
    assert_false(tess_bf16_bar_holds(&bar));
    /* Values of a float32 run, which are no bf16 values, are not equal however near. */
    for (int i = 0; i < N; i++) a[i] = b[i] * 1.0001f;
    bar = (tess_bf16_bar){0};
    tess_bf16_bar_add(&bar, a, b, N);
    assert_false(tess_bf16_bar_holds(&bar));
    assert_int_equal(bar.n_beyond, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isolated_bf16_bar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
