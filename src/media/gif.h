/* The first picture of a GIF file. */
#ifndef TESS_MEDIA_GIF_H
#define TESS_MEDIA_GIF_H

#include <stdbool.h>

#include "media/peek.h"

typedef struct tess_gif {
    int width, height;                            /* of the canvas, which grows where the picture leaves it */
    int left, top, picture_width, picture_height; /* where the picture lies on it */
    int n_colour, transparent;                    /* 0 colours: grey levels; -1: none is transparent */
    bool is_interlaced;
    uint64_t palette, codes; /* offsets in the file; codes: of the byte before the first block */
} tess_gif;

/* Walks to the first picture's codes. Errors: TESS_EINPUT  there is none, or the file is cut off; TESS_EIO.
 */
tess_status tess_gif_read(tess_peek *peek, tess_gif *out, tess_error *err);

#endif
