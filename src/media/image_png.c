/* PNG: pixels unpacked by zlib, all else here, row by row. FFmpeg's decoder would hold the picture whole and
 * passes over rows that are missing.
 *
 * As in Pillow, what has 16 bits a sample keeps the upper 8. QUIRK: grey of 16 bits is clipped to 255
 * instead.
 *
 * DIFFERS: a transparent grey of 2 or 4 bits is looked for among the samples as they are stored, as PNG has
 * it; Pillow looks among the stretched ones and finds another or none (tests/unit/test_image_file.c:
 * grey4-clear.png).
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "media/image_decoders.h"
#include "media/libraries.h"
#include "media/peek.h"

enum { GREY = 0, COLOURS = 2, PALETTE = 3, GREY_ALPHA = 4, COLOURS_ALPHA = 6 };
enum { HEADER_AT = 16, FIRST_CHUNK = 8, CHUNK_BYTES = 12 };

typedef struct png {
    const tess_image_bytes *file;
    tess_zlib_library lib;
    z_stream stream;
    size_t next; /* offset of the chunk after those that were handed to zlib */
    int depth, type, n_sample;
    bool is_interlaced, has_key;
    uint16_t key[3];         /* the transparent colour of a picture without alpha */
    uint8_t palette[256][3]; /* alpha is laid on white already; of grey up to 8 bits: what is shown of it */
    uint8_t *row, *before;   /* [1 + bytes of a row]: the filter first */
} png;

static tess_status refuse(const png *p, const char *found, tess_error *err)
{
    return tess_refuse(err, p->file->name, "", -1, "a whole PNG picture", "%s", found);
}

/* ---- chunks ---- */

typedef struct chunk {
    const uint8_t *kind, *data;
    uint32_t n;
} chunk;

/* The chunk at p->next, and moves on. The header's reader has seen that all of them are there. */
static tess_status next_chunk(png *p, chunk *out, tess_error *err)
{
    const uint8_t *at = p->file->data + p->next;
    uint64_t left = p->file->n_byte - p->next;
    uint32_t n = left >= CHUNK_BYTES ? tess_peek_be32(at) : 0;
    if (left < CHUNK_BYTES || n > left - CHUNK_BYTES) return refuse(p, "one that is cut off", err);
    if (p->lib.crc32(0, at + 4, n + 4) != tess_peek_be32(at + 8 + n))
        return tess_refuse(err, p->file->name, "", (int64_t)p->next, "a chunk with the right checksum",
                           "a damaged one");
    *out = (chunk){at + 4, at + 8, n};
    p->next += CHUNK_BYTES + (size_t)n;
    return TESS_OK;
}

static bool is_kind(const chunk *c, const char *kind)
{
    return !memcmp(c->kind, kind, 4);
}

static void take_palette(png *p, const chunk *c)
{
    for (uint32_t i = 0; i < 256 && 3 * i + 3 <= c->n; i++) memcpy(p->palette[i], c->data + 3 * i, 3);
}

static void take_transparency(png *p, const chunk *c)
{
    if (p->type == PALETTE)
        for (uint32_t i = 0; i < c->n && i < 256; i++)
            for (int k = 0; k < 3; k++) p->palette[i][k] = tess_lay_on_white(p->palette[i][k], c->data[i]);
    p->has_key = (p->type == GREY && c->n >= 2) || (p->type == COLOURS && c->n >= 6);
    for (int k = 0; p->has_key && k < (p->type == GREY ? 1 : 3); k++)
        p->key[k] = (uint16_t)tess_peek_be16(c->data + 2 * k);
}

static tess_status read_header(png *p, tess_error *err)
{
    static const uint8_t n_samples[] = {1, 0, 3, 1, 2, 0, 4};
    /* Depths by type, a bit each. */
    static const uint32_t depths[] = {0x10116, 0, 0x10100, 0x116, 0x10100, 0, 0x10100};
    const uint8_t *head = p->file->data + HEADER_AT;
    p->depth = head[8];
    p->type = head[9];
    p->is_interlaced = head[12];
    if (p->type > 6 || p->depth > 16 || !(depths[p->type] >> p->depth & 1) || head[10] || head[11] ||
        head[12] > 1)
        return tess_refuse(err, p->file->name, "", HEADER_AT + 8, "a form of pixels that PNG has",
                           "type %d of %d bits, methods %d, %d and %d", p->type, p->depth, head[10], head[11],
                           head[12]);
    if (p->is_interlaced != p->file->header->is_interlaced) return refuse(p, "one that changes", err);
    p->n_sample = n_samples[p->type];
    return TESS_OK;
}

static bool is_indexed(const png *p)
{
    return p->type == PALETTE || (p->type == GREY && p->depth <= 8);
}

static void set_greys(png *p)
{
    const unsigned most = (1u << p->depth) - 1;
    for (unsigned grey = 0; grey <= most; grey++)
        memset(p->palette[grey], p->has_key && grey == p->key[0] ? 255 : (int)(grey * 255 / most), 3);
}

