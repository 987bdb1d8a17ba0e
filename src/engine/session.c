/* One timeline: tokens, positions, keys and values; feeding, stepping and generating. */
#include "engine/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fpenv.h"
#include "base/guard.h"
#include "base/progress.h"
#include "engine/media.h"
#include "engine/recall.h"
#include "model/positions.h"
#include "model/talker_prompt.h"

tess_status tess_session_new(tess_engine *engine, tess_session **out, tess_error *err)
{
    int n = engine->plan.n_session;
    for (int i = 0; i < n; i++) {
        if (engine->session[i].engine) continue;
        engine->session[i] = (tess_session){.engine = engine, .room = &engine->rooms.session[i]};
        engine->session[i].room->timeline.length = 0;
        engine->session[i].room->recall.n = 0;
        *out = &engine->session[i];
        return TESS_OK;
    }
    char expected[64];
    snprintf(expected, sizeof expected, "at most the %d the plan provides for", n);
    return tess_refuse_option(err, "n_session", expected, "one session more");
}

void tess_session_free(tess_session *session)
{
    if (session) session->engine = NULL;
}

/* The logits at hand are those of another past, and the token chosen from them is none of this one. */
static void forget_choice(tess_session *session)
{
    session->has_logits = session->has_pending = false;
}

void tess_session_truncate(tess_session *session, int n_tok)
{
    TESS_ASSERT(n_tok >= 0 && n_tok <= session->room->timeline.length);
    session->room->timeline.length = n_tok;
    tess_recall_truncate(&session->room->recall, n_tok);
    forget_choice(session);
}

tess_engine *tess_session_get_engine(const tess_session *session)
{
    return session->engine;
}

int tess_session_get_length(const tess_session *session)
{
    return session->room->timeline.length;
}

int tess_session_get_context(const tess_session *session)
{
    return session->room->timeline.n_context;
}

const int32_t *tess_session_get_ids(const tess_session *session)
{
    return session->room->timeline.ids;
}

const float *tess_session_get_logits(const tess_session *session)
{
    return session->has_logits ? session->room->logits : NULL;
}

/* ---- feeding ---- */

/* Sizes alone are enough for a plan, and for the names of taps. */
static tess_status refuse_unreadable(int i, tess_error *err)
{
    char field[32];
    snprintf(field, sizeof field, "media[%d]", i);
    return tess_refuse(err, "", field, -1, "rows that can be read", "sizes alone");
}

static tess_status check_media(const tess_session *session, const tess_feed *feed, tess_error *err)
{
    const tess_rooms *rooms = &session->engine->rooms;
    const tess_thinker_config *config = &rooms->model->config.thinker;
    const tess_media_list media = tess_media_of_feed(feed);
    if (media.n == 0) return TESS_OK;
    tess_status status = tess_media_check(config, &media, err);
    for (int i = 0; i < media.n && status == TESS_OK; i++)
        if (!media.item[i]->read) status = refuse_unreadable(i, err);
    if (status == TESS_OK) status = tess_media_check_room(rooms, &media, err);
    return status == TESS_OK ? tess_placeholders_check(config, feed->ids, feed->n_tok, &media, err) : status;
}

static tess_status check_feed(const tess_session *session, const tess_feed *feed, tess_error *err)
{
    const tess_timeline *timeline = &session->room->timeline;
    int n_vocab = tess_engine_get_vocab_size(session->engine);
    if (feed->n_tok < 1) return tess_fail(err, TESS_EUSAGE, "a prompt needs at least one token");
    if (feed->n_tok > timeline->n_context - timeline->length)
        return tess_refuse_context(err, "", feed->n_tok, "", timeline->length, 0, timeline->n_context,
                                   tess_engine_get_max_positions(session->engine));
    for (int i = 0; i < feed->n_tok; i++)
        if (feed->ids[i] < 0 || feed->ids[i] >= n_vocab) {
            char expected[64];
            snprintf(expected, sizeof expected, "an id of the vocabulary, 0 to %d", n_vocab - 1);
            return tess_refuse(err, "", "input_ids", -1, expected, "id %d at place %d", feed->ids[i], i);
        }
    return check_media(session, feed, err);
}

/* Where a feed's positions begin: behind the largest of the last token's. */
static float next_position(const tess_timeline *timeline)
{
    if (timeline->length == 0) return 0.0f;
    float largest = -INFINITY;
    for (size_t s = 0; s < 3; s++) {
        float last = timeline->positions[s * (size_t)timeline->n_context + (size_t)timeline->length - 1];
        if (last > largest) largest = last;
    }
    return largest + 1.0f;
}

