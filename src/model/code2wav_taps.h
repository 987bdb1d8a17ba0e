/* Code2wav's taps: those of rows, and those of stages, which lie the other way round. */
#ifndef TESS_MODEL_CODE2WAV_TAPS_H
#define TESS_MODEL_CODE2WAV_TAPS_H

#include "model/code2wav.h"

/* Numbers of stages, as tess_code2wav_count_length counts them. */
static inline int tess_code2wav_stage_upsample(int ratio)
{
    return 1 + ratio;
}

static inline int tess_code2wav_stage_block(const tess_code2wav_config *config, int block)
{
    return 1 + config->n_upsampling_ratio + block;
}

/* Channels of a stage's output. */
static inline size_t tess_code2wav_channels(const tess_code2wav_config *config, int block)
{
    return (size_t)(config->d_decoder >> (block + 1));
}

/* The tap of c->current [n, d_model], the present frames. */
tess_status tess_code2wav_emit_frames(const tess_code2wav *c, int n, tess_error *err);

/* One tap of a stage. */
typedef struct tess_code2wav_place {
    tess_code2wav_tap line;
    int first, second; /* the numbers of its name */
    int stage;
    size_t n_channel;
} tess_code2wav_place;

/* What the present n frames make of it: values [positions, n_channel], which may be replaced. */
tess_status tess_code2wav_emit(const tess_code2wav *c, const tess_code2wav_place *place, int n, float *values,
                               tess_error *err);

/* Samples [first, first + n) of one of the two waveforms, of n_sample in all. */
tess_status tess_code2wav_emit_samples(const tess_code2wav *c, const tess_tap_listener *listener,
                                       tess_code2wav_tap line, int64_t n_sample, int64_t first, int64_t n,
                                       float *samples, tess_error *err);

#endif
