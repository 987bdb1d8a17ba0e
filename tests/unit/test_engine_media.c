/* Media and the engine: what a plan does not provide for is refused by name and number, taps are told before
 * a run as it gives them, and the room that phases share is laid out anew whenever it changes hands. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/talking.h"
#include "base/error.h"
#include "engine/engine.h"
#include "tessera/trace.h"

#define MODEL "tests/golden/e"
static tess_error err;
static test_talk talk;

static int open_talk(void **state)
{
    (void)state;
    return tess_tokenizer_open(talk.model = MODEL, &talk.tokenizer, &err) == TESS_OK ? 0 : -1;
}

static int close_talk(void **state)
{
    (void)state;
    test_talk_close(&talk);
    return 0;
}

static void open_for(const tess_feed *expected, tess_engine **engine, tess_session **session)
{
    const tess_engine_options options = {.model_dir = MODEL,
                                         .memory_bytes = 1u << 30,
                                         .n_thread = 1,
                                         .n_context = 256,
                                         .expected = expected,
                                         .n_expected = expected ? 1 : 0};
    if (tess_engine_open(&options, engine, &err) != TESS_OK) fail_msg("%s", err.message);
    if (tess_session_new(*engine, session, &err) != TESS_OK) fail_msg("%s", err.message);
}

/* A question with n times the same medium. */
static void ask(const test_medium *medium, int n, tess_prompt *out)
{
    tess_conversation_release(&talk.said);
    for (int i = 0; i < n; i++) test_talk_show(&talk, medium);
    test_talk_ask(&talk, "?");
    test_talk_make(&talk, out);
}

/* ---- room ---- */

static void refuse(tess_session *session, const test_medium *medium, int n, const char *found)
{
    tess_prompt prompt;
    ask(medium, n, &prompt);
    const tess_feed feed = tess_prompt_get_feed(&prompt);
    assert_int_equal(tess_session_feed(session, &feed, &err), TESS_EUSAGE);
    assert_string_equal(err.field, "media");
    if (strcmp(err.found, found)) fail_msg("found %s, not %s", err.found, found);
    assert_int_equal(tess_session_get_length(session), 0);
    tess_prompt_release(&prompt);
}

static void accept(tess_session *session, const test_medium *medium, int n)
{
    tess_prompt prompt;
    ask(medium, n, &prompt);
    const tess_feed feed = tess_prompt_get_feed(&prompt);
    if (tess_session_feed(session, &feed, &err) != TESS_OK) fail_msg("%s", err.message);
    tess_session_truncate(session, 0);
    tess_prompt_release(&prompt);
}

static void test_room(void **state)
{
    (void)state;
    test_medium picture, larger, clip, longer, film;
    test_medium_pictures(&picture, 1, 4, 6, 0, 1);
    test_medium_pictures(&larger, 1, 6, 6, 0, 1);
    test_medium_pictures(&film, 4, 4, 6, 2, 1);
    test_medium_clip(&clip, 90, 1);
    test_medium_clip(&longer, 110, 1);
    tess_engine *engine;
    tess_session *session;
    open_for(NULL, &engine, &session); /* text alone */
    refuse(session, &picture, 1, "1, of 6 (6), windows of 0, pictures of 24");
    refuse(session, &clip, 1, "1, of 12 (0), windows of 12, pictures of 0");
    tess_session_free(session);
    tess_engine_close(engine);

    tess_prompt prompt;
    ask(&picture, 2, &prompt);
    const tess_feed pictures = tess_prompt_get_feed(&prompt);
    open_for(&pictures, &engine, &session);
    accept(session, &picture, 2);
    accept(session, &picture, 1);
    refuse(session, &picture, 3, "3, of 18 (18), windows of 0, pictures of 24");
    refuse(session, &larger, 1, "1, of 9 (9), windows of 0, pictures of 36");
    refuse(session, &film, 1, "1, of 24 (24), windows of 0, pictures of 24");
    refuse(session, &clip, 1, "1, of 12 (0), windows of 12, pictures of 0");
    accept(session, &picture, 2);
    tess_session_free(session);
    tess_engine_close(engine);
    tess_prompt_release(&prompt);

    ask(&clip, 1, &prompt);
    const tess_feed clips = tess_prompt_get_feed(&prompt);
    open_for(&clips, &engine, &session);
    accept(session, &clip, 1);
    refuse(session, &longer, 1, "1, of 15 (0), windows of 15, pictures of 0");
    refuse(session, &picture, 1, "1, of 6 (6), windows of 0, pictures of 24");
    tess_session_free(session);
    tess_engine_close(engine);
    tess_prompt_release(&prompt);
}

