/* Running a prompt and writing what its taps say. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "tessera/trace.h"
#include "verify/trace/greedy.h"
#include "verify/trace/greedy_speech.h"
#include "verify/trace/media.h"
#include "verify/trace/tap_name.h"
#include "verify/trace/writer.h"

/* One trace being written. */
typedef struct tracing {
    tess_engine *engine;
    const tess_trace_inputs *inputs;
    const tess_trace_options *options;
    tess_trace_writer *writer;
    bool *glob_used;    /* [n_glob] */
    bool speaks;        /* a tap of speech is wanted */
    bool sounds;        /* one of code2wav */
    tess_status status; /* of declaring */
    tess_error err;
} tracing;

static bool is_wanted(tracing *t, const char *name)
{
    if (t->options->n_glob == 0) return true;
    bool wanted = false;
    for (int i = 0; i < t->options->n_glob; i++)
        if (tess_tap_matches(name, &t->options->globs[i], 1)) wanted = t->glob_used[i] = true;
    return wanted;
}

static void declare_tap(void *context, const tess_tap *tap)
{
    tracing *t = context;
    if (t->status != TESS_OK || !is_wanted(t, tap->name)) return;
    t->status =
        tess_trace_writer_declare(t->writer, tap->name, tap->is_integer, tap->n_dim, tap->dim, &t->err);
}

static tess_status check_globs(const tracing *t, tess_error *err)
{
    for (int i = 0; i < t->options->n_glob; i++) {
        if (t->glob_used[i]) continue;
        return tess_refuse_option(err, "globs", "names of taps of this run", "\"%.150s\", which fits none",
                                  t->options->globs[i]);
    }
    return TESS_OK;
}

static tess_status declare_inputs(tracing *t, tess_error *err)
{
    if (t->inputs->codes)
        return tess_trace_writer_declare(t->writer, "in.codes", true, 2,
                                         (int64_t[]){t->inputs->n_code_group, t->inputs->n_frame}, err);
    int64_t n_tok = t->inputs->n_tok;
    tess_status status = tess_trace_writer_declare(t->writer, "in.input_ids", true, 1, &n_tok, err);
    if (status == TESS_OK && t->inputs->positions)
        status =
            tess_trace_writer_declare(t->writer, "in.position_ids", false, 2, (int64_t[]){3, n_tok}, err);
    if (status == TESS_OK)
        status = tess_trace_media_declare(t->inputs->media, t->inputs->n_media, t->inputs->use_audio_in_video,
                                          t->writer, err);
    return status;
}

/* A tap that may not be reached, or in a shape that is known only then. */
static void declare_last(tracing *t, const tess_tap *tap)
{
    if (t->status != TESS_OK || !is_wanted(t, tap->name)) return;
    t->speaks = true;
    t->status = tess_trace_writer_declare_last(t->writer, tap->name, tap->n_dim, tap->dim, &t->err);
}

/* Where no frame is spoken, there is nothing to predict. */
static void declare_speech_tap(void *context, const tess_tap *tap)
{
    tracing *t = context;
    if (tess_tap_place_of(tap->name).part == TESS_PART_CODE_PREDICTOR) {
        declare_last(t, tap);
        return;
    }
    t->speaks |= is_wanted(t, tap->name);
    declare_tap(t, tap);
}

/* How many frames there will be is known only when they are spoken. */
static void declare_sound_tap(void *context, const tess_tap *tap)
{
    tracing *t = context;
    t->sounds |= is_wanted(t, tap->name);
    declare_last(t, tap);
}

