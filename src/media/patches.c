#include "media/patches.h"

#include <stddef.h>

#include "base/error.h"

#define RESCALE (1.0 / 255.0) /* rescale_factor, which no other value may have */

void tess_patches_set_values(tess_patches *patches, const double mean[3], const double deviation[3])
{
    for (int c = 0; c < 3; c++)
        for (int b = 0; b < 256; b++)
            patches->value[c][b] = ((float)(b * RESCALE) - (float)mean[c]) / (float)deviation[c];
}

/* One patch of one frame and colour, [patch_size, patch_size]. */
static float *put_square(const tess_patches *p, const uint8_t *corner, int colour, float *out)
{
    const float *value = p->value[colour];
    for (int y = 0; y < p->patch_size; y++, corner += (size_t)p->width * 3)
        for (int x = 0; x < p->patch_size; x++) *out++ = value[corner[3 * x + colour]];
    return out;
}

/* Where patch `row` of a step begins in a frame. */
static size_t find_corner(const tess_patches *p, int64_t row)
{
    const int merge = p->merge_size, in_block = merge * merge;
    const int64_t blocks_wide = p->width / p->patch_size / merge;
    const int64_t block = row / in_block, within = row % in_block;
    const int64_t y = block / blocks_wide * merge + within / merge;
    const int64_t x = block % blocks_wide * merge + within % merge;
    return (size_t)(y * p->patch_size * p->width + x * p->patch_size) * 3;
}

static tess_status read_patches(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const tess_patches *p = context;
    const int64_t per_step = (int64_t)(p->height / p->patch_size) * (p->width / p->patch_size);
    for (int64_t row = first; row < first + n; row++) {
        const size_t corner = find_corner(p, row % per_step);
        const int64_t begin = row / per_step * p->temporal_patch_size;
        for (int c = 0; c < 3; c++)
            for (int64_t t = begin; t < begin + p->temporal_patch_size; t++)
                out = put_square(p, p->frame[t < p->n_frame ? t : p->n_frame - 1] + corner, c, out);
    }
    return TESS_OK;
}

tess_features tess_patches_get_features(tess_patches *patches, tess_media_kind kind)
{
    const int per_step = patches->temporal_patch_size;
    return (tess_features){.kind = kind,
                           .width = 3 * per_step * patches->patch_size * patches->patch_size,
                           .n_step = patches->n_frame / per_step + (patches->n_frame % per_step != 0),
                           .n_high = patches->height / patches->patch_size,
                           .n_wide = patches->width / patches->patch_size,
                           .read = read_patches,
                           .context = patches};
}
