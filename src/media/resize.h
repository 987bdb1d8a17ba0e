/* Bicubic resizing with antialiasing to the very bytes of Pillow 13.
 *
 * Two passes, each in fixed point with 22 fractional bits and rounded to bytes at its end. A pass that
 * changes no size is left out. The vertical pass is the first where it takes away more than twice as much as
 * the horizontal one does (height - new height > 2 (width - new width), both as signed numbers, and the
 * height shrinks), else the second; older versions of Pillow always put it second.
 */
#ifndef TESS_MEDIA_RESIZE_H
#define TESS_MEDIA_RESIZE_H

#include "base/error.h"
#include "media/picture.h"

/* Takes a picture row by row, from the first to the last, and holds of it only what it still needs. */
typedef struct tess_resizer tess_resizer;

/* Of a picture of width x height into out->rgb, which has room for out->width x out->height, is whole when
 * the last row has been taken, and must live until then; all sides at least 1. file: for messages. Errors:
 * TESS_ENOMEM. */
tess_status tess_resizer_new(int width, int height, const tess_picture *out, const char *file,
                             tess_resizer **resizer, tess_error *err);
void tess_resizer_free(tess_resizer *resizer); /* NULL is allowed */
/* The next row, [width, 3], borrowed for the call; no more than there are. */
void tess_resizer_take(tess_resizer *resizer, const uint8_t *row);

/* Resizes a picture that is there. Errors: TESS_ENOMEM. */
tess_status tess_picture_resize(const tess_picture *in, const tess_picture *out, const char *file,
                                tess_error *err);

/* What either takes besides the two pictures: coefficients, and rows between the passes. */
uint64_t tess_picture_resize_bytes(int width, int height, int out_width, int out_height);

#endif
