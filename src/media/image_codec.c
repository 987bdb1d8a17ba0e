/* BMP and TIFF by FFmpeg's decoders, each in the form it is stored in, turned to RGB here as Pillow does
 * it: what has 16 bits a sample keeps the upper 8 (grey alone is clipped to 255, as in a PNG), a colour of
 * fewer bits is stretched, alpha is laid on white.
 */
#include <limits.h>

#include "media/image_decoders.h"
#include "media/libraries.h"

_Static_assert(TESS_CODEC_PAD_BYTES >= AV_INPUT_BUFFER_PADDING_SIZE, "FFmpeg reads that far");

typedef void row_converter(const uint8_t *from, const uint32_t *palette, uint8_t *rgb, int width);

static void put(uint8_t *rgb, unsigned r, unsigned g, unsigned b, unsigned alpha)
{
    rgb[0] = tess_lay_on_white(r, alpha);
    rgb[1] = tess_lay_on_white(g, alpha);
    rgb[2] = tess_lay_on_white(b, alpha);
}

static void from_palette(const uint8_t *from, const uint32_t *palette, uint8_t *rgb, int width)
{
    for (int x = 0; x < width; x++, rgb += 3) {
        uint32_t argb = palette[from[x]];
        put(rgb, argb >> 16 & 255, argb >> 8 & 255, argb & 255, argb >> 24);
    }
}

static void from_bits(const uint8_t *from, uint8_t *rgb, int width, unsigned inverted)
{
    for (int x = 0; x < width; x++, rgb += 3) {
        unsigned bit = ((unsigned)from[x >> 3] >> (7 - (x & 7)) & 1u) ^ inverted;
        put(rgb, bit * 255, bit * 255, bit * 255, 255);
    }
}

/* Samples of one or two bytes side by side, of two the upper one: at which bytes of a pixel's `step` they
 * are. Grey is three colours at one place; alpha -1: there is none. */
static inline void from_colours(const uint8_t *from, uint8_t *rgb, int width, int step, int r, int g, int b,
                                int alpha)
{
    for (int x = 0; x < width; x++, from += step, rgb += 3)
        put(rgb, from[r], from[g], from[b], alpha >= 0 ? from[alpha] : 255);
}

/* `high` says which byte of two is the upper one. */
static inline void from_deep_grey(const uint8_t *from, uint8_t *rgb, int width, int high)
{
    for (int x = 0; x < width; x++, from += 2, rgb += 3) {
        unsigned grey = from[high] ? 255 : from[1 - high];
        put(rgb, grey, grey, grey, 255);
    }
}

/* Five bits of each, or six of green, in two bytes, the lower first. */
static inline void from_packed(const uint8_t *from, uint8_t *rgb, int width, unsigned green_bits)
{
    unsigned most_green = (1u << green_bits) - 1;
    for (int x = 0; x < width; x++, from += 2, rgb += 3) {
        unsigned bits = from[0] | (unsigned)from[1] << 8;
        put(rgb, (bits >> (5 + green_bits) & 31) * 255 / 31, (bits >> 5 & most_green) * 255 / most_green,
            (bits & 31) * 255 / 31, 255);
    }
}

#define CONVERTER(name, call)                                                                                \
    static void name(const uint8_t *from, const uint32_t *palette, uint8_t *rgb, int width)                  \
    {                                                                                                        \
        (void)palette;                                                                                       \
        call;                                                                                                \
    }
