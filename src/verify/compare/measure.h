/* Hearing taps: pieces go into the sums of their tap, reference and truth are read along. */
#ifndef TESS_VERIFY_COMPARE_MEASURE_H
#define TESS_VERIFY_COMPARE_MEASURE_H

#include "verify/compare/hearing.h"
#include "verify/compare/tap_state.h"

/* Takes the next `count` elements of a tap. Errors: TESS_EUSAGE a router's rows come in parts; TESS_EIO,
 * TESS_ENOMEM. */
tess_status tess_tap_state_hear(tess_hearing *hearing, tess_tap_state *s, const void *values, size_t count,
                                tess_error *err);

/* A waveform has been heard. Where it ended before the reference, what is there is judged, and the rest of
 * the reference is drawn alone. Errors: TESS_EIO, TESS_ENOMEM. */
tess_status tess_tap_state_end_waveform(tess_hearing *hearing, tess_tap_state *s, tess_error *err);

/* Takes the next n columns of a float tap, values [rows, n]: of every row what follows on what was heard of
 * it. The sums are those of whole rows. */
tess_status tess_tap_state_hear_columns(tess_hearing *hearing, tess_tap_state *s, const float *values,
                                        size_t n, tess_error *err);

#endif
