/* For tests: the decoder of one component of a checkpoint, without an engine around it, and rows to run on
 * it. */
#ifndef TESS_TESTS_DECODERS_H
#define TESS_TESTS_DECODERS_H

#include "base/fpenv.h"
#include "model/decoder.h"
#include "recording.h"

enum { TEST_TIMELINES = 3, TEST_CONTEXT = 128, TEST_FEATURES = 4 };

/* Numbers of 0 mean: as many as there are, or one thread. */
typedef struct test_decoder_options {
    const char *model, *isa; /* isa NULL: the best */
    const char *name;        /* what taps begin with, behind "tap." */
    tess_component component;
    tess_rounding rounding;
    int n_thread, n_lease, n_expert_slot, n_layer_slot;
} test_decoder_options;

typedef struct test_decoder {
    tess_config config;
    tess_store *store;
    tess_decoder_weights weights;
    tess_kernels kernels;
    tess_pool *pool;
    tess_arena arena;
    tess_fpenv saved;
    tess_decoder decoder;
    tess_row_table embedding;
    tess_timeline timeline[TEST_TIMELINES]; /* each with three places fewer than the one before */
} test_decoder;

void test_decoder_open(const test_decoder_options *options, test_decoder *out);
void test_decoder_close(test_decoder *decoder);

/* Rows of one timeline, from its place 0 on. */
typedef struct test_rows {
    int n;
    size_t d_model;
    const float *vectors;   /* [n, d_model] */
    const int64_t *ids;     /* [n] whose rows of the embedding the vectors are, -1: nobody's; or NULL */
    const float *positions; /* [3, n] */
    const bool *is_visual;  /* [n], or NULL */
    /* Feature k, one row for each visual row, is added after layer first_layer + k. */
    const float *feature[TEST_FEATURES];
    int n_feature, first_layer;
} test_rows;

/* Rows [first, first + n) of `rows`, to be run on a timeline. */
typedef struct test_piece {
    const test_rows *rows;
    int timeline, first, n;
    test_recording *recording; /* NULL: nobody listens */
    bool by_id;                /* rows that the embedding has come as ids */
} test_piece;

/* Runs the pieces in one step. */
void test_decoder_step(test_decoder *decoder, const test_piece *piece, int n_piece);
/* Runs all rows on a timeline, `step` at a time; 0: at once. */
void test_decoder_run(test_decoder *decoder, const test_rows *rows, int timeline, int step, bool by_id,
                      test_recording *recording);

/* A timeline holds the same keys and values in both, bit by bit. */
void test_decoder_assert_timeline(const test_decoder *a, const test_decoder *b, int timeline,
                                  const char *what);

#endif
