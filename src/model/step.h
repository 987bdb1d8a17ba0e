/* A step: the rows that go through a decoder's layers together, of one timeline or of several. */
#ifndef TESS_MODEL_STEP_H
#define TESS_MODEL_STEP_H

#include "model/taps.h"
#include "model/timeline.h"

/* Rows of one timeline: places [first, first + n). Keys and values of the places before are in the timeline,
 * and the positions of these rows as well. Row i is the embedding's row of ids[i], or vectors[i] where that
 * is not NULL. */
typedef struct tess_span {
    tess_timeline *timeline;
    int first, n;
    const int32_t *ids;          /* [n]; NULL if every row is a vector */
    const float *const *vectors; /* [n] of [d_model]; NULL if every row is an id */
    const tess_tap_sink *sink;   /* where its taps go: never NULL, but it may be without a listener */
    int64_t tap_row;             /* the place of the first row in its feed, from which tap rows are counted */
} tess_span;

/* What is added to rows [row, row + n) of a step after a layer, once its tap was emitted (DeepStack). */
typedef struct tess_addition {
    int layer, row, n;
    const float *values; /* [n, d_model] */
} tess_addition;

typedef struct tess_step {
    const tess_span *span; /* [n_span]; rows are counted through them, at most n_row in all */
    int n_span;
    const tess_addition *addition; /* [n_addition]; rows need not ascend */
    int n_addition;
    /* Told before the first layer and after each, when work.residual is its output and nothing has been added
     * yet; what it returns other than TESS_OK ends the run. May be NULL. */
    tess_status (*on_layer)(void *context, int n_layer_done, tess_error *err);
    void *context;
} tess_step;

/* Rows of a step in all. */
int tess_step_count_rows(const tess_step *step);

/* Emits a float tap of every span; `values` [rows of the step, row_width], or an integer tap likewise. */
tess_status tess_step_emit(const tess_step *step, tess_tap_kind kind, int layer, float *values,
                           size_t row_width, tess_error *err);
tess_status tess_step_emit_integers(const tess_step *step, tess_tap_kind kind, int layer, int64_t *integers,
                                    size_t row_width, tess_error *err);

#endif