/* Sizes alone are planned for, not run. */
static void test_no_rows(void **state)
{
    (void)state;
    test_medium picture;
    tess_prompt prompt;
    tess_engine *engine;
    tess_session *session;
    test_medium_pictures(&picture, 1, 4, 6, 0, 1);
    picture.features.read = NULL;
    ask(&picture, 1, &prompt);
    const tess_feed feed = tess_prompt_get_feed(&prompt);
    open_for(&feed, &engine, &session);
    assert_int_equal(tess_session_feed(session, &feed, &err), TESS_EINPUT);
    assert_string_equal(err.field, "media[0]");
    tess_session_free(session);
    tess_engine_close(engine);
    tess_prompt_release(&prompt);
}

/* Pad tokens are counted before anything is run. */
static void test_pads(void **state)
{
    (void)state;
    test_medium picture;
    tess_prompt prompt;
    tess_engine *engine;
    tess_session *session;
    test_medium_pictures(&picture, 1, 4, 6, 0, 1);
    ask(&picture, 1, &prompt);
    tess_feed feed = tess_prompt_get_feed(&prompt);
    open_for(&feed, &engine, &session);
    int pad = 0;
    while (feed.ids[pad] != feed.ids[pad + 1]) pad++;
    int32_t *ids = prompt.ids.data, kept = ids[pad];
    ids[pad] = 5;
    assert_int_equal(tess_session_feed(session, &feed, &err), TESS_EINPUT);
    assert_string_equal(err.field, "input_ids");
    assert_string_equal(err.found, "5");
    ids[pad] = kept;
    feed.n_media = 0; /* pad tokens are tokens */
    assert_int_equal(tess_session_feed(session, &feed, &err), TESS_OK);
    tess_session_free(session);
    tess_engine_close(engine);
    tess_prompt_release(&prompt);
}

/* ---- taps ---- */

typedef struct listing {
    const test_tensors *golden;
    int n, n_later; /* taps, and those of a tower's second run, which goldens do not hold */
} listing;

static void meet_tap(void *context, const tess_tap *tap)
{
    listing *l = context;
    l->n++;
    if (strchr(tap->name, '#')) {
        l->n_later++;
        return;
    }
    const test_tensor *t = test_tensors_get(l->golden, tap->name);
    assert_int_equal(t->is_integer, tap->is_integer);
    if (t->n_dim != tap->n_dim || memcmp(t->dim, tap->dim, (size_t)t->n_dim * sizeof t->dim[0]))
        fail_msg("%s has another shape", tap->name);
}

/* What is told of a feed's taps by the sizes of its media is what the original has. */
static void test_list_taps(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int n_later;
    } cases[] = {{"audio", 0}, {"audio_short", 0}, {"audio_two", 0}, {"image", 0}, {"video", 0},
                 {"av", 0},    {"omni", 9},        {"mixed", 9},     {"tall", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[96];
        test_tensors golden;
        tess_trace_inputs in;
        snprintf(path, sizeof path, "tests/golden/e-f32/%s.safetensors", cases[i].name);
        test_tensors_read(path, &golden);
        assert_int_equal(tess_trace_inputs_read(path, &in, &err), TESS_OK);
        const tess_feed feed = {.n_tok = in.n_tok, .media = in.media, .n_media = in.n_media};
        listing l = {.golden = &golden};
        assert_int_equal(tess_model_list_taps(MODEL, &feed, meet_tap, &l, &err), TESS_OK);
        assert_int_equal(l.n_later, cases[i].n_later);
        int n_tap = 0;
        for (size_t k = 0; k < golden.count; k++)
            n_tap += !strncmp(golden.item[k].name, "tap.", 4) && !strstr(golden.item[k].name, "generated");
        assert_int_equal(l.n - l.n_later, n_tap);
        tess_trace_inputs_release(&in);
        test_tensors_release(&golden);
    }
}

