/* A picture's rows on their way from a decoder, in the order in which a file stores them: to a picture that
 * comes out upright, where a row is written where it belongs at once, or to a resizer, so that no picture is
 * held.
 */
#ifndef TESS_MEDIA_ROWS_H
#define TESS_MEDIA_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "media/picture.h"
#include "media/resize.h"

/* Bytes behind a picture that may be written and mean nothing: libraries write whole vectors. */
enum { TESS_ROWS_PAD_BYTES = 64 };

typedef struct tess_rows {
    tess_picture picture;            /* upright; owned; nothing where rows are resized */
    tess_resizer *resizer;           /* what takes them; borrowed; NULL: the picture */
    int width, height;               /* as stored */
    uint8_t *scratch;                /* [width, 3]; NULL where rows are written in place */
    ptrdiff_t begin, step_x, step_y; /* bytes: where the stored pixel (x, y) goes */
} tess_rows;

/* orientation: 1 to 8, as EXIF numbers them. Errors: TESS_ENOMEM. */
tess_status tess_rows_init(tess_rows *rows, int width, int height, int orientation, tess_error *err);
/* Upright, each row resized as it comes, from the first to the last. */
tess_status tess_rows_init_resized(tess_rows *rows, int width, int height, tess_resizer *resizer,
                                   tess_error *err);
void tess_rows_release(tess_rows *rows);
/* Where stored row y is to be written, [width, 3]; tess_rows_put ends it. */
uint8_t *tess_rows_get(tess_rows *rows, int y);
void tess_rows_put(tess_rows *rows, int y);
/* All rows at once, of pixels as stored, [height, width, 3]. */
void tess_rows_put_all(tess_rows *rows, const uint8_t *stored);
/* The place of one stored pixel in the picture, for what does not come by whole rows; not of rows that are
 * resized. */
static inline uint8_t *tess_rows_pixel(const tess_rows *rows, int x, int y)
{
    return rows->picture.rgb + rows->begin + x * rows->step_x + y * rows->step_y;
}

/* A colour of opacity `a` laid on white: floor((c a + 255 (255 - a)) / 255 + 1/2). */
static inline uint8_t tess_lay_on_white(unsigned c, unsigned a)
{
    return (uint8_t)((2 * (c * a + 255 * (255 - a)) + 255) / 510);
}

#endif
