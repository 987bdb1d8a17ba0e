/* Mel frames of one audio clip, as the original's Whisper feature extractor makes them.
 *
 *     tess_mel_new(&mel, "q.wav", 128, most_frames, err);
 *     tess_mel_push(mel, samples, n, err);      mono, 16 kHz, in any pieces
 *     tess_mel_finish(mel, err);
 *     tess_features features = tess_mel_get_features(mel);
 *     tess_mel_free(mel);
 *
 * A frame is taken every 160 samples from the 400 around that place, a clip's ends being continued by their
 * mirror image; S samples have S / 160 frames, rounded down. Samples are not held: a frame is made as soon as
 * its samples are there, and kept as n_mel logarithms. What is below a clip's maximum less 8 is raised to
 * that when frames are read, for until the end the maximum is not known. docs/NUMERICS.md has the arithmetic;
 * bits depend neither on the pieces nor on the processor.
 *
 * DIFFERS: each clip is prepared by itself; beside a longer one the original continues it with zeros instead
 * of its mirror image, and keeps a frame more of it (tests/cli/test_preprocess.sh: several are each alone).
 *
 * DIFFERS: clips of 160 to 200 samples, which the original cannot continue by their mirror image and fails
 * on, are lengthened with zeros to 201 (tests/unit/test_mel.c compares with the original's frames of such a
 * clip). */
#ifndef TESS_MEDIA_MEL_H
#define TESS_MEDIA_MEL_H

#include <stddef.h>

#include "base/error.h"
#include "tessera/features.h"

enum {
    TESS_MEL_RATE_HZ = 16000,
    TESS_MEL_HOP = 160,       /* samples from frame to frame */
    TESS_MEL_WINDOW = 400,    /* samples in a frame */
    TESS_MEL_MOST_BANDS = 512 /* the original warns of bands that are empty long before */
};

typedef struct tess_mel tess_mel;

/* file: for messages, borrowed; most_frames: a clip with more is refused as soon as it shows. */
tess_status tess_mel_new(tess_mel **out, const char *file, int n_mel, int64_t most_frames, tess_error *err);
void tess_mel_free(tess_mel *mel); /* NULL is fine */

/* Errors: TESS_EINPUT  a sample is not finite, or beyond what the arithmetic of the original can square
 * (1e15); the clip is too long; TESS_ENOMEM. After an error the clip is of no use. */
tess_status tess_mel_push(tess_mel *mel, const float *samples, size_t n, tess_error *err);
/* Errors: TESS_EINPUT  fewer than 160 samples, which have no frame; TESS_ENOMEM. */
tess_status tess_mel_finish(tess_mel *mel, tess_error *err);

/* After finish; lives as long as the clip. */
tess_features tess_mel_get_features(tess_mel *mel);
int64_t tess_mel_get_samples(const tess_mel *mel);
/* Whether a clip of so many samples is short enough, and long enough to have a frame. Errors: as above. */
tess_status tess_mel_check_most(const char *file, int64_t n_sample, int64_t most_frames, tess_error *err);
tess_status tess_mel_check_least(const char *file, int64_t n_sample, tess_error *err);
/* Half of what band i lies over, 0 <= i < n_mel: the inverse of its triangle's height. */
double tess_mel_get_width_hz(int64_t n_mel, int64_t i);
/* What a clip of that many frames holds, tables included. */
uint64_t tess_mel_bytes(int n_mel, int64_t n_frame);

/* The filters, [n_mel, TESS_FFT_BINS], and the window, for tests. */
void tess_mel_get_filters(const tess_mel *mel, float *out);
void tess_mel_get_window(const tess_mel *mel, float out[TESS_MEL_WINDOW]);

#endif
