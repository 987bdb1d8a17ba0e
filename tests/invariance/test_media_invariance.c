/* The bits do not depend on how media come and what they are computed with: every tap of towers and thinker,
 * and the tokens behind them, under each budget, number of threads, instruction set and chunk; in one feed or
 * in several, after other media or in a session beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/conditions.h"
#include "../support/talking.h"

#define MODEL "tests/golden/e"
static tess_error err;

/* ---- one prompt under many conditions ---- */

typedef struct golden {
    const char *model, *path;
} golden;

static const golden goldens[] = {
    {MODEL, "tests/golden/e-f32/audio_two.safetensors"},
    {MODEL, "tests/golden/e-f32/mixed.safetensors"},
    {MODEL, "tests/golden/e-f32/av.safetensors"},
    {MODEL, "tests/golden/e-f32/tall.safetensors"},
    {"tests/golden/c", "tests/golden/c-f32/omni.safetensors"},
};

typedef struct variation {
    const char *name, *isa;
    int n_thread, n_chunk;
    bool smallest_budget;
    int n_expert_slot; /* 0: as many as the budget allows */
} variation;

static const variation variations[] = {
    {"1 thread", "auto", 1, 0, false, 0},
    {"2 threads", "auto", 2, 0, false, 0},
    {"3 threads", "auto", 3, 0, false, 0},
    {"avx2", "avx2", 2, 0, false, 0},
    {"avx512", "avx512", 2, 0, false, 0},
    {"neon", "neon", 2, 0, false, 0},
    {"chunks of 1", "auto", 2, 1, false, 0},
    {"chunks of 2", "reference", 3, 2, false, 0},
    {"chunks of 7", "auto", 3, 7, false, 2},
    {"chunks of 512", "auto", 1, 512, false, 0},
    {"smallest budget", "auto", 2, 0, true, 0},
    {"smallest budget, chunks of 7, reference", "reference", 3, 7, true, 0},
    {"one expert at a time", "auto", 2, 0, false, 1},
};
enum {
    N_GOLDENS = sizeof goldens / sizeof goldens[0],
    N_VARIATIONS = sizeof variations / sizeof variations[0]
};

