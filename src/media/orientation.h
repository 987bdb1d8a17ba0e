/* Which way up a picture is, as Pillow finds it: by EXIF data or, where those have no such tag, by the first
 * "tiff:Orientation" in an XMP packet.
 *
 * QUIRK: an EXIF tag counts whatever its value is: one that is none of the numbers 1 to 8 leaves the picture
 * as it is stored, and XMP is not asked; neither is it where Pillow fails on what should be EXIF data, or
 * gives them up (tests/data/media/images: xmp-… and exif-…).
 */
#ifndef TESS_MEDIA_ORIENTATION_H
#define TESS_MEDIA_ORIENTATION_H

#include <stdbool.h>

#include "media/peek.h"

/* Bytes of a file; n 0: there are none. */
typedef struct tess_piece {
    uint64_t offset, n;
} tess_piece;

/* Whether EXIF data, with or without their mark, say which way up it is; *out 1 to 8. */
bool tess_exif_find_orientation(tess_peek *peek, tess_piece exif, int *out);

/* The XMP packet of a TIFF file, which is its own EXIF data. */
tess_piece tess_exif_find_xmp(tess_peek *peek);

/* What the packet says, 1 to 8; 1 where it says nothing else. */
int tess_xmp_find_orientation(tess_peek *peek, tess_piece xmp);

/* By both. */
int tess_orientation_find(tess_peek *peek, tess_piece exif, tess_piece xmp);

#endif
