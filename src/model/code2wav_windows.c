/* The original's decoding of long input in windows, over the same stream, which begins anew with each. */
#include "model/code2wav.h"
#include "model/code2wav_lengths.h"
#include "model/code2wav_taps.h"

typedef struct windowed {
    tess_code2wav *c;
    const tess_code2wav_stream *stream;
    int64_t n_sample; /* of the whole */
    int64_t n_heard;
    int64_t n_dropped; /* of the present window's samples that are still to be dropped */
} windowed;

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
        const tess_code2wav_window window = tess_code2wav_window_at(c->config, windows, first, n_frame);
        w.n_dropped = window.n_dropped;
        tess_code2wav_begin(c, &inner);
        status = tess_code2wav_push(c, codes + first - window.n_context, stride,
                                    window.n_context + window.n_new, err);
    }
    return status;
}
