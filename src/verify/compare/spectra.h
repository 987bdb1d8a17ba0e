/* Short-time spectra of the sides of a waveform, while it is heard: Hann windows of 400 samples every 120,
 * their power added up by column and line of a drawing. What lies before the first sample and behind the last
 * is silence.
 */
#ifndef TESS_VERIFY_COMPARE_SPECTRA_H
#define TESS_VERIFY_COMPARE_SPECTRA_H

#include "base/error.h"
#include "media/fft.h"
#include "tessera/compare.h"

enum { TESS_SPECTRA_HOP = 120 };

typedef struct tess_spectra {
    tess_fft fft;
    float window[TESS_FFT_POINTS];
    float held[TESS_SOUND_SIDES][TESS_FFT_POINTS]; /* of the next spectrum */
    int n_held;
    int64_t n_spectrum, n_done; /* in all, and so far */
    int n_moment;
    int64_t *count;                 /* [n_moment] spectra in a column */
    float *power[TESS_SOUND_SIDES]; /* [TESS_SOUND_LINES, n_moment] sums */
} tess_spectra;

tess_status tess_spectra_new(int64_t n_sample, tess_spectra **out, tess_error *err);
void tess_spectra_free(tess_spectra *spectra); /* NULL is fine */

/* The next sample of every side, finite. */
void tess_spectra_add(tess_spectra *spectra, const float sample[TESS_SOUND_SIDES]);
/* Behind the last: sums become means. */
void tess_spectra_end(tess_spectra *spectra);

/* What they take. */
uint64_t tess_spectra_bytes(uint64_t n_sample);

#endif
