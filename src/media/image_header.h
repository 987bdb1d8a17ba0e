/* What an image's header says, read before anything is decoded: the kind by its first bytes, the size, how
 * the pixels are stored, and which way is up. The file is walked to its end where the format allows, so that
 * one that is cut off is refused here.
 */
#ifndef TESS_MEDIA_IMAGE_HEADER_H
#define TESS_MEDIA_IMAGE_HEADER_H

#include <stdbool.h>

#include "media/source.h"

typedef enum tess_image_kind {
    TESS_IMAGE_JPEG,
    TESS_IMAGE_PNG,
    TESS_IMAGE_WEBP,
    TESS_IMAGE_GIF,
    TESS_IMAGE_BMP,
    TESS_IMAGE_TIFF,
} tess_image_kind;

typedef struct tess_image_header {
    tess_image_kind kind;
    int width, height;  /* as stored, at least 1 */
    int orientation;    /* 1 to 8, as EXIF numbers them */
    int decoder_bytes;  /* that a pixel takes in the decoder, besides rows that come out */
    bool is_interlaced; /* PNG: rows do not come one after the other */
    bool is_animated;   /* WebP */
    bool has_alpha;     /* WebP: it may have; BMP: the file says so */
    uint64_t n_byte;    /* of the file */
} tess_image_header;

/* "JPEG", "PNG", … */
const char *tess_image_kind_name(tess_image_kind kind);

/* Errors: TESS_EINPUT  no image, an unsupported kind, a damaged header, a file that is cut off; TESS_EIO. */
tess_status tess_image_header_read(const tess_source_reader *reader, tess_image_header *out, tess_error *err);

#endif
