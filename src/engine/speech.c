/* Speech of one answer: text in, token by token; codes out, frame by frame. */
#include "tessera/speech.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fpenv.h"
#include "base/guard.h"
#include "base/progress.h"
#include "engine/engine.h"
#include "model/positions.h"

/* Where in the seed's numbers each generator begins: the text's begins at the seed itself. */
#define TALKER_STREAM 0x74616c6b65720000u
#define PREDICTOR_STREAM 0x6d74700000000000u

struct tess_speech {
    tess_session *session;
    tess_speech_options options; /* its media are not looked at after the beginning */
    int32_t speaker;
    const tess_features **media; /* [n_media] */
    int n_media;
    const tess_features **listed; /* [n_media] */
    int32_t *text; /* [n_text] the assistant's turn: of the prompt its beginning, then the answer */
    int n_text, text_capacity;
    int32_t *codes; /* [max_step, n_code_group]; of the last code of the first codebook the others lack */
    int32_t *block; /* [n_code_group, frames that become sound at a time] */
    int32_t *first_codes;     /* [max_step] what the penalty is over */
    float *hidden, *code_row; /* [d_model] of the last row; the sum of the last frame's codes */
    uint64_t talker_random, predictor_random;
    int n_code, n_frame, n_decoded; /* frames that sound */
    bool has_begun, is_complete, has_ended;
    tess_speech_finish finish;
};

static tess_rooms *rooms_of(const tess_speech *speech)
{
    return &speech->session->engine->rooms;
}

static const tess_talker_config *config_of(const tess_speech *speech)
{
    return &speech->session->engine->model.config.talker;
}

/* ---- beginning ---- */

static tess_status find_speaker(const tess_talker_config *config, const char *name, int32_t *token,
                                tess_error *err)
{
    char names[TESS_MAX_SPEAKERS * (sizeof config->speaker[0].name + 2)] = "";
    size_t n = 0;
    *token = config->speaker[0].token;
    for (int i = 0; i < config->n_speaker; i++) {
        const tess_speaker *s = &config->speaker[i];
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", s->name);
        if (strcasecmp(s->name, name ? name : "ethan")) continue;
        *token = s->token;
        return TESS_OK;
    }
    return name ? tess_refuse(err, "", "speaker", -1, names, "\"%s\"", name) : TESS_OK;
}

tess_status tess_speech_check_speaker(const char *model_dir, const char *name, tess_error *err)
{
    tess_config *config;
    int32_t token;
    tess_status status = tess_config_new(model_dir, &config, err);
    if (status != TESS_OK) return status;
    status = config->has_talker ? find_speaker(&config->talker, name, &token, err)
                                : tess_config_refuse_speech(err);
    free(config);
    return status;
}

static tess_status check_options(const tess_session *session, const tess_speech_options *o, tess_error *err)
{
    const tess_engine *engine = session->engine;
    int n_step = engine->rooms.choice.speech.n_step;
    char expected[64];
    if (n_step == 0) return tess_refuse_option(err, "n_speech_step", "an engine opened to speak", "0");
    snprintf(expected, sizeof expected, "1 to the %d that the plan provides for", n_step);
    if (o->max_step < 0 || o->max_step > n_step)
        return tess_refuse_option(err, "max_step", expected, "%d", o->max_step);
    snprintf(expected, sizeof expected, "1 to the %d tokens of the session", session->room->timeline.length);
    if (o->n_prompt < 1 || o->n_prompt > session->room->timeline.length)
        return tess_refuse_option(err, "n_prompt", expected, "%d", o->n_prompt);
    return tess_sampling_check(&o->sampling, err);
}

static void *reserve(size_t n, size_t size, bool *ok)
{
    void *memory = calloc(n ? n : 1, size);
    if (!memory) *ok = false;
    return memory;
}

static tess_status reserve_all(tess_speech *s, tess_error *err)
{
    const tess_talker_config *c = config_of(s);
    size_t n_step = (size_t)s->options.max_step, n_group = (size_t)c->n_code_group,
           n_media = (size_t)s->n_media;
    bool ok = true;
    s->media = reserve(n_media, sizeof *s->media, &ok);
    s->listed = reserve(n_media, sizeof *s->listed, &ok);
    s->codes = reserve(n_step * n_group, sizeof *s->codes, &ok);
    s->block = reserve(n_group * TESS_SPEECH_FRAMES_AT_ONCE, sizeof *s->block, &ok);
    s->first_codes = reserve(n_step, sizeof *s->first_codes, &ok);
    s->hidden = reserve((size_t)c->text.d_model, sizeof *s->hidden, &ok);
    s->code_row = reserve((size_t)c->text.d_model, sizeof *s->code_row, &ok);
    return ok ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for the codes of %zu frames", n_step);
}

