/* Image files: what is in them, and their pixels as Pillow would give them.
 *
 * JPEG comes from libjpeg-turbo and WebP from libwebp, whose pixels are Pillow's to the bit; PNG and GIF are
 * decoded here, BMP and TIFF by FFmpeg in the form they are stored in, and turned to RGB by our own
 * arithmetic. A picture with alpha is laid on white, the orientation that EXIF data or XMP tell is applied,
 * and of an animation the first frame is taken. What is cut off or damaged is refused, not guessed.
 *
 * DIFFERS: the original turns a picture by that orientation where it loads the file itself, and not where it
 * is handed one, as its goldens are; here it is always turned (tests/unit/test_image_file.c: all eight ways).
 */
#ifndef TESS_MEDIA_IMAGE_FILE_H
#define TESS_MEDIA_IMAGE_FILE_H

#include "media/picture.h"
#include "media/source.h"

typedef struct tess_image_facts {
    int width, height;  /* upright */
    const char *format; /* "JPEG", "PNG", …; a static string */
    uint64_t bytes;     /* what decoding takes at its peak, the picture and the file's own bytes included */
} tess_image_facts;

/* Reads the header only. Errors: TESS_EINPUT  no image, one of an unsupported kind, or a damaged header;
 * TESS_EUNSUPPORTED  the library that decodes it is not installed; TESS_EIO; TESS_ENOMEM. */
tess_status tess_image_probe(const tess_source *source, tess_image_facts *out, tess_error *err);

/* Decodes to RGB; the caller frees out->rgb. Errors: as above, and TESS_EINPUT for a picture whose decoding
 * would take more than max_bytes (nothing of it is decoded then) and for one that is cut off or damaged. */
tess_status tess_image_decode(const tess_source *source, uint64_t max_bytes, tess_picture *out,
                              tess_error *err);

#endif
