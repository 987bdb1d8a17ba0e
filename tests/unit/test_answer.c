/* Answers: stops by id and by text, callbacks, interruption; and feeding only what a session does not hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tessera.h"

#define MODEL "demo/checkpoint"

static tess_tokenizer *tokenizer;
static tess_engine *engine;
static tess_session *session;
static tess_error err;
static int n_until_stop; /* calls of progress until it asks to stop; 0: never */

static bool go_on(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)context;
    assert_true(done <= total && (activity == TESS_ACTIVITY_DECODE || activity == TESS_ACTIVITY_GENERATING));
    return n_until_stop == 0 || --n_until_stop > 0;
}

static int open_all(void **state)
{
    (void)state;
    const tess_engine_options options = {
        .model_dir = MODEL, .memory_bytes = 1u << 30, .n_context = 256, .n_thread = 1};
    return tess_tokenizer_open(MODEL, &tokenizer, &err) == TESS_OK &&
                   tess_engine_open(&options, &engine, &err) == TESS_OK &&
                   tess_session_new(engine, &session, &err) == TESS_OK
               ? 0
               : -1;
}

static int close_all(void **state)
{
    (void)state;
    tess_session_free(session);
    tess_engine_close(engine);
    tess_tokenizer_close(tokenizer);
    return 0;
}

/* ---- feeding what is new ---- */

