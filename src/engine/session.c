/* One timeline: tokens, positions, keys and values; feeding and generating. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fpenv.h"

struct tess_session {
    tess_engine *engine;
    int length; /* positions in the cache */
    bool has_logits;
};

tess_status tess_session_new(tess_engine *engine, tess_session **out, tess_error *err)
{
    if (engine->has_session)
        return tess_fail(err, TESS_EUSAGE, "the memory plan provides for one session at a time");
    tess_session *session = calloc(1, sizeof *session);
    if (!session) return tess_fail(err, TESS_ENOMEM, "no memory for a session");
    session->engine = engine;
    engine->has_session = true;
    *out = session;
    return TESS_OK;
}

void tess_session_free(tess_session *session)
{
    if (!session) return;
    session->engine->has_session = false;
    free(session);
}

void tess_session_truncate(tess_session *session, int n_tok)
{
    TESS_ASSERT(n_tok >= 0 && n_tok <= session->length);
    session->length = n_tok;
    session->has_logits = false;
}

int tess_session_get_length(const tess_session *session)
{
    return session->length;
}

const int32_t *tess_session_get_ids(const tess_session *session)
{
    return session->engine->parts.ids;
}

const float *tess_session_get_logits(const tess_session *session)
{
    return session->has_logits ? session->engine->parts.thinker.work.logits : NULL;
}

static tess_status check_feed(const tess_session *session, const tess_feed *feed, tess_error *err)
{
    int n_context = session->engine->plan.n_context, n_vocab = tess_engine_get_vocab_size(session->engine);
    if (feed->n_tok < 1) return tess_fail(err, TESS_EUSAGE, "a prompt needs at least one token");
    if (feed->n_tok > n_context - session->length)
        return tess_fail(err, TESS_EUSAGE,
                         "%d tokens after %d do not fit the %d positions planned for; raise --context",
                         feed->n_tok, session->length, n_context);
    for (int i = 0; i < feed->n_tok; i++)
        if (feed->ids[i] < 0 || feed->ids[i] >= n_vocab) {
            char expected[64];
            snprintf(expected, sizeof expected, "an id of the vocabulary, 0 to %d", n_vocab - 1);
            return tess_refuse(err, "", "input_ids", -1, expected, "id %d at place %d", feed->ids[i], i);
        }
    return TESS_OK;
}

/* The next positions of the timeline: those given, or the previous token's plus one on every stream. */
static void set_positions(tess_session *session, const tess_feed *feed)
{
    size_t n_context = (size_t)session->engine->plan.n_context, first = (size_t)session->length;
    for (size_t s = 0; s < 3; s++) {
        float *stream = session->engine->parts.positions + s * n_context;
        for (size_t i = 0; i < (size_t)feed->n_tok; i++) {
            size_t at = first + i;
            stream[at] = feed->positions ? feed->positions[s * (size_t)feed->n_tok + i]
                         : at > 0        ? stream[at - 1] + 1.0f
                                         : 0.0f;
        }
    }
}

static tess_status emit_positions(tess_session *session, const tess_tap_sink *sink, tess_error *err)
{
    size_t n_context = (size_t)session->engine->plan.n_context;
    tess_status status = TESS_OK;
    for (size_t s = 0; s < 3 && status == TESS_OK; s++)
        status = tess_tap_emit(sink, TESS_TAP_POSITION_IDS, 0, (int64_t)s, 1,
                               session->engine->parts.positions + s * n_context + session->length, err);
    return status;
}

/* How far a feed has come: whole chunks, and layers of the present one. */
typedef struct feed_progress {
    const tess_engine *engine;
    int n_tok, done, n;
} feed_progress;

static tess_status tell_layer(void *context, int n_layer_done, tess_error *err)
{
    const feed_progress *p = context;
    int64_t part = (int64_t)p->n * n_layer_done / p->engine->model.config.thinker.text.n_layer;
    return tess_engine_tell(p->engine, p->n_tok > 1 ? "prefill" : "decode", "tokens",
                            (uint64_t)(p->done + part), (uint64_t)p->n_tok, err);
}

