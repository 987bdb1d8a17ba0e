/* Hearing the codes of a speech, [codebooks, frames], of which either side may have more frames. */
#ifndef TESS_VERIFY_COMPARE_CODES_HEARD_H
#define TESS_VERIFY_COMPARE_CODES_HEARD_H

#include "verify/compare/hearing.h"
#include "verify/compare/tap_state.h"

/* Takes elements [first, first + count) of the other side's, whose number of frames is s->codes.n_frame.
 * TESS_EIO is the only failure. */
tess_status tess_codes_hear(tess_hearing *h, tess_tap_state *s, uint64_t first, const int64_t *values,
                            size_t count, tess_error *err);

#endif
