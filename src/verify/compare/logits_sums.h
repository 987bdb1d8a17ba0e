/* What two rows of logits expect next, while they are heard in pieces: the likeliest token of either side,
 * its probability on both, and how far down the other side ranks it.
 *
 * A row of the trace is kept until it ends, because the rank asks for all of it; of ended rows only the
 * answer is kept.
 */
#ifndef TESS_VERIFY_COMPARE_LOGITS_SUMS_H
#define TESS_VERIFY_COMPARE_LOGITS_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct tess_logits_row {
    int32_t expected, found;                  /* arg max of the reference, of the trace; ties to the lower */
    int32_t rank;                             /* of `expected` in the trace, from 1 */
    float expected_reference, expected_trace; /* probabilities of `expected` */
    float found_reference, found_trace;
} tess_logits_row;

/* One side of the row that is being heard. */
typedef struct tess_logits_side {
    int64_t best; /* -1: none yet */
    float best_value;
    float maximum;
    double sum; /* Σ exp(value - maximum) */
} tess_logits_side;

typedef struct tess_logits_sums {
    size_t width;
    tess_logits_side trace, reference;
    float trace_of_expected, reference_of_found; /* logits */
    float *heard;                                /* [width] the trace's row so far */
    tess_logits_row *row;                        /* [rows] */
} tess_logits_sums;

tess_status tess_logits_sums_new(int64_t n_row, size_t width, tess_logits_sums **out, tess_error *err);
void tess_logits_sums_free(tess_logits_sums *logits); /* NULL is fine */

/* Columns [column, column + n) of the row; pieces come in order and do not go over its end. */
void tess_logits_sums_add(tess_logits_sums *logits, const float *trace, const float *reference, size_t column,
                          size_t n);
/* The row is whole; answers what is kept of it. */
const tess_logits_row *tess_logits_sums_end_row(tess_logits_sums *logits, int64_t row);

#endif