/* ---- the shared room ---- */

/* Experts are lost to a tower and read again; who has the room already keeps what is in it. */
static void test_phases(void **state)
{
    (void)state;
    test_medium medium[2];
    test_medium_pictures(&medium[0], 1, 4, 6, 0, 1);
    test_medium_clip(&medium[1], 90, 2);
    tess_conversation_release(&talk.said);
    for (int i = 0; i < 2; i++) test_talk_show(&talk, &medium[i]);
    tess_prompt prompt;
    test_talk_make(&talk, &prompt);
    const tess_feed expected = tess_prompt_get_feed(&prompt);
    tess_engine *engine;
    tess_session *session;
    open_for(&expected, &engine, &session);
    const int32_t ids[] = {5, 6, 7, 8};
    const tess_feed feed = {.ids = ids, .n_tok = 4};
    size_t n_logit = (size_t)tess_engine_get_vocab_size(engine);
    float *first = calloc(n_logit, sizeof *first);
    assert_non_null(first);
    tess_rooms *rooms = &engine->rooms;
    assert_int_equal(rooms->phase, TESS_PHASE_TEXT);
    uint64_t read[4];
    for (int i = 0; i < 4; i++) {
        if (tess_session_feed(session, &feed, &err) != TESS_OK) fail_msg("%s", err.message);
        const float *logits = tess_session_get_logits(session);
        if (i == 0) memcpy(first, logits, n_logit * sizeof *first);
        assert_memory_equal(first, logits, n_logit * sizeof *first);
        read[i] = tess_engine_get_bytes_read(engine);
        tess_session_truncate(session, 0);
        if (i < 2) tess_rooms_enter(rooms, TESS_PHASE_TEXT); /* is there already */
        if (i < 2) continue;
        tess_rooms_enter(rooms, TESS_PHASE_AUDIO);
        float *rows = rooms->audio.encoder.residual;
        memset(rows, 0x5a, 64);
        tess_rooms_enter(rooms, TESS_PHASE_AUDIO);
        assert_ptr_equal(rows, rooms->audio.encoder.residual);
        assert_int_equal(((const unsigned char *)rows)[63], 0x5a);
        tess_rooms_enter(rooms, TESS_PHASE_VISION);
        memset(rooms->vision.encoder.residual, 0x5a, 64);
        tess_rooms_enter(rooms, TESS_PHASE_TEXT);
    }
    assert_true(read[0] > 0);
    assert_int_equal(read[1], read[0]); /* all experts that the prompt needs were there */
    assert_int_equal(read[2], read[0]);
    assert_true(read[3] > read[2]); /* and were not, behind the towers */
    free(first);
    tess_session_free(session);
    tess_engine_close(engine);
    tess_prompt_release(&prompt);
}

/* ---- media that fail ---- */

typedef struct failing {
    test_medium *medium;
    int n_left; /* reads until one fails */
    float bad;  /* what it puts out; 0: an error */
} failing;

static tess_status read_or_fail(void *context, int64_t first, int64_t n, float *out, tess_error *e)
{
    failing *f = context;
    bool is_due = f->n_left-- == 0;
    if (is_due && f->bad == 0) {
        *e = (tess_error){.status = TESS_EIO, .offset = -1, .message = "the disk is gone"};
        return TESS_EIO;
    }
    tess_status status = f->medium->features.read(f->medium, first, n, out, e);
    if (is_due) out[n * f->medium->features.width - 1] = f->bad;
    return status;
}

static bool go_on_until(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    int *n_left = context;
    return activity != TESS_ACTIVITY_ENCODING || (*n_left)-- != 0;
}

/* A session, and what a feed of a clip and a film gives in it. */
typedef struct trial {
    test_medium medium[2];
    tess_prompt prompt;
    tess_feed feed;
    tess_engine *engine;
    tess_session *session;
    float *expected;
    size_t size; /* of the logits, in bytes */
} trial;