/* The next positions of the timeline: those given; with media, those of the original; else the previous
 * token's plus one on every stream. */
static tess_status set_positions(tess_session *session, const tess_feed *feed, tess_error *err)
{
    tess_timeline *timeline = &session->room->timeline;
    size_t n_context = (size_t)timeline->n_context, first = (size_t)timeline->length;
    const tess_media_list media = tess_media_of_feed(feed);
    if (media.n > 0 && !feed->positions)
        return tess_positions_compute(&session->engine->model.config.thinker, feed->ids, feed->n_tok, &media,
                                      next_position(timeline), timeline->positions + first, n_context, err);
    for (size_t s = 0; s < 3; s++) {
        float *stream = timeline->positions + s * n_context;
        for (size_t i = 0; i < (size_t)feed->n_tok; i++) {
            size_t at = first + i;
            stream[at] = feed->positions ? feed->positions[s * (size_t)feed->n_tok + i]
                         : at > 0        ? stream[at - 1] + 1.0f
                                         : 0.0f;
        }
    }
    return TESS_OK;
}

/* What the caller gave, what a listener put in its place, or what continuing came to. */
static tess_status check_positions(const tess_timeline *timeline, int n_tok, tess_error *err)
{
    size_t n_context = (size_t)timeline->n_context, first = (size_t)timeline->length;
    for (size_t s = 0; s < 3; s++) {
        const float *stream = timeline->positions + s * n_context + first;
        for (int i = 0; i < n_tok; i++) {
            if (fabsf(stream[i]) <= (float)TESS_POSITION_MAX) continue;
            char expected[64];
            snprintf(expected, sizeof expected, "a position from -%d to %d", TESS_POSITION_MAX,
                     TESS_POSITION_MAX);
            return tess_refuse(err, "", "position_ids", -1, expected, "%g at place %d of stream %zu",
                               (double)stream[i], i, s);
        }
    }
    return TESS_OK;
}

static tess_status emit_positions(const tess_timeline *timeline, const tess_tap_sink *sink, tess_error *err)
{
    size_t n_context = (size_t)timeline->n_context;
    tess_status status = TESS_OK;
    for (size_t s = 0; s < 3 && status == TESS_OK; s++)
        status = tess_tap_emit(sink, TESS_TAP_POSITION_IDS, 0, (int64_t)s, 1,
                               timeline->positions + s * n_context + timeline->length, err);
    return status;
}

/* How far a feed has come: tokens of whole chunks, and those of the present one. */
typedef struct feeding {
    const tess_session *session;
    const tess_feed *feed;
    int n_layer, done, n;
    int n_state; /* media tokens of the session before the chunk; -1: their states are not kept */
} feeding;

static int count_states(const tess_thinker_config *config, const int32_t *ids, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) count += tess_talker_wants_state(config, ids[i]);
    return count;
}

/* The states of the chunk's media tokens, of rows [n, d_model], for the talker. */
static void keep_states(const feeding *f, const float *rows)
{
    const tess_thinker_config *config = &f->session->engine->model.config.thinker;
    size_t d_model = (size_t)config->text.d_model;
    float *to = f->session->room->states + (size_t)f->n_state * d_model;
    for (int i = 0; i < f->n; i++) {
        if (!tess_talker_wants_state(config, f->feed->ids[f->done + i])) continue;
        memcpy(to, rows + (size_t)i * d_model, d_model * sizeof *to);
        to += d_model;
    }
}

static int accepted_layer(const feeding *f)
{
    return f->session->engine->model.config.talker.accept_hidden_layer;
}

static tess_status tell_layer(void *context, int n_layer_done, tess_error *err)
{
    const feeding *f = context;
    /* QUIRK: states are taken before DeepStack's features are added. The last layer's are those behind the
     * final norm, which follows. */
    if (f->n_state >= 0 && n_layer_done == accepted_layer(f) && n_layer_done < f->n_layer)
        keep_states(f, f->session->engine->rooms.thinker.decoder.work.residual);
    bool is_decode = f->feed->n_tok == 1;
    int64_t share = (int64_t)f->n * n_layer_done / f->n_layer;
    uint64_t done = is_decode ? (uint64_t)n_layer_done : (uint64_t)(f->done + share);
    uint64_t total = is_decode ? (uint64_t)f->n_layer : (uint64_t)f->feed->n_tok;
    return tess_progress_tell(f->feed->progress, is_decode ? TESS_ACTIVITY_DECODE : TESS_ACTIVITY_PREFILL,
                              done, total, err);
}

