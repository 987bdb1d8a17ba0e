/* The rows of a single expert's output, in either of two orders.
 *
 * A run tells them by position. The original's eager experts gather them by the expert's rank among the
 * token's choices first and by position then, and goldens hold what it computed. So rows are compared both
 * ways, by the reference's own choices, and the way that agrees better counts: both hold the same rows. */
#ifndef TESS_VERIFY_COMPARE_EXPERT_ROWS_H
#define TESS_VERIFY_COMPARE_EXPERT_ROWS_H

#include "verify/compare/hearing.h"
#include "verify/compare/tap_state.h"

/* Takes `n_row` rows that stand at `row` and behind by position, and compares them with those the reference
 * has by rank; nothing is done where it does not tell the choices. Errors: TESS_EIO, TESS_ENOMEM. */
tess_status tess_expert_rows_hear(tess_hearing *h, tess_tap_state *s, int64_t row, int64_t n_row,
                                  const float *values, tess_error *err);

/* Once all is heard: keeps the sums of the order that agrees better. */
void tess_expert_rows_settle(tess_tap_state *s);

#endif