static tess_status run_chunks(tess_session *session, const tess_feed *feed, const tess_tap_sink *sink,
                              tess_error *err)
{
    tess_engine *engine = session->engine;
    int n_chunk = engine->plan.n_chunk;
    feed_progress progress = {.engine = engine, .n_tok = feed->n_tok};
    bool all = !feed->last_logits && tess_tap_is_wanted(sink, TESS_TAP_LM_HEAD, 0);
    for (int done = 0; done < feed->n_tok;) {
        int n = feed->n_tok - done < n_chunk ? feed->n_tok - done : n_chunk;
        bool is_last = done + n == feed->n_tok;
        progress.done = done;
        progress.n = n;
        tess_chunk chunk = {.ids = feed->ids + done,
                            .positions = engine->parts.positions + session->length + done,
                            .position_stride = (size_t)engine->plan.n_context,
                            .first = session->length + done,
                            .n = n,
                            .row = done,
                            .on_layer = tell_layer,
                            .context = &progress,
                            .logits = all       ? TESS_LOGITS_ALL
                                      : is_last ? TESS_LOGITS_LAST
                                                : TESS_LOGITS_NONE};
        tess_status status = tess_thinker_run(&engine->parts.thinker, &chunk, sink, err);
        if (status != TESS_OK) return status;
        done += n;
    }
    return TESS_OK;
}

tess_status tess_session_feed(tess_session *session, const tess_feed *feed, tess_error *err)
{
    tess_status status = check_feed(session, feed, err);
    if (status != TESS_OK) return status;
    tess_engine *engine = session->engine;
    tess_tap_sink sink = {.listener = feed->listener,
                          .config = &engine->model.config.thinker.text,
                          .kernels = &engine->model.kernels,
                          .n_tok = feed->n_tok,
                          .last_logits = feed->last_logits};
    tess_fpenv saved = tess_fpenv_enter();
    set_positions(session, feed);
    session->has_logits = false;
    if (feed->listener) status = emit_positions(session, &sink, err);
    if (status == TESS_OK) status = run_chunks(session, feed, &sink, err);
    tess_fpenv_leave(saved);
    if (status != TESS_OK) return status;
    memcpy(engine->parts.ids + session->length, feed->ids, (size_t)feed->n_tok * sizeof(int32_t));
    session->length += feed->n_tok;
    session->has_logits = true;
    return TESS_OK;
}

void tess_session_get_top(tess_session *session, int n, tess_likely *out)
{
    tess_fpenv saved = tess_fpenv_enter();
    TESS_ASSERT(session->has_logits);
    tess_sampler_get_top(&session->engine->parts.sampler, tess_session_get_logits(session), n, out);
    tess_fpenv_leave(saved);
}

void tess_session_get_rank(tess_session *session, int32_t id, tess_likely *out)
{
    tess_fpenv saved = tess_fpenv_enter();
    TESS_ASSERT(session->has_logits);
    tess_sampler_get_rank(&session->engine->parts.sampler, tess_session_get_logits(session), id, out);
    tess_fpenv_leave(saved);
}

static tess_status check_sampling(const tess_sampling *s, tess_error *err)
{
    if (!(s->temperature >= 0))
        return tess_fail(err, TESS_EUSAGE, "--temperature: found %g, expected 0 or more", s->temperature);
    if (s->top_k < 0)
        return tess_fail(err, TESS_EUSAGE, "--top-k: found %d, expected 0 (off) or more", s->top_k);
    if (!(s->top_p > 0 && s->top_p <= 1))
        return tess_fail(err, TESS_EUSAGE, "--top-p: found %g, expected more than 0, at most 1", s->top_p);
    if (!(s->repetition_penalty > 0))
        return tess_fail(err, TESS_EUSAGE, "--repetition-penalty: found %g, expected more than 0",
                         s->repetition_penalty);
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
    tess_status status = check_sampling(&generation->sampling, err);
    if (status == TESS_OK && !session->has_logits)
        status = tess_fail(err, TESS_EUSAGE, "nothing has been fed to continue from");
    if (status != TESS_OK) return status;
    tess_sampler *sampler = &session->engine->parts.sampler;
    tess_sampler_seed(sampler, generation->sampling.seed);
    *n_new = 0;
    *finish = TESS_FINISH_LENGTH;
    while (*n_new < generation->max_new) {
        tess_fpenv saved = tess_fpenv_enter();
        int32_t id = tess_sampler_choose(sampler, tess_session_get_logits(session), &generation->sampling,
                                         session->engine->parts.ids, session->length);
        tess_fpenv_leave(saved);
        ids[(*n_new)++] = id;
        bool go_on = !generation->on_token || generation->on_token(generation->context, id);
        if (is_stop(generation, id))
            *finish = TESS_FINISH_STOP;
        else if (!go_on)
            *finish = TESS_FINISH_INTERRUPTED;
        else if (*n_new < generation->max_new && session->length < session->engine->plan.n_context) {
            tess_feed next = {.ids = &id, .n_tok = 1, .listener = generation->listener, .last_logits = true};
            status = tess_session_feed(session, &next, err);
            if (status != TESS_OK) return status;
            continue;
        }
        break;
    }
    return TESS_OK;
}