static tess_status run_chunks(tess_session *session, const tess_feed *feed, const tess_tap_sink *sink,
                              tess_error *err)
{
    tess_engine *engine = session->engine;
    const tess_thinker_config *config = &engine->model.config.thinker;
    const tess_decoder *decoder = &engine->rooms.thinker.decoder;
    bool keeps = session->room->states != NULL;
    feeding progress = {
        .session = session,
        .feed = feed,
        .n_layer = config->text.n_layer,
        .n_state =
            keeps ? count_states(config, session->room->timeline.ids, session->room->timeline.length) : -1};
    bool all = !feed->last_logits && tess_tap_is_wanted(sink, TESS_TAP_LM_HEAD, 0);
    tess_timeline *timeline = &session->room->timeline;
    const tess_media_list media = tess_media_of_feed(feed);
    for (int done = 0; done < feed->n_tok; done += progress.n) {
        int left = feed->n_tok - done;
        progress.done = done;
        progress.n = left < engine->plan.n_chunk ? left : engine->plan.n_chunk;
        tess_span span = {.timeline = timeline,
                          .first = timeline->length + done,
                          .n = progress.n,
                          .ids = feed->ids + done,
                          .sink = sink,
                          .tap_row = done};
        tess_step step = {.span = &span, .n_span = 1, .on_layer = tell_layer, .context = &progress};
        if (media.n > 0) tess_media_fill_step(&engine->rooms, &media, &span, &step);
        const tess_head_request request = {.rows = all                  ? TESS_LOGITS_ALL
                                                   : progress.n == left ? TESS_LOGITS_LAST
                                                                        : TESS_LOGITS_NONE,
                                           .last = session->room->logits};
        tess_status status = tess_causal_model_run(&engine->rooms.thinker, &step, &request, err);
        if (status != TESS_OK) return status;
        if (keeps && accepted_layer(&progress) == progress.n_layer)
            keep_states(&progress, decoder->work.normed);
        if (keeps) progress.n_state += count_states(config, feed->ids + done, progress.n);
    }
    return TESS_OK;
}

tess_status tess_session_feed(tess_session *session, const tess_feed *feed, tess_error *err)
{
    tess_status status = check_feed(session, feed, err);
    if (status != TESS_OK) return status;
    tess_timeline *timeline = &session->room->timeline;
    tess_model *model = &session->engine->model;
    tess_tap_sink sink = {.listener = feed->listener,
                          .decoder = session->engine->rooms.thinker.decoder.name,
                          .config = &model->config.thinker.text,
                          .kernels = &model->kernels,
                          .n_tok = feed->n_tok,
                          .last_logits = feed->last_logits};
    tess_fpenv saved = tess_fpenv_enter();
    tess_guard_begin();
    forget_choice(session);
    status = set_positions(session, feed, err);
    if (status == TESS_OK) status = check_positions(timeline, feed->n_tok, err);
    const tess_media_list media = tess_media_of_feed(feed);
    if (status == TESS_OK && media.n > 0)
        status = tess_media_encode(&session->engine->rooms, &media, feed->listener, feed->progress, err);
    tess_rooms_enter(&session->engine->rooms, TESS_PHASE_TEXT);
    if (status == TESS_OK && feed->listener) status = emit_positions(timeline, &sink, err);
    if (status == TESS_OK && feed->listener) status = check_positions(timeline, feed->n_tok, err);
    if (status == TESS_OK) status = run_chunks(session, feed, &sink, err);
    tess_guard_end();
    tess_fpenv_leave(saved);
    if (status != TESS_OK) return status;
    memcpy(timeline->ids + timeline->length, feed->ids, (size_t)feed->n_tok * sizeof(int32_t));
    tess_recall_add(&session->room->recall, &model->config.thinker, feed->ids, feed->n_tok, &media,
                    timeline->length);
    timeline->length += feed->n_tok;
    session->has_logits = true;
    return TESS_OK;
}

int tess_session_count_held(const tess_session *session, const tess_feed *whole, int n_media[3])
{
    const tess_timeline *timeline = &session->room->timeline;
    const tess_media_list media = tess_media_of_feed(whole);
    int same = 0;
    while (!whole->positions && same < timeline->length && same + 1 < whole->n_tok &&
           timeline->ids[same] == whole->ids[same])
        same++;
    for (int kind = 0; kind < 3; kind++) n_media[kind] = 0;
    /* Pad tokens that stand for nothing are tokens. */
    if (media.n == 0 && session->room->recall.n == 0) return same;
    return tess_recall_count(&session->room->recall, &session->engine->model.config.thinker, whole->ids,
                             whole->n_tok, &media, same, n_media);
}

