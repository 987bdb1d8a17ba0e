/* Feeding what is new of a conversation, and generating what follows it. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tessera/dialog.h"

/* A prompt that is fed in parts. */
typedef struct feeding {
    tess_session *session;
    const tess_feed *whole;
    int n_media;
    const tess_features **media; /* [n_media] of a part */
    int *first;                  /* [n_media] where media begin */
    int32_t end_token;           /* of messages */
} feeding;

static tess_status begin_feeding(feeding *f, tess_error *err)
{
    const tess_feed *whole = f->whole;
    f->end_token = tess_engine_get_end_token(tess_session_get_engine(f->session));
    f->n_media = whole->media ? whole->n_media : 0;
    if (f->n_media == 0) return TESS_OK;
    f->media = malloc((size_t)f->n_media * sizeof *f->media);
    f->first = malloc((size_t)f->n_media * sizeof *f->first);
    if (!f->media || !f->first) return tess_fail(err, TESS_ENOMEM, "no memory for %d media", f->n_media);
    tess_session_find_media(f->session, whole, f->first);
    return TESS_OK;
}

/* The first place in [begin, end) where a clip begins; -1 if none does. */
static int find_clip(const feeding *f, int begin, int end)
{
    for (int i = 0; i < f->n_media; i++)
        if (f->whole->media[i]->kind == TESS_MEDIA_AUDIO && f->first[i] >= begin && f->first[i] < end)
            return f->first[i];
    return -1;
}

/* Where the message begins that a place lies in. */
static int find_message(const feeding *f, int at)
{
    while (at > 0 && f->whole->ids[at - 1] != f->end_token) at--;
    return at;
}

/* Where the part ends that begins at `begin`: before the second message with clips. DIFFERS: the clips of one
 * message are a call of the tower; the original takes those of all messages together, again in every turn,
 * and a clip shorter than a chunk comes out otherwise beside a longer one
 * (tests/invariance/test_media_invariance.c). */
static int find_part_end(const feeding *f, int begin)
{
    const int n_tok = f->whole->n_tok;
    int clip = f->whole->positions ? -1 : find_clip(f, begin, n_tok);
    while (clip >= 0) {
        int next = find_clip(f, clip + 1, n_tok), message = next < 0 ? 0 : find_message(f, next);
        if (message > clip) return message;
        clip = next;
    }
    return n_tok;
}

/* How much is kept of what the session holds: clips are kept with the others of their message or not at all.
 */
static int keep_calls(const feeding *f, int same)
{
    for (int begin = 0, end; begin < same; begin = end) {
        end = find_part_end(f, begin);
        int clip = find_clip(f, begin, same);
        if (clip >= 0 && find_clip(f, same, end) >= 0) return find_message(f, clip);
    }
    return same;
}

static tess_status feed_part(feeding *f, int begin, int end, tess_error *err)
{
    tess_feed part = *f->whole;
    part.ids += begin;
    part.n_tok = end - begin;
    part.media = f->media;
    part.n_media = 0;
    for (int i = 0; i < f->n_media; i++)
        if (f->first[i] >= begin && f->first[i] < end) f->media[part.n_media++] = f->whole->media[i];
    return tess_session_feed(f->session, &part, err);
}

tess_status tess_session_feed_rest(tess_session *session, const tess_feed *whole, int *n_fed, tess_error *err)
{
    int n_held[3], same = tess_session_count_held(session, whole, n_held);
    *n_fed = whole->n_tok - same;
    feeding f = {.session = session, .whole = whole};
    tess_status status = begin_feeding(&f, err);
    if (status == TESS_OK) {
        same = keep_calls(&f, same);
        *n_fed = whole->n_tok - same;
        tess_session_truncate(session, same);
    }
    for (int begin = same, end; status == TESS_OK; begin = end) {
        end = find_part_end(&f, begin);
        status = feed_part(&f, begin, end, err);
        if (end == whole->n_tok) break;
    }
    free(f.media);
    free(f.first);
    return status;
}

int tess_stop_ids_get(const tess_engine *engine, const tess_tokenizer *tokenizer,
                      int32_t ids[TESS_STOP_MAX_IDS])
{
    static const char end_of_text[] = "<|endoftext|>";
    ids[0] = tess_engine_get_end_token(engine);
    int32_t other = tokenizer ? tess_tokenizer_get_id(tokenizer, end_of_text, sizeof end_of_text - 1) : -1;
    if (other < 0) return 1;
    ids[1] = other;
    return 2;
}

/* ---- answers ---- */

/* An answer while it comes. */
typedef struct answering {
    const tess_answer_request *request;
    tess_text_stream *stream; /* NULL: ids only */
    tess_answer *answer;
    bool is_refused; /* on_text or on_id wants no more */
    tess_status status;
    tess_error *err;
} answering;

/* Hands a piece of text on; false ends the answer. */
static bool take_text(answering *a, const char *text, size_t n_byte)
{
    const tess_answer_request *request = a->request;
    if (n_byte == 0) return true;
    a->status = tess_text_append(&a->answer->text, text, n_byte, a->err);
    if (a->status != TESS_OK) return false;
    a->is_refused = request->on_text && !request->on_text(request->context, text, n_byte);
    return !a->is_refused;
}

