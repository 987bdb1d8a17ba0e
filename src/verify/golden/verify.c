/* A run that is listened to instead of a second file. With isolation, a second reader of the golden supplies
 * the values that go on through the model. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "engine/engine.h"
#include "tessera/verify.h"
#include "verify/compare/comparison.h"
#include "verify/golden/both_sides.h"
#include "verify/golden/given.h"
#include "verify/golden/media_check.h"
#include "verify/golden/talker_place.h"
#include "verify/trace/greedy.h"
#include "verify/trace/greedy_speech.h"

typedef struct verifying {
    tess_engine *engine;
    const tess_golden *golden;
    const tess_verify_options *options;
    tess_comparison *comparison;
    tess_trace_reader reader; /* isolation only: the golden once more */
} verifying;

/* ---- listening ---- */

static bool wants_tap(void *context, const tess_tap *tap)
{
    verifying *v = context;
    uint64_t dim[3] = {0};
    for (int i = 0; i < tap->n_dim; i++) dim[i] = tap->dim[i] < 0 ? 0 : (uint64_t)tap->dim[i];
    return tess_comparison_wants(v->comparison, tap->name, tap->is_integer ? TESS_DTYPE_I64 : TESS_DTYPE_F32,
                                 tap->n_dim, dim);
}

static tess_status hear_rows(void *context, const tess_tap_rows *rows, tess_error *err)
{
    verifying *v = context;
    if (tess_tap_rows_are_columns(rows))
        return tess_comparison_hear_columns(v->comparison, rows->tap.name, (uint64_t)rows->column,
                                            rows->values, rows->row_width, err);
    const void *values = rows->tap.is_integer ? (const void *)rows->integers : (const void *)rows->values;
    uint64_t first = rows->row < 0 ? TESS_HEAR_NEXT : (uint64_t)rows->row * rows->row_width;
    return tess_comparison_hear(v->comparison, rows->tap.name, first, values,
                                (size_t)rows->n_row * rows->row_width, err);
}

/* Experts of the golden become indices of the model, which has room for every expert once per token. */
static tess_status check_choices(const verifying *v, const tess_tap_rows *rows, const tess_tensor *t,
                                 uint64_t at, const int64_t *ids, size_t n, tess_error *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t column = (size_t)((at + i) % rows->row_width);
        bool is_repeated = false;
        for (size_t j = 1; j <= column && j <= i; j++) is_repeated |= ids[i - j] == ids[i];
        if (ids[i] >= 0 && ids[i] < rows->tap.n_value && !is_repeated) continue;
        char expected[64];
        snprintf(expected, sizeof expected, "0 to %lld, each once per token",
                 (long long)rows->tap.n_value - 1);
        return tess_refuse(err, v->golden->path, rows->tap.name,
                           (int64_t)(t->offset + (at + i) * sizeof *ids), expected, "%lld%s",
                           (long long)ids[i], is_repeated ? " again" : "");
    }
    return TESS_OK;
}

/* next = `left` elements of the golden's tap from `at` on. */
static tess_status replace_run(verifying *v, const tess_tap_rows *rows, const tess_tensor *t, uint64_t at,
                               size_t left, char *next, tess_error *err)
{
    size_t size = rows->tap.is_integer ? sizeof(int64_t) : sizeof(float);
    while (left) {
        const void *piece;
        size_t n = tess_trace_reader_piece(t, at, rows->row_width);
        if (n > left) n = left;
        tess_status status = tess_trace_reader_read(&v->reader, t, at, n, &piece, err);
        if (status == TESS_OK && rows->tap.is_integer) status = check_choices(v, rows, t, at, piece, n, err);
        if (status != TESS_OK) return status;
        memcpy(next, piece, n * size);
        next += n * size;
        at += n;
        left -= n;
    }
    return TESS_OK;
}

/* Elements of the tap up to the last of these rows. A golden may have fewer of a tap whose length is not
 * known beforehand: what it lacks is not replaced, and the comparison tells it. */
static uint64_t find_end(const tess_tap_rows *rows)
{
    const uint64_t n_row = (uint64_t)(rows->row + rows->n_row), width = rows->row_width;
    if (!tess_tap_rows_are_columns(rows)) return n_row * width;
    return (n_row - 1) * (uint64_t)rows->tap.dim[1] + (uint64_t)rows->column + width;
}