tess_status tess_speech_add(tess_speech *s, int32_t id, tess_error *err)
{
    TESS_ASSERT(!s->is_complete && id >= 0 && id < tess_engine_get_vocab_size(s->session->engine));
    if (s->n_text == s->text_capacity) {
        int capacity = s->text_capacity ? 2 * s->text_capacity : 256;
        int32_t *longer = realloc(s->text, (size_t)capacity * sizeof *longer);
        if (!longer) return tess_fail(err, TESS_ENOMEM, "no memory for a text of %d tokens", capacity);
        s->text = longer;
        s->text_capacity = capacity;
    }
    s->text[s->n_text++] = id;
    return TESS_OK;
}

/* Of media that are none, spelled by their pad tokens, an engine opened without media keeps no states. */
static tess_status check_states(const tess_speech *s, tess_error *err)
{
    const tess_session_room *room = s->session->room;
    int at = room->states ? -1
                          : tess_talker_find_state(&s->session->engine->model.config, room->timeline.ids,
                                                   s->options.n_prompt);
    if (at < 0) return TESS_OK;
    return tess_refuse(err, "", "input_ids", -1, "pad tokens that stand for media",
                       "id %d, which stands for nothing", room->timeline.ids[at]);
}

/* The beginning of the assistant's turn, as the prompt has it. */
static tess_status take_turn(tess_speech *s, tess_error *err)
{
    const int32_t *ids = s->session->room->timeline.ids;
    int n_prompt = s->options.n_prompt,
        turn = tess_talker_find_turn(&s->session->engine->model.config, ids, n_prompt);
    if (turn < 0)
        return tess_refuse(err, "", "input_ids", -1,
                           "a prompt by the chat template, which ends in a turn of the assistant's",
                           "none in %d tokens", n_prompt);
    tess_status status = TESS_OK;
    for (int i = turn; i < n_prompt && status == TESS_OK; i++) status = tess_speech_add(s, ids[i], err);
    return status;
}

tess_status tess_speech_new(tess_session *session, const tess_speech_options *options, tess_speech **out,
                            tess_error *err)
{
    const tess_talker_config *config = &session->engine->model.config.talker;
    int32_t speaker;
    tess_status status = check_options(session, options, err);
    if (status == TESS_OK) status = find_speaker(config, options->speaker, &speaker, err);
    if (status != TESS_OK) return status;
    tess_speech *s = calloc(1, sizeof *s);
    if (!s) return tess_fail(err, TESS_ENOMEM, "no memory for a speech");
    s->session = session;
    s->options = *options;
    if (s->options.max_step == 0) s->options.max_step = session->engine->rooms.choice.speech.n_step;
    s->speaker = speaker;
    s->n_media = options->media ? options->n_media : 0;
    s->talker_random = options->sampling.seed ^ TALKER_STREAM;
    s->predictor_random = options->sampling.seed ^ PREDICTOR_STREAM;
    status = reserve_all(s, err);
    if (status == TESS_OK) status = check_states(s, err);
    if (status == TESS_OK) status = take_turn(s, err);
    if (status != TESS_OK) {
        tess_speech_free(s);
        return status;
    }
    for (int i = 0; i < s->n_media; i++) s->media[i] = options->media[i];
    *out = s;
    return TESS_OK;
}

void tess_speech_free(tess_speech *speech)
{
    if (!speech) return;
    free(speech->media);
    free(speech->listed);
    free(speech->text);
    free(speech->codes);
    free(speech->block);
    free(speech->first_codes);
    free(speech->hidden);
    free(speech->code_row);
    free(speech);
}

/* ---- text ---- */

void tess_speech_end(tess_speech *speech)
{
    speech->is_complete = true;
}

/* What is added to the codes of the frame before: a token, or -1, the pad. False if it is not yet known. */
static bool find_text(const tess_speech *s, int32_t *token)
{
    int next = TESS_TALKER_TURN_TOKENS - 1 + s->n_frame; /* those before stand in the prompt */
    *token = next < s->n_text    ? s->text[next]
             : next == s->n_text ? s->session->engine->model.config.tts_eos
                                 : -1;
    return next < s->n_text || s->is_complete;
}

/* ---- sound ---- */

static tess_status hear_samples(void *context, const float *samples, int64_t n, tess_error *err)
{
    const tess_speech *s = context;
    int paused = tess_guard_pause(); /* who takes them may allocate */
    tess_status status = s->options.on_samples(s->options.context, samples, (size_t)n, err);
    tess_guard_resume(paused);
    return status;
}