/* Of steps that are as many as codes of the first codebook, the last has no frame. */
static tess_status declare_speech(tracing *t, tess_error *err)
{
    const tess_trace_inputs *in = t->inputs;
    tess_model_facts facts;
    if (in->speak == 0) return TESS_OK;
    tess_status status = tess_model_get_facts(t->options->model_dir, &facts, err);
    if (status == TESS_OK)
        status = tess_speech_list_taps(t->options->model_dir, in->ids, in->n_tok, declare_speech_tap, t, err);
    if (status == TESS_OK && in->speak > 1)
        status = tess_codes_list_taps(t->options->model_dir, in->speak - 1, declare_sound_tap, t, err);
    if (status != TESS_OK || !is_wanted(t, TESS_CODES_TAP)) return status;
    t->speaks = true;
    return tess_trace_writer_declare_growing(t->writer, TESS_CODES_TAP, 2,
                                             (int64_t[]){facts.n_code_group, in->speak}, err);
}

/* The taps of the prompt and of what follows it. */
static tess_status declare_taps(tracing *t, tess_error *err)
{
    if (t->inputs->codes)
        return tess_codes_list_taps(t->options->model_dir, t->inputs->n_frame, declare_tap, t, err);
    const tess_feed feed = {.n_tok = t->inputs->n_tok,
                            .media = t->inputs->media,
                            .n_media = t->inputs->n_media,
                            .last_logits = t->options->last_logits};
    /* The media's sizes are checked here, before anything relies on them. */
    tess_status status = tess_model_list_taps(t->options->model_dir, &feed, declare_tap, t, err);
    return status == TESS_OK ? declare_speech(t, err) : status;
}

static tess_status declare_all(tracing *t, tess_error *err)
{
    tess_status status = declare_taps(t, err);
    if (status != TESS_OK) return status;
    if (t->status != TESS_OK) {
        if (err) *err = t->err;
        return t->status;
    }
    status = declare_inputs(t, err);
    if (status == TESS_OK && t->inputs->generate && is_wanted(t, TESS_GREEDY_TAP))
        status = tess_trace_writer_declare_growing(t->writer, TESS_GREEDY_TAP, 1,
                                                   (int64_t[]){t->inputs->generate}, err);
    return status == TESS_OK ? check_globs(t, err) : status;
}

/* Says who made the trace and how; where the inputs said what they are, that is kept. */
static tess_status note_all(tracing *t, tess_error *err)
{
    char path[PATH_MAX], config[TESS_SHA256_HEX], generate[16], speak[16], threads[16], chunk[16], fps[32];
    snprintf(path, sizeof path, "%s/config.json", t->options->model_dir);
    tess_status status = tess_sha256_file(path, config, err);
    if (status != TESS_OK) return status;
    const tess_plan *plan = tess_engine_get_plan(t->engine);
    snprintf(generate, sizeof generate, "%d", t->inputs->generate);
    snprintf(speak, sizeof speak, "%d", t->inputs->speak);
    snprintf(threads, sizeof threads, "%d", plan->n_thread);
    snprintf(chunk, sizeof chunk, "%d", plan->n_chunk);
    tess_spell_number(t->inputs->fps, fps);
    bool is_f32 = tess_engine_get_precision(t->engine) == TESS_PRECISION_F32;
    const char *const notes[][2] = {{"made_by", "tessera"},
                                    {"version", TESS_VERSION},
                                    {"dtype", is_f32 ? "float32" : "bfloat16"},
                                    {"case", t->inputs->case_name ? t->inputs->case_name : "text"},
                                    {"generate", generate},
                                    {"speak", speak},
                                    {"speaker", t->inputs->speaker},
                                    {"config_sha256", config},
                                    {"isa", tess_engine_get_isa(t->engine)},
                                    {"threads", threads},
                                    {"chunk", chunk},
                                    {"fps", t->inputs->fps > 0 ? fps : NULL},
                                    {"messages", t->inputs->messages},
                                    {"raw", t->inputs->raw}};
    for (size_t i = 0; i < sizeof notes / sizeof notes[0] && status == TESS_OK; i++)
        if (notes[i][1]) status = tess_trace_writer_note(t->writer, notes[i][0], notes[i][1], err);
    return status;
}

