/* The size a picture is taken as: multiples of a factor, about as many pixels as it has, within limits. */
#ifndef TESS_MEDIA_IMAGE_SIZE_H
#define TESS_MEDIA_IMAGE_SIZE_H

#include "base/error.h"

enum {
    TESS_IMAGE_MOST_SIDE = 1 << 26, /* the product of two is exact in double precision */
    TESS_IMAGE_MOST_ASPECT = 200
};

/* Of a video's frames, each by itself: 128 and 768 blocks of 32 x 32. They are the original's processor's
 * own, whatever preprocessor_config.json says of images. */
enum { TESS_FRAME_LEAST_PIXELS = 128 * 32 * 32, TESS_FRAME_MOST_PIXELS = 768 * 32 * 32 };

/* The original's smart_resize. factor: patch_size * merge_size, at most 65,536; limits in pixels, 1 <= least
 * and most < 2^31. The limits bind the picture before it is cut to multiples: a small one may exceed them by
 * less than a factor on either side.
 * Errors: TESS_EINPUT  an empty picture, a side above 2^26, or one side more than 200 times the other. */
tess_status tess_image_size_choose(const char *file, int width, int height, int factor, int64_t least,
                                   int64_t most, int *out_width, int *out_height, tess_error *err);

#endif
