#include "model/vision_grid.h"

#include <stdint.h>

#include "kernels/angles.h"

void tess_vision_locate(const tess_vision_grid *grid, int patch, int *row, int *column)
{
    int merge = grid->merge, block = patch / (merge * merge), inside = patch % (merge * merge),
        n_across = grid->n_wide / merge;
    *row = block / n_across * merge + inside / merge;
    *column = block % n_across * merge + inside % merge;
}

int tess_vision_table_side(int n_position)
{
    int side = 1;
    while ((int64_t)(side + 1) * (side + 1) <= n_position) side++;
    return side;
}

/* A place along an axis, between two neighbours of the table. */
typedef struct between {
    int at[2];
    float weight[2];
} between;

static int at_most(int value, int most)
{
    return value < most ? value : most;
}

/* QUIRK: the second weight is what the first leaves of one; the distance itself, of which the first is made,
 * has more bits. */
static between place_between(int index, int n, int side)
{
    float source = (float)index * (float)(side - 1) / (float)(n > 1 ? n - 1 : 1);
    int first = (int)source; /* source >= 0: rounded down */
    float weight = 1.0f - (source - (float)first);
    return (between){.at = {at_most(first, side - 1), at_most(first + 1, side - 1)},
                     .weight = {weight, 1.0f - weight}};
}

tess_vision_blend tess_vision_blend_at(const tess_vision_grid *grid, int side, int row, int column)
{
    between down = place_between(row, grid->n_high, side), across = place_between(column, grid->n_wide, side);
    tess_vision_blend blend;
    for (int i = 0; i < 4; i++) {
        blend.row[i] = down.at[i / 2] * side + across.at[i % 2];
        blend.weight[i] = down.weight[i / 2] * across.weight[i % 2];
    }
    return blend;
}

void tess_vision_angles(const float *inv_freq, size_t n_freq, int row, int column, float *cosines,
                        float *sines)
{
    tess_rotary_table(cosines, sines, inv_freq, n_freq, (float)row);
    tess_rotary_table(cosines + n_freq, sines + n_freq, inv_freq, n_freq, (float)column);
}