static tess_status replace(void *context, const tess_tap_rows *rows, void *values, tess_error *err)
{
    verifying *v = context;
    const tess_tensor *t = tess_safetensors_find(v->reader.st, rows->tap.name);
    if (!t || find_end(rows) > tess_tensor_count(t)) return TESS_OK;
    if (!tess_tap_rows_are_columns(rows))
        return replace_run(v, rows, t, (uint64_t)rows->row * rows->row_width,
                           (size_t)rows->n_row * rows->row_width, values, err);
    tess_status status = TESS_OK;
    float *next = values;
    for (int64_t i = 0; i < rows->n_row && status == TESS_OK; i++, next += rows->row_width)
        status = replace_run(v, rows, t, (uint64_t)((rows->row + i) * rows->tap.dim[1] + rows->column),
                             rows->row_width, (char *)next, err);
    return status;
}

/* Token ids are int32_t in a run and int64_t in a trace. */
static tess_status hear_ids(verifying *v, const char *name, const int32_t *ids, size_t n, tess_error *err)
{
    uint64_t dim = n;
    if (!tess_comparison_wants(v->comparison, name, TESS_DTYPE_I64, 1, &dim)) return TESS_OK;
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n && status == TESS_OK; i++) {
        int64_t id = ids[i];
        status = tess_comparison_hear(v->comparison, name, i, &id, 1, err);
    }
    return status;
}

/* ---- running ---- */

static tess_status hear_integers(verifying *v, const char *name, const int64_t *values, int n_dim,
                                 const int64_t *dim, tess_error *err)
{
    uint64_t shape[2], n = 1;
    for (int i = 0; i < n_dim; i++) n *= shape[i] = (uint64_t)dim[i];
    if (!tess_comparison_wants(v->comparison, name, TESS_DTYPE_I64, n_dim, shape)) return TESS_OK;
    return tess_comparison_hear(v->comparison, name, 0, values, (size_t)n, err);
}

/* Codes that part ways behind the first frame in another codebook than the first: the code predictor, which
 * begins afresh in every frame, or a step of the talker, which then shows behind the golden's own codes. */
static tess_status settle_codes(verifying *v, tess_session *session, tess_greedy_speech request,
                                tess_error *err)
{
    int64_t *codes = NULL, *fed = NULL, dim[2], fed_dim[2];
    tess_status status = v->reader.st ? TESS_OK : tess_trace_reader_open(v->golden->path, &v->reader, err);
    if (status == TESS_OK) status = tess_given_codes(&v->reader, v->engine, v->golden, &fed, fed_dim, err);
    request.fed = fed;
    request.n_frame = fed_dim[1];
    request.listener = NULL;
    if (status == TESS_OK && fed) status = tess_greedy_speak(session, &request, &codes, dim, err);
    for (int64_t frame = 0; status == TESS_OK && fed && frame < dim[1]; frame++)
        if (frame == request.n_frame || codes[frame] != fed[frame]) {
            tess_comparison_blame_talker(v->comparison, frame);
            break;
        }
    free(codes);
    free(fed);
    return status;
}

static tess_status speak_answer(verifying *v, tess_session *session, const int64_t *answer, int n,
                                const tess_tap_listener *listener, tess_error *err)
{
    int64_t *codes = NULL, *fed_answer = NULL, *fed = NULL, dim[2] = {0}, fed_dim[2] = {0};
    tess_status status = v->options->isolate
                             ? tess_given_answer(&v->reader, v->engine, v->golden, &fed_answer, &n, err)
                             : TESS_OK;
    if (status == TESS_OK && v->options->isolate)
        status = tess_given_codes(&v->reader, v->engine, v->golden, &fed, fed_dim, err);
    const tess_greedy_speech request = {.inputs = &v->golden->inputs,
                                        .answer = fed_answer ? fed_answer : answer,
                                        .n_answer = n,
                                        .fed = fed,
                                        .n_frame = fed_dim[1],
                                        .listener = listener,
                                        .progress = v->options->progress};
    if (status == TESS_OK) status = tess_greedy_speak(session, &request, &codes, dim, err);
    if (status == TESS_OK) status = hear_integers(v, TESS_CODES_TAP, codes, 2, dim, err);
    if (status == TESS_OK && !fed && tess_comparison_doubts_codes(v->comparison))
        status = settle_codes(v, session, request, err);
    const int64_t *sounding = fed ? fed_dim : dim;
    if (status == TESS_OK && sounding[1])
        status =
            tess_greedy_decode(v->engine, fed ? fed : codes, sounding, listener, v->options->progress, err);
    free(codes);
    free(fed_answer);
    free(fed);
    return status;
}

