#include "media/image_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "media/image_decoders.h"
#include "media/image_header.h"
#include "media/resize.h"
#include "media/rows.h"

/* What a decoder takes beside pixels: its tables, and rows on their way. */
enum { DECODER_BYTES = 1 << 20, ROW_BYTES = 64, RGB = 3 };

typedef struct image_kind {
    tess_image_decoder *decode;
    size_t n_pad; /* zeros that it needs behind the bytes */
} image_kind;

static const image_kind kinds[] = {
    [TESS_IMAGE_JPEG] = {tess_jpeg_decode, 0},
    [TESS_IMAGE_PNG] = {tess_png_decode, 0},
    [TESS_IMAGE_WEBP] = {tess_webp_decode, 0},
    [TESS_IMAGE_GIF] = {tess_gif_decode, 0},
    [TESS_IMAGE_BMP] = {tess_codec_decode, TESS_CODEC_PAD_BYTES},
    [TESS_IMAGE_TIFF] = {tess_codec_decode, TESS_CODEC_PAD_BYTES},
};

/* What is not stored as rows from the top down is made a picture first, and resized then. */
static bool is_whole(const tess_image_header *header)
{
    return header->orientation > 1 || header->is_interlaced;
}

/* ---- what decoding takes ---- */

/* The file's own bytes where they are read, and what the decoder keeps, whose blocks reach over the edges.
 * UINT64_MAX where it is more than can be counted. */
static uint64_t count_decoder(const tess_source *source, const tess_image_header *header)
{
    const bool is_read = source->path || kinds[header->kind].n_pad > 0;
    const uint64_t wide = (uint64_t)header->width + ROW_BYTES, high = (uint64_t)header->height + ROW_BYTES;
    uint64_t sum;
    bool fits = tess_mul_u64(wide, high, &sum) && tess_mul_u64(sum, (uint64_t)header->decoder_bytes, &sum) &&
                tess_add_u64(sum, is_read ? header->n_byte : 0, &sum) &&
                tess_add_u64(sum, DECODER_BYTES + ROW_BYTES * wide, &sum);
    return fits ? sum : UINT64_MAX;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return tess_add_u64(a, b, &sum) ? sum : UINT64_MAX;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t tess_image_count_bytes(const tess_image_facts *facts, int out_width, int out_height)
{
    const uint64_t out = RGB * (uint64_t)out_width * (uint64_t)out_height;
    const uint64_t resizing = tess_picture_resize_bytes(facts->width, facts->height, out_width, out_height);
    const uint64_t results = add(out, resizing);
    if (!facts->is_whole) return add(facts->decoder_bytes, results);
    uint64_t picture;
    if (!tess_mul_u64((uint64_t)facts->width * (uint64_t)facts->height, RGB, &picture)) return UINT64_MAX;
    return add(picture, larger(facts->decoder_bytes, results));
}

static void tell(const tess_source *source, const tess_image_header *header, tess_image_facts *out)
{
    bool is_turned = header->orientation >= 5;
    *out = (tess_image_facts){.width = is_turned ? header->height : header->width,
                              .height = is_turned ? header->width : header->height,
                              .format = tess_image_kind_name(header->kind),
                              .decoder_bytes = count_decoder(source, header),
                              .is_whole = is_whole(header)};
}

tess_status tess_image_probe(const tess_source *source, tess_image_facts *out, tess_error *err)
{
    tess_source_reader reader;
    tess_image_header header;
    tess_status status = tess_source_reader_open(source, &reader, err);
    if (status != TESS_OK) return status;
    status = tess_image_header_read(&reader, &header, err);
    tess_source_reader_close(&reader);
    if (status == TESS_OK) tell(source, &header, out);
    return status;
}

/* ---- decoding ---- */

/* Refuses what is not what was looked at, or takes too much. */
static tess_status check(const tess_source *source, const tess_image_facts *seen, const tess_image_facts *now,
                         uint64_t max_bytes, const tess_picture *out, tess_error *err)
{
    char expected[96];
    const uint64_t n_byte = tess_image_count_bytes(now, out->width, out->height);
    if (now->width != seen->width || now->height != seen->height) {
        snprintf(expected, sizeof expected, "%d x %d pixels, as at first", seen->width, seen->height);
        return tess_refuse(err, source->name, "size", -1, expected, "%d x %d", now->width, now->height);
    }
    if (n_byte <= max_bytes) return TESS_OK;
    snprintf(expected, sizeof expected, "a picture that is decoded in at most %llu bytes",
             (unsigned long long)max_bytes);
    return tess_refuse(err, source->name, "size", -1, expected, "%d x %d pixels, which take %llu bytes",
                       now->width, now->height, (unsigned long long)n_byte);
}

/* Gives the file's rows to what was made for them. */
static tess_status decode(const tess_source_reader *reader, const tess_image_header *header, tess_rows *rows,
                          tess_error *err)
{
    tess_image_bytes file = {.name = reader->source->name, .n_byte = reader->n_byte, .header = header};
    const image_kind *kind = &kinds[header->kind];
    void *owned = NULL;
    tess_status status = tess_source_reader_load(reader, kind->n_pad, &file.data, &owned, err);
    if (status == TESS_OK) status = kind->decode(&file, rows, err);
    free(owned);
    return status;
}

static tess_status decode_whole(const tess_source_reader *reader, const tess_image_header *header,
                                const tess_picture *out, tess_error *err)
{
    tess_rows rows;
    tess_status status = tess_rows_init(&rows, header->width, header->height, header->orientation, err);
    if (status != TESS_OK) return status;
    status = decode(reader, header, &rows, err);
    if (status == TESS_OK) status = tess_picture_resize(&rows.picture, out, reader->source->name, err);
    tess_rows_release(&rows);
    return status;
}

static tess_status decode_by_rows(const tess_source_reader *reader, const tess_image_header *header,
                                  const tess_picture *out, tess_error *err)
{
    tess_resizer *resizer;
    tess_rows rows;
    tess_status status =
        tess_resizer_new(header->width, header->height, out, reader->source->name, &resizer, err);
    if (status != TESS_OK) return status;
    status = tess_rows_init_resized(&rows, header->width, header->height, resizer, err);
    if (status == TESS_OK) {
        status = decode(reader, header, &rows, err);
        tess_rows_release(&rows);
    }
    tess_resizer_free(resizer);
    return status;
}

tess_status tess_image_decode(const tess_source *source, const tess_image_facts *seen, uint64_t max_bytes,
                              const tess_picture *out, tess_error *err)
{
    tess_source_reader reader;
    tess_image_header header;
    tess_image_facts now;
    tess_status status = tess_source_reader_open(source, &reader, err);
    if (status != TESS_OK) return status;
    status = tess_image_header_read(&reader, &header, err);
    if (status == TESS_OK) {
        tell(source, &header, &now);
        status = check(source, seen, &now, max_bytes, out, err);
    }
    if (status == TESS_OK)
        status = (now.is_whole ? decode_whole : decode_by_rows)(&reader, &header, out, err);
    tess_source_reader_close(&reader);
    return status;
}
