/* Where the patches of an image lie, and what that gives them: learned positions and rotary angles; spec
 * sections 10.3 and 10.4. Time is in neither: every step of a video has the same.
 */
#ifndef TESS_MODEL_VISION_GRID_H
#define TESS_MODEL_VISION_GRID_H

#include <stddef.h>

/* One step in time, in patches. Patches are ordered by merge blocks, row by row, then row by row within a
 * block, so that those that become one token follow each other. */
typedef struct tess_vision_grid {
    int n_high, n_wide; /* multiples of `merge` */
    int merge;          /* patches on a side of a block */
} tess_vision_grid;

/* Row and column of a patch, 0 <= patch < n_high * n_wide. */
void tess_vision_locate(const tess_vision_grid *grid, int patch, int *row, int *column);

/* The side of a square table of n_position rows. */
int tess_vision_table_side(int n_position);

/* A position as a blend of four rows of the table of learned positions, which is [side, side] row-major. */
typedef struct tess_vision_blend {
    int row[4];
    float weight[4];
} tess_vision_blend;

/* The table is stretched over the grid, corner to corner. */
tess_vision_blend tess_vision_blend_at(const tess_vision_grid *grid, int side, int row, int column);

/* Cosines and sines [2 * n_freq] of a patch: those of its row, then those of its column. */
void tess_vision_angles(const float *inv_freq, size_t n_freq, int row, int column, float *cosines,
                        float *sines);

#endif