static tess_status put_codes(tracing *t, tess_error *err)
{
    int64_t block[256], n_code = t->inputs->n_code_group * t->inputs->n_frame;
    tess_status status = TESS_OK;
    for (int64_t at = 0; at < n_code && status == TESS_OK;) {
        int64_t n = n_code - at < 256 ? n_code - at : 256;
        for (int64_t i = 0; i < n; i++) block[i] = t->inputs->codes[at + i];
        status = tess_trace_writer_put(t->writer, "in.codes", at, block, (size_t)n, err);
        at += n;
    }
    return status;
}

static tess_status put_inputs(tracing *t, tess_error *err)
{
    if (t->inputs->codes) return put_codes(t, err);
    int64_t block[256];
    int n_tok = t->inputs->n_tok;
    tess_status status = TESS_OK;
    for (int at = 0; at < n_tok && status == TESS_OK;) {
        int n = n_tok - at < 256 ? n_tok - at : 256;
        for (int i = 0; i < n; i++) block[i] = t->inputs->ids[at + i];
        status = tess_trace_writer_put(t->writer, "in.input_ids", at, block, (size_t)n, err);
        at += n;
    }
    if (status == TESS_OK && t->inputs->positions)
        status = tess_trace_writer_put(t->writer, "in.position_ids", 0, t->inputs->positions,
                                       3 * (size_t)n_tok, err);
    if (status == TESS_OK)
        status = tess_trace_media_put(t->inputs->media, t->inputs->n_media, t->inputs->use_audio_in_video,
                                      t->writer, t->options->progress, err);
    return status;
}

static bool observes(const tracing *t, const tess_tap *tap)
{
    const tess_tap_listener *observer = t->options->observer;
    return observer && observer->wants(observer->context, tap);
}

static bool wants_tap(void *context, const tess_tap *tap)
{
    const tracing *t = context;
    return tess_trace_writer_has(t->writer, tap->name) || observes(t, tap);
}

static tess_status put_rows(tracing *t, const tess_tap_rows *rows, tess_error *err)
{
    const void *values = rows->tap.is_integer ? (const void *)rows->integers : (const void *)rows->values;
    tess_status status = tess_trace_writer_reach(t->writer, rows->tap.name, rows->tap.dim, err);
    if (status != TESS_OK) return status;
    if (tess_tap_rows_are_columns(rows))
        return tess_trace_writer_put_columns(t->writer, rows->tap.name, rows->column,
                                             (int64_t)rows->row_width, rows->values, err);
    return tess_trace_writer_put(t->writer, rows->tap.name, rows->row * (int64_t)rows->row_width, values,
                                 (size_t)rows->n_row * rows->row_width, err);
}

static tess_status hear_rows(void *context, const tess_tap_rows *rows, tess_error *err)
{
    tracing *t = context;
    if (observes(t, &rows->tap)) {
        tess_status status = t->options->observer->hear(t->options->observer->context, rows, err);
        if (status != TESS_OK || !tess_trace_writer_has(t->writer, rows->tap.name)) return status;
    }
    return put_rows(t, rows, err);
}

static tess_status decode_speech(tracing *t, const int64_t *codes, const int64_t dim[2],
                                 const tess_tap_listener *listener, tess_error *err)
{
    if (!t->sounds || dim[1] == 0) return TESS_OK;
    return tess_greedy_decode(t->engine, codes, dim, listener, t->options->progress, err);
}

static tess_status speak_answer(tracing *t, tess_session *session, const int64_t *answer, int n,
                                const tess_tap_listener *listener, tess_error *err)
{
    int64_t *codes, dim[2];
    const tess_greedy_speech request = {.inputs = t->inputs,
                                        .answer = answer,
                                        .n_answer = n,
                                        .listener = listener,
                                        .progress = t->options->progress};
    tess_status status = tess_greedy_speak(session, &request, &codes, dim, err);
    if (status == TESS_OK && is_wanted(t, TESS_CODES_TAP))
        status = tess_trace_writer_grow(t->writer, TESS_CODES_TAP, dim, codes, err);
    if (status == TESS_OK) status = decode_speech(t, codes, dim, listener, err);
    free(codes);
    return status;
}