static int feed_rest(const int32_t *ids, int n)
{
    int n_fed = -1;
    tess_feed whole = {.ids = ids, .n_tok = n, .last_logits = true};
    if (tess_session_feed_rest(session, &whole, &n_fed, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(tess_session_get_length(session), n);
    assert_memory_equal(tess_session_get_ids(session), ids, (size_t)n * sizeof *ids);
    return n_fed;
}

/* Feeds a way through timelines, and at each stop has the bits of a fresh session. */
static void test_feed_rest(void **state)
{
    (void)state;
    static const struct {
        int32_t ids[12];
        int n, n_fed;
    } steps[] = {
        {{5, 6, 7, 8}, 4, 4},
        {{5, 6, 7, 8, 9, 10, 11, 12}, 8, 4},      /* goes on */
        {{5, 6, 7, 8, 9, 10, 11, 12}, 8, 1},      /* the same: one token, for its logits */
        {{5, 6, 7, 8, 9}, 5, 1},                  /* back to a beginning */
        {{5, 6, 40, 41, 42}, 5, 3},               /* another way */
        {{6}, 1, 1},                              /* nothing in common */
        {{6, 5, 40, 41, 42, 43, 44, 45}, 8, 7},   /* one token in common */
        {{6, 5, 40, 41, 42, 43, 44, 46, 3}, 9, 2} /* all but the last */
    };
    enum { N_STEP = sizeof steps / sizeof steps[0] };
    size_t size = (size_t)tess_engine_get_vocab_size(engine) * sizeof(float);
    float *logits[N_STEP];
    tess_session_truncate(session, 0);
    for (int i = 0; i < N_STEP; i++) {
        assert_int_equal(feed_rest(steps[i].ids, steps[i].n), steps[i].n_fed);
        logits[i] = malloc(size);
        assert_non_null(logits[i]);
        memcpy(logits[i], tess_session_get_logits(session), size);
    }
    for (int i = 0; i < N_STEP; i++) {
        tess_session_free(session);
        assert_int_equal(tess_session_new(engine, &session, &err), TESS_OK);
        tess_feed whole = {.ids = steps[i].ids, .n_tok = steps[i].n};
        assert_int_equal(tess_session_feed(session, &whole, &err), TESS_OK);
        assert_memory_equal(logits[i], tess_session_get_logits(session), size);
        free(logits[i]);
    }
}

static void test_feed_rest_refused(void **state)
{
    (void)state;
    const int32_t good[] = {5, 6, 7, 8}, bad[] = {5, 6, -1, 8}, one[] = {5};
    const float positions[] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    static int32_t many[300];
    int n_fed;
    feed_rest(good, 4);
    assert_int_equal(tess_session_feed_rest(session, &(tess_feed){.ids = bad, .n_tok = 4}, &n_fed, &err),
                     TESS_EINPUT);
    assert_int_equal(tess_session_get_length(session), 2);
    assert_null(tess_session_get_logits(session));
    assert_int_equal(tess_session_feed_rest(session, &(tess_feed){.ids = many, .n_tok = 300}, &n_fed, &err),
                     TESS_EUSAGE);
    assert_int_equal(tess_session_feed_rest(session, &(tess_feed){.ids = one}, &n_fed, &err), TESS_EUSAGE);
    feed_rest(good, 4);
    tess_feed placed = {.ids = good, .n_tok = 4, .positions = positions};
    assert_int_equal(tess_session_feed_rest(session, &placed, &n_fed, &err), TESS_OK);
    assert_int_equal(n_fed, 4);
}

/* ---- answers ---- */

typedef struct heard {
    tess_text text;
    size_t most; /* refuses beyond; 0: never */
} heard;

static bool hear_text(void *context, const char *text, size_t n_byte)
{
    heard *h = context;
    assert_true(n_byte > 0);
    assert_int_equal(tess_text_append(&h->text, text, n_byte, &err), TESS_OK);
    return !h->most || h->text.count < h->most;
}

static void feed_question(const char *question)
{
    tess_conversation talk = {0};
    tess_ids ids = {0};
    assert_int_equal(tess_conversation_say(&talk, "user", question, strlen(question), &err), TESS_OK);
    assert_int_equal(tess_conversation_encode(&talk, tokenizer, TESS_CHAT_GENERATE, &ids, &err), TESS_OK);
    feed_rest(ids.data, (int)ids.count);
    tess_conversation_release(&talk);
    tess_ids_release(&ids);
}

/* Answers "What can you do?" anew; stop ids are those of run, unless there are others. */
static tess_answer answer_again(tess_answer_request request, heard *h)
{
    int32_t stop_ids[TESS_STOP_MAX_IDS];
    tess_answer answer;
    feed_question("What can you do?");
    if (request.sampling.top_p == 0) request.sampling = TESS_SAMPLING_GREEDY;
    if (!request.max_new) request.max_new = 100;
    if (!request.stop_ids) {
        request.n_stop_id = tess_stop_ids_get(engine, tokenizer, stop_ids);
        request.stop_ids = stop_ids;
    }
    if (h) {
        request.on_text = hear_text;
        request.context = h;
    }
    if (tess_answer_generate(session, tokenizer, &request, &answer, &err) != TESS_OK)
        fail_msg("%s", err.message);
    return answer;
}

static void assert_heard(const heard *h, const tess_answer *answer)
{
    assert_int_equal(h->text.count, answer->text.count);
    if (h->text.count) assert_memory_equal(h->text.data, answer->text.data, h->text.count);
}

static void test_stop_ids(void **state)
{
    (void)state;
    int32_t ids[TESS_STOP_MAX_IDS];
    assert_int_equal(tess_stop_ids_get(engine, NULL, ids), 1);
    assert_int_equal(ids[0], tess_engine_get_end_token(engine));
    assert_int_equal(tess_stop_ids_get(engine, tokenizer, ids), 2);
    assert_int_equal(ids[0], tess_engine_get_end_token(engine));
    assert_int_equal(ids[1], tess_tokenizer_get_id(tokenizer, "<|endoftext|>", 13));
    heard h = {0};
    tess_answer whole = answer_again((tess_answer_request){0}, &h);
    assert_int_equal(whole.finish, TESS_FINISH_STOP);
    assert_int_equal(whole.stop_text, -1);
    assert_int_equal(whole.ids.data[whole.ids.count - 1], ids[0]); /* kept, and without text */
    assert_heard(&h, &whole);
    assert_true(whole.ids.count > 4 && whole.text.count > 4);
    tess_text_release(&h.text);
    /* another stop id ends it where it first comes, and its text counts */
    int32_t third = whole.ids.data[2];
    tess_answer cut = answer_again((tess_answer_request){.stop_ids = &third, .n_stop_id = 1}, NULL);
    size_t at = 0;
    while (whole.ids.data[at] != third) at++;
    assert_int_equal(cut.ids.count, at + 1);
    assert_int_equal(cut.finish, TESS_FINISH_STOP);
    assert_true(cut.text.count > 0 && !memcmp(cut.text.data, whole.text.data, cut.text.count));
    tess_answer_release(&cut);
    cut = answer_again((tess_answer_request){.max_new = 3}, NULL);
    assert_int_equal(cut.finish, TESS_FINISH_LENGTH);
    assert_int_equal(cut.ids.count, 3);
    tess_answer_release(&cut);
    tess_answer_release(&whole);
}

/* Ids only, as trace and verify want them: without a tokenizer, the same ids. */
static void test_ids_only(void **state)
{
    (void)state;
    tess_answer whole = answer_again((tess_answer_request){0}, NULL), bare;
    int32_t stop_ids[TESS_STOP_MAX_IDS];
    tess_answer_request request = {.sampling = TESS_SAMPLING_GREEDY,
                                   .max_new = 100,
                                   .stop_ids = stop_ids,
                                   .n_stop_id = tess_stop_ids_get(engine, NULL, stop_ids)};
    feed_question("What can you do?");
    assert_int_equal(tess_answer_generate(session, NULL, &request, &bare, &err), TESS_OK);
    assert_int_equal(bare.ids.count, whole.ids.count);
    assert_memory_equal(bare.ids.data, whole.ids.data, bare.ids.count * sizeof *bare.ids.data);
    assert_int_equal(bare.text.count, 0);
    tess_answer_release(&bare);
    tess_answer_release(&whole);
    /* No more room is taken than the context can fill, whatever is asked for. */
    tess_session_truncate(session, 0);
    feed_rest((const int32_t[]){5, 6}, 2);
    const tess_answer_request endless = {.sampling = TESS_SAMPLING_GREEDY, .max_new = INT32_MAX};
    assert_int_equal(tess_answer_generate(session, NULL, &endless, &bare, &err), TESS_OK);
    assert_int_equal(bare.finish, TESS_FINISH_LENGTH);
    assert_int_equal(bare.ids.count, tess_session_get_context(session) - 2 + 1);
    assert_true(bare.ids.capacity <= 2 * bare.ids.count);
    tess_answer_release(&bare);
}

/* Every stretch of the answer's text as a stop text: the text ends before it, the ids go on as they would. */
static void test_stop_texts(void **state)
{
    (void)state;
    tess_sampling hot = {.temperature = 3, .top_p = 1, .repetition_penalty = 1, .seed = 12};
    tess_answer whole = answer_again((tess_answer_request){.sampling = hot, .max_new = 24}, NULL);
    int n_tried = 0;
    for (size_t begin = 0; begin < whole.text.count; begin += 3)
        for (size_t length = 1; length <= 12 && begin + length <= whole.text.count; length += 5) {
            char stop[16] = "";
            memcpy(stop, whole.text.data + begin, length);
            const char *const stops[] = {"never said", stop};
            tess_answer_request request = {
                .sampling = hot, .max_new = 24, .stop_texts = stops, .n_stop_text = 2};
            tess_text_stream *is_text;
            if (tess_text_stream_new(tokenizer, stops, 2, &is_text, NULL) != TESS_OK) continue;
            tess_text_stream_free(is_text);
            heard h = {0};
            tess_answer cut = answer_again(request, &h);
            const char *at = memmem(whole.text.data, whole.text.count, stop, length);
            assert_int_equal(cut.text.count, at - whole.text.data);
            assert_memory_equal(cut.text.data ? cut.text.data : "", whole.text.data, cut.text.count);
            assert_int_equal(cut.finish, TESS_FINISH_STOP);
            assert_int_equal(cut.stop_text, 1);
            assert_true(cut.ids.count <= whole.ids.count);
            assert_memory_equal(cut.ids.data, whole.ids.data, cut.ids.count * sizeof *cut.ids.data);
            assert_int_equal(h.text.count, cut.text.count);
            /* it ends with the token that completes the stop text */
            tess_text before = {0};
            assert_int_equal(tess_tokenizer_decode(tokenizer, cut.ids.data, cut.ids.count - 1,
                                                   TESS_DECODE_SKIP_SPECIAL, &before, &err),
                             TESS_OK);
            assert_null(memmem(before.data ? before.data : "", before.count, stop, length));
            tess_text_release(&before);
            tess_text_release(&h.text);
            tess_answer_release(&cut);
            n_tried++;
        }
    assert_true(n_tried > 20);
    /* what was held back and was no stop text is given in the end */
    char almost[64];
    snprintf(almost, sizeof almost, "%.8s never", whole.text.data + whole.text.count - 8);
    const char *const stops[] = {almost};
    heard h = {0};
    tess_answer same = answer_again(
        (tess_answer_request){.sampling = hot, .max_new = 24, .stop_texts = stops, .n_stop_text = 1}, &h);
    assert_int_equal(same.text.count, whole.text.count);
    assert_int_equal(same.finish, whole.finish);
    assert_int_equal(same.stop_text, -1);
    assert_heard(&h, &same);
    tess_text_release(&h.text);
    tess_answer_release(&same);
    tess_answer_release(&whole);
}

static void test_interruption(void **state)
{
    (void)state;
    tess_answer whole = answer_again((tess_answer_request){0}, NULL);
    heard h = {.most = 2};
    tess_answer cut = answer_again((tess_answer_request){0}, &h);
    assert_int_equal(cut.finish, TESS_FINISH_INTERRUPTED);
    assert_true(cut.ids.count < whole.ids.count && h.text.count >= 2);
    tess_text_release(&h.text);
    tess_answer_release(&cut);
    /* by progress, between tokens and in the middle of one: what there is stays */
    const tess_progress progress = {.tell = go_on};
    for (int n = 1; n < 12; n++) {
        h = (heard){0};
        n_until_stop = n;
        cut = answer_again((tess_answer_request){.progress = &progress}, &h);
        n_until_stop = 0;
        assert_int_equal(cut.finish, TESS_FINISH_INTERRUPTED);
        assert_true(cut.ids.count > 0 && cut.ids.count < whole.ids.count);
        assert_memory_equal(cut.ids.data, whole.ids.data, cut.ids.count * sizeof *cut.ids.data);
        assert_memory_equal(cut.text.data, whole.text.data, cut.text.count);
        assert_heard(&h, &cut);
        tess_text_release(&h.text);
        tess_answer_release(&cut);
    }
    tess_answer_release(&whole);
}

static void test_refusals(void **state)
{
    (void)state;
    tess_answer answer;
    tess_answer_request request = {.sampling = TESS_SAMPLING_GREEDY, .max_new = 4};
    tess_session_truncate(session, 0);
    assert_int_equal(tess_answer_generate(session, tokenizer, &request, &answer, &err), TESS_EUSAGE);
    tess_answer_release(&answer);
    feed_question("What can you do?");
    const char *const empty[] = {""};
    request.stop_texts = empty;
    request.n_stop_text = 1;
    assert_int_equal(tess_answer_generate(session, tokenizer, &request, &answer, &err), TESS_EUSAGE);
    assert_string_equal(err.field, "stop_texts[0]");
    tess_answer_release(&answer);
    request = (tess_answer_request){.sampling = {.temperature = -1, .top_p = 1}, .max_new = 4};
    assert_int_equal(tess_answer_generate(session, tokenizer, &request, &answer, &err), TESS_EUSAGE);
    tess_answer_release(&answer);
}

/* ---- parts ---- */

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *reasoning, *text; /* reasoning NULL: there is none */
    } cases[] = {
        {"", NULL, ""},
        {"Paris.", NULL, "Paris."},
        {"a < b, think> of it", NULL, "a < b, think> of it"},
        {"<think>\nWhy not.\n</think>\n\nParis.", "Why not.", "Paris."},
        {"<think>Why\n\nnot.</think>Paris.\n", "Why\n\nnot.", "Paris.\n"},
        {"Why not.\n</think>\n\nParis.", "Why not.", "Paris."}, /* the prompt has opened it */
        {"<think>\n\n</think>\n\nParis.", "", "Paris."},
        {"<think>\n</think>", "", ""},
        {"<think>\nStill at i", "Still at i", ""},
        {"<think>", "", ""},
        {"</think>", "", ""},
        {"<think>a</think>b</think>c", "a", "b</think>c"},
        {" <think>a", NULL, " <think>a"},
        {"<thin", NULL, "<thin"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *said = cases[i].answer;
        const tess_text text = {.data = (char *)(uintptr_t)(*said ? said : NULL), .count = strlen(said)};
        const tess_answer_parts parts = tess_answer_get_parts(&text);
        assert_int_equal(parts.has_reasoning, cases[i].reasoning != NULL);
        assert_string_equal(said + parts.text_begin, cases[i].text);
        if (!cases[i].reasoning) continue;
        size_t n = strlen(cases[i].reasoning);
        assert_int_equal(parts.reasoning_end - parts.reasoning_begin, n);
        assert_memory_equal(said + parts.reasoning_begin, cases[i].reasoning, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_rest),  cmocka_unit_test(test_feed_rest_refused),
        cmocka_unit_test(test_stop_ids),   cmocka_unit_test(test_ids_only),
        cmocka_unit_test(test_stop_texts), cmocka_unit_test(test_interruption),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests_name("answer", tests, open_all, close_all);
}
