/* What the chunks of a PNG say about which way up it is: EXIF data, in a chunk of their own or in hexadecimal
 * digits, and XMP packets, in texts that may be compressed. Chunks are noted in their order, as far as Pillow
 * reads them for a picture's first frame.
 */
#ifndef TESS_MEDIA_PNG_TEXT_H
#define TESS_MEDIA_PNG_TEXT_H

#include "media/orientation.h"

typedef struct tess_png_text {
    tess_piece piece; /* of the file; n 0: there is none */
    bool is_compressed;
} tess_png_text;

/* Start from {0}. */
typedef struct tess_png_notes {
    tess_piece exif;            /* the last */
    tess_png_text profile, xmp; /* the last of each */
    uint32_t n_frame;           /* of an animation; 0: it is none */
    bool has_frame, has_pixels, is_over;
} tess_png_notes;

/* One chunk: its type's four bytes, and its data. */
void tess_png_note(tess_png_notes *notes, tess_peek *peek, const uint8_t type[4], tess_piece data);

/* 1 to 8. Errors: TESS_EINPUT  a text is longer than the original takes; TESS_EUNSUPPORTED  zlib is not
 * installed; TESS_EIO; TESS_ENOMEM. */
tess_status tess_png_find_orientation(const tess_png_notes *notes, tess_peek *peek, int *out,
                                      tess_error *err);

#endif