/* The answer, and its speech, where the golden has either. */
static tess_status run_answer(verifying *v, tess_session *session, const tess_tap_listener *listener,
                              tess_error *err)
{
    const tess_trace_inputs *in = &v->golden->inputs;
    bool has_answer = tess_comparison_find(v->comparison, TESS_GREEDY_TAP) != NULL;
    if (!in->generate || (!has_answer && !in->speak)) return TESS_OK;
    int64_t *ids;
    int n;
    tess_status status =
        tess_greedy_generate(v->engine, session, in->generate, NULL, v->options->progress, &ids, &n, err);
    if (status == TESS_OK && has_answer)
        status = hear_integers(v, TESS_GREEDY_TAP, ids, 1, (int64_t[]){n}, err);
    if (status == TESS_OK && in->speak) status = speak_answer(v, session, ids, n, listener, err);
    free(ids);
    return status;
}

/* Whether the golden holds the logits of the last position only. */
static bool has_last_logits(const tess_trace_reader *reader, int n_tok)
{
    const tess_tensor *t = tess_safetensors_find(reader->st, "tap.thinker.lm_head");
    return t && t->n_dim == 2 && t->dim[0] == 1 && n_tok > 1;
}

/* What was heard before is evidence enough, and the taps that follow fail: where a value is not finite, where
 * a model that would make other inputs of what was said does not take the golden's, and where other codes
 * were spoken than have a sound. */
static tess_status end_early(verifying *v, const tess_error *end, tess_error *err)
{
    bool is_other = tess_comparison_has_other_inputs(v->comparison) ||
                    (!strcmp(end->field, "codes") && tess_comparison_has_other_codes(v->comparison));
    bool is_evident =
        end->status == TESS_ENONFINITE || (end->status == TESS_EINPUT && *end->field && is_other);
    if (is_evident) {
        tess_comparison_end(v->comparison, end);
        return TESS_OK;
    }
    if (err) *err = *end;
    return end->status;
}

static tess_status run_codes(verifying *v, const tess_tap_listener *listener, tess_error *err)
{
    const tess_trace_inputs *in = &v->golden->inputs;
    const tess_codes codes = {.codes = in->codes,
                              .n_code_group = v->golden->inputs.n_code_group,
                              .n_frame = in->n_frame,
                              .listener = listener,
                              .progress = v->options->progress};
    return tess_engine_decode_codes(v->engine, &codes, err);
}

static tess_status run_prompt(verifying *v, const tess_tap_listener *listener, tess_error *err)
{
    const tess_trace_inputs *in = &v->golden->inputs;
    tess_session *session;
    tess_status status = tess_session_new(v->engine, &session, err);
    if (status != TESS_OK) return status;
    tess_feed feed = {.ids = in->ids,
                      .n_tok = in->n_tok,
                      .positions = in->positions,
                      .media = in->media,
                      .n_media = in->n_media,
                      .listener = listener,
                      .last_logits = has_last_logits(&v->comparison->hearing.reference, in->n_tok),
                      .progress = v->options->progress};
    status = tess_session_feed(session, &feed, err);
    if (status == TESS_OK) status = run_answer(v, session, listener, err);
    tess_session_free(session);
    return status;
}

static tess_status run_golden(verifying *v, tess_error *err)
{
    tess_tap_listener listener = {
        .context = v, .wants = wants_tap, .hear = hear_rows, .replace = v->options->isolate ? replace : NULL};
    tess_error end;
    tess_status status =
        v->golden->inputs.codes ? run_codes(v, &listener, &end) : run_prompt(v, &listener, &end);
    return status == TESS_OK ? TESS_OK : end_early(v, &end, err);
}

/* ---- before the run ---- */