static void begin_trial(trial *t)
{
    test_medium_clip(&t->medium[0], 450, 1);
    test_medium_pictures(&t->medium[1], 3, 4, 6, 2, 2);
    tess_conversation_release(&talk.said);
    for (int i = 0; i < 2; i++) test_talk_show(&talk, &t->medium[i]);
    test_talk_make(&talk, &t->prompt);
    t->feed = tess_prompt_get_feed(&t->prompt);
    open_for(&t->feed, &t->engine, &t->session);
    if (tess_session_feed(t->session, &t->feed, &err) != TESS_OK) fail_msg("%s", err.message);
    t->size = (size_t)tess_engine_get_vocab_size(t->engine) * sizeof(float);
    t->expected = malloc(t->size);
    assert_non_null(t->expected);
    memcpy(t->expected, tess_session_get_logits(t->session), t->size);
    tess_session_truncate(t->session, 0);
}

static void end_trial(trial *t)
{
    free(t->expected);
    tess_session_free(t->session);
    tess_engine_close(t->engine);
    tess_prompt_release(&t->prompt);
}

/* Whether a feed fails, with this status; the room is the text's again and the session as it was, or the
 * logits are those that they always are. */
static bool has_failed(const trial *t, const tess_feed *feed, tess_status expected)
{
    tess_status status = tess_session_feed(t->session, feed, &err);
    assert_int_equal(t->engine->rooms.phase, TESS_PHASE_TEXT);
    if (status != TESS_OK) {
        assert_int_equal(status, expected);
        assert_int_equal(tess_session_get_length(t->session), 0);
        assert_null(tess_session_get_logits(t->session));
        return true;
    }
    assert_memory_equal(t->expected, tess_session_get_logits(t->session), t->size);
    tess_session_truncate(t->session, 0);
    return false;
}

/* Each read of each medium fails once, or gives a number that is none. */
static void test_failing_reads(void **state)
{
    (void)state;
    static const float bads[] = {0, NAN, INFINITY};
    trial t;
    begin_trial(&t);
    int n_failed = 0;
    for (int which = 0; which < 2; which++)
        for (size_t kind = 0; kind < 3; kind++)
            for (int k = 0;; k++, n_failed++) {
                failing f = {&t.medium[which], k, bads[kind]};
                tess_features bad = t.medium[which].features;
                bad.read = read_or_fail;
                bad.context = &f;
                const tess_features *media[] = {&t.medium[0].features, &t.medium[1].features};
                media[which] = &bad;
                tess_feed feed = t.feed;
                feed.media = media;
                if (!has_failed(&t, &feed, kind ? TESS_EINPUT : TESS_EIO)) break;
            }
    assert_true(n_failed >= 3 * (5 + 3)); /* chunks of the clip, steps of the film */
    end_trial(&t);
}

/* Stopped behind each layer of the towers. */
static void test_stopped_towers(void **state)
{
    (void)state;
    trial t;
    begin_trial(&t);
    int n_stopped = 0;
    for (;; n_stopped++) {
        int n_left = n_stopped;
        const tess_progress progress = {.tell = go_on_until, .context = &n_left};
        tess_feed feed = t.feed;
        feed.progress = &progress;
        if (!has_failed(&t, &feed, TESS_EINTERRUPTED)) break;
    }
    assert_true(n_stopped >= 6); /* layers of both towers */
    end_trial(&t);
}

/* ---- ends that come early ---- */

/* Counts down with every call; where it comes to zero it is asked to stop, or reading fails. */
typedef struct countdown {
    int n_told, n_read;
    tess_activity stopped_at;
    const tess_features *rows;
} countdown;

static bool stop_at_zero(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    countdown *c = context;
    c->stopped_at = activity;
    return c->n_told-- != 0;
}

static tess_status fail_at_zero(void *context, int64_t first, int64_t n, float *out, tess_error *error)
{
    countdown *c = context;
    if (c->n_read-- == 0) return tess_fail(error, TESS_EIO, "no rows today");
    return c->rows->read(c->rows->context, first, n, out, error);
}