CONVERTER(from_black_bits, from_bits(from, rgb, width, 0))
CONVERTER(from_white_bits, from_bits(from, rgb, width, 1))
CONVERTER(from_grey8, from_colours(from, rgb, width, 1, 0, 0, 0, -1))
CONVERTER(from_ya8, from_colours(from, rgb, width, 2, 0, 0, 0, 1))
CONVERTER(from_ya16be, from_colours(from, rgb, width, 4, 0, 0, 0, 2))
CONVERTER(from_ya16le, from_colours(from, rgb, width, 4, 1, 1, 1, 3))
CONVERTER(from_grey16be, from_deep_grey(from, rgb, width, 0))
CONVERTER(from_grey16le, from_deep_grey(from, rgb, width, 1))
CONVERTER(from_rgb24, from_colours(from, rgb, width, 3, 0, 1, 2, -1))
CONVERTER(from_bgr24, from_colours(from, rgb, width, 3, 2, 1, 0, -1))
CONVERTER(from_rgba, from_colours(from, rgb, width, 4, 0, 1, 2, 3))
CONVERTER(from_bgra, from_colours(from, rgb, width, 4, 2, 1, 0, 3))
CONVERTER(from_rgb0, from_colours(from, rgb, width, 4, 0, 1, 2, -1))
CONVERTER(from_bgr0, from_colours(from, rgb, width, 4, 2, 1, 0, -1))
CONVERTER(from_rgb48be, from_colours(from, rgb, width, 6, 0, 2, 4, -1))
CONVERTER(from_rgb48le, from_colours(from, rgb, width, 6, 1, 3, 5, -1))
CONVERTER(from_rgbx64be, from_colours(from, rgb, width, 8, 0, 2, 4, -1))
CONVERTER(from_rgbx64le, from_colours(from, rgb, width, 8, 1, 3, 5, -1))
CONVERTER(from_rgba64be, from_colours(from, rgb, width, 8, 0, 2, 4, 6))
CONVERTER(from_rgba64le, from_colours(from, rgb, width, 8, 1, 3, 5, 7))
CONVERTER(from_rgb555, from_packed(from, rgb, width, 5))
CONVERTER(from_rgb565, from_packed(from, rgb, width, 6))

/* FFmpeg takes a fourth sample for alpha, whatever the file says of it, and for none where all are 0. */
static row_converter *find_converter(const tess_image_header *header, int format)
{
    switch (format) {
    case AV_PIX_FMT_PAL8:
        return from_palette;
    case AV_PIX_FMT_MONOBLACK:
        return from_black_bits;
    case AV_PIX_FMT_MONOWHITE:
        return from_white_bits;
    case AV_PIX_FMT_GRAY8:
        return from_grey8;
    case AV_PIX_FMT_YA8:
        return from_ya8;
    case AV_PIX_FMT_YA16BE:
        return from_ya16be;
    case AV_PIX_FMT_YA16LE:
        return from_ya16le;
    case AV_PIX_FMT_GRAY16BE:
        return from_grey16be;
    case AV_PIX_FMT_GRAY16LE:
        return from_grey16le;
    case AV_PIX_FMT_RGB24:
        return from_rgb24;
    case AV_PIX_FMT_BGR24:
        return from_bgr24;
    case AV_PIX_FMT_RGBA:
        return header->has_alpha ? from_rgba : from_rgb0;
    case AV_PIX_FMT_BGRA:
    case AV_PIX_FMT_BGR0:
        return header->has_alpha ? from_bgra : from_bgr0;
    case AV_PIX_FMT_RGB0:
        return from_rgb0;
    case AV_PIX_FMT_RGB48BE:
        return from_rgb48be;
    case AV_PIX_FMT_RGB48LE:
        return from_rgb48le;
    case AV_PIX_FMT_RGBA64BE:
        return header->has_alpha ? from_rgba64be : from_rgbx64be;
    case AV_PIX_FMT_RGBA64LE:
        return header->has_alpha ? from_rgba64le : from_rgbx64le;
    case AV_PIX_FMT_RGB555LE:
        return from_rgb555;
    case AV_PIX_FMT_RGB565LE:
        return from_rgb565;
    default:
        return NULL;
    }
}

typedef struct decoding {
    tess_codec_library lib;
    AVCodecContext *context;
    AVPacket *packet;
    AVFrame *frame;
} decoding;

static void keep(void *opaque, uint8_t *data)
{
    (void)opaque;
    (void)data;
}

static tess_status refuse_memory(const tess_image_bytes *file, tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", file->name);
}

