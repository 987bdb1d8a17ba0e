/* The choice among equal experts, against the original's torch.topk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/recording.h"
#include "model/topk.h"

static void test_equals(void **state)
{
    (void)state;
    test_tensors golden;
    test_tensors_read("tests/golden/topk/topk.safetensors", &golden);
    size_t n_row = 0;
    for (size_t i = 0; i < golden.count; i++) {
        const test_tensor *values = &golden.item[i];
        if (strncmp(values->name, "in.", 3)) continue;
        char name[sizeof values->name];
        snprintf(name, sizeof name, "tap.%.80s", values->name + 3);
        const test_tensor *chosen = test_tensors_get(&golden, name);
        int n = (int)values->dim[1], k = (int)chosen->dim[1];
        tess_candidate candidates[256];
        assert_true(n <= 256);
        for (size_t row = 0; row < (size_t)values->dim[0]; row++, n_row++) {
            for (int e = 0; e < n; e++)
                candidates[e] = (tess_candidate){values->values[row * (size_t)n + (size_t)e], e};
            tess_select_top(candidates, n, k);
            for (int j = 0; j < k; j++)
                if (candidates[j].id != chosen->integers[row * (size_t)k + (size_t)j])
                    fail_msg("%s, row %zu, rank %d: chose %d, the original %lld", values->name, row, j,
                             candidates[j].id, (long long)chosen->integers[row * (size_t)k + (size_t)j]);
        }
    }
    assert_true(n_row > 500);
    test_tensors_release(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