static bool ends_answer(const tess_answer_request *request, int32_t id)
{
    for (int i = 0; i < request->n_stop_id; i++)
        if (request->stop_ids[i] == id) return true;
    return false;
}

static bool take_token(void *context, int32_t id)
{
    answering *a = context;
    const char *text = "";
    size_t n_byte = 0;
    if (a->stream) a->status = tess_text_stream_push(a->stream, id, &text, &n_byte, a->err);
    if (a->status != TESS_OK || !take_text(a, text, n_byte)) return false;
    a->is_refused =
        a->request->on_id && !ends_answer(a->request, id) && !a->request->on_id(a->request->context, id);
    if (a->is_refused) return false;
    return !a->stream || tess_text_stream_get_stop(a->stream) < 0;
}

static tess_status generate_ids(answering *a, tess_session *session, tess_error *err)
{
    const tess_answer_request *request = a->request;
    tess_answer *answer = a->answer;
    tess_generation generation = {.sampling = request->sampling,
                                  .max_new = request->max_new,
                                  .stop = request->stop_ids,
                                  .n_stop = request->n_stop_id,
                                  .on_token = take_token,
                                  .context = a,
                                  .listener = request->listener,
                                  .progress = request->progress};
    /* the token that finds the context full is not fed, and needs no room there */
    int room = tess_session_get_context(session) - tess_session_get_length(session) + 1;
    int most = request->max_new < room ? request->max_new : room;
    tess_status status = tess_ids_reserve(&answer->ids, (size_t)most, err);
    if (status != TESS_OK) return status;
    int n_new = 0;
    status = tess_session_generate(session, &generation, answer->ids.data, &n_new, &answer->finish, err);
    answer->ids.count = (size_t)n_new;
    if (status == TESS_EINTERRUPTED) {
        answer->finish = TESS_FINISH_INTERRUPTED;
        status = TESS_OK;
    }
    return status == TESS_OK ? a->status : status;
}

/* Ends the text, which was perhaps held back. */
static tess_status end_text(answering *a, tess_error *err)
{
    const char *text;
    size_t n_byte;
    tess_status status = tess_text_stream_flush(a->stream, &text, &n_byte, err);
    if (status != TESS_OK) return status;
    if (a->is_refused)
        return tess_text_append(&a->answer->text, text, n_byte, err); /* nobody listens any more */
    if (!take_text(a, text, n_byte) && a->is_refused) a->answer->finish = TESS_FINISH_INTERRUPTED;
    a->answer->stop_text = tess_text_stream_get_stop(a->stream);
    if (a->answer->stop_text >= 0 && !a->is_refused) a->answer->finish = TESS_FINISH_STOP;
    return a->status;
}

tess_status tess_answer_generate(tess_session *session, const tess_tokenizer *tokenizer,
                                 const tess_answer_request *request, tess_answer *out, tess_error *err)
{
    *out = (tess_answer){.stop_text = -1};
    TESS_ASSERT(tokenizer || (!request->n_stop_text && !request->on_text));
    answering a = {.request = request, .answer = out, .err = err};
    tess_status status = TESS_OK;
    if (tokenizer)
        status = tess_text_stream_new(tokenizer, request->stop_texts, request->n_stop_text, &a.stream, err);
    if (status == TESS_OK) status = generate_ids(&a, session, err);
    if (status == TESS_OK && a.stream) status = end_text(&a, err);
    tess_text_stream_free(a.stream);
    return status;
}

void tess_answer_release(tess_answer *answer)
{
    tess_ids_release(&answer->ids);
    tess_text_release(&answer->text);
    *answer = (tess_answer){0};
}

/* ---- reasoning ---- */

tess_answer_parts tess_answer_get_parts(const tess_text *answer)
{
    static const char begin[] = "<think>", end[] = "</think>";
    enum { N_BEGIN = sizeof begin - 1, N_END = sizeof end - 1 };
    tess_answer_parts parts = {0};
    const char *text = answer->data;
    size_t n = answer->count;
    bool is_opened = n >= N_BEGIN && !memcmp(text, begin, N_BEGIN);
    const char *stop = n ? memmem(text, n, end, N_END) : NULL;
    if (!is_opened && !stop) return parts;
    parts.has_reasoning = true;
    parts.reasoning_begin = is_opened ? N_BEGIN : 0;
    parts.reasoning_end = stop ? (size_t)(stop - text) : n;
    parts.text_begin = stop ? parts.reasoning_end + N_END : n;
    while (parts.reasoning_begin < parts.reasoning_end && text[parts.reasoning_begin] == '\n')
        parts.reasoning_begin++;
    while (parts.reasoning_end > parts.reasoning_begin && text[parts.reasoning_end - 1] == '\n')
        parts.reasoning_end--;
    while (parts.text_begin < n && text[parts.text_begin] == '\n') parts.text_begin++;
    return parts;
}
