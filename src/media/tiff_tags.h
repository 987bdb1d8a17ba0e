/* The first directory of a TIFF file, and of EXIF data, which have the same form. */
#ifndef TESS_MEDIA_TIFF_TAGS_H
#define TESS_MEDIA_TIFF_TAGS_H

#include <stdbool.h>

#include "media/peek.h"

/* Tags that are asked for. */
enum {
    TESS_TIFF_WIDTH = 256,
    TESS_TIFF_HEIGHT = 257,
    TESS_TIFF_BITS = 258,
    TESS_TIFF_COMPRESSION = 259,
    TESS_TIFF_PHOTOMETRIC = 262,
    TESS_TIFF_SAMPLES = 277,
    TESS_TIFF_EXTRA_SAMPLES = 338,
};

/* Data that count their offsets from their own beginning, in either order of bytes. */
typedef struct tess_tiff_data {
    tess_peek *peek;
    uint64_t begin, n;
    bool is_big_endian;
    uint32_t directory; /* where the first one is */
} tess_tiff_data;

/* Of [begin, begin + n) of the file. Returns false if that is no TIFF file. */
bool tess_tiff_data_open(tess_peek *peek, uint64_t begin, uint64_t n, tess_tiff_data *out);
/* The n <= 64 bytes at `offset`, as tess_peek_at; NULL where the data end before. */
const uint8_t *tess_tiff_data_at(const tess_tiff_data *data, uint64_t offset, size_t n);
uint32_t tess_tiff_data_get16(const tess_tiff_data *data, const uint8_t *p);
uint32_t tess_tiff_data_get32(const tess_tiff_data *data, const uint8_t *p);

typedef struct tess_tiff_tag {
    uint16_t id;
    uint32_t value; /* the first, if there are several; 0 unless is_found */
    uint32_t count;
    bool is_found;
} tess_tiff_tag;

/* Finds the tags in the directory of the data at [begin, begin + n) of the file. Tags whose type is no whole
 * number count as not found; of a tag that comes twice the last counts. Returns false if this is no such
 * directory, or one that is cut off. */
bool tess_tiff_tags_find(tess_peek *peek, uint64_t begin, uint64_t n, tess_tiff_tag *tags, int n_tag);

#endif
