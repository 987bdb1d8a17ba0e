/* The codes of a speech, [codebooks, frames].
 *
 * They are spoken frame by frame and part ways for good where one differs, and either side may end earlier.
 * So the first difference is the one that was spoken first. Module by module nothing parts ways, for every
 * choice is made behind the reference's own codes: then a difference in the first codebook is the talker's
 * step, which the code predictor has no part in, and tells more than those before it in other codebooks. */
#ifndef TESS_VERIFY_COMPARE_CODES_H
#define TESS_VERIFY_COMPARE_CODES_H

#include "verify/compare/comparison.h"

/* Fills frame, codebook and the reason of the report of codes that differ, and the component where that is a
 * failure: what can be at fault is told by the place, and by whether the talker's prompt agrees: `so_far`,
 * the reports of the taps before. TESS_EIO is the only failure. */
tess_status tess_codes_locate(tess_comparison *c, const tess_tap_state *s, const tess_compare_result *so_far,
                              tess_tap_report *r, tess_error *err);

/* A tap of the code predictor's first run that failed: tells what its input's row is, and that it was the
 * talker where another first code was chosen in a whole run. */
void tess_codes_say_first_run(tess_comparison *c, const tess_tap_state *s, tess_tap_report *r);

#endif
