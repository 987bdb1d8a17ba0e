/* Features: what a medium is to the network. An audio clip is mel frames; an image or a video is patches on a
 * grid. Rows are made or read when they are asked for, so that nothing long need be held whole.
 */
#ifndef TESSERA_FEATURES_H
#define TESSERA_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

#include "tessera/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tess_media_kind { TESS_MEDIA_AUDIO, TESS_MEDIA_IMAGE, TESS_MEDIA_VIDEO } tess_media_kind;

/* Plain data that owns nothing; whoever fills it says how long `context` lives. */
typedef struct tess_features {
    tess_media_kind kind;
    bool is_inside_video; /* audio: the sound of the video before it in a list of media, told with its frames
                           */
    int32_t width;        /* numbers of a row */
    int64_t n_frame;      /* audio: frames of 10 ms, at least 1 */
    int32_t n_step, n_high, n_wide; /* image, video: the grid in patches: steps in time, rows, columns; rows
                                       and columns are multiples of spatial_merge_size; an image has 1 step */
    double seconds_per_grid;        /* video: how long a step in time lasts, > 0 */
    unsigned char digest[32];       /* SHA-256 of all that the rows depend on; zeros: not known */
    /* out[n, width] = rows [first, first + n). Audio: a row is a frame, width num_mel_bins. Image and video:
     * a row is a patch in the order of the original's image processor (step, then blocks of
     * spatial_merge_size x spatial_merge_size patches row by row, then the patches of a block), width
     * channels * temporal_patch_size * patch_size * patch_size. May be called again for the same rows and
     * gives the same numbers; one caller at a time. Errors: TESS_EIO, TESS_EINPUT. */
    tess_status (*read)(void *context, int64_t first, int64_t n, float *out, tess_error *err);
    void *context;
} tess_features;

#ifdef __cplusplus
}
#endif
#endif