void tess_session_find_media(const tess_session *session, const tess_feed *whole, int *first)
{
    const tess_media_list media = tess_media_of_feed(whole);
    tess_recall_find(&session->engine->model.config.thinker, whole->ids, whole->n_tok, &media, first);
}

/* ---- choosing ---- */

void tess_session_get_top(tess_session *session, int n, tess_likely *out)
{
    tess_fpenv saved = tess_fpenv_enter();
    tess_guard_begin();
    TESS_ASSERT(session->has_logits);
    tess_sampler_get_top(&session->engine->rooms.sampler, tess_session_get_logits(session), n, out);
    tess_guard_end();
    tess_fpenv_leave(saved);
}

void tess_session_get_rank(tess_session *session, int32_t id, tess_likely *out)
{
    tess_fpenv saved = tess_fpenv_enter();
    tess_guard_begin();
    TESS_ASSERT(session->has_logits);
    tess_sampler_get_rank(&session->engine->rooms.sampler, tess_session_get_logits(session), id, out);
    tess_guard_end();
    tess_fpenv_leave(saved);
}

static tess_status feed_pending(tess_session *session, const tess_tap_listener *listener,
                                const tess_progress *progress, tess_error *err)
{
    if (!session->has_pending) return TESS_OK;
    int32_t id = session->pending;
    const tess_feed feed = {
        .ids = &id, .n_tok = 1, .listener = listener, .last_logits = true, .progress = progress};
    tess_status status = tess_session_feed(session, &feed, err);
    if (status != TESS_OK) return status;
    session->has_pending = true; /* the generator goes on */
    return TESS_OK;
}

tess_status tess_session_step(tess_session *session, const tess_sampling *sampling,
                              const tess_tap_listener *listener, const tess_progress *progress, int32_t *id,
                              tess_error *err)
{
    tess_status status = tess_sampling_check(sampling, err);
    if (status == TESS_OK && !session->has_logits)
        status = tess_fail(err, TESS_EUSAGE, "nothing has been fed to continue from");
    if (status == TESS_OK) status = feed_pending(session, listener, progress, err);
    if (status != TESS_OK) return status;
    const tess_timeline *timeline = &session->room->timeline;
    tess_fpenv saved = tess_fpenv_enter();
    tess_guard_begin();
    if (!session->has_pending) session->random = sampling->seed;
    status = tess_sampler_choose(&session->engine->rooms.sampler, session->room->logits, sampling,
                                 timeline->ids, timeline->length, &session->random, &session->pending, err);
    tess_guard_end();
    tess_fpenv_leave(saved);
    session->has_pending = status == TESS_OK; /* what was pending before has been fed */
    if (status != TESS_OK) return status;
    *id = session->pending;
    return TESS_OK;
}

static bool is_stop(const tess_generation *generation, int32_t id)
{
    for (int i = 0; i < generation->n_stop; i++)
        if (generation->stop[i] == id) return true;
    return false;
}

tess_status tess_session_generate(tess_session *session, const tess_generation *generation, int32_t *ids,
                                  int *n_new, tess_finish *finish, tess_error *err)
{
    const tess_timeline *timeline = &session->room->timeline;
    tess_status status = TESS_OK;
    *n_new = 0;
    *finish = TESS_FINISH_LENGTH;
    while (status == TESS_OK && *n_new < generation->max_new) {
        if (session->has_pending && timeline->length == timeline->n_context) break;
        int32_t id;
        status = tess_session_step(session, &generation->sampling, generation->listener, generation->progress,
                                   &id, err);
        if (status != TESS_OK) break;
        ids[(*n_new)++] = id;
        bool go_on = !generation->on_token || generation->on_token(generation->context, id);
        *finish = is_stop(generation, id) ? TESS_FINISH_STOP
                  : go_on                 ? TESS_FINISH_LENGTH
                                          : TESS_FINISH_INTERRUPTED;
        if (*finish != TESS_FINISH_LENGTH) break;
        status = tess_progress_tell(generation->progress, TESS_ACTIVITY_GENERATING, (uint64_t)*n_new,
                                    (uint64_t)generation->max_new, err);
    }
    return status;
}