/* Up to the first chunk of pixels, which is handed to zlib. */
static tess_status read_chunks(png *p, tess_error *err)
{
    tess_status status = read_header(p, err);
    bool has_palette = false; /* colours that it lacks are black, as in Pillow */
    p->next = FIRST_CHUNK;
    for (chunk c; status == TESS_OK && (status = next_chunk(p, &c, err)) == TESS_OK;) {
        if (is_kind(&c, "PLTE")) {
            take_palette(p, &c);
            has_palette = true;
        }
        if (is_kind(&c, "tRNS")) take_transparency(p, &c);
        if (is_kind(&c, "IEND")) return refuse(p, "one without pixels", err);
        if (!is_kind(&c, "IDAT")) continue;
        if (p->type == PALETTE && !has_palette) return refuse(p, "one without its palette", err);
        if (p->type == GREY && p->depth <= 8) set_greys(p);
        p->stream.next_in = (Bytef *)(uintptr_t)c.data;
        p->stream.avail_in = c.n;
        return TESS_OK;
    }
    return status;
}

/* ---- rows ---- */

static tess_status unpack(png *p, uint8_t *out, size_t n, tess_error *err)
{
    p->stream.next_out = out;
    p->stream.avail_out = (uInt)n;
    while (p->stream.avail_out > 0) {
        if (p->stream.avail_in == 0) {
            chunk c;
            tess_status status = next_chunk(p, &c, err);
            if (status != TESS_OK) return status;
            if (!is_kind(&c, "IDAT")) return refuse(p, "one whose pixels end too early", err);
            p->stream.next_in = (Bytef *)(uintptr_t)c.data;
            p->stream.avail_in = c.n;
            continue;
        }
        int code = p->lib.inflate(&p->stream, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", p->file->name);
        if (code == Z_STREAM_END && p->stream.avail_out > 0)
            return refuse(p, "one whose pixels end too early", err);
        if (code != Z_OK && code != Z_STREAM_END) return refuse(p, "one with damaged pixels", err);
    }
    return TESS_OK;
}

/* The predictor of the fourth filter: whichever of left, above, and above left is nearest to left + above -
 * above left. */
static uint8_t nearest(int a, int b, int c)
{
    int to_a = abs(b - c), to_b = abs(a - c), to_c = abs(a + b - 2 * c);
    return (uint8_t)(to_a <= to_b && to_a <= to_c ? a : to_b <= to_c ? b : c);
}

/* Undoes a row's filter; `step` bytes are a pixel, at least one. */
static bool unfilter(int filter, uint8_t *row, const uint8_t *above, size_t n, size_t step)
{
    for (size_t i = 0; i < n && filter == 1; i++) row[i] = (uint8_t)(row[i] + (i < step ? 0 : row[i - step]));
    for (size_t i = 0; i < n && filter == 2; i++) row[i] = (uint8_t)(row[i] + above[i]);
    for (size_t i = 0; i < n && filter == 3; i++)
        row[i] = (uint8_t)(row[i] + ((i < step ? 0 : row[i - step]) + above[i]) / 2);
    for (size_t i = 0; i < n && filter == 4; i++)
        row[i] = (uint8_t)(row[i] +
                           nearest(i < step ? 0 : row[i - step], above[i], i < step ? 0 : above[i - step]));
    return filter <= 4;
}

static size_t count_row_bytes(const png *p, int width)
{
    return ((size_t)width * (size_t)(p->n_sample * p->depth) + 7) / 8;
}

static tess_status read_row(png *p, int width, tess_error *err)
{
    uint8_t *row = p->before;
    p->before = p->row;
    p->row = row;
    size_t n = count_row_bytes(p, width), step = (size_t)(p->n_sample * p->depth + 7) / 8;
    tess_status status = unpack(p, row, n + 1, err);
    if (status != TESS_OK) return status;
    return unfilter(row[0], row + 1, p->before + 1, n, step) ? TESS_OK
                                                             : refuse(p, "one with damaged pixels", err);
}

/* ---- pixels ---- */

static unsigned sample_at(const png *p, const uint8_t *row, size_t i)
{
    if (p->depth == 8) return row[i];
    if (p->depth == 16) return tess_peek_be16(row + 2 * i);
    size_t bit = i * (size_t)p->depth;
    return (unsigned)row[bit / 8] >> (8 - p->depth - (int)(bit % 8)) & ((1u << p->depth) - 1);
}

static void put_deep_grey(const png *p, const uint8_t *row, int x, uint8_t *rgb)
{
    unsigned grey = sample_at(p, row, (size_t)x);
    memset(rgb, grey > 255 || (p->has_key && grey == p->key[0]) ? 255 : (int)grey, 3);
}

static void put_colours(const png *p, const uint8_t *row, int x, uint8_t *rgb)
{
    int n_byte = p->depth / 8;
    const uint8_t *from = row + (size_t)x * 3 * (size_t)n_byte;
    bool is_key = p->has_key;
    for (int k = 0; k < 3; k++) {
        rgb[k] = from[k * n_byte];
        is_key = is_key && p->key[k] == sample_at(p, row, 3 * (size_t)x + (size_t)k);
    }
    if (is_key) memset(rgb, 255, 3);
}

static void put_with_alpha(const png *p, const uint8_t *row, int x, uint8_t *rgb)
{
    size_t n_byte = (size_t)p->depth / 8, n_colour = (size_t)p->n_sample - 1;
    const uint8_t *from = row + (size_t)x * (size_t)p->n_sample * n_byte;
    unsigned alpha = from[n_colour * n_byte];
    for (size_t k = 0; k < 3; k++) rgb[k] = tess_lay_on_white(from[n_colour == 1 ? 0 : k * n_byte], alpha);
}

/* Pixel x of a row that is unpacked. */
static void put_pixel(const png *p, const uint8_t *row, int x, uint8_t *rgb)
{
    if (is_indexed(p))
        memcpy(rgb, p->palette[sample_at(p, row, (size_t)x)], 3);
    else if (p->type == GREY)
        put_deep_grey(p, row, x, rgb);
    else if (p->type == COLOURS)
        put_colours(p, row, x, rgb);
    else
        put_with_alpha(p, row, x, rgb);
}

/* A row of samples of 1, 2, 4 or 8 bits, the first in the highest. */
static void put_indexed(const png *p, const uint8_t *row, int width, uint8_t *rgb)
{
    const int per_byte = 8 / p->depth;
    for (int x = 0; x < width; row++) {
        unsigned bits = *row;
        for (int i = 0; i < per_byte && x < width; i++, x++, rgb += 3, bits = bits << p->depth & 255)
            memcpy(rgb, p->palette[bits >> (8 - p->depth)], 3);
    }
}

static tess_status read_plain(png *p, tess_rows *rows, tess_error *err)
{
    for (int y = 0; y < rows->height; y++) {
        tess_status status = read_row(p, rows->width, err);
        if (status != TESS_OK) return status;
        uint8_t *rgb = tess_rows_get(rows, y);
        if (p->type == COLOURS && p->depth == 8 && !p->has_key)
            memcpy(rgb, p->row + 1, 3 * (size_t)rows->width);
        else if (is_indexed(p))
            put_indexed(p, p->row + 1, rows->width, rgb);
        else
            for (int x = 0; x < rows->width; x++) put_pixel(p, p->row + 1, x, rgb + 3 * (size_t)x);
        tess_rows_put(rows, y);
    }
    return TESS_OK;
}

/* Seven pictures, each finer than the ones before. */
static tess_status read_interlaced(png *p, tess_rows *rows, tess_error *err)
{
    static const struct {
        int x, y, step_x, step_y;
    } passes[7] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                   {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    for (int i = 0; i < 7; i++) {
        int step_x = passes[i].step_x;
        int n_wide = (int)(((int64_t)rows->width - passes[i].x + step_x - 1) / step_x);
        if (n_wide < 1) continue;
        memset(p->row, 0, 1 + count_row_bytes(p, n_wide));
        for (int64_t y = passes[i].y; y < rows->height; y += passes[i].step_y) {
            tess_status status = read_row(p, n_wide, err);
            if (status != TESS_OK) return status;
            for (int x = 0; x < n_wide; x++)
                put_pixel(p, p->row + 1, x, tess_rows_pixel(rows, passes[i].x + x * step_x, (int)y));
        }
    }
    return TESS_OK;
}

/* What follows the last row is passed over, but what zlib knows to be wrong with the rows is not. */
static tess_status check_end(png *p, tess_error *err)
{
    uint8_t more;
    p->stream.next_out = &more;
    p->stream.avail_out = 1;
    while (p->stream.avail_in == 0) {
        chunk c;
        tess_status status = next_chunk(p, &c, err);
        if (status != TESS_OK || !is_kind(&c, "IDAT")) return status;
        p->stream.next_in = (Bytef *)(uintptr_t)c.data;
        p->stream.avail_in = c.n;
    }
    return p->lib.inflate(&p->stream, Z_NO_FLUSH) == Z_DATA_ERROR ? refuse(p, "one with damaged pixels", err)
                                                                  : TESS_OK;
}

static tess_status decode(png *p, tess_rows *rows, tess_error *err)
{
    tess_status status = read_chunks(p, err);
    if (status != TESS_OK) return status;
    size_t n = 1 + count_row_bytes(p, rows->width);
    if (n > UINT_MAX) return refuse(p, "one with rows that are too long", err);
    p->row = calloc(1, n);
    p->before = calloc(1, n);
    if (!p->row || !p->before)
        return tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", p->file->name);
    status = p->is_interlaced ? read_interlaced(p, rows, err) : read_plain(p, rows, err);
    return status == TESS_OK ? check_end(p, err) : status;
}

tess_status tess_png_decode(const tess_image_bytes *file, tess_rows *rows, tess_error *err)
{
    png p = {.file = file};
    tess_status status = tess_zlib_library_open(&p.lib, err);
    if (status != TESS_OK) return status;
    if (p.lib.inflateInit_(&p.stream, ZLIB_VERSION, sizeof p.stream) != Z_OK)
        return tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", file->name);
    status = decode(&p, rows, err);
    p.lib.inflateEnd(&p.stream);
    free(p.row);
    free(p.before);
    return status;
}