/* Opens an engine, and takes what comes of the feed in a new session of it. */
static void run_alone(const tess_engine_options *options, const tess_feed *feed, test_outcome *out)
{
    tess_engine *engine;
    tess_session *session;
    if (tess_engine_open(options, &engine, &err) != TESS_OK) fail_msg("%s", err.message);
    if (tess_session_new(engine, &session, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(test_outcome_take(engine, session, feed, out), 0);
    tess_session_free(session);
    tess_engine_close(engine);
}

static void run_variation(const golden *g, const variation *v, tess_precision precision,
                          const tess_feed *feed, test_outcome *out)
{
    tess_engine_options options = {.model_dir = g->model,
                                   .precision = precision,
                                   .memory_bytes = 1u << 30,
                                   .n_context = 160,
                                   .n_thread = v->n_thread,
                                   .n_chunk = v->n_chunk,
                                   .isa = v->isa,
                                   .n_expert_slot = v->n_expert_slot,
                                   .expected = feed,
                                   .n_expected = 1};
    if (v->smallest_budget) options.memory_bytes = test_find_tightest_budget(&options, false);
    run_alone(&options, feed, out);
}

static void compare_variations(tess_precision precision)
{
    static const variation base = {"base", "reference", 1, 0, false, 0};
    int n_compared = 0;
    for (int i = 0; i < N_GOLDENS; i++) {
        tess_trace_inputs in;
        test_outcome expected;
        if (tess_trace_inputs_read(goldens[i].path, &in, &err) != TESS_OK) fail_msg("%s", err.message);
        const tess_feed feed = {.ids = in.ids, .n_tok = in.n_tok, .media = in.media, .n_media = in.n_media};
        run_variation(&goldens[i], &base, precision, &feed, &expected);
        for (int v = 0; v < N_VARIATIONS; v++) {
            if (!test_has_isa(variations[v].isa)) continue;
            test_outcome outcome;
            run_variation(&goldens[i], &variations[v], precision, &feed, &outcome);
            assert_int_equal(outcome.heard.taps.count, expected.heard.taps.count);
            test_outcome_assert_end(&expected, &outcome, 0, variations[v].name);
            test_outcome_release(&outcome);
            n_compared++;
        }
        test_outcome_release(&expected);
        tess_trace_inputs_release(&in);
    }
    print_message("# %d runs equal bit for bit\n", n_compared);
    assert_true(n_compared > 50);
}

static void test_f32(void **state)
{
    (void)state;
    compare_variations(TESS_PRECISION_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    compare_variations(TESS_PRECISION_BF16);
}

/* ---- budgets ---- */

static bool is_of_tower(const tess_region *region)
{
    return region->component && (!strcmp(region->component, "audio") || !strcmp(region->component, "vision"));
}

/* What a plan gives to the towers: pieces by their workspace, and how weights are kept. */
static uint64_t describe_towers(const tess_plan *plan)
{
    uint64_t sum = 0;
    for (int i = 0; i < plan->n_region; i++)
        if (is_of_tower(&plan->region[i])) sum = sum * 1000003 + plan->region[i].n_byte;
    return sum;
}

/* From the smallest budget up, whenever a plan gives the towers other room: pieces of every size, weights
 * read for each of them or once. */
static void test_pieces(void **state)
{
    (void)state;
    enum { STEPS = 64, MOST = 24 };
    if (getenv("TESS_SANITIZED")) return;
    test_medium clip, film;
    test_medium_clip(&clip, 2950, 1);
    test_medium_pictures(&film, 12, 8, 8, 2, 2);
    test_talk talk;
    tess_prompt prompt;
    test_talk_open(&talk, MODEL);
    test_talk_show(&talk, &clip);
    test_talk_show(&talk, &film);
    test_talk_ask(&talk, "What?");
    test_talk_make(&talk, &prompt);
    const tess_feed feed = tess_prompt_get_feed(&prompt);
    tess_engine_options options = {.model_dir = MODEL,
                                   .memory_bytes = 1u << 30,
                                   .n_thread = 2,
                                   .n_context = 1024,
                                   .expected = &feed,
                                   .n_expected = 1};
    test_outcome expected;
    run_alone(&options, &feed, &expected);
    options.memory_bytes = test_find_tightest_budget(&options, false);
    uint64_t seen = 0;
    int n_run = 0;
    for (int i = 0; i < STEPS && n_run < MOST; i++, options.memory_bytes += 64u << 10) {
        tess_plan plan;
        if (tess_plan_make(&options, &plan, &err) != TESS_OK) continue;
        if (describe_towers(&plan) == seen) continue;
        seen = describe_towers(&plan);
        test_outcome outcome;
        run_alone(&options, &feed, &outcome);
        test_outcome_assert_end(&expected, &outcome, 0, "a budget");
        test_outcome_release(&outcome);
        n_run++;
    }
    print_message("# %d plans of the towers give the same bits\n", n_run);
    assert_true(n_run >= 4);
    test_outcome_release(&expected);
    tess_prompt_release(&prompt);
    test_talk_close(&talk);
}

/* ---- turns ---- */

typedef struct room {
    tess_engine *engine;
    tess_session *session[2];
} room;

static void open_room(room *r, const tess_feed *expected, int n_expected)
{
    const tess_engine_options options = {.model_dir = MODEL,
                                         .memory_bytes = 1u << 30,
                                         .n_thread = 2,
                                         .n_context = 512,
                                         .n_session = 2,
                                         .n_expert_slot = 3,
                                         .n_chunk = 7,
                                         .expected = expected,
                                         .n_expected = n_expected};
    if (tess_engine_open(&options, &r->engine, &err) != TESS_OK) fail_msg("%s", err.message);
    for (int i = 0; i < 2; i++)
        if (tess_session_new(r->engine, &r->session[i], &err) != TESS_OK) fail_msg("%s", err.message);
}

static void close_room(room *r)
{
    for (int i = 0; i < 2; i++) tess_session_free(r->session[i]);
    tess_engine_close(r->engine);
}

/* What a session that holds something makes of a prompt, against a fresh one. Returns how much it held. */
static int assert_like_fresh(const room *r, int session, const tess_feed *feed, const char *what)
{
    test_outcome outcome, fresh;
    const tess_engine_options options = {.model_dir = MODEL,
                                         .memory_bytes = 1u << 30,
                                         .n_thread = 1,
                                         .isa = "reference",
                                         .n_context = 512,
                                         .expected = feed,
                                         .n_expected = 1};
    int n_held = test_outcome_take(r->engine, r->session[session], feed, &outcome);
    run_alone(&options, feed, &fresh);
    test_outcome_assert_end(&fresh, &outcome, n_held, what);
    test_outcome_release(&outcome);
    test_outcome_release(&fresh);
    return n_held;
}

/* Media of earlier turns are held; another picture, clip or film makes its turn anew, and so does nothing
 * else. */
static void test_turns(void **state)
{
    (void)state;
    test_medium picture, clip, film;
    test_medium_pictures(&picture, 1, 4, 6, 0, 1);
    test_medium_clip(&clip, 130, 2);
    test_medium_pictures(&film, 3, 2, 4, 3, 3);
    test_talk talk;
    tess_prompt prompt[3];
    tess_feed feed[3];
    test_talk_open(&talk, MODEL);
    test_talk_show(&talk, &picture);
    test_talk_ask(&talk, "Who?");
    test_talk_make(&talk, &prompt[0]);
    test_talk_answer(&talk, "Nobody.");
    test_talk_ask(&talk, "Hear this");
    test_talk_show(&talk, &clip);
    test_talk_make(&talk, &prompt[1]);
    test_talk_answer(&talk, "Yes.");
    test_talk_show(&talk, &film);
    test_talk_ask(&talk, "And this?");
    test_talk_make(&talk, &prompt[2]);
    for (int i = 0; i < 3; i++) feed[i] = tess_prompt_get_feed(&prompt[i]);
    room r;
    open_room(&r, feed, 3);
    assert_int_equal(assert_like_fresh(&r, 0, &feed[0], "a question"), 0);
    int second = assert_like_fresh(&r, 0, &feed[1], "a second one"),
        third = assert_like_fresh(&r, 0, &feed[2], "a third one");
    assert_true(second >= feed[0].n_tok && third >= feed[1].n_tok);
    assert_int_equal(assert_like_fresh(&r, 1, &feed[2], "all at once, in another session"), 0);
    /* back to the second question, whose last token alone is new */
    assert_int_equal(assert_like_fresh(&r, 0, &feed[1], "going back"), feed[1].n_tok - 1);
    close_room(&r);
    for (int i = 0; i < 3; i++) tess_prompt_release(&prompt[i]);
    test_talk_close(&talk);
}

static void make_talk(test_talk *talk, const test_medium *first, const test_medium *second,
                      const test_medium *third, tess_prompt *out)
{
    test_talk_open(talk, MODEL);
    test_talk_show(talk, first);
    if (second) test_talk_show(talk, second);
    test_talk_ask(talk, "Who?");
    if (third) {
        test_talk_answer(talk, "Me.");
        test_talk_show(talk, third);
        test_talk_ask(talk, "And this?");
    }
    test_talk_make(talk, out);
}

static const float *tower_rows(const test_outcome *outcome, int64_t n_row, size_t *n_byte)
{
    const test_tensor *rows = test_tensors_get(&outcome->heard.taps, "tap.thinker.audio_tower");
    assert_true(rows->dim[0] >= n_row);
    *n_byte = (size_t)(n_row * rows->dim[1]) * sizeof(float);
    return rows->values + rows->count - (size_t)(n_row * rows->dim[1]);
}

static bool has_same_rows(const test_outcome *a, const test_outcome *b, int64_t n_row)
{
    size_t n_byte, n_other;
    const float *x = tower_rows(a, n_row, &n_byte), *y = tower_rows(b, n_row, &n_other);
    assert_int_equal(n_byte, n_other);
    return !memcmp(x, y, n_byte);
}

/* The logits behind a prompt of which the session holds n_held tokens are those of a fresh session. */
static void assert_fresh_logits(const room *r, int session, const tess_feed *feed, int n_held,
                                const float *expected)
{
    int n_fed;
    size_t n_byte = (size_t)tess_engine_get_vocab_size(r->engine) * sizeof(float);
    if (tess_session_feed_rest(r->session[session], feed, &n_fed, &err) != TESS_OK)
        fail_msg("%s", err.message);
    assert_int_equal(feed->n_tok - n_fed, n_held);
    assert_memory_equal(tess_session_get_logits(r->session[session]), expected, n_byte);
}

/* The clips of a message are a call: one that is shorter than a chunk comes out as alone behind a message
 * with a longer one, and otherwise beside that one in its own message. Neither does it matter what was held.
 */
static void test_clips_of_messages(void **state)
{
    (void)state;
    enum { SHORT_TOKENS = 5, N = 5 };
    test_medium longer, brief, other;
    test_medium_clip(&longer, 130, 1);
    test_medium_clip(&brief, 38, 2);
    test_medium_clip(&other, 38, 3);
    const test_medium *const shown[N][3] = {{&longer, NULL, NULL},
                                            {&longer, NULL, &brief},
                                            {&brief, NULL, NULL},
                                            {&longer, &brief, NULL},
                                            {&longer, &other, NULL}};
    enum { LONGER, IN_TURN, ALONE, TOGETHER, OTHER };
    test_talk talk[N];
    tess_prompt prompt[N];
    tess_feed feed[N];
    test_outcome outcome[N];
    for (int i = 0; i < N; i++) {
        make_talk(&talk[i], shown[i][0], shown[i][1], shown[i][2], &prompt[i]);
        feed[i] = tess_prompt_get_feed(&prompt[i]);
    }
    room r;
    open_room(&r, feed, N);
    assert_int_equal(test_outcome_take(r.engine, r.session[0], &feed[LONGER], &outcome[LONGER]), 0);
    assert_true(test_outcome_take(r.engine, r.session[0], &feed[IN_TURN], &outcome[IN_TURN]) >=
                feed[LONGER].n_tok);
    for (int i = ALONE; i < N; i++) {
        tess_session_truncate(r.session[1], 0);
        assert_int_equal(test_outcome_take(r.engine, r.session[1], &feed[i], &outcome[i]), 0);
    }
    assert_true(has_same_rows(&outcome[IN_TURN], &outcome[ALONE], SHORT_TOKENS));
    assert_false(has_same_rows(&outcome[TOGETHER], &outcome[ALONE], SHORT_TOKENS));
    /* all at once into a session that holds nothing, and the second question alone */
    tess_session_truncate(r.session[0], 0);
    assert_fresh_logits(&r, 0, &feed[IN_TURN], 0, outcome[IN_TURN].logits);
    tess_session_truncate(r.session[0], feed[LONGER].n_tok);
    assert_fresh_logits(&r, 0, &feed[IN_TURN], feed[LONGER].n_tok, outcome[IN_TURN].logits);
    /* the longer clip is held, and is run again beside the one that is new in its message */
    assert_fresh_logits(&r, 1, &feed[TOGETHER], 0, outcome[TOGETHER].logits);
    assert_fresh_logits(&r, 1, &feed[OTHER], 0, outcome[OTHER].logits);
    close_room(&r);
    for (int i = 0; i < N; i++) {
        test_outcome_release(&outcome[i]);
        tess_prompt_release(&prompt[i]);
        test_talk_close(&talk[i]);
    }
}

static void make_question(test_talk *talk, const test_medium *a, const test_medium *b, tess_prompt *out)
{
    test_talk_open(talk, MODEL);
    test_talk_show(talk, a);
    test_talk_show(talk, b);
    test_talk_ask(talk, "What is it?");
    test_talk_make(talk, out);
}

/* A, B, A: the same ids with another sound, another picture, or frames of other times, in a session that held
 * the one before and in one beside it. Sound inside a film and beside it are other prompts. */
static void test_back_and_forth(void **state)
{
    (void)state;
    test_medium film, clip, other_clip, other_film, faster, inside;
    test_medium_pictures(&film, 2, 4, 4, 2, 1);
    test_medium_pictures(&other_film, 2, 4, 4, 2, 2);
    test_medium_pictures(&faster, 2, 4, 4, 4, 1);
    faster.features.digest[31] = 4;
    test_medium_clip(&clip, 120, 3);
    test_medium_clip(&other_clip, 120, 4);
    test_medium_clip(&inside, 120, 3);
    inside.features.is_inside_video = true;
    const test_medium *const pairs[][2] = {
        {&film, &clip}, {&film, &other_clip}, {&other_film, &clip}, {&faster, &clip}};
    enum { N = 5 };
    test_talk talk[N];
    tess_prompt prompt[N];
    tess_feed feed[N];
    for (int i = 0; i < N - 1; i++) make_question(&talk[i], pairs[i][0], pairs[i][1], &prompt[i]);
    /* what tess_conversation_prepare makes of a film whose sound is to be heard with it */
    test_talk_open(&talk[N - 1], MODEL);
    test_talk_show(&talk[N - 1], &film);
    test_talk_ask(&talk[N - 1], "What is it?");
    const tess_features *both[] = {&film.features, &inside.features};
    int32_t ids[256];
    int64_t n_id;
    tess_ids plain = {0};
    assert_int_equal(
        tess_conversation_encode(&talk[N - 1].said, talk[N - 1].tokenizer, TESS_CHAT_GENERATE, &plain, &err),
        TESS_OK);
    assert_int_equal(
        tess_model_expand_media(MODEL, plain.data, (int64_t)plain.count, both, 2, ids, 256, &n_id, &err),
        TESS_OK);
    for (int i = 0; i < N - 1; i++) feed[i] = tess_prompt_get_feed(&prompt[i]);
    feed[N - 1] = (tess_feed){.ids = ids, .n_tok = (int)n_id, .media = both, .n_media = 2};
    room r;
    open_room(&r, feed, N);
    static const int order[] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 0};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        char what[32];
        snprintf(what, sizeof what, "prompt %d, step %zu", order[i], i);
        int n_held = assert_like_fresh(&r, 0, &feed[order[i]], what);
        bool is_same = i > 0 && order[i] == order[i - 1];
        assert_int_equal(n_held == feed[order[i]].n_tok - 1, is_same);
        if (i % 3 == 1) assert_like_fresh(&r, 1, &feed[order[(i + 4) % 9]], "beside it");
    }
    close_room(&r);
    tess_ids_release(&plain);
    for (int i = 0; i < N - 1; i++) tess_prompt_release(&prompt[i]);
    for (int i = 0; i < N; i++) test_talk_close(&talk[i]);
}

/* ---- step by step ---- */

static int32_t token(const test_talk *talk, const char *spelling)
{
    tess_ids ids = {0};
    assert_int_equal(tess_tokenizer_encode(talk->tokenizer, spelling, strlen(spelling), 0, &ids, &err),
                     TESS_OK);
    assert_int_equal(ids.count, 1);
    int32_t id = ids.data[0];
    tess_ids_release(&ids);
    return id;
}

/* Media one by one and text a token at a time, then the whole at once. */
static void test_step_by_step(void **state)
{
    (void)state;
    test_medium medium[3];
    test_medium_pictures(&medium[0], 1, 4, 6, 0, 1);
    test_medium_clip(&medium[1], 230, 2);
    test_medium_pictures(&medium[2], 2, 2, 6, 3, 3);
    test_talk talk;
    tess_prompt prompt;
    test_talk_open(&talk, MODEL);
    for (int i = 0; i < 3; i++) {
        test_talk_show(&talk, &medium[i]);
        test_talk_ask(&talk, "And now");
    }
    test_talk_make(&talk, &prompt);
    const tess_feed whole = tess_prompt_get_feed(&prompt);
    const int32_t begins[] = {token(&talk, "<|vision_start|>"), token(&talk, "<|audio_start|>")},
                  ends[] = {token(&talk, "<|vision_end|>"), token(&talk, "<|audio_end|>")};
    room r;
    open_room(&r, &whole, 1);
    int n_medium = 0;
    for (int at = 0, n; at < whole.n_tok; at += n) {
        tess_feed piece = {.ids = whole.ids + at, .n_tok = 1};
        if (whole.ids[at] == begins[0] || whole.ids[at] == begins[1]) {
            while (piece.ids[piece.n_tok - 1] != ends[0] && piece.ids[piece.n_tok - 1] != ends[1])
                piece.n_tok++;
            piece.media = whole.media + n_medium++;
            piece.n_media = 1;
        }
        n = piece.n_tok;
        if (tess_session_feed(r.session[0], &piece, &err) != TESS_OK) fail_msg("%s", err.message);
    }
    assert_int_equal(n_medium, 3);
    /* The last token again, with the taps that the whole has there. */
    assert_int_equal(assert_like_fresh(&r, 0, &whole, "step by step"), whole.n_tok - 1);
    close_room(&r);
    tess_prompt_release(&prompt);
    test_talk_close(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32),
                                       cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_turns),
                                       cmocka_unit_test(test_clips_of_messages),
                                       cmocka_unit_test(test_back_and_forth),
                                       cmocka_unit_test(test_step_by_step)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
