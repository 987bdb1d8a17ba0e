/* Places of patches: learned positions and rotary tables of grids, against those of the original's functions.
 */
#include "model/vision_grid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../support/recording.h"
#include "kernels/angles.h"

static const test_tensor *find(const test_tensors *places, const char *what, int i)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%d", what, i);
    return test_tensors_find(places, name);
}

/* Every patch of a step of grid i. The original's cosines and sines are floats of another routine; ours are
 * the nearest to the true value but once in a billion. */
static float check_patches(const test_tensors *places, int i, const tess_vision_grid *grid)
{
    const test_tensor *indices = find(places, "tap.indices", i), *weights = find(places, "tap.weights", i),
                      *cosines = find(places, "tap.cosines", i), *sines = find(places, "tap.sines", i);
    int side = (int)find(places, "in.side", i)->integers[0], n = grid->n_high * grid->n_wide;
    size_t width = (size_t)cosines->dim[1];
    float inv_freq[64], ours[2][64], most = 0;
    assert_true(width <= 64 && indices->dim[0] % n == 0);
    tess_inverse_frequencies(inv_freq, width, 10000.0);
    for (int patch = 0; patch < (int)indices->dim[0]; patch++) {
        int row, column;
        tess_vision_locate(grid, patch % n, &row, &column);
        tess_vision_blend blend = tess_vision_blend_at(grid, side, row, column);
        for (int k = 0; k < 4; k++) assert_int_equal(blend.row[k], indices->integers[4 * patch + k]);
        assert_memory_equal(blend.weight, weights->values + 4 * patch, sizeof blend.weight);
        tess_vision_angles(inv_freq, width / 2, row, column, ours[0], ours[1]);
        for (size_t k = 0; k < width; k++) {
            float cosine = fabsf(ours[0][k] - cosines->values[(size_t)patch * width + k]),
                  sine = fabsf(ours[1][k] - sines->values[(size_t)patch * width + k]);
            most = fmaxf(most, fmaxf(cosine, sine));
        }
    }
    return most;
}

static void test_places(void **state)
{
    (void)state;
    test_tensors places;
    test_tensors_read("tests/golden/vision_tower/places.safetensors", &places);
    float most = 0;
    int n = 0;
    for (const test_tensor *t; (t = find(&places, "in.grid_thw", n)); n++) {
        const tess_vision_grid grid = {.n_high = (int)t->integers[1],
                                       .n_wide = (int)t->integers[2],
                                       .merge = (int)find(&places, "in.merge", n)->integers[0]};
        most = fmaxf(most, check_patches(&places, n, &grid));
    }
    assert_int_equal(n, 11);
    print_message("# %d grids: cosines and sines within %.3g of the original's\n", n, (double)most);
    assert_true(most <= 1.2e-7f); /* two float steps below 1 */
    test_tensors_release(&places);
}

/* Each place is that of one patch, and those of a block follow each other. */
static void test_order(void **state)
{
    (void)state;
    const tess_vision_grid grid = {.n_high = 6, .n_wide = 9, .merge = 3};
    bool seen[6][9] = {{false}};
    for (int patch = 0; patch < 54; patch++) {
        int row, column, first_row, first_column;
        tess_vision_locate(&grid, patch, &row, &column);
        tess_vision_locate(&grid, patch / 9 * 9, &first_row, &first_column);
        assert_true(row >= 0 && row < 6 && column >= 0 && column < 9 && !seen[row][column]);
        seen[row][column] = true;
        assert_true(row / 3 == first_row / 3 && column / 3 == first_column / 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
