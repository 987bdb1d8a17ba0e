/* WebP by libwebp. Of an animation the first frame on its canvas, by libwebpdemux as in Pillow. */
#include <stdlib.h>

#include "media/image_decoders.h"
#include "media/libraries.h"

static tess_status refuse(const tess_image_bytes *file, tess_error *err)
{
    return tess_refuse(err, file->name, "", -1, "a whole WebP picture", "one that is cut off or damaged");
}

static void put_rgba(const uint8_t *rgba, tess_rows *rows)
{
    for (int y = 0; y < rows->height; y++) {
        uint8_t *rgb = tess_rows_get(rows, y);
        for (int x = 0; x < rows->width; x++, rgba += 4, rgb += 3)
            for (int c = 0; c < 3; c++) rgb[c] = tess_lay_on_white(rgba[c], rgba[3]);
        tess_rows_put(rows, y);
    }
}

static tess_status decode_still(const tess_image_bytes *file, tess_rows *rows, tess_error *err)
{
    tess_webp_library lib;
    tess_status status = tess_webp_library_open(&lib, err);
    if (status != TESS_OK) return status;
    WebPBitstreamFeatures features;
    bool is_good = lib.WebPGetFeaturesInternal(file->data, file->n_byte, &features,
                                               WEBP_DECODER_ABI_VERSION) == VP8_STATUS_OK &&
                   features.width == rows->width && features.height == rows->height;
    if (!is_good) return refuse(file, err);
    int n_channel = features.has_alpha ? 4 : 3;
    size_t stride = (size_t)n_channel * (size_t)rows->width, size = stride * (size_t)rows->height;
    uint8_t *pixels = malloc(size);
    if (!pixels) return tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", file->name);
    if (n_channel == 4)
        is_good = lib.WebPDecodeRGBAInto(file->data, file->n_byte, pixels, size, (int)stride);
    else
        is_good = lib.WebPDecodeRGBInto(file->data, file->n_byte, pixels, size, (int)stride);
    if (is_good && n_channel == 4) put_rgba(pixels, rows);
    if (is_good && n_channel == 3) tess_rows_put_all(rows, pixels);
    free(pixels);
    return is_good ? TESS_OK : refuse(file, err);
}

static tess_status decode_first_frame(const tess_image_bytes *file, tess_rows *rows, tess_error *err)
{
    tess_webp_demux_library lib;
    tess_status status = tess_webp_demux_library_open(&lib, err);
    if (status != TESS_OK) return status;
    WebPAnimDecoderOptions options;
    WebPData data = {file->data, file->n_byte};
    WebPAnimDecoder *decoder = NULL;
    if (lib.WebPAnimDecoderOptionsInitInternal(&options, WEBP_DEMUX_ABI_VERSION)) {
        options.color_mode = MODE_RGBA;
        options.use_threads = 0;
        decoder = lib.WebPAnimDecoderNewInternal(&data, &options, WEBP_DEMUX_ABI_VERSION);
    }
    uint8_t *canvas;
    int milliseconds;
    WebPAnimInfo info;
    bool is_good = decoder && lib.WebPAnimDecoderGetInfo(decoder, &info) &&
                   (int)info.canvas_width == rows->width && (int)info.canvas_height == rows->height &&
                   lib.WebPAnimDecoderGetNext(decoder, &canvas, &milliseconds);
    if (is_good) put_rgba(canvas, rows);
    lib.WebPAnimDecoderDelete(decoder);
    return is_good ? TESS_OK : refuse(file, err);
}

tess_status tess_webp_decode(const tess_image_bytes *file, tess_rows *rows, tess_error *err)
{
    return file->header->is_animated ? decode_first_frame(file, rows, err) : decode_still(file, rows, err);
}
