/* Image files: what is in them, and their pixels as Pillow would give them.
 *
 * JPEG comes from libjpeg-turbo and WebP from libwebp, whose pixels are Pillow's to the bit; PNG and GIF are
 * decoded here, BMP and TIFF by FFmpeg in the form they are stored in, and turned to RGB by our own
 * arithmetic. A picture with alpha is laid on white, the orientation that EXIF data or XMP tell is applied,
 * and of an animation the first frame is taken. What is cut off or damaged is refused, not guessed.
 *
 * A picture is resized while its rows come, so that only what the decoder itself holds is there of it:
 * nothing of a PNG, a GIF or a JPEG in one scan but a few rows. One that is turned or interlaced is held
 * whole.
 *
 * DIFFERS: the original turns a picture by that orientation where it loads the file itself, and not where it
 * is handed one, as its goldens are; here it is always turned (tests/unit/test_image_file.c: all eight ways).
 */
#ifndef TESS_MEDIA_IMAGE_FILE_H
#define TESS_MEDIA_IMAGE_FILE_H

#include <stdbool.h>

#include "media/picture.h"
#include "media/source.h"

typedef struct tess_image_facts {
    int width, height;  /* upright */
    const char *format; /* "JPEG", "PNG", …; a static string */
    uint64_t
        decoder_bytes; /* what decoding takes without pixels that have come out, the file's own included */
    bool is_whole;     /* all pixels are there before they are resized */
} tess_image_facts;

/* Reads the header only. Errors: TESS_EINPUT  no image, one of an unsupported kind, or a damaged header;
 * TESS_EUNSUPPORTED  the library that decodes it is not installed; TESS_EIO; TESS_ENOMEM. */
tess_status tess_image_probe(const tess_source *source, tess_image_facts *out, tess_error *err);

/* What tess_image_decode takes at its peak, the result included; UINT64_MAX: more than can be counted. */
uint64_t tess_image_count_bytes(const tess_image_facts *facts, int out_width, int out_height);

/* Decodes and resizes to out->rgb, which has room for out->width x out->height RGB pixels and holds nothing
 * of use after a failure. `seen` is what probing said. Errors: as above, and TESS_EINPUT for a picture whose
 * decoding would take more than max_bytes or that has another size than it had (nothing of it is decoded
 * then) and for one that is cut off or damaged. */
tess_status tess_image_decode(const tess_source *source, const tess_image_facts *seen, uint64_t max_bytes,
                              const tess_picture *out, tess_error *err);

#endif
