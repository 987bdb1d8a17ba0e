/* The decoders of images, each for the kinds it is named after. All take the file's bytes, the header that
 * was read from them, and rows that were made for it, and give all rows, each once, from the first to the
 * last; of an interlaced PNG alone, pixels. */
#ifndef TESS_MEDIA_IMAGE_DECODERS_H
#define TESS_MEDIA_IMAGE_DECODERS_H

#include "media/image_header.h"
#include "media/rows.h"

typedef struct tess_image_bytes {
    const char *name; /* of the file, for messages */
    const uint8_t *data;
    size_t n_byte;
    const tess_image_header *header;
} tess_image_bytes;

typedef tess_status tess_image_decoder(const tess_image_bytes *file, tess_rows *rows, tess_error *err);

tess_image_decoder tess_jpeg_decode;
tess_image_decoder tess_webp_decode;
tess_image_decoder tess_gif_decode;
tess_image_decoder tess_png_decode;
/* BMP, TIFF; zeros stand behind the bytes, as many as FFmpeg asks for (TESS_CODEC_PAD_BYTES). */
tess_image_decoder tess_codec_decode;
enum { TESS_CODEC_PAD_BYTES = 64 };

#endif
