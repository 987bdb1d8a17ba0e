/* The original's decoding of long input in windows, over the same stream, which begins anew with each. */
#include "model/code2wav.h"
#include "model/code2wav_taps.h"

typedef struct windowed {
    tess_code2wav *c;
    const tess_code2wav_stream *stream;
    int64_t n_sample; /* of the whole */
    int64_t n_heard;
    int64_t n_dropped; /* of the present window's samples that are still to be dropped */
} windowed;

static int64_t context_of(const tess_code2wav_windows *windows, int64_t first)
{
    return first > windows->n_context ? windows->n_context : first;
}

static int64_t new_of(const tess_code2wav_windows *windows, int64_t first, int64_t n_frame)
{
    return n_frame - first < windows->n_new ? n_frame - first : windows->n_new;
}

/* Samples that stand for so many frames of context. */
static int64_t dropped_of(const tess_code2wav_config *config, int64_t n_context)
{
    for (int i = 0; i < config->n_upsampling_ratio; i++) n_context *= config->upsampling_ratio[i];
    for (int i = 0; i < config->n_upsample_rate; i++) n_context *= config->upsample_rate[i];
    return n_context;
}

int64_t tess_code2wav_count_windowed(const tess_code2wav_config *config, const tess_code2wav_windows *windows,
                                     int64_t n_frame)
{
    int64_t sum = 0;
    for (int64_t first = 0; first < n_frame; first += windows->n_new) {
        int64_t n_context = context_of(windows, first);
        int64_t n = tess_code2wav_count_samples(config, n_context + new_of(windows, first, n_frame)) -
                    dropped_of(config, n_context);
        if (n > 0) sum += n;
    }
    return sum;
}

static tess_status hear_window(void *context, const float *samples, int64_t n, tess_error *err)
{
    windowed *w = context;
    int64_t n_skip = n < w->n_dropped ? n : w->n_dropped;
    w->n_dropped -= n_skip;
    n -= n_skip;
    if (n == 0) return TESS_OK;
    /* The samples are the vocoder's own, in c->made, and may be replaced. */
    float *kept = w->c->made + n_skip;
    TESS_ASSERT(samples == w->c->made);
    (void)samples;
    tess_status status = tess_code2wav_emit_samples(w->c, w->stream->listener, TESS_CODE2WAV_TAP_CHUNKED,
                                                    w->n_sample, w->n_heard, n, kept, err);
    w->n_heard += n;
    return status == TESS_OK ? w->stream->hear(w->stream->context, kept, n, err) : status;
}

tess_status tess_code2wav_run_windows(tess_code2wav *c, const tess_code2wav_windows *windows,
                                      const tess_code2wav_stream *stream, const int32_t *codes,
                                      int64_t stride, tess_error *err)
{
    int64_t n_frame = stream->n_frame;
    windowed w = {
        .c = c, .stream = stream, .n_sample = tess_code2wav_count_windowed(c->config, windows, n_frame)};
    const tess_code2wav_stream inner = {.hear = hear_window, .context = &w};
    tess_status status = TESS_OK;
    for (int64_t first = 0; first < n_frame && status == TESS_OK; first += windows->n_new) {
        int64_t n_context = context_of(windows, first);
        w.n_dropped = dropped_of(c->config, n_context);
        tess_code2wav_begin(c, &inner);
        status = tess_code2wav_push(c, codes + first - n_context, stride,
                                    n_context + new_of(windows, first, n_frame), err);
    }
    return status;
}