static tess_status open_decoder(decoding *d, const tess_image_bytes *file, tess_error *err)
{
    const tess_image_header *header = file->header;
    bool is_bmp = header->kind == TESS_IMAGE_BMP;
    const AVCodec *codec = d->lib.avcodec_find_decoder(is_bmp ? AV_CODEC_ID_BMP : AV_CODEC_ID_TIFF);
    if (!codec)
        return tess_refuse_unsupported(err, "decoder", "one in libavcodec", "none of %s",
                                       tess_image_kind_name(header->kind));
    d->context = d->lib.avcodec_alloc_context3(codec);
    d->packet = d->lib.av_packet_alloc();
    d->frame = d->lib.av_frame_alloc();
    if (!d->context || !d->packet || !d->frame) return refuse_memory(file, err);
    d->context->thread_count = 1;
    /* FFmpeg rounds sizes up before it asks. */
    d->context->max_pixels = ((int64_t)header->width + 64) * ((int64_t)header->height + 64);
    /* A TIFF file may have tags that FFmpeg does not know, which it would take for damage. */
    d->context->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER;
    if (header->kind != TESS_IMAGE_TIFF) d->context->err_recognition |= AV_EF_EXPLODE;
    if (d->lib.avcodec_open2(d->context, codec, NULL) < 0) return refuse_memory(file, err);
    /* Not copied: the buffer only says whose the bytes are. */
    d->packet->buf = d->lib.av_buffer_create((uint8_t *)(uintptr_t)file->data, file->n_byte, keep, NULL,
                                             AV_BUFFER_FLAG_READONLY);
    if (!d->packet->buf) return refuse_memory(file, err);
    d->packet->data = d->packet->buf->data;
    d->packet->size = (int)file->n_byte;
    return TESS_OK;
}

static tess_status refuse_picture(decoding *d, const tess_image_bytes *file, int code, tess_error *err)
{
    char expected[64], reason[AV_ERROR_MAX_STRING_SIZE] = "";
    if (code == AVERROR(ENOMEM)) return refuse_memory(file, err);
    snprintf(expected, sizeof expected, "a whole %s picture", tess_image_kind_name(file->header->kind));
    if (code == AVERROR_EOF || code == AVERROR(EAGAIN))
        return tess_refuse(err, file->name, "", -1, expected, "one that is cut off");
    d->lib.av_strerror(code, reason, sizeof reason);
    return tess_refuse(err, file->name, "", -1, expected, "one that is damaged or of a rare kind (%s)",
                       reason);
}

static tess_status decode(decoding *d, const tess_image_bytes *file, tess_rows *rows, tess_error *err)
{
    int code = d->lib.avcodec_send_packet(d->context, d->packet);
    if (code >= 0) code = d->lib.avcodec_send_packet(d->context, NULL);
    if (code >= 0) code = d->lib.avcodec_receive_frame(d->context, d->frame);
    if (code < 0) return refuse_picture(d, file, code, err);
    const AVFrame *frame = d->frame;
    row_converter *convert = find_converter(file->header, frame->format);
    if (!convert) {
        const char *name = d->lib.av_get_pix_fmt_name(frame->format);
        return tess_refuse(err, file->name, "pixels", -1, "grey, a palette, RGB or RGBA", "%s",
                           name ? name : "an unknown form");
    }
    if (frame->width != rows->width || frame->height != rows->height)
        return tess_refuse(err, file->name, "size", -1, "one size", "%d x %d in the header and %d x %d",
                           rows->width, rows->height, frame->width, frame->height);
    for (int y = 0; y < rows->height; y++) {
        convert(frame->data[0] + (ptrdiff_t)y * frame->linesize[0], (const uint32_t *)(void *)frame->data[1],
                tess_rows_get(rows, y), rows->width);
        tess_rows_put(rows, y);
    }
    return TESS_OK;
}

tess_status tess_codec_decode(const tess_image_bytes *file, tess_rows *rows, tess_error *err)
{
    decoding d = {0};
    if (file->n_byte > INT_MAX - TESS_CODEC_PAD_BYTES)
        return tess_refuse(err, file->name, "size", -1, "less than 2 GiB", "%zu bytes", file->n_byte);
    tess_status status = tess_codec_library_open(&d.lib, err);
    if (status != TESS_OK) return status;
    status = open_decoder(&d, file, err);
    if (status == TESS_OK) status = decode(&d, file, rows, err);
    d.lib.av_frame_free(&d.frame);
    d.lib.av_packet_free(&d.packet);
    d.lib.avcodec_free_context(&d.context);
    return status;
}
