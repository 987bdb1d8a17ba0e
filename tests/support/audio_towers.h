/* For tests: an audio tower of a checkpoint, without an engine around it, and clips to run on it. */
#ifndef TESS_TESTS_AUDIO_TOWERS_H
#define TESS_TESTS_AUDIO_TOWERS_H

#include "base/fpenv.h"
#include "model/audio_tower.h"
#include "recording.h"

/* Numbers of 0 mean: a piece of one window, one thread, all slots. */
typedef struct test_tower_options {
    const char *model, *isa; /* isa NULL: the best */
    tess_rounding rounding;
    int n_row, n_thread, n_layer_slot, n_part_slot;
    int n_window_infer; /* 0: the checkpoint's */
} test_tower_options;

typedef struct test_audio_tower {
    tess_config config;
    tess_store *store;
    tess_tower_weights weights;
    tess_kernels kernels;
    tess_pool *pool;
    tess_arena arena;
    tess_fpenv saved;
    tess_audio_tower tower;
} test_audio_tower;

void test_audio_tower_open(const test_tower_options *options, test_audio_tower *out);
void test_audio_tower_close(test_audio_tower *tower);

enum { TEST_CLIPS = 8, TEST_MEL = 128 };

/* Where a clip's frames come from: a golden's tensor [TEST_MEL, frames of all clips], or NULL, then they are
 * made, as reference/audio_tower.py makes them. */
typedef struct test_clip_source {
    const test_tensor *frames;
    int64_t first;     /* of this clip among those of all */
    float *damage;     /* stands in place of the last value that is read, if it is not NULL */
    tess_status fails; /* what reading returns, unless it is TESS_OK */
} test_clip_source;

/* The clips point into themselves and into the golden. */
typedef struct test_clips {
    int n;
    test_clip_source source[TEST_CLIPS];
    tess_features features[TEST_CLIPS];
    const tess_features *clip[TEST_CLIPS];
} test_clips;

void test_clips_make(const int64_t *n_frame, int n, const test_tensor *frames, test_clips *out);
/* Those of a golden: in.audio_feature_lengths, and in.input_features if it has them. */
void test_clips_take(const test_tensors *golden, test_clips *out);

/* Runs the clips and compares what comes out with the last tap, or what that was replaced by. In debug builds
 * an allocation of the tower aborts. */
void test_audio_tower_run(test_audio_tower *tower, const test_clips *clips, test_recording *recording);

#endif
