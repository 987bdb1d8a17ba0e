/* Media as in.* tensors, [mel bins, frames] of all clips one after the other, and patches of all images and
 * of all videos: their shapes, and their values piece by piece. Writing a trace and comparing with one are
 * sinks.
 */
#ifndef TESS_VERIFY_TRACE_MEDIA_TENSORS_H
#define TESS_VERIFY_TRACE_MEDIA_TENSORS_H

#include "tessera/features.h"
#include "tessera/progress.h"

/* The tensors of a kind of pictures: [patches of all, numbers of one], and [pictures, 3]. */
typedef struct tess_pixel_names {
    tess_media_kind kind;
    const char *pixels, *grids;
} tess_pixel_names;
extern const tess_pixel_names tess_image_names, tess_video_names;

typedef struct tess_media_sink {
    /* A tensor: I64 if is_integer, else F32. */
    tess_status (*declare)(void *context, const char *name, bool is_integer, int n_dim, const int64_t *dim,
                           tess_error *err);
    /* Elements [first, first + n) of it, int64_t or float; every one comes once, ascending. */
    tess_status (*put)(void *context, const char *name, int64_t first, const void *values, int64_t n,
                       tess_error *err);
    /* Columns [column, column + n) of a float tensor of two axes, values [rows, n], likewise. */
    tess_status (*put_columns)(void *context, const char *name, int64_t column, int64_t n,
                               const float *values, tess_error *err);
    void *context;
} tess_media_sink;

/* Errors: those of the sink. */
tess_status tess_media_tensors_declare(const tess_features *const *media, int n, const tess_media_sink *sink,
                                       tess_error *err);
/* Errors: those of the sink and of reading rows; TESS_ENOMEM. `progress` may be NULL. */
tess_status tess_media_tensors_put(const tess_features *const *media, int n, const tess_media_sink *sink,
                                   const tess_progress *progress, tess_error *err);

#endif