/* Part of the prompt is held; what follows is as if none were. */
static void take_rest(tess_session *session, const tess_feed *whole, const float *expected, size_t size)
{
    int n_fed;
    if (tess_session_feed_rest(session, whole, &n_fed, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_in_range(n_fed, 1, whole->n_tok - 1);
    assert_memory_equal(tess_session_get_logits(session), expected, size);
}

/* Wherever a feed ends too early, in a tower, in the text or in the rows of media, the session goes on as a
 * fresh one, and so does the one beside it. */
static void test_early_ends(void **state)
{
    (void)state;
    test_medium picture, clip, film;
    test_medium_pictures(&picture, 1, 4, 6, 0, 1);
    test_medium_clip(&clip, 950, 2);
    test_medium_pictures(&film, 6, 4, 6, 2, 3);
    tess_conversation_release(&talk.said);
    test_talk_show(&talk, &picture);
    test_talk_ask(&talk, "?");
    tess_prompt before, prompt;
    test_talk_make(&talk, &before);
    test_talk_answer(&talk, "!");
    test_talk_show(&talk, &clip);
    test_talk_show(&talk, &film);
    test_talk_ask(&talk, "?");
    test_talk_make(&talk, &prompt);
    const tess_feed first = tess_prompt_get_feed(&before), whole = tess_prompt_get_feed(&prompt);
    const tess_engine_options options = {.model_dir = MODEL,
                                         .memory_bytes = 1u << 30,
                                         .n_thread = 2,
                                         .n_context = 512,
                                         .n_chunk = 64,
                                         .n_session = 2,
                                         .expected = &whole,
                                         .n_expected = 1};
    tess_engine *engine;
    tess_session *session, *beside;
    if (tess_engine_open(&options, &engine, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(tess_session_new(engine, &session, &err), TESS_OK);
    assert_int_equal(tess_session_new(engine, &beside, &err), TESS_OK);
    size_t size = (size_t)tess_engine_get_vocab_size(engine) * sizeof(float);
    float *expected = malloc(size);
    assert_non_null(expected);
    if (tess_session_feed(beside, &whole, &err) != TESS_OK) fail_msg("%s", err.message);
    memcpy(expected, tess_session_get_logits(beside), size);
    tess_session_truncate(beside, 0);
    int n_ended = 0, n_fed, n_of[TESS_ACTIVITY_PREPARING + 1] = {0};
    for (int by_reading = 0; by_reading < 2; by_reading++) {
        tess_status status = TESS_EIO;
        for (int at = 0; status != TESS_OK; at += at < 4 ? 1 : 4, n_ended++) {
            countdown c = {.n_told = by_reading ? -1 : at, .n_read = by_reading ? at : -1};
            const tess_progress progress = {stop_at_zero, &c};
            tess_features broken = *whole.media[2];
            const tess_features *media[] = {whole.media[0], whole.media[1], &broken};
            c.rows = whole.media[2];
            broken.read = fail_at_zero;
            broken.context = &c;
            tess_feed feed = whole;
            feed.media = media;
            feed.progress = &progress;
            assert_int_equal(tess_session_feed_rest(session, &first, &n_fed, &err), TESS_OK);
            int length = tess_session_get_length(session);
            status = tess_session_feed_rest(session, &feed, &n_fed, &err);
            if (status == TESS_OK) break;
            assert_int_equal(status, by_reading ? TESS_EIO : TESS_EINTERRUPTED);
            if (!by_reading) n_of[c.stopped_at]++;
            assert_null(tess_session_get_logits(session));
            assert_int_equal(tess_session_get_length(session), length);
            if (n_ended % 3 == 0) { /* the other one's turn */
                assert_int_equal(tess_session_feed_rest(beside, &first, &n_fed, &err), TESS_OK);
                take_rest(beside, &whole, expected, size);
            }
            take_rest(session, &whole, expected, size);
        }
    }
    assert_true(n_of[TESS_ACTIVITY_ENCODING] > 1 && n_of[TESS_ACTIVITY_PREFILL] > 1);
    assert_true(n_ended > n_of[TESS_ACTIVITY_ENCODING] + n_of[TESS_ACTIVITY_PREFILL]);
    free(expected);
    tess_session_free(session);
    tess_session_free(beside);
    tess_engine_close(engine);
    tess_prompt_release(&before);
    tess_prompt_release(&prompt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),           cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_pads),           cmocka_unit_test(test_list_taps),
        cmocka_unit_test(test_phases),         cmocka_unit_test(test_failing_reads),
        cmocka_unit_test(test_stopped_towers), cmocka_unit_test(test_early_ends)};
    return cmocka_run_group_tests_name("engine_media", tests, open_talk, close_talk);
}
