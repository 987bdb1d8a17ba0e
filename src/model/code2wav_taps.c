#include "model/code2wav_taps.h"

/* ---- taps ---- */

static void describe(const tess_code2wav_config *config, const tess_code2wav_place *place, int64_t n_frame,
                     char name[TESS_TAP_NAME], tess_tap *out)
{
    tess_tap_format_numbers(TESS_PART_CODE2WAV, (int)place->line, place->first, place->second, name);
    *out = (tess_tap){.name = name, .n_dim = 2};
    out->dim[0] = (int64_t)place->n_channel;
    out->dim[1] = tess_code2wav_count_length(config, place->stage, n_frame);
    if (place->line != TESS_CODE2WAV_TAP_PRE_TRANSFORMER) return;
    out->dim[0] = n_frame;
    out->dim[1] = config->d_model;
}

static void describe_samples(tess_code2wav_tap line, int64_t n_sample, char name[TESS_TAP_NAME],
                             tess_tap *out)
{
    tess_tap_format_numbers(TESS_PART_CODE2WAV, (int)line, 0, 0, name);
    *out = (tess_tap){.name = name, .n_dim = 1, .dim = {n_sample}};
}

/* Of whom nobody listens to, the shape may be any. */
static int64_t whole_stream(const tess_code2wav *c)
{
    return c->stream.listener ? c->stream.n_frame : 0;
}

tess_status tess_code2wav_emit_frames(const tess_code2wav *c, int n, tess_error *err)
{
    const tess_code2wav_place place = {.line = TESS_CODE2WAV_TAP_PRE_TRANSFORMER};
    char name[TESS_TAP_NAME];
    tess_tap tap;
    describe(c->config, &place, whole_stream(c), name, &tap);
    return tess_tap_emit_rows(c->stream.listener, c->compute.kernels, &tap, c->n_done, n,
                              (size_t)c->config->d_model, c->current, err);
}

tess_status tess_code2wav_emit(const tess_code2wav *c, const tess_code2wav_place *place, int n, float *values,
                               tess_error *err)
{
    int64_t first = tess_code2wav_count_length(c->config, place->stage, c->n_done);
    int64_t end = tess_code2wav_count_length(c->config, place->stage, c->n_done + n);
    char name[TESS_TAP_NAME];
    tess_tap tap;
    describe(c->config, place, whole_stream(c), name, &tap);
    return tess_tap_emit_columns(c->stream.listener, c->compute.kernels, &tap, first, end - first, values,
                                 c->room.scratch, c->room.n_float, err);
}

tess_status tess_code2wav_emit_samples(const tess_code2wav *c, const tess_tap_listener *listener,
                                       tess_code2wav_tap line, int64_t n_sample, int64_t first, int64_t n,
                                       float *samples, tess_error *err)
{
    char name[TESS_TAP_NAME];
    tess_tap tap;
    describe_samples(line, n_sample, name, &tap);
    return tess_tap_emit_rows(listener, c->compute.kernels, &tap, first, n, 1, samples, err);
}

/* ---- listing ---- */

typedef struct visiting {
    const tess_code2wav_config *config;
    int64_t n_frame;
    void (*visit)(void *context, const tess_tap *tap);
    void *context;
} visiting;

static void visit_place(const visiting *v, tess_code2wav_place place)
{
    char name[TESS_TAP_NAME];
    tess_tap tap;
    describe(v->config, &place, v->n_frame, name, &tap);
    v->visit(v->context, &tap);
}

static void visit_samples(const visiting *v, tess_code2wav_tap line, int64_t n_sample)
{
    char name[TESS_TAP_NAME];
    tess_tap tap;
    describe_samples(line, n_sample, name, &tap);
    v->visit(v->context, &tap);
}

void tess_code2wav_taps_visit(const tess_code2wav_config *config, int64_t n_frame,
                              void (*visit)(void *context, const tess_tap *tap), void *context)
{
    const visiting v = {config, n_frame, visit, context};
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    int n_rate = config->n_upsample_rate;
    visit_place(&v, (tess_code2wav_place){.line = TESS_CODE2WAV_TAP_PRE_TRANSFORMER});
    for (int i = 0; i < config->n_upsampling_ratio; i++)
        for (int j = 0; j < 2; j++)
            visit_place(&v, (tess_code2wav_place){TESS_CODE2WAV_TAP_UPSAMPLE, i, j,
                                                  tess_code2wav_stage_upsample(i), (size_t)config->d_model});
    for (int i = 0; i <= n_rate; i++)
        visit_place(&v, (tess_code2wav_place){TESS_CODE2WAV_TAP_DECODER, i, 0,
                                              tess_code2wav_stage_block(config, i - 1),
                                              tess_code2wav_channels(config, i - 1)});
    for (int i = 0; i < 2; i++)
        visit_place(&v, (tess_code2wav_place){TESS_CODE2WAV_TAP_DECODER, n_rate + 1 + i, 0,
                                              tess_code2wav_stage_block(config, n_rate - 1),
                                              i ? 1 : tess_code2wav_channels(config, n_rate - 1)});
    visit_samples(&v, TESS_CODE2WAV_TAP_WAVEFORM, tess_code2wav_count_samples(config, n_frame));
    visit_samples(&v, TESS_CODE2WAV_TAP_CHUNKED, tess_code2wav_count_windowed(config, &windows, n_frame));
}
