#include "verify/trace/greedy_speech.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "engine/engine.h"

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

/* ---- codes that are fed ---- */

typedef struct feeding {
    const tess_greedy_speech *request;
    int32_t end;
    int64_t *chosen; /* [codebooks, n_frame + 1] */
    bool has_gone_on;
} feeding;

static tess_status feed_code(void *context, int frame, int codebook, int32_t *code, tess_error *err)
{
    (void)err;
    feeding *f = context;
    int64_t n_frame = f->request->n_frame;
    f->chosen[codebook * (n_frame + 1) + frame] = *code;
    if (frame < n_frame) {
        *code = (int32_t)f->request->fed[codebook * n_frame + frame];
        return TESS_OK;
    }
    /* At the step limit nothing is said of the end. */
    f->has_gone_on = *code != f->end && frame + 1 < f->request->inputs->speak;
    *code = f->end;
    return TESS_OK;
}

/* Leaves the last frame out where the end was chosen. */
static void take_chosen(feeding *f, int64_t **codes, int64_t dim[2])
{
    int64_t n_frame = f->request->n_frame;
    dim[1] = n_frame + f->has_gone_on;
    for (int64_t i = 0; i < dim[0] && !f->has_gone_on; i++)
        memmove(f->chosen + i * n_frame, f->chosen + i * (n_frame + 1), (size_t)n_frame * sizeof *f->chosen);
    *codes = f->chosen;
    f->chosen = NULL;
}

/* ---- speaking ---- */

static tess_speech_options options_of(const tess_greedy_speech *request)
{
    const tess_trace_inputs *inputs = request->inputs;
    tess_speech_options options = {.n_prompt = inputs->n_tok,
                                   .speaker = inputs->speaker,
                                   .sampling = TESS_SPEECH_SAMPLING,
                                   .max_step = inputs->speak,
                                   .media = inputs->media,
                                   .n_media = inputs->n_media,
                                   .listener = request->listener,
                                   .progress = request->progress};
    options.sampling.temperature = 0;
    return options;
}

static tess_status run_speech(tess_session *session, const tess_greedy_speech *request,
                              const tess_speech_options *options, tess_speech **speech, tess_error *err)
{
    tess_speech_state state = TESS_SPEECH_FRAME;
    tess_status status = tess_speech_new(session, options, speech, err);
    if (status == TESS_OK) status = add_answer(*speech, request->answer, request->n_answer, err);
    while (status == TESS_OK && state != TESS_SPEECH_ENDED) status = tess_speech_step(*speech, &state, err);
    if (status == TESS_OK && tess_speech_get_finish(*speech) == TESS_SPEECH_FINISH_NONE)
        status =
            tess_refuse(err, "", "generate", -1, "an answer of two tokens or more: the last is not spoken",
                        "%d", request->n_answer);
    return status;
}

static tess_status speak_behind(tess_session *session, const tess_greedy_speech *request, int64_t **codes,
                                int64_t dim[2], tess_error *err)
{
    const tess_talker_config *config = &session->engine->model.config.talker;
    tess_speech *speech = NULL;
    tess_speech_options options = options_of(request);
    dim[0] = config->n_code_group;
    feeding f = {.request = request,
                 .end = config->codec_eos,
                 .chosen = calloc((size_t)(dim[0] * (request->n_frame + 1)), sizeof *f.chosen)};
    if (!f.chosen) return tess_fail(err, TESS_ENOMEM, "no memory for the codes of a speech");
    options.on_code = feed_code;
    options.context = &f;
    tess_status status = run_speech(session, request, &options, &speech, err);
    if (status == TESS_OK) take_chosen(&f, codes, dim);
    free(f.chosen);
    tess_speech_free(speech);
    return status;
}

tess_status tess_greedy_speak(tess_session *session, const tess_greedy_speech *request, int64_t **codes,
                              int64_t dim[2], tess_error *err)
{
    *codes = NULL;
    if (request->fed) return speak_behind(session, request, codes, dim, err);
    tess_speech *speech = NULL;
    const tess_speech_options options = options_of(request);
    tess_status status = run_speech(session, request, &options, &speech, err);
    if (status == TESS_OK) status = take_codes(speech, codes, dim, err);
    tess_speech_free(speech);
    return status;
}

/* ---- sound ---- */

tess_status tess_greedy_decode(tess_engine *engine, const int64_t *codes, const int64_t dim[2],
                               const tess_tap_listener *listener, const tess_progress *progress,
                               tess_error *err)
{
    size_t n = (size_t)(dim[0] * dim[1]);
    int32_t *narrow = malloc((n + 1) * sizeof *narrow);
    if (!narrow) return tess_fail(err, TESS_ENOMEM, "no memory for %zu codes", n);
    for (size_t i = 0; i < n; i++) narrow[i] = (int32_t)codes[i];
    const tess_codes decoded = {.codes = narrow,
                                .n_code_group = dim[0],
                                .n_frame = dim[1],
                                .listener = listener,
                                .progress = progress};
    tess_status status = tess_engine_decode_codes(engine, &decoded, err);
    free(narrow);
    return status;
}