static tess_status check_request(const tess_engine *engine, const tess_golden *golden, tess_error *err)
{
    const tess_trace_inputs *in = &golden->inputs;
    int n_context = tess_engine_get_plan(engine)->n_context;
    if (in->n_tok > n_context || in->generate > n_context - in->n_tok)
        return tess_refuse_context(err, golden->path, in->n_tok, 0, in->generate, n_context,
                                   tess_engine_get_max_positions(engine));
    int n_vocab = tess_engine_get_vocab_size(engine);
    for (int i = 0; i < in->n_tok; i++) {
        if (in->ids[i] < n_vocab) continue;
        char expected[48];
        snprintf(expected, sizeof expected, "ids below this model's %d", n_vocab);
        return tess_refuse(err, golden->path, "in.input_ids", -1, expected, "%d at position %d", in->ids[i],
                           i);
    }
    return TESS_OK;
}

static tess_status meet_golden(verifying *v, tess_error *err)
{
    char path[PATH_MAX], config[TESS_SHA256_HEX];
    snprintf(path, sizeof path, "%s/config.json", v->options->model_dir);
    tess_status status = tess_sha256_file(path, config, err);
    if (status != TESS_OK) return status;
    tess_comparison_other other = {.path = v->options->model_dir,
                                   .config_sha256 = config,
                                   .weights_sha256 = v->options->weights_sha256,
                                   .precision = tess_engine_get_precision(v->engine),
                                   .precision_known = true};
    return tess_comparison_meet(v->comparison, &other, err);
}

/* Looks in the golden for what isolation feeds: the value of every tap that another module reads. */
typedef struct supply {
    const verifying *v;
    tess_status status;
    tess_error *err;
} supply;

static void check_tap(void *context, const tess_tap *tap)
{
    supply *s = context;
    /* Of a module that runs several times in a prompt, goldens hold the first run. */
    bool is_read = strcmp(tap->name, "tap.thinker.position_ids") != 0 &&
                   strcmp(tap->name, "tap.thinker.lm_head") != 0 && !strchr(tap->name, '#');
    if (s->status != TESS_OK || !is_read) return;
    const tess_tensor *t = tess_safetensors_find(s->v->reader.st, tap->name);
    tess_dtype dtype = tap->is_integer ? TESS_DTYPE_I64 : TESS_DTYPE_F32;
    bool is_same = t && t->dtype == dtype && t->n_dim == tap->n_dim;
    for (int i = 0; is_same && i < tap->n_dim; i++) is_same = t->dim[i] == (uint64_t)tap->dim[i];
    if (is_same) return;
    char shape[80] = "no such tensor", expected[120];
    if (t) tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
    snprintf(expected, sizeof expected, "%s [%lld, %lld], which isolation feeds to the next module",
             tess_dtype_name(dtype), (long long)tap->dim[0], (long long)tap->dim[1]);
    s->status = tess_refuse(s->err, s->v->golden->path, tap->name, t ? (int64_t)t->offset : -1, expected,
                            "%s%s%s", t ? tess_dtype_name(t->dtype) : "", t ? " " : "", shape);
}

/* Opens the golden once more; TESS_EINPUT, the field a tap's name, if it does not hold what isolation feeds.
 */
static tess_status find_supply(verifying *v, tess_error *err)
{
    tess_status status = TESS_OK;
    if (!v->reader.st) status = tess_trace_reader_open(v->golden->path, &v->reader, err);
    if (status != TESS_OK) return status;
    supply s = {v, TESS_OK, err};
    const tess_trace_inputs *in = &v->golden->inputs;
    const tess_feed feed = {.n_tok = in->n_tok, .media = in->media, .n_media = in->n_media};
    status = in->codes ? tess_codes_list_taps(v->options->model_dir, in->n_frame, check_tap, &s, err)
                       : tess_model_list_taps(v->options->model_dir, &feed, check_tap, &s, err);
    return status == TESS_OK ? s.status : status;
}

/* What the golden's media and text become stands for the run's, so that a difference is the first of all.
 * Media of other sizes have other numbers of ids: those are not the text's fault. */
static tess_status hear_text(verifying *v, tess_error *err)
{
    if (!v->golden->text_is_checked) return TESS_OK;
    const tess_prompt *said = &v->golden->said;
    tess_status status = TESS_OK;
    if (said->n_media > 0) status = tess_golden_hear_media(v->comparison, said->media, said->n_media, err);
    if (status != TESS_OK) return status;
    tess_tap_state *s = tess_comparison_find(v->comparison, "in.input_ids");
    bool is_of_media = tess_comparison_has_other_inputs(v->comparison);
    if (s) s->place.component = is_of_media ? "preprocess" : v->golden->said_component;
    return hear_ids(v, "in.input_ids", said->ids.data, said->ids.count, err);
}