/* The answer, and its speech. */
static tess_status run_answer(tracing *t, tess_session *session, const tess_tap_listener *listener,
                              tess_error *err)
{
    bool is_wanted_itself = is_wanted(t, TESS_GREEDY_TAP);
    if (!t->inputs->generate || (!is_wanted_itself && !t->speaks)) return TESS_OK;
    int64_t *ids;
    int n;
    tess_status status = tess_greedy_generate(t->engine, session, t->inputs->generate, t->options->observer,
                                              t->options->progress, &ids, &n, err);
    if (status == TESS_OK && is_wanted_itself)
        status = tess_trace_writer_grow(t->writer, TESS_GREEDY_TAP, (int64_t[]){n}, ids, err);
    if (status == TESS_OK && t->speaks) status = speak_answer(t, session, ids, n, listener, err);
    free(ids);
    return status;
}

static tess_status run_codes(tracing *t, tess_error *err)
{
    const tess_tap_listener listener = {.context = t, .wants = wants_tap, .hear = hear_rows};
    const tess_codes codes = {.codes = t->inputs->codes,
                              .n_code_group = t->inputs->n_code_group,
                              .n_frame = t->inputs->n_frame,
                              .listener = &listener,
                              .progress = t->options->progress};
    return tess_engine_decode_codes(t->engine, &codes, err);
}

static tess_status run_prompt(tracing *t, tess_error *err)
{
    tess_session *session;
    tess_status status = tess_session_new(t->engine, &session, err);
    if (status != TESS_OK) return status;
    tess_tap_listener listener = {.context = t, .wants = wants_tap, .hear = hear_rows};
    tess_feed feed = {.ids = t->inputs->ids,
                      .n_tok = t->inputs->n_tok,
                      .positions = t->inputs->positions,
                      .media = t->inputs->media,
                      .n_media = t->inputs->n_media,
                      .listener = &listener,
                      .last_logits = t->options->last_logits,
                      .progress = t->options->progress};
    status = tess_session_feed(session, &feed, err);
    if (status == TESS_OK) status = run_answer(t, session, &listener, err);
    tess_session_free(session);
    return status;
}

static tess_status check_request(const tracing *t, tess_error *err)
{
    const tess_trace_inputs *in = t->inputs;
    if (in->speak && in->generate < 2)
        return tess_refuse_option(err, "generate",
                                  "at least 2: what is spoken is an answer without its last token", "%d",
                                  in->generate);
    int n_context = tess_engine_get_plan(t->engine)->n_context;
    if (in->n_tok > n_context || in->generate > n_context - in->n_tok)
        return tess_refuse_context(err, "", in->n_tok, "", 0, in->generate, n_context,
                                   tess_engine_get_max_positions(t->engine));
    return TESS_OK;
}

static tess_status write_trace(tracing *t, const char *path, tess_error *err)
{
    tess_status status = check_request(t, err);
    if (status == TESS_OK) status = declare_all(t, err);
    if (status == TESS_OK) status = note_all(t, err);
    if (status == TESS_OK) status = tess_trace_writer_open(t->writer, path, err);
    if (status == TESS_OK) status = put_inputs(t, err);
    if (status != TESS_OK) return status;
    return t->inputs->codes ? run_codes(t, err) : run_prompt(t, err);
}

tess_status tess_trace_write(tess_engine *engine, const tess_trace_inputs *inputs,
                             const tess_trace_options *options, const char *path, tess_error *err)
{
    tracing t = {.engine = engine, .inputs = inputs, .options = options};
    tess_status status = tess_trace_writer_new(&t.writer, err);
    if (status != TESS_OK) return status;
    t.glob_used = calloc((size_t)options->n_glob + 1, sizeof *t.glob_used);
    status = t.glob_used ? write_trace(&t, path, err) : tess_fail(err, TESS_ENOMEM, "no memory for a trace");
    free(t.glob_used);
    if (status == TESS_OK) return tess_trace_writer_commit(t.writer, err);
    tess_trace_writer_abandon(t.writer);
    return status;
}