/* DIFFERS: the original decodes windows of 300 frames behind 25 of context, each anew, lacks 555 samples at
 * every boundary and does not remember what lies before the context; here speech of any length is one stream,
 * which is the original's one pass over all frames (tests/golden/test_code2wav.c: up to the first boundary
 * the same, behind it a relative L2 of 0.30 for random codes; tests/cli/test_memory_speech.sh: no sample is
 * missing). */
static void begin_sound(tess_speech *s)
{
    const tess_code2wav_stream stream = {.hear = hear_samples, .context = s};
    if (s->options.on_samples) tess_code2wav_begin(&rooms_of(s)->speech.code2wav, &stream);
}

/* Makes the frames sound that wait for it, at most TESS_SPEECH_FRAMES_AT_ONCE. */
static tess_status decode_frames(tess_speech *s, tess_error *err)
{
    int n_group = config_of(s)->n_code_group, n = s->n_frame - s->n_decoded;
    const int32_t *frames = s->codes + (size_t)s->n_decoded * (size_t)n_group;
    if (!s->options.on_samples || n == 0) return TESS_OK;
    for (int group = 0; group < n_group; group++)
        for (int i = 0; i < n; i++) s->block[group * n + i] = frames[i * n_group + group];
    s->n_decoded = s->n_frame;
    return tess_code2wav_push(&rooms_of(s)->speech.code2wav, s->block, n, n, err);
}

/* The first frame sounds at once, others in groups. */
static tess_status decode_if_many(tess_speech *s, tess_error *err)
{
    int at_once = rooms_of(s)->speech.code2wav.n_frame;
    bool is_many = s->n_frame == 1 || s->n_frame - s->n_decoded >= at_once;
    return is_many ? decode_frames(s, err) : TESS_OK;
}

/* ---- the talker's prompt ---- */

/* Rows, ids and positions of the prompt, in the talker's room. */
static tess_status make_prompt(tess_speech *s, int *n_row, tess_error *err)
{
    tess_engine *engine = s->session->engine;
    tess_timeline *thinker = &s->session->room->timeline;
    tess_talker *talker = &engine->rooms.speech.talker;
    const tess_config *config = &engine->model.config;
    const tess_media_list media = {s->media, s->n_media};
    int n_prompt = s->options.n_prompt, n_context = talker->timeline.n_context;
    if (n_prompt + TESS_TALKER_START_ROWS > n_context)
        return tess_refuse_context(err, "", n_prompt + TESS_TALKER_START_ROWS, "", 0, 0, n_context,
                                   config->talker.text.max_positions);
    *n_row = tess_talker_prompt_make(config, thinker->ids, n_prompt, s->text, s->speaker, talker->row,
                                     talker->timeline.ids);
    if (*n_row + s->options.max_step > n_context)
        return tess_refuse_context(err, "", *n_row, "", 0, s->options.max_step, n_context,
                                   config->talker.text.max_positions);
    return tess_talker_positions_compute(config, thinker->ids, n_prompt, talker->timeline.ids, *n_row, &media,
                                         s->listed, talker->timeline.positions, (size_t)n_context, err);
}

static tess_status emit_positions(tess_talker *talker, const tess_tap_sink *sink, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < 3 && status == TESS_OK && sink->listener; i++)
        status = tess_tap_emit(sink, TESS_TAP_POSITION_IDS, 0, (int64_t)i, 1,
                               talker->timeline.positions + i * (size_t)talker->timeline.n_context, err);
    return status;
}

static tess_status begin(tess_speech *s, tess_error *err)
{
    tess_rooms *rooms = rooms_of(s);
    tess_talker *talker = &rooms->speech.talker;
    if (!rooms->choice.speech.stays) tess_rooms_enter(rooms, TESS_PHASE_SPEECH);
    int n_row = 0;
    tess_status status = tess_speech_room_read_norms(&rooms->speech, rooms->model, err);
    if (status == TESS_OK) status = make_prompt(s, &n_row, err);
    if (status != TESS_OK) return status;
    const tess_tap_sink sink = {.listener = s->options.listener,
                                .decoder = talker->model.decoder.name,
                                .config = talker->model.decoder.config,
                                .kernels = &rooms->model->kernels,
                                .n_tok = n_row};
    begin_sound(s);
    status = emit_positions(talker, &sink, err);
    if (status == TESS_OK)
        status = tess_talker_prefill(talker, n_row, s->session->room->states, &sink, s->hidden, err);
    s->has_begun = status == TESS_OK;
    return status;
}

/* ---- a frame ---- */

static void end_with(tess_speech *s, tess_speech_finish finish)
{
    s->has_ended = true;
    s->finish = finish;
}

static tess_status hear_code(void *context, int codebook, int32_t *code, tess_error *err)
{
    const tess_speech *s = context;
    int paused = tess_guard_pause(); /* who hears it may allocate */
    tess_status status = s->options.on_code(s->options.context, s->n_frame, codebook, code, err);
    tess_guard_resume(paused);
    return status;
}

