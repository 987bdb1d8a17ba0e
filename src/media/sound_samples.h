/* Samples of sound as files and sound cards take them. */
#ifndef TESS_MEDIA_SOUND_SAMPLES_H
#define TESS_MEDIA_SOUND_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* To 16 bits: x · 32767 in float32, rounded to the nearest, half to even, and clamped to -32768 … 32767.
 *
 * So full scale is the same on both sides, and nothing in [-1, 1], which is what code2wav gives, is clipped.
 * Readers divide by 32768, this project's too: what they get is smaller by 0.0003 dB, and at most 1.5 steps
 * beside x. Tools do not agree here: FFmpeg rounds x · 32768, which clips at 1; libsndfile 1.2, with which
 * the original's example writes, takes the floor of that, which shifts everything by half a step. The samples
 * must be finite. */
void tess_samples_to_int16(const float *samples, size_t n, int16_t *out);

/* Refuses NaN and infinity: TESS_ENONFINITE, with the number of the first, counted on from n_before. */
tess_status tess_samples_check(const char *name, const float *samples, size_t n, uint64_t n_before,
                               tess_error *err);

#endif
