/* What is kept of a waveform while it is heard: for drawing it, for listening to it, and where it leaves the
 * reference. None of it grows with the waveform beyond a size that tess_sound_sums_bytes() tells.
 *
 * Two correct implementations round otherwise from the first sample on, so the first that differs says
 * nothing: what counts is the first that is off by what the bar allows. That is known at the end only, so for
 * every power of two the first sample is kept whose error reaches it.
 */
#ifndef TESS_VERIFY_COMPARE_SOUND_SUMS_H
#define TESS_VERIFY_COMPARE_SOUND_SUMS_H

#include "verify/compare/metrics.h"
#include "verify/compare/rules.h"
#include "verify/compare/spectra.h"

enum { TESS_SOUND_POWERS = 96 };

typedef struct tess_sound_sums {
    int64_t n_sample, n_done; /* of the reference: in all, and drawn so far */
    int n_column;
    tess_sound_column *column; /* [n_column] */
    tess_spectra *spectra;
    bool is_kept;
    int64_t n_kept[2];
    int16_t *kept[2];
    int64_t first[TESS_SOUND_POWERS]; /* whose error is 2^k or more, below 2^(k + 1); -1 */
} tess_sound_sums;

/* n_sample: the reference's, 1 or more. is_kept: its beginning is to be listened to. TESS_ENOMEM. */
tess_status tess_sound_sums_new(int64_t n_sample, bool is_kept, tess_sound_sums **out, tess_error *err);
void tess_sound_sums_free(tess_sound_sums *sound); /* NULL is fine */

/* The next n samples of the reference, and the trace's; value NULL: it has ended. */
void tess_sound_sums_add(tess_sound_sums *sound, const float *value, const float *reference, size_t n);

/* The error of a single sample that a rule allows, rounded down to a power of two: in the reference's largest
 * sample, and in one of its root mean square, which is reached somewhere in a waveform that fails by its
 * rule. 0 beside a reference of zeros; NaN without a rule. */
typedef struct tess_sound_bars {
    double loud, mean;
} tess_sound_bars;
tess_sound_bars tess_sound_sums_bars(const tess_rule *rule, const tess_sums *total);
/* The first sample whose error reaches `bar`, of any size if it is no number, or is not finite; -1. */
int64_t tess_sound_sums_first(const tess_sound_sums *sound, double bar);

/* What they take at most. */
uint64_t tess_sound_sums_bytes(uint64_t n_sample, bool is_kept);

#endif