/* The first code of the next frame, from the talker's logits. */
static tess_status choose_code(tess_speech *s, int32_t *code, tess_error *err)
{
    tess_speech_room *room = &rooms_of(s)->speech;
    tess_talker_suppress(config_of(s), room->talker.logits);
    tess_status status = tess_sampler_choose(&room->sampler, room->talker.logits, &s->options.sampling,
                                             s->first_codes, s->n_code, &s->talker_random, code, err);
    if (status == TESS_OK && s->options.on_code) status = hear_code(s, 0, code, err);
    if (status == TESS_OK) s->first_codes[s->n_code++] = *code;
    return status;
}

/* The frame of a first code: the other codebooks', and the sum of all their rows. */
static tess_status predict_frame(tess_speech *s, int32_t code, tess_error *err)
{
    tess_rooms *rooms = rooms_of(s);
    tess_talker *talker = &rooms->speech.talker;
    const tess_sampling sampling = tess_code_predictor_sampling(s->options.sampling.temperature == 0);
    const tess_code_ear ear = {hear_code, s};
    int32_t *frame = s->codes + (size_t)s->n_frame * (size_t)config_of(s)->n_code_group;
    frame[0] = code;
    tess_status status =
        tess_row_table_read(&talker->model.embedding, &rooms->model->kernels, code, s->code_row, err);
    if (status == TESS_OK)
        status = tess_code_predictor_run(&rooms->speech.predictor, s->hidden, s->code_row, &sampling,
                                         &s->predictor_random, s->options.on_code ? &ear : NULL,
                                         s->n_frame == 0 ? s->options.listener : NULL, frame + 1, err);
    if (status != TESS_OK) return status;
    s->n_frame++;
    return decode_if_many(s, err);
}

static tess_status speak_frame(tess_speech *s, int32_t token, tess_error *err)
{
    const tess_talker_config *c = config_of(s);
    int32_t code;
    tess_status status =
        s->n_frame == 0 ? begin(s, err)
                        : tess_talker_step(&rooms_of(s)->speech.talker, s->code_row, token, s->hidden, err);
    if (status == TESS_OK) status = choose_code(s, &code, err);
    if (status != TESS_OK) return status;
    if (code == c->codec_eos)
        end_with(s, TESS_SPEECH_FINISH_STOP);
    else if (s->n_code == s->options.max_step)
        end_with(s, TESS_SPEECH_FINISH_LIMIT);
    else
        return predict_frame(s, code, err);
    return decode_frames(s, err);
}

/* Whether the text that the next frame asks for is there. */
static bool is_ready(const tess_speech *s, int32_t *token)
{
    if (!s->is_complete && !rooms_of(s)->choice.speech.stays) return false;
    if (s->n_frame == 0) return s->n_text >= TESS_TALKER_TURN_TOKENS;
    return find_text(s, token);
}

/* Who stops hears what was spoken by then. */
static tess_status tell_frame(tess_speech *s, tess_error *err)
{
    tess_status status =
        tess_progress_tell(s->options.progress, TESS_ACTIVITY_SPEAKING, (uint64_t)s->n_frame, 0, err);
    if (status != TESS_OK) decode_frames(s, NULL);
    return status;
}

tess_status tess_speech_step(tess_speech *s, tess_speech_state *state, tess_error *err)
{
    int32_t token = -1;
    if (s->is_complete && s->n_text < TESS_TALKER_TURN_TOKENS) end_with(s, TESS_SPEECH_FINISH_NONE);
    *state = s->has_ended ? TESS_SPEECH_ENDED : TESS_SPEECH_WAITS;
    if (s->has_ended) return TESS_OK;
    bool waits = !is_ready(s, &token);
    tess_fpenv saved = tess_fpenv_enter();
    tess_guard_begin();
    tess_status status = waits ? decode_frames(s, err) : speak_frame(s, token, err);
    if (status == TESS_OK && !waits) status = tell_frame(s, err);
    tess_guard_end();
    tess_fpenv_leave(saved);
    if (status != TESS_OK) s->has_ended = true;
    *state = s->has_ended ? TESS_SPEECH_ENDED : waits ? TESS_SPEECH_WAITS : TESS_SPEECH_FRAME;
    return status;
}

/* ---- results ---- */

tess_speech_finish tess_speech_get_finish(const tess_speech *speech)
{
    return speech->finish;
}

const int32_t *tess_speech_get_codes(const tess_speech *speech, int *n_frame)
{
    *n_frame = speech->n_frame;
    return speech->codes;
}

int tess_speech_get_code_groups(const tess_speech *speech)
{
    return config_of(speech)->n_code_group;
}
