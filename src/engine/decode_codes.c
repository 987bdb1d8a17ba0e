/* Sound of codes that are there as a whole. */
#include <stdio.h>

#include "base/fpenv.h"
#include "base/guard.h"
#include "base/progress.h"
#include "engine/engine.h"
#include "tessera/speech.h"

static tess_status hear_samples(void *context, const float *samples, int64_t n, tess_error *err)
{
    const tess_codes *c = context;
    if (!c->on_samples) return TESS_OK;
    int paused = tess_guard_pause(); /* who takes them may allocate */
    tess_status status = c->on_samples(c->context, samples, (size_t)n, err);
    tess_guard_resume(paused);
    return status;
}

static tess_status ignore_samples(void *context, const float *samples, int64_t n, tess_error *err)
{
    (void)context;
    (void)samples;
    (void)n;
    (void)err;
    return TESS_OK;
}

static tess_status decode_stream(tess_code2wav *code2wav, const tess_codes *c, tess_error *err)
{
    tess_codes copy = *c;
    const tess_code2wav_stream stream = {
        .hear = hear_samples, .context = &copy, .listener = c->listener, .n_frame = c->n_frame};
    int64_t most = code2wav->n_frame, n = 0;
    tess_status status = TESS_OK;
    tess_code2wav_begin(code2wav, &stream);
    for (int64_t done = 0; done < c->n_frame && status == TESS_OK; done += n) {
        n = c->n_frame - done < most ? c->n_frame - done : most;
        status = tess_code2wav_push(code2wav, c->codes + done, c->n_frame, n, err);
        if (status == TESS_OK)
            status = tess_progress_tell(c->progress, TESS_ACTIVITY_SPEAKING, (uint64_t)(done + n), 0, err);
    }
    return status;
}

static bool wants_windows(const tess_code2wav *code2wav, const tess_codes *c)
{
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    const tess_tap tap = {.name = "tap.code2wav.waveform_chunked",
                          .n_dim = 1,
                          .dim = {tess_code2wav_count_windowed(code2wav->config, &windows, c->n_frame)}};
    return c->listener && c->listener->wants(c->listener->context, &tap);
}

static tess_status decode(tess_code2wav *code2wav, const tess_codes *c, tess_error *err)
{
    tess_status status = decode_stream(code2wav, c, err);
    if (status != TESS_OK || !wants_windows(code2wav, c)) return status;
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    const tess_code2wav_stream stream = {
        .hear = ignore_samples, .listener = c->listener, .n_frame = c->n_frame};
    return tess_code2wav_run_windows(code2wav, &windows, &stream, c->codes, c->n_frame, err);
}

tess_status tess_engine_decode_codes(tess_engine *engine, const tess_codes *codes, tess_error *err)
{
    tess_rooms *rooms = &engine->rooms;
    if (rooms->choice.speech.n_step == 0)
        return tess_refuse_option(err, "n_speech_step", "an engine opened to speak", "0");
    if (codes->n_frame < 1)
        return tess_refuse_option(err, "n_frame", "at least 1", "%lld", (long long)codes->n_frame);
    const int n_quantizer = engine->model.config.code2wav.n_quantizer;
    char expected[32];
    snprintf(expected, sizeof expected, "%d codebooks", n_quantizer);
    if (codes->n_code_group != n_quantizer)
        return tess_refuse(err, "", "codes", -1, expected, "%lld", (long long)codes->n_code_group);
    tess_fpenv saved = tess_fpenv_enter();
    tess_guard_begin();
    if (!rooms->choice.speech.stays) tess_rooms_enter(rooms, TESS_PHASE_SPEECH);
    tess_status status = decode(&rooms->speech.code2wav, codes, err);
    tess_guard_end();
    tess_fpenv_leave(saved);
    return status;
}
