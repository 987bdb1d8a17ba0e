#include "media/image_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "media/image_decoders.h"
#include "media/image_header.h"
#include "media/rows.h"

/* What a decoder takes beside pixels: its tables, and rows on their way. */
enum { DECODER_BYTES = 1 << 20, ROW_BYTES = 64 };

/* The file's own bytes, the picture, and what the decoder keeps, whose blocks reach over the edges.
 * UINT64_MAX where it is more than can be counted. */
static uint64_t count_bytes(const tess_image_header *header)
{
    uint64_t wide = (uint64_t)header->width + ROW_BYTES, high = (uint64_t)header->height + ROW_BYTES;
    uint64_t pixels = 0, sum = 0;
    bool fits = tess_mul_u64((uint64_t)header->width * (uint64_t)header->height, 3, &sum) &&
                tess_mul_u64(wide, high, &pixels) &&
                tess_mul_u64(pixels, (uint64_t)header->decoder_bytes, &pixels) &&
                tess_add_u64(sum, pixels, &sum) && tess_add_u64(sum, header->n_byte, &sum) &&
                tess_add_u64(sum, DECODER_BYTES + ROW_BYTES * wide, &sum);
    return fits ? sum : UINT64_MAX;
}

static void tell(const tess_image_header *header, tess_image_facts *out)
{
    bool is_turned = header->orientation >= 5;
    *out = (tess_image_facts){.width = is_turned ? header->height : header->width,
                              .height = is_turned ? header->width : header->height,
                              .format = tess_image_kind_name(header->kind),
                              .bytes = count_bytes(header)};
}

tess_status tess_image_probe(const tess_source *source, tess_image_facts *out, tess_error *err)
{
    tess_source_reader reader;
    tess_image_header header;
    tess_status status = tess_source_reader_open(source, &reader, err);
    if (status != TESS_OK) return status;
    status = tess_image_header_read(&reader, &header, err);
    tess_source_reader_close(&reader);
    if (status == TESS_OK) tell(&header, out);
    return status;
}

static tess_status refuse_size(const tess_source *source, const tess_image_header *header, uint64_t max_bytes,
                               tess_error *err)
{
    char expected[96];
    snprintf(expected, sizeof expected, "a picture that is decoded in at most %llu bytes",
             (unsigned long long)max_bytes);
    return tess_refuse(err, source->name, "size", -1, expected, "%d x %d pixels, which take %llu bytes",
                       header->width, header->height, (unsigned long long)count_bytes(header));
}

static tess_status decode(const tess_source_reader *reader, const tess_image_header *header,
                          tess_picture *out, tess_error *err)
{
    static const struct {
        tess_image_decoder *decode;
        size_t n_pad; /* zeros that it needs behind the bytes */
    } decoders[] = {
        [TESS_IMAGE_JPEG] = {tess_jpeg_decode, 0},
        [TESS_IMAGE_PNG] = {tess_png_decode, 0},
        [TESS_IMAGE_WEBP] = {tess_webp_decode, 0},
        [TESS_IMAGE_GIF] = {tess_gif_decode, 0},
        [TESS_IMAGE_BMP] = {tess_codec_decode, TESS_CODEC_PAD_BYTES},
        [TESS_IMAGE_TIFF] = {tess_codec_decode, TESS_CODEC_PAD_BYTES},
    };
    tess_image_bytes file = {.name = reader->source->name, .n_byte = reader->n_byte, .header = header};
    void *owned = NULL;
    tess_rows rows = {0};
    size_t n_pad = decoders[header->kind].n_pad;
    tess_status status = tess_source_reader_load(reader, n_pad, &file.data, &owned, err);
    if (status == TESS_OK)
        status = tess_rows_init(&rows, header->width, header->height, header->orientation, err);
    if (status == TESS_OK) status = decoders[header->kind].decode(&file, &rows, err);
    free(owned);
    if (status == TESS_OK)
        *out = tess_rows_finish(&rows);
    else
        tess_rows_release(&rows);
    return status;
}

tess_status tess_image_decode(const tess_source *source, uint64_t max_bytes, tess_picture *out,
                              tess_error *err)
{
    tess_source_reader reader;
    tess_image_header header;
    tess_status status = tess_source_reader_open(source, &reader, err);
    if (status != TESS_OK) return status;
    status = tess_image_header_read(&reader, &header, err);
    if (status == TESS_OK && count_bytes(&header) > max_bytes)
        status = refuse_size(source, &header, max_bytes, err);
    if (status == TESS_OK) status = decode(&reader, &header, out, err);
    tess_source_reader_close(&reader);
    return status;
}