static tess_status run_or_end(verifying *v, tess_error *err)
{
    tess_error lacking;
    tess_status status = v->options->isolate ? find_supply(v, &lacking) : TESS_OK;
    return status == TESS_OK ? run_golden(v, err) : end_early(v, &lacking, err);
}

static tess_status name_truth(const verifying *v, tess_compare_result *result, tess_error *err)
{
    if (!result->truth || !v->options->truth_name) return TESS_OK;
    free(result->truth);
    result->truth = strdup(v->options->truth_name);
    if (result->truth) return TESS_OK;
    return tess_fail(err, TESS_ENOMEM, "no memory for the result");
}

/* *out may be set although it fails. */
static tess_status verify_golden(verifying *v, tess_compare_result **out, tess_error *err)
{
    tess_compare_options options = {.truth = v->options->truth,
                                    .ignore_identity = v->options->ignore_identity};
    tess_status status = check_request(v->engine, v->golden, err);
    if (status == TESS_OK) status = tess_comparison_new(v->golden->path, &options, &v->comparison, err);
    if (status == TESS_OK) status = meet_golden(v, err);
    if (status != TESS_OK) return status;
    if (v->options->isolate) tess_comparison_isolate(v->comparison);
    v->comparison->is_run = true;
    status = hear_text(v, err);
    if (status == TESS_OK) status = run_or_end(v, err);
    if (status == TESS_OK) status = tess_comparison_finish(v->comparison, out, err);
    if (status == TESS_OK) status = tess_talker_place_say(v->engine, v->golden, *out, err);
    return status == TESS_OK ? name_truth(v, *out, err) : status;
}

static void release_verifying(verifying *v)
{
    if (v->reader.st) tess_trace_reader_close(&v->reader);
    tess_comparison_free(v->comparison);
}

/* The other side of the bfloat16 bar: the same golden, module by module. A golden that does not hold every
 * module's input has one side only, and the result says so. */
static tess_status verify_isolated(const verifying *whole, tess_compare_result *result, tess_error *err)
{
    tess_verify_options options = *whole->options;
    options.isolate = true;
    options.truth = NULL;
    verifying v = {.engine = whole->engine, .golden = whole->golden, .options = &options};
    tess_compare_result *isolated = NULL;
    tess_error missing;
    tess_status status = find_supply(&v, &missing);
    if (status == TESS_EINPUT) {
        snprintf(result->one_side, sizeof result->one_side, "the golden lacks %.120s", missing.field);
        status = TESS_OK;
    } else if (status == TESS_OK) {
        status = verify_golden(&v, &isolated, err);
        if (status == TESS_OK) tess_both_sides_merge(result, isolated);
        tess_compare_result_free(isolated);
    } else if (err) {
        *err = missing;
    }
    release_verifying(&v);
    return status;
}

tess_status tess_verify_run(tess_engine *engine, const tess_golden *golden,
                            const tess_verify_options *options, tess_compare_result **out, tess_error *err)
{
    verifying v = {.engine = engine, .golden = golden, .options = options};
    tess_compare_result *result = NULL;
    tess_status status = verify_golden(&v, &result, err);
    release_verifying(&v);
    bool is_whole_bf16 = !options->isolate && tess_engine_get_precision(engine) == TESS_PRECISION_BF16;
    if (status == TESS_OK && is_whole_bf16) status = verify_isolated(&v, result, err);
    if (status == TESS_OK)
        *out = result;
    else
        tess_compare_result_free(result);
    return status;
}

tess_status tess_verify_write_truth(tess_engine *engine, const char *model_dir, const tess_golden *golden,
                                    const char *path, const tess_progress *progress, tess_error *err)
{
    tess_trace_reader reader;
    tess_status status = check_request(engine, golden, err);
    if (status == TESS_OK) status = tess_trace_reader_open(golden->path, &reader, err);
    if (status != TESS_OK) return status;
    bool last_logits = has_last_logits(&reader, golden->inputs.n_tok);
    tess_trace_reader_close(&reader);
    tess_trace_inputs inputs = golden->inputs;
    inputs.generate = inputs.speak = 0;
    tess_trace_options options = {.model_dir = model_dir, .last_logits = last_logits, .progress = progress};
    return tess_trace_write(engine, &inputs, &options, path, err);
}
