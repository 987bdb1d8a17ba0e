/* Patches of an image or of a video's frames, made of bytes when they are asked for.
 *
 * A row is [3 colours, temporal_patch_size frames, patch_size, patch_size]; rows go by step in time, then by
 * blocks of merge_size x merge_size patches row by row, then by the patches of a block. A step without frames
 * of its own left takes the last frame again: an image is one frame, a video of an odd count ends with its
 * last frame twice.
 */
#ifndef TESS_MEDIA_PATCHES_H
#define TESS_MEDIA_PATCHES_H

#include "tessera/features.h"

typedef struct tess_patches {
    int width, height; /* of a frame, multiples of patch_size * merge_size */
    int patch_size, merge_size, temporal_patch_size;
    int n_frame;
    uint8_t *const *frame; /* [n_frame] of [height, width, 3], borrowed */
    float value[3][256];   /* what a byte is to the network, by colour */
} tess_patches;

/* The bytes' values, as the original's NumPy path takes an image's: b / 255 in double, rounded to float, less
 * the mean, over the deviation.
 * DIFFERS: a video's frames are resized and normalised as images are; the original gives them to torchvision,
 * whose one step (b - 255 mean) / (255 deviation) differs in the last place (tests/unit/test_pictures.c). */
void tess_patches_set_values(tess_patches *patches, const double mean[3], const double deviation[3]);

/* Grid and reading; `patches` must outlive what is given out. seconds_per_grid is left 0. */
tess_features tess_patches_get_features(tess_patches *patches, tess_media_kind kind);

#endif
