/* Where in a speech the sound first lies off.
 *
 * Taps of code2wav have frames, or what becomes of them, side by side: a first row tells a channel and no
 * moment. So the first column is noted in which an element is further off than the tap's bar times the root
 * mean square of the reference; a tap that fails by its relative L2 has one. Roundings have peaks as well,
 * some times their mean: a column in which an element is TESS_SOUND_CLEARLY times further off counts before
 * such a one. */
#ifndef TESS_VERIFY_COMPARE_SOUND_PLACE_H
#define TESS_VERIFY_COMPARE_SOUND_PLACE_H

#include "verify/compare/comparison.h"

enum { TESS_SOUND_CLEARLY = 8 };

/* Reads the reference of a tap of code2wav through, before it is heard, for what is off. TESS_EIO is the only
 * failure. */
tess_status tess_sound_place_begin(tess_hearing *h, tess_tap_state *s, tess_error *err);

/* n elements of one row, of columns [column, column + n). */
void tess_sound_place_note(tess_tap_state *s, const float *value, const float *reference, uint64_t column,
                           size_t n);

/* Fills frame, column and where of the report of a tap of code2wav that differs. How many columns make a
 * frame follows from the shapes of the reference's taps; where it does not, the frame is left out. */
void tess_sound_place_say(const tess_comparison *c, const tess_tap_state *s, tess_tap_report *r);

#endif
