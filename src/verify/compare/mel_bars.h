/* The bar of every single element of mel frames.
 *
 * The original transforms in float32. What that puts on a bin does not depend on what is in the bin, but on
 * what is in the frame: a few units in the last place of its largest bin. So a quiet band beside a loud one
 * has a large relative error, and its logarithm a large absolute one, where two loud bands have next to none.
 *
 * Let X be a frame's transform, e the error on its bins, u = 2^-24, and M = sum of w |X|^2 the power of a
 * band, whose weights w are a triangle of half the base D and of height 1 / D. The root of M is a norm of X,
 * so e moves it by sqrt(sum of w) max |e| at most, and sum of w <= 1 / D of the first band, whose D is the
 * least. The largest bin is seen in some band with half the height at least: |X|^2 <= 2 D M, the 2 being left
 * to the factor in max |e| = TESS_MEL_TRANSFORM u max |X|. So the root is off by
 *
 *     TESS_MEL_TRANSFORM u sqrt(A / M),    A = largest of M D / D of the first
 *
 * of itself, and r = (log10 M + 4) / 4 by 1 / (2 ln 10) of that; A is 10^(4 loudest - 4). Raising M to a
 * floor, on both sides, brings them no further apart. Then logarithm, subtraction and addition are rounded:
 * TESS_MEL_STEPS u (|log10 M| + 4). Everything is known from the frames. docs/NUMERICS.md has what was
 * measured, and what the literature says of e. */
#ifndef TESS_VERIFY_COMPARE_MEL_BARS_H
#define TESS_VERIFY_COMPARE_MEL_BARS_H

#include "verify/compare/hearing.h"
#include "verify/compare/tap_state.h"

#define TESS_MEL_TRANSFORM 8
#define TESS_MEL_STEPS 1.25

/* How far an element may be off: `loudest`, of its frame, and `value` of the reference, both as r is. */
double tess_mel_bar(double loudest, double value);

/* Reads mel frames of the reference through, before they are heard, for the loudest band of each. Errors:
 * TESS_EIO, TESS_ENOMEM. */
tess_status tess_mel_bars_begin(tess_hearing *h, tess_tap_state *s, tess_error *err);

/* n elements of one row, of columns [column, column + n): what they use up of their bars goes to the row's
 * sums. */
void tess_mel_bars_note(tess_tap_state *s, tess_sums *row, const float *value, const float *reference,
                        uint64_t column, size_t n);

#endif
