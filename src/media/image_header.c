#include "media/image_header.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "media/gif.h"
#include "media/peek.h"
#include "media/png_text.h"
#include "media/tiff_tags.h"

static const char SUPPORTED[] = "JPEG, PNG, WebP, GIF, BMP or TIFF";

const char *tess_image_kind_name(tess_image_kind kind)
{
    static const char *const names[] = {"JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"};
    return names[kind];
}

/* ---- JPEG ---- */

enum { JPEG_SOI = 0xd8, JPEG_EOI = 0xd9, JPEG_SOS = 0xda, JPEG_APP1 = 0xe1, JPEG_TEM = 0x01 };

static bool is_jpeg_frame(int marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static bool is_jpeg_alone(int marker)
{
    return marker == JPEG_TEM || (marker >= 0xd0 && marker <= JPEG_SOI);
}

/* Finds the next marker from *offset on and moves behind it. Bytes that are none are passed over, as libjpeg
 * and Pillow do. */
static int next_jpeg_marker(tess_peek *peek, uint64_t *offset)
{
    bool is_marked = false;
    for (const uint8_t *p; (p = tess_peek_at(peek, *offset, 1)); ++*offset) {
        if (is_marked && *p != 0xff && *p != 0) {
            ++*offset;
            return *p;
        }
        is_marked = *p == 0xff;
    }
    return -1;
}

/* The frame header: precision, height, width, components. */
static tess_status read_jpeg_frame(tess_peek *peek, uint64_t offset, int marker, int *n_component,
                                   tess_image_header *out, tess_error *err)
{
    const uint8_t *p = tess_peek_at(peek, offset + 2, 6);
    if (!p) return tess_peek_refuse(peek, offset, "a JPEG frame header", err);
    if (p[0] != 8)
        return tess_refuse(err, peek->name, "precision", (int64_t)offset + 2, "JPEG of 8 bits a sample",
                           "%d bits", p[0]);
    out->height = (int)tess_peek_be16(p + 1);
    out->width = (int)tess_peek_be16(p + 3);
    *n_component = p[5];
    if (*n_component != 1 && *n_component != 3 && *n_component != 4)
        return tess_refuse(err, peek->name, "components", (int64_t)offset + 7, "1, 3 or 4", "%d", p[5]);
    /* The decoder keeps all coefficients of a progressive picture, two bytes each. */
    bool is_progressive = (marker & 3) == 2;
    out->decoder_bytes = is_progressive ? 2 * *n_component : 0;
    return TESS_OK;
}

/* Notes EXIF data, the first, or an XMP packet, the last. */
static void note_jpeg_app1(tess_peek *peek, tess_piece data, tess_piece *exif, tess_piece *xmp)
{
    static const char exif_mark[6] = "Exif\0", xmp_mark[29] = "http://ns.adobe.com/xap/1.0/";
    const uint8_t *p = data.n >= sizeof exif_mark ? tess_peek_at(peek, data.offset, sizeof exif_mark) : NULL;
    if (p && exif->offset == 0 && !memcmp(p, exif_mark, sizeof exif_mark)) *exif = data;
    p = data.n >= sizeof xmp_mark ? tess_peek_at(peek, data.offset, sizeof xmp_mark) : NULL;
    if (p && !memcmp(p, xmp_mark, sizeof xmp_mark))
        *xmp = (tess_piece){data.offset + sizeof xmp_mark, data.n - sizeof xmp_mark};
}

static tess_status read_jpeg(tess_peek *peek, tess_image_header *out, tess_error *err)
{
    uint64_t offset = 2;
    int n_component = 0;
    tess_piece exif = {0}, xmp = {0};
    for (;;) {
        int marker = next_jpeg_marker(peek, &offset);
        if (is_jpeg_alone(marker)) continue;
        const uint8_t *p = marker < 0 || marker == JPEG_EOI ? NULL : tess_peek_at(peek, offset, 3);
        if (!p) return tess_peek_refuse(peek, offset, "a JPEG scan", err);
        uint32_t length = tess_peek_be16(p);
        if (length < 2) return tess_refuse(err, peek->name, "", (int64_t)offset, "a segment", "%u", length);
        if (marker == JPEG_SOS) {
            /* So does it of one whose components come one after another. */
            if (p[2] < n_component) out->decoder_bytes = 2 * n_component;
            break;
        }
        tess_status status = TESS_OK;
        if (is_jpeg_frame(marker) && n_component == 0)
            status = read_jpeg_frame(peek, offset, marker, &n_component, out, err);
        if (status != TESS_OK) return status;
        if (marker == JPEG_APP1) note_jpeg_app1(peek, (tess_piece){offset + 2, length - 2}, &exif, &xmp);
        offset += length;
    }
    if (n_component == 0)
        return tess_refuse(err, peek->name, "", (int64_t)offset, "a frame header", "a scan");
    out->orientation = tess_orientation_find(peek, exif, xmp);
    return TESS_OK;
}

/* ---- PNG ---- */

static tess_status read_png_size(tess_peek *peek, tess_image_header *out, tess_error *err)
{
    const uint8_t *p = tess_peek_at(peek, 8, 25);
    if (!p) return tess_peek_refuse(peek, 8, "the PNG header", err);
    if (tess_peek_be32(p) != 13 || memcmp(p + 4, "IHDR", 4) != 0)
        return tess_refuse(err, peek->name, "", 8, "the chunk IHDR", "another");
    uint32_t width = tess_peek_be32(p + 8), height = tess_peek_be32(p + 12);
    out->width = width > INT_MAX ? -1 : (int)width;
    out->height = height > INT_MAX ? -1 : (int)height;
    out->is_interlaced = p[20] != 0;
    return TESS_OK;
}

static tess_status read_png(tess_peek *peek, tess_image_header *out, tess_error *err)
{
    tess_status status = read_png_size(peek, out, err);
    if (status != TESS_OK) return status;
    tess_png_notes notes = {0};
    for (uint64_t offset = 8;;) {
        const uint8_t *p = tess_peek_at(peek, offset, 12);
        uint32_t length = p ? tess_peek_be32(p) : 0;
        if (!p || length > peek->n_byte - offset - 12)
            return tess_peek_refuse(peek, offset, "a whole PNG chunk", err);
        if (!memcmp(p + 4, "IEND", 4)) break;
        tess_png_note(&notes, peek, p + 4, (tess_piece){offset + 8, length});
        offset += 12 + (uint64_t)length;
    }
    if (!notes.has_pixels) return tess_refuse(err, peek->name, "", -1, "a PNG chunk IDAT", "none");
    return tess_png_find_orientation(&notes, peek, &out->orientation, err);
}

/* ---- WebP ---- */

static uint32_t le24(const uint8_t *p)
{
    return (uint32_t)p[2] << 16 | tess_peek_le16(p);
}

/* The picture's own header, where there is no VP8X chunk that says it. */
static bool read_webp_frame(const uint8_t *p, tess_image_header *out)
{
    if (!memcmp(p, "VP8 ", 4)) {
        if (p[11] != 0x9d || p[12] != 0x01 || p[13] != 0x2a) return false;
        out->width = (int)(tess_peek_le16(p + 14) & 0x3fff);
        out->height = (int)(tess_peek_le16(p + 16) & 0x3fff);
        return true;
    }
    if (memcmp(p, "VP8L", 4) != 0 || p[8] != 0x2f) return false;
    uint32_t bits = tess_peek_le32(p + 9);
    out->width = (int)(bits & 0x3fff) + 1;
    out->height = (int)(bits >> 14 & 0x3fff) + 1;
    out->has_alpha = bits >> 28 & 1;
    return true;
}

/* The first chunk of a kind counts, and only where the file's flags say that there is one. */
static void note_webp_chunk(const uint8_t name[4], uint32_t flags, tess_piece data, tess_piece *exif,
                            tess_piece *xmp)
{
    enum { HAS_XMP = 4, HAS_EXIF = 8 };
    if (!memcmp(name, "EXIF", 4) && flags & HAS_EXIF && exif->offset == 0) *exif = data;
    if (!memcmp(name, "XMP ", 4) && flags & HAS_XMP && xmp->offset == 0) *xmp = data;
}

static tess_status read_webp(tess_peek *peek, tess_image_header *out, tess_error *err)
{
    const uint8_t *p = tess_peek_at(peek, 0, 30);
    if (!p) return tess_peek_refuse(peek, 12, "a WebP header", err);
    uint64_t end = 8 + (uint64_t)tess_peek_le32(p + 4);
    if (end > peek->n_byte) return tess_peek_refuse(peek, end, "a whole WebP file", err);
    bool is_extended = !memcmp(p + 12, "VP8X", 4);
    if (is_extended) {
        out->width = (int)le24(p + 24) + 1;
        out->height = (int)le24(p + 27) + 1;
        out->is_animated = p[20] & 2;
        out->has_alpha = p[20] & 0x10;
    } else if (!read_webp_frame(p + 12, out))
        return tess_refuse(err, peek->name, "", 12, "a WebP picture", "something else");
    bool is_lossless = !memcmp(p + 12, "VP8L", 4);
    const uint32_t flags = is_extended ? p[20] : 0;
    tess_piece exif = {0}, xmp = {0};
    for (uint64_t offset = 12; is_extended && (p = tess_peek_at(peek, offset, 8));) {
        uint32_t length = tess_peek_le32(p + 4);
        is_lossless |= !memcmp(p, "VP8L", 4);
        out->has_alpha |= !memcmp(p, "ALPH", 4);
        note_webp_chunk(p, flags, (tess_piece){offset + 8, length}, &exif, &xmp);
        offset += 8 + (uint64_t)length + (length & 1);
    }
    out->orientation = tess_orientation_find(peek, exif, xmp);
    /* It comes whole, as three bytes a pixel, or as four with alpha, which keeps a plane of its own; a
     * lossless one is made as four first; an animation has two canvases and its frame. */
    out->decoder_bytes = out->is_animated ? 13 : (is_lossless ? 4 : 0) + (out->has_alpha ? 5 : 3);
    return TESS_OK;
}

/* ---- GIF, BMP, TIFF ---- */

static tess_status read_gif(tess_peek *peek, tess_image_header *out, tess_error *err)
{
    tess_gif gif;
    tess_status status = tess_gif_read(peek, &gif, err);
    if (status != TESS_OK) return status;
    out->width = gif.width;
    out->height = gif.height;
    out->decoder_bytes = 1;
    return TESS_OK;
}

/* FFmpeg fills up what is missing at the end, so the end is looked for here. */
static tess_status check_bmp_rows(tess_peek *peek, uint64_t begin, uint32_t bits,
                                  const tess_image_header *out, tess_error *err)
{
    if (out->width < 1 || out->height < 1) return TESS_OK; /* refused for that */
    uint64_t stride = ((uint64_t)out->width * bits + 31) / 32 * 4, size;
    if (tess_mul_u64(stride, (uint64_t)out->height, &size) && tess_add_u64(size, begin, &size) &&
        size <= peek->n_byte)
        return TESS_OK;
    return tess_peek_refuse(peek, peek->n_byte, "as many bytes of pixels as the header says", err);
}

/* Runs of equal pixels, and pixels one by one, up to the mark of the end. */
static tess_status check_bmp_runs(tess_peek *peek, uint64_t begin, bool is_4_bit, tess_error *err)
{
    enum { LINE_END = 0, END = 1, MOVE = 2 };
    for (const uint8_t *p; (p = tess_peek_at(peek, begin, 2)); begin += 2) {
        if (p[0] != 0 || p[1] == LINE_END) continue;
        if (p[1] == END) return TESS_OK;
        uint64_t n = p[1] == MOVE ? 2 : is_4_bit ? (p[1] + 1u) / 2 : p[1];
        begin += n + (n & 1);
    }
    return tess_peek_refuse(peek, begin, "the mark that ends a compressed BMP", err);
}

static tess_status read_bmp(tess_peek *peek, tess_image_header *out, tess_error *err)
{
    const uint8_t *p = tess_peek_at(peek, 10, 16);
    if (!p) return tess_peek_refuse(peek, 14, "a BMP header", err);
    uint32_t begin = tess_peek_le32(p), size = tess_peek_le32(p + 4);
    if (size == 12) {
        out->decoder_bytes = 3;
        out->width = (int)tess_peek_le16(p + 8);
        out->height = (int)tess_peek_le16(p + 10);
        return check_bmp_rows(peek, begin, tess_peek_le16(p + 14), out, err);
    }
    if (size < 40)
        return tess_refuse(err, peek->name, "", 14, "a BMP header of 12, 40 or more bytes", "%u bytes", size);
    p = tess_peek_at(peek, 14, 40);
    if (!p) return tess_peek_refuse(peek, 14, "a BMP header", err);
    int32_t width = (int32_t)tess_peek_le32(p + 4), height = (int32_t)tess_peek_le32(p + 8);
    out->width = width;
    out->height = height == INT32_MIN ? -1 : height < 0 ? -height : height;
    uint32_t bits = tess_peek_le16(p + 14), compression = tess_peek_le32(p + 16);
    out->decoder_bytes = bits <= 8 ? 1 : 4;
    /* Four masks are a header's of 56 bytes or more, with "bit fields". */
    const uint8_t *mask = size >= 56 && compression == 3 ? tess_peek_at(peek, 14 + 52, 4) : NULL;
    out->has_alpha = mask && tess_peek_le32(mask) != 0;
    if (compression == 1 || compression == 2) return check_bmp_runs(peek, begin, compression == 2, err);
    return check_bmp_rows(peek, begin, bits, out, err);
}

enum { WHITE_IS_0, BLACK_IS_0, TIFF_RGB, TIFF_PALETTE, OLD_JPEG = 6, NEW_JPEG = 7, PREMULTIPLIED = 1 };
enum { WIDTH, HEIGHT, SAMPLES, BITS, PACKING, COLOURS, EXTRA, N_TAG };

/* Forms that FFmpeg would turn to RGB in its own way, or take for another. */
static const char *find_rare_form(const tess_tiff_tag *tags, uint32_t n_sample, uint32_t bits)
{
    uint32_t colours = tags[COLOURS].is_found ? tags[COLOURS].value : UINT32_MAX;
    uint32_t n_colour = colours == TIFF_RGB ? 3 : 1;
    if (colours > TIFF_PALETTE) return "CMYK or other rare colours";
    if (colours == WHITE_IS_0 && (bits > 8 || n_sample > 1))
        return "deep or transparent grey with white as 0";
    if (tags[PACKING].value == OLD_JPEG || tags[PACKING].value == NEW_JPEG) return "JPEG inside TIFF";
    if (tags[EXTRA].value == PREMULTIPLIED) return "colours multiplied by their alpha";
    if (n_colour == 1 && n_sample > 1 && !tags[EXTRA].is_found) return "more samples than colours";
    return NULL;
}

static tess_status read_tiff(tess_peek *peek, tess_image_header *out, tess_error *err)
{
    tess_tiff_tag tags[N_TAG] = {
        [WIDTH] = {.id = TESS_TIFF_WIDTH},         [HEIGHT] = {.id = TESS_TIFF_HEIGHT},
        [SAMPLES] = {.id = TESS_TIFF_SAMPLES},     [BITS] = {.id = TESS_TIFF_BITS},
        [PACKING] = {.id = TESS_TIFF_COMPRESSION}, [COLOURS] = {.id = TESS_TIFF_PHOTOMETRIC},
        [EXTRA] = {.id = TESS_TIFF_EXTRA_SAMPLES}};
    bool is_read = tess_tiff_tags_find(peek, 0, peek->n_byte, tags, N_TAG);
    if (peek->failure) return tess_peek_refuse(peek, 0, "a TIFF directory", err);
    if (!is_read || !tags[WIDTH].is_found || !tags[HEIGHT].is_found)
        return tess_refuse(err, peek->name, "", 4, "a TIFF directory with width and height", "none");
    out->width = tags[WIDTH].value > INT_MAX ? -1 : (int)tags[WIDTH].value;
    out->height = tags[HEIGHT].value > INT_MAX ? -1 : (int)tags[HEIGHT].value;
    out->orientation = tess_orientation_find(peek, (tess_piece){0, peek->n_byte}, tess_exif_find_xmp(peek));
    uint32_t n_sample = tags[SAMPLES].is_found ? tags[SAMPLES].value : 1;
    uint32_t bits = tags[BITS].is_found ? tags[BITS].value : 1;
    const char *rare = find_rare_form(tags, n_sample, bits);
    if (rare)
        return tess_refuse(err, peek->name, "pixels", -1, "TIFF of grey, a palette, RGB or RGBA", "%s", rare);
    out->has_alpha = !tags[EXTRA].is_found || tags[EXTRA].value != 0;
    /* A compressed strip is unpacked first, and may be the whole picture. */
    out->decoder_bytes = 2 * (int)(n_sample < 4 ? n_sample : 4) * (bits > 8 ? 2 : 1);
    return TESS_OK;
}

/* ---- which kind ---- */

typedef struct kind_mark {
    const char *name; /* of a kind that is refused */
    size_t offset, n;
    const char *bytes;
    int kind; /* tess_image_kind; -1: refused */
} kind_mark;

static const kind_mark marks[] = {
    {NULL, 0, 3, "\xff\xd8\xff", TESS_IMAGE_JPEG},
    {NULL, 0, 8, "\x89PNG\r\n\x1a\n", TESS_IMAGE_PNG},
    {NULL, 8, 4, "WEBP", TESS_IMAGE_WEBP},
    {NULL, 0, 6, "GIF87a", TESS_IMAGE_GIF},
    {NULL, 0, 6, "GIF89a", TESS_IMAGE_GIF},
    {NULL, 0, 2, "BM", TESS_IMAGE_BMP},
    {NULL, 0, 4, "II*\0", TESS_IMAGE_TIFF},
    {NULL, 0, 4, "MM\0*", TESS_IMAGE_TIFF},
    {"AVIF", 4, 8, "ftypavif", -1},
    {"an AVIF animation", 4, 8, "ftypavis", -1},
    {"HEIC", 4, 7, "ftyphei", -1},
    {"HEIC", 4, 7, "ftyphev", -1},
    {"HEIF", 4, 8, "ftypmif1", -1},
    {"HEIF", 4, 8, "ftypmsf1", -1},
    {"sound (M4A)", 4, 7, "ftypM4A", -1},
    {"a film (MP4 or MOV)", 4, 4, "ftyp", -1},
    {"a film (Matroska or WebM)", 0, 4, "\x1a\x45\xdf\xa3", -1},
    {"JPEG XL", 0, 2, "\xff\x0a", -1},
    {"JPEG XL", 4, 4, "JXL ", -1},
    {"JPEG 2000", 4, 4, "jP  ", -1},
    {"JPEG 2000", 0, 4, "\xff\x4f\xff\x51", -1},
    {"BigTIFF", 0, 4, "II+\0", -1},
    {"BigTIFF", 0, 4, "MM\0+", -1},
    {"a Photoshop document", 0, 4, "8BPS", -1},
    {"PDF", 0, 5, "%PDF-", -1},
    {"SVG or another kind of XML", 0, 5, "<?xml", -1},
    {"SVG or another kind of XML", 0, 8, "\xef\xbb\xbf<?xml", -1},
    {"SVG", 0, 4, "<svg", -1},
    {"HTML", 0, 5, "<html", -1},
    {"HTML", 0, 9, "<!DOCTYPE", -1},
    {"an icon (ICO)", 0, 4, "\0\0\1\0", -1},
    {"sound (WAV)", 8, 4, "WAVE", -1},
    {"a film (AVI)", 8, 4, "AVI ", -1},
    {"sound (FLAC)", 0, 4, "fLaC", -1},
    {"sound (OGG)", 0, 4, "OggS", -1},
    {"sound (MP3)", 0, 3, "ID3", -1},
    {"sound (AIFF)", 8, 3, "AIF", -1},
    {"sound (CAF)", 0, 4, "caff", -1},
};

static tess_status find_kind(tess_peek *peek, tess_image_kind *out, tess_error *err)
{
    size_t n = peek->n_byte < 32 ? (size_t)peek->n_byte : 32;
    const uint8_t *head = tess_peek_at(peek, 0, n);
    if (!head) return tess_peek_refuse(peek, 0, SUPPORTED, err);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const kind_mark *m = &marks[i];
        if (m->offset + m->n > n || memcmp(head + m->offset, m->bytes, m->n) != 0) continue;
        if (m->kind < 0) return tess_refuse(err, peek->name, "", -1, SUPPORTED, "%s", m->name);
        *out = (tess_image_kind)m->kind;
        return TESS_OK;
    }
    char bytes[3 * 8 + 1] = "";
    for (size_t i = 0; i < n && i < 8; i++) snprintf(bytes + 3 * i, 4, " %02x", head[i]);
    return tess_refuse(err, peek->name, "", -1, SUPPORTED, "no kind of image (it begins with%s)", bytes);
}

tess_status tess_image_header_read(const tess_source_reader *reader, tess_image_header *out, tess_error *err)
{
    static tess_status (*const readers[])(tess_peek *, tess_image_header *, tess_error *) = {
        read_jpeg, read_png, read_webp, read_gif, read_bmp, read_tiff};
    tess_peek peek;
    tess_peek_init(&peek, reader);
    tess_image_header header = {.orientation = 1, .n_byte = reader->n_byte};
    tess_status status = find_kind(&peek, &header.kind, err);
    if (status == TESS_OK) status = readers[header.kind](&peek, &header, err);
    if (status != TESS_OK) return status;
    if (peek.failure) return tess_peek_refuse(&peek, 0, "its header", err);
    if (header.width < 1 || header.height < 1)
        return tess_refuse(err, peek.name, "size", -1, "at least one pixel", "%d x %d of %s", header.width,
                           header.height, tess_image_kind_name(header.kind));
    *out = header;
    return TESS_OK;
}
