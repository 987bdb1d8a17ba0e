/* Which medium of the reference, and which place in it, a row of a tower's tap belongs to.
 *
 * Grids and lengths stand in the reference; what its configuration says – the patches of a token, the frames
 * of a chunk – follows from the shapes of its taps, so that two files can be compared without a model. */
#ifndef TESS_VERIFY_COMPARE_MEDIA_MAP_H
#define TESS_VERIFY_COMPARE_MEDIA_MAP_H

#include "tessera/compare.h"
#include "verify/compare/tap_state.h"

typedef struct tess_mapped_medium {
    tess_media_kind kind;
    int number;                 /* among those of its kind, from 1 */
    int n_step, n_high, n_wide; /* in patches */
    double seconds_per_step;
    int64_t n_frame;
    tess_tap_part part;
    int run;                                /* of its tower */
    int64_t first_token, n_token;           /* in that run */
    int64_t first_chunk, n_chunk, n_column; /* clips: chunks, and the frames of those before it */
} tess_mapped_medium;

typedef struct tess_media_map {
    tess_mapped_medium *medium;                /* [n] */
    int n, merge, n_chunk_frame, n_chunk_step; /* 0: not known */
    char unknown[160];                         /* why a place is not known, or "" */
} tess_media_map;

/* Reads the media of the file. What cannot be mapped is left out, with a reason. Errors: TESS_EIO,
 * TESS_ENOMEM. */
tess_status tess_media_map_make(const tess_safetensors *file, tess_media_map *out, tess_error *err);
void tess_media_map_release(tess_media_map *map); /* zeroed is fine */

/* The frame with which a clip's token begins: eight frames a token, and every chunk begins anew. */
int64_t tess_media_map_begin(int n_chunk_frame, int64_t token);

/* The place of a row, or of an input's element, in words; "" where there is none. */
void tess_media_map_say(const tess_media_map *map, const tess_tap_state *s, int64_t row, int64_t element,
                        char *out, size_t size);

/* Whether the tap is one of the tower's run that took the medium, and its rows fit. */
bool tess_media_map_covers(const tess_media_map *map, const tess_mapped_medium *medium,
                           const tess_tap_state *s);
/* The rows of a covered tap that make token 0 <= token < n_token of the medium; returns how many. */
int64_t tess_media_map_rows(const tess_media_map *map, const tess_mapped_medium *medium,
                            const tess_tap_state *s, int64_t token, int64_t *first);

#endif
