#include "verify/trace/greedy_speech.h"

#include <stdlib.h>

#include "base/error.h"

static tess_status add_answer(tess_speech *speech, const int64_t *answer, int n, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int i = 0; i < n - 1 && status == TESS_OK; i++)
        status = tess_speech_add(speech, (int32_t)answer[i], err);
    tess_speech_end(speech);
    return status;
}

/* Frames of codebooks become codebooks of frames. */
static tess_status take_codes(const tess_speech *speech, int64_t **codes, int64_t dim[2], tess_error *err)
{
    int n_frame, n_group = tess_speech_get_code_groups(speech);
    const int32_t *frames = tess_speech_get_codes(speech, &n_frame);
    size_t count = (size_t)n_frame * (size_t)n_group;
    *codes = malloc((count + 1) * sizeof **codes);
    if (!*codes) return tess_fail(err, TESS_ENOMEM, "no memory for the codes of %d frames", n_frame);
    for (size_t frame = 0; frame < (size_t)n_frame; frame++)
        for (size_t group = 0; group < (size_t)n_group; group++)
            (*codes)[group * (size_t)n_frame + frame] = frames[frame * (size_t)n_group + group];
    dim[0] = n_group;
    dim[1] = n_frame;
    return TESS_OK;
}

tess_status tess_greedy_speak(tess_session *session, const tess_trace_inputs *inputs, const int64_t *answer,
                              int n, const tess_tap_listener *listener, const tess_progress *progress,
                              int64_t **codes, int64_t dim[2], tess_error *err)
{
    tess_speech *speech;
    tess_speech_state state = TESS_SPEECH_FRAME;
    tess_speech_options options = {.n_prompt = inputs->n_tok,
                                   .speaker = inputs->speaker,
                                   .sampling = TESS_SPEECH_SAMPLING,
                                   .max_step = inputs->speak,
                                   .media = inputs->media,
                                   .n_media = inputs->n_media,
                                   .listener = listener,
                                   .progress = progress};
    options.sampling.temperature = 0;
    *codes = NULL;
    tess_status status = tess_speech_new(session, &options, &speech, err);
    if (status != TESS_OK) return status;
    status = add_answer(speech, answer, n, err);
    while (status == TESS_OK && state != TESS_SPEECH_ENDED) status = tess_speech_step(speech, &state, err);
    if (status == TESS_OK && tess_speech_get_finish(speech) == TESS_SPEECH_FINISH_NONE)
        status = tess_refuse(err, "", "generate", -1,
                             "an answer of two tokens or more: the last is not spoken", "%d", n);
    if (status == TESS_OK) status = take_codes(speech, codes, dim, err);
    tess_speech_free(speech);
    return status;
}

tess_status tess_greedy_decode(tess_engine *engine, const int64_t *codes, const int64_t dim[2],
                               const tess_tap_listener *listener, const tess_progress *progress,
                               tess_error *err)
{
    size_t n = (size_t)(dim[0] * dim[1]);
    int32_t *narrow = malloc((n + 1) * sizeof *narrow);
    if (!narrow) return tess_fail(err, TESS_ENOMEM, "no memory for %zu codes", n);
    for (size_t i = 0; i < n; i++) narrow[i] = (int32_t)codes[i];
    const tess_codes decoded = {
        .codes = narrow, .n_frame = dim[1], .listener = listener, .progress = progress};
    tess_status status = tess_engine_decode_codes(engine, &decoded, err);
    free(narrow);
    return status;
}
