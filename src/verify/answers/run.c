/* Known answers that take a run: the rank of a next token, and what a conversation is answered with. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "verify/answers/answers.h"

/* Runs an answer's prompt as the only content of the session. */
static tess_status feed_prompt(tess_known_check *c, const tess_known_answer *a, tess_error *err)
{
    tess_ids ids = {0};
    tess_status status = tess_known_encode(c, a, &ids, err);
    if (status == TESS_OK) {
        tess_session_truncate(c->session, 0);
        tess_feed feed = {.ids = ids.data, .n_tok = (int)ids.count, .progress = c->options->progress};
        status = tess_session_feed(c->session, &feed, err);
    }
    tess_ids_release(&ids);
    return status;
}

/* ---- rank ---- */

static tess_status find_token(const tess_known_check *c, const tess_known_answer *a, int32_t *id,
                              tess_error *err)
{
    tess_ids ids = {0};
    size_t n_byte = strlen(a->token);
    *id = tess_tokenizer_get_id(c->tokenizer, a->token, n_byte);
    if (*id < 0) {
        tess_status status = tess_tokenizer_encode(c->tokenizer, a->token, n_byte, 0, &ids, err);
        if (status != TESS_OK) return status;
        size_t count = ids.count;
        *id = count ? ids.data[0] : 0;
        tess_ids_release(&ids);
        char found[80];
        snprintf(found, sizeof found, "\"%.30s\", which is %zu", a->token, count);
        if (count != 1) return tess_known_refuse(c, a, "token", "one token", found, err);
    }
    if (*id < tess_engine_get_vocab_size(c->engine)) return TESS_OK;
    return tess_known_refuse(c, a, "token", "an output of this model", "a token that is none", err);
}

static tess_status say_seen(tess_known_check *c, const tess_known_answer *a, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < json_array_size(a->seen) && status == TESS_OK; i++) {
        const json_t *item = json_array_get(a->seen, i);
        status = tess_known_say(&c->beside, err, "%srank %lld in %s (%s)", i ? "; " : "",
                                (long long)json_integer_value(json_object_get(item, "rank")),
                                json_string_value(json_object_get(item, "where")),
                                json_string_value(json_object_get(item, "source")));
    }
    return status;
}

tess_status tess_known_check_rank(tess_known_check *c, const tess_known_answer *a,
                                  tess_known_verdict *verdict, tess_error *err)
{
    int32_t id;
    tess_likely likely;
    tess_status status = find_token(c, a, &id, err);
    if (status == TESS_OK) status = feed_prompt(c, a, err);
    if (status != TESS_OK) return status;
    tess_session_get_rank(c->session, id, &likely);
    status =
        tess_known_say(&c->found, err, "rank %d, probability %.9f", likely.rank, (double)likely.probability);
    if (status == TESS_OK) status = say_seen(c, a, err);
    *verdict = TESS_KNOWN_REPORTED;
    if (status != TESS_OK || !a->rank) return status;
    *verdict = likely.rank == a->rank ? TESS_KNOWN_CONFIRMED : TESS_KNOWN_DIFFERENT;
    return tess_known_say(&c->expected, err, "rank %lld", (long long)a->rank);
}

/* ---- chat ---- */

static bool is_as_known(const tess_known_answer *a, const char *text)
{
    switch (a->how) {
    case TESS_KNOWN_EQUALS:
        return !strcmp(text, a->text);
    case TESS_KNOWN_BEGINS:
        return !strncmp(text, a->text, strlen(a->text));
    case TESS_KNOWN_CONTAINS:
        return strstr(text, a->text) != NULL;
    }
    return false;
}

/* Greedy, ending as an answer of `tessera run` ends. */
static tess_status generate_answer(tess_known_check *c, const tess_known_answer *a, tess_answer *out,
                                   tess_error *err)
{
    int32_t stop_ids[TESS_STOP_MAX_IDS];
    tess_answer_request request = {.sampling = TESS_SAMPLING_GREEDY,
                                   .max_new = (int)a->max_new,
                                   .stop_ids = stop_ids,
                                   .n_stop_id = tess_stop_ids_get(c->engine, c->tokenizer, stop_ids),
                                   .progress = c->options->progress};
    tess_status status = tess_answer_generate(c->session, c->tokenizer, &request, out, err);
    if (status == TESS_OK && out->finish == TESS_FINISH_INTERRUPTED)
        status = tess_fail(err, TESS_EINTERRUPTED, "interrupted");
    return status;
}

tess_status tess_known_check_chat(tess_known_check *c, const tess_known_answer *a,
                                  tess_known_verdict *verdict, tess_error *err)
{
    tess_status status = feed_prompt(c, a, err);
    if (status != TESS_OK) return status;
    tess_answer answer = {0};
    status = generate_answer(c, a, &answer, err);
    const char *said = answer.text.count ? answer.text.data : "";
    *verdict = status == TESS_OK && is_as_known(a, said) ? TESS_KNOWN_CONFIRMED : TESS_KNOWN_DIFFERENT;
    if (status == TESS_OK) status = tess_known_say(&c->found, err, "\"%s\"", said);
    if (status == TESS_OK)
        status = tess_known_say(&c->expected, err, "%s \"%s\"", tess_known_text_name(a->how), a->text);
    tess_answer_release(&answer);
    return status;
}
