/* Sums per expert over the rows of its layer's output: a row counts for every expert it was routed to. */
#ifndef TESS_VERIFY_COMPARE_EXPERT_SUMS_H
#define TESS_VERIFY_COMPARE_EXPERT_SUMS_H

#include <stdint.h>

#include "base/error.h"
#include "verify/compare/metrics.h"

/* Experts of one layer at most; far above any configuration. */
enum { TESS_EXPERT_SUMS_MOST = 65536 };

typedef struct tess_expert_sum {
    int64_t n_tok;
    double error2, reference2;                           /* Σ (a-b)², Σ b² against the reference */
    double truth_error2, reference_truth_error2, truth2; /* against the truth, 0 without one */
    uint64_t n_nonfinite;
} tess_expert_sum;

typedef struct tess_expert_sums {
    tess_expert_sum *expert; /* [n_expert] */
    int n_expert;
} tess_expert_sums;

/* Makes room for experts below n_expert; those there are keep their sums. */
tess_status tess_expert_sums_grow(tess_expert_sums *sums, int n_expert, tess_error *err);
void tess_expert_sums_release(tess_expert_sums *sums); /* zeroed is fine */

/* Adds one row to the sums of the n_chosen experts of `chosen`; ids that none can have are passed over.
 * truth, reference_truth: zeroed if there is no truth. TESS_ENOMEM is the only failure. */
tess_status tess_expert_sums_add(tess_expert_sums *sums, const int64_t *chosen, int n_chosen,
                                 const tess_sums *row, const tess_sums *truth,
                                 const tess_sums *reference_truth, tess_error *err);

#endif
