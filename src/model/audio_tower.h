/* The audio tower: mel frames in, rows for the thinker out, 13 for every 100 frames; spec section 9.
 *
 * A call has one or several clips. A clip is cut into chunks of 2 * n_window frames, the last one shorter,
 * and all chunks of a call are filled up with zeros to the longest of them, which matters: the convolutions
 * see it. Three convolutions and a linear make rows of a chunk; positions count from its start. Windows of
 * whole chunks (n_window_infer frames) see themselves and nothing else, so the tower works piece by piece, a
 * piece being whole windows, one after another in order: what it takes does not grow with a clip, and the
 * bits do not depend on pieces.
 *
 * A tower is lent weights by its banks, threads by a pool and frames by features; it allocates nothing.
 */
#ifndef TESS_MODEL_AUDIO_TOWER_H
#define TESS_MODEL_AUDIO_TOWER_H

#include "model/encoder.h"
#include "model/taps.h"
#include "tessera/features.h"
#include "tessera/progress.h"

typedef struct tess_audio_tower {
    const tess_audio_config *config;
    tess_encoder encoder;
    tess_bank parts;
    /* The stem's scratch, of one chunk. Maps lie [time, mel, channel]. */
    float *frames;    /* [2 * n_window, n_mel] */
    float *map[3];    /* what the convolutions make */
    float *gathered;  /* [n_thread, inputs of a row] of a product */
    float *packed;    /* a block of such rows, packed */
    float *steps;     /* [steps of a chunk, d_model] */
    float *positions; /* likewise: what is added to them */
    int32_t *group;   /* [n_row + 1] */
} tess_audio_tower;

/* Refuses a configuration whose full chunk does not come out as the 13 steps that the original counts with:
 * there it fails, or takes rows of the wrong chunks. */
tess_status tess_audio_check_config(const tess_audio_config *config, tess_error *err);

/* Tokens of a clip of n_frame frames, 0 … 10^10, and of the longest window. */
int tess_audio_count_tokens(const tess_audio_config *config, int64_t n_frame);
int tess_audio_count_window_tokens(const tess_audio_config *config);
/* Multiplications of a clip on its own. */
double tess_audio_count_products(const tess_audio_config *config, int64_t n_frame);

/* A tower whose config and compute are known; the rest is laid out by what follows, each in an arena that may
 * be one that measures. `weights` must outlive the tower. The config has passed tess_audio_check_config. Rows
 * are tokens, a group is a window. */
tess_audio_tower tess_audio_tower_make(const tess_audio_config *config, const tess_compute *compute);
void tess_audio_tower_init_workspace(tess_audio_tower *tower, const tess_tower_sizes *sizes,
                                     tess_arena *arena);
void tess_audio_tower_init_weights(tess_audio_tower *tower, tess_store *store,
                                   const tess_tower_weights *weights, const tess_tower_sizes *sizes,
                                   tess_arena *arena);

/* Visits the taps of a call in model order. */
void tess_audio_taps_visit(const tess_audio_config *config, const tess_features *const *clip, int n_clip,
                           void (*visit)(void *context, const tess_tap *tap), void *context);

/* Runs the clips, each of at least one frame; out [tokens of all clips, d_output]. `listener` and `progress`
 * may be NULL. Errors: those of tess_bank_lease and of reading features; TESS_EINPUT (features that are not
 * finite, field "input_features"), TESS_ENONFINITE (field: the tap), TESS_EINTERRUPTED. */
tess_status tess_audio_tower_run(tess_audio_tower *tower, const tess_features *const *clip, int n_clip,
                                 const tess_tap_listener *listener, const tess_progress *progress, float *out,
                                 tess_error *err);

#endif
