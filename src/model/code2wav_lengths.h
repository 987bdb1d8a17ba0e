/* How long a frame is, and a window of the original's windowed decoding. */
#ifndef TESS_MODEL_CODE2WAV_LENGTHS_H
#define TESS_MODEL_CODE2WAV_LENGTHS_H

#include "model/code2wav.h"

/* Samples that a frame stands for; the last frame of a pass loses its end. */
int64_t tess_code2wav_count_frame_samples(const tess_code2wav_config *config);

typedef struct tess_code2wav_window {
    int64_t n_context, n_new; /* frames: of those before, decoded again; behind them */
    int64_t n_dropped;        /* samples that stand for the context */
} tess_code2wav_window;

/* The window whose new frames begin with `first` of n_frame. */
tess_code2wav_window tess_code2wav_window_at(const tess_code2wav_config *config,
                                             const tess_code2wav_windows *windows, int64_t first,
                                             int64_t n_frame);

#endif
