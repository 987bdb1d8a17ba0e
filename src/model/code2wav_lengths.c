#include "model/code2wav_lengths.h"

int64_t tess_code2wav_count_length(const tess_code2wav_config *config, int stage, int64_t n_frame)
{
    int64_t length = n_frame;
    for (int i = 0; i < stage; i++) {
        int block = i - config->n_upsampling_ratio;
        if (block < 0)
            length *= config->upsampling_ratio[i];
        else
            length = length > 0 ? (length - 1) * config->upsample_rate[block] : 0;
    }
    return length;
}

int64_t tess_code2wav_count_samples(const tess_code2wav_config *config, int64_t n_frame)
{
    return tess_code2wav_count_length(config, config->n_upsampling_ratio + config->n_upsample_rate, n_frame);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t tess_code2wav_count_frame_samples(const tess_code2wav_config *config)
{
    int64_t n = 1;
    for (int i = 0; i < config->n_upsampling_ratio; i++) n *= config->upsampling_ratio[i];
    for (int i = 0; i < config->n_upsample_rate; i++) n *= config->upsample_rate[i];
    return n;
}

tess_code2wav_window tess_code2wav_window_at(const tess_code2wav_config *config,
                                             const tess_code2wav_windows *windows, int64_t first,
                                             int64_t n_frame)
{
    const int64_t n_context = least(first, windows->n_context);
    return (tess_code2wav_window){.n_context = n_context,
                                  .n_new = least(n_frame - first, windows->n_new),
                                  .n_dropped = n_context * tess_code2wav_count_frame_samples(config)};
}

int64_t tess_code2wav_count_windowed(const tess_code2wav_config *config, const tess_code2wav_windows *windows,
                                     int64_t n_frame)
{
    int64_t sum = 0;
    for (int64_t first = 0; first < n_frame; first += windows->n_new) {
        const tess_code2wav_window window = tess_code2wav_window_at(config, windows, first, n_frame);
        int64_t n = tess_code2wav_count_samples(config, window.n_context + window.n_new) - window.n_dropped;
        if (n > 0) sum += n;
    }
    return sum;
}
