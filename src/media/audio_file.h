/* Audio files of any kind that FFmpeg reads, and the first audio track of films: mono samples at one rate.
 *
 * Decoded piece by piece, channels averaged in float32, then resampled by soxr (its high quality, which the
 * original's loader uses) unless the rate is right already. Integer samples become x / 2^(bits - 1), exactly.
 */
#ifndef TESS_MEDIA_AUDIO_FILE_H
#define TESS_MEDIA_AUDIO_FILE_H

#include "media/source.h"

typedef struct tess_audio_facts {
    int rate_hz, n_channel; /* of the file */
    double seconds;         /* decoded */
    char format[64];        /* "WAV, pcm_s16le" */
    char loss[160];         /* what is known to be missing of it, "found …, expected …"; or "" */
} tess_audio_facts;

/* Takes the next n samples; mono, in order, any n. They are borrowed for the call. */
typedef tess_status tess_sample_sink(void *context, const float *samples, size_t n, tess_error *err);

/* Decodes to mono at rate_hz. Of n samples at the file's rate come exactly ceil(n * rate_hz / rate). NaN and
 * infinity are passed on. `out` may be NULL.
 * Errors: TESS_EINPUT  no audio in it, an unsupported kind, damage with sound behind it;
 * TESS_EUNSUPPORTED  a library is not installed; TESS_EIO; TESS_ENOMEM; what the sink returns. */
tess_status tess_audio_decode(const tess_source *source, int rate_hz, tess_sample_sink *sink, void *context,
                              tess_audio_facts *out, tess_error *err);

/* How long the file says it is, or what its size lets one expect; nothing is decoded for it, and none of it
 * need be true. 0 where there is nothing to go by, or no sound. */
double tess_audio_estimate_seconds(const tess_source *source);

#endif
