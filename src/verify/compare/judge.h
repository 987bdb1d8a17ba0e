/* Judging one tap by what was heard of it. */
#ifndef TESS_VERIFY_COMPARE_JUDGE_H
#define TESS_VERIFY_COMPARE_JUDGE_H

#include "verify/compare/comparison.h"

/* Fills the report of one tap: its metrics, its outcome by its own bar, a reason, and where and by which
 * experts it fails. `so_far`: the reports of the taps before it. TESS_EIO, TESS_ENOMEM; what is filled then
 * is freed with the result. */
tess_status tess_judge_tap(tess_comparison *c, const tess_tap_state *s, const tess_compare_result *so_far,
                           tess_tap_report *r, tess_error *err);

#endif
