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
    TESS_TIFF_ORIENTATION = 274,
    TESS_TIFF_SAMPLES = 277,
    TESS_TIFF_EXTRA_SAMPLES = 338,
};

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

/* The orientation that EXIF data at [begin, begin + n) tell: 1 to 8, 1 where they tell none. */
int tess_exif_orientation(tess_peek *peek, uint64_t begin, uint64_t n);

#endif
