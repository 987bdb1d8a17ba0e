/* The vision tower: patches in, one row per token for the thinker out, with the rows that DeepStack adds
 * behind its first layers; spec sections 10.3 to 10.6.
 *
 * The patches of one step in time see each other and no others, so images and videos go through in pieces of
 * whole steps, all layers of one piece after another; what comes out does not depend on how large pieces are.
 * A piece costs one reading of those weights that do not stay, so larger pieces are faster.
 *
 * Memory: 3 * d_model + d_head floats per patch of a piece, 4 bytes per token, and for each thread
 * TESS_ENCODER_QUERIES floats per patch of the largest step; what else there is does not grow.
 * With the published sizes that is 14 KB a patch: 710 MB for the largest image (50,176 patches).
 */
#ifndef TESS_MODEL_VISION_TOWER_H
#define TESS_MODEL_VISION_TOWER_H

#include "model/encoder.h"
#include "model/merger.h"
#include "model/taps.h"
#include "tessera/features.h"
#include "tessera/progress.h"

typedef struct tess_vision_tower {
    const tess_vision_config *config;
    tess_encoder encoder;
    tess_bank parts;        /* by tess_vision_part */
    int n_read;             /* rows of `patches` */
    float *patches;         /* [n_read, values of a patch] as they are read */
    float *packed;          /* what products outside the encoder read */
    float *blend;           /* [n_thread, 2, d_model] a learned position in the making */
    float *inv_freq;        /* [d_head / 4] */
    float *cosines, *sines; /* [n_row, d_head / 2] */
    int32_t *group;         /* [tokens of a piece + 1] where steps begin */
    tess_head_room merger;
} tess_vision_tower;

/* Prepares a tower whose config and compute are known; the rest is laid out by what follows, each in an arena
 * that may be one that measures. `weights` are those of the tower's component and outlive it. Rows are
 * patches, a group is a step in time, n_high * n_wide. */
tess_vision_tower tess_vision_tower_make(const tess_vision_config *config, const tess_compute *compute);
void tess_vision_tower_init_workspace(tess_vision_tower *tower, const tess_tower_sizes *sizes,
                                      tess_arena *arena);
void tess_vision_tower_init_weights(tess_vision_tower *tower, tess_store *store,
                                    const tess_tower_weights *weights, const tess_tower_sizes *sizes,
                                    tess_arena *arena);

/* Values of a patch. */
int tess_vision_patch_width(const tess_vision_config *config);
/* Tokens of an image or a video. */
int64_t tess_vision_count_tokens(const tess_vision_config *config, const tess_features *item);
/* Multiplications of it. */
double tess_vision_count_products(const tess_vision_config *config, const tess_features *item);

/* Visits the taps of a run in model order; `run` is 0 for the first of a prompt (images, or videos where
 * there are none) and 1 for the second, whose taps end in "#1". */
void tess_vision_taps_visit(const tess_vision_config *config, const tess_features *const *item, int n_item,
                            int run, void (*visit)(void *context, const tess_tap *tap), void *context);

/* Runs images or videos, one after the other; `run` as above. Every step has at most n_group_row patches.
 *
 *   out            [tokens of all, d_output]
 *   deepstack[k]   [tokens of all, d_output], 0 <= k < n_deepstack; NULL if there is no DeepStack
 *
 * `listener` and `progress` may be NULL. Errors: those of tess_bank_lease and of reading features;
 * TESS_EINPUT (features that are not finite, field "pixel_values" or "pixel_values_videos"), TESS_ENONFINITE
 * (field: the tap), TESS_EINTERRUPTED. */
tess_status tess_vision_tower_run(tess_vision_tower *tower, const tess_features *const *item, int n_item,
                                  const tess_tap_listener *listener, int run, const tess_progress *progress,
                                  float *out, float *const *deepstack, tess_error *err);

#endif
