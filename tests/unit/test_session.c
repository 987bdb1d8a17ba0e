/* Engine and session: refusals by name, going back, limits, interruption, broken weights. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/recording.h"
#include "../support/scratch.h"
#include "store/store.h"

#define MODEL "tests/golden/c"

typedef struct fixture {
    tess_engine *engine;
    tess_session *session;
    tess_error err;
} fixture;

static void open_session(fixture *f, tess_engine_options options)
{
    if (!options.model_dir) options.model_dir = MODEL;
    if (!options.memory_bytes) options.memory_bytes = 1u << 30;
    if (!options.n_thread) options.n_thread = 1;
    if (tess_engine_open(&options, &f->engine, &f->err) != TESS_OK) fail_msg("%s", f->err.message);
    if (tess_session_new(f->engine, &f->session, &f->err) != TESS_OK) fail_msg("%s", f->err.message);
}

static void close_session(fixture *f)
{
    tess_session_free(f->session);
    tess_engine_close(f->engine);
}

static void test_refusals(void **state)
{
    (void)state;
    fixture f;
    open_session(&f, (tess_engine_options){.n_context = 8});
    tess_session *second;
    assert_int_equal(tess_session_new(f.engine, &second, &f.err), TESS_EUSAGE);
    int n_vocab = tess_engine_get_vocab_size(f.engine);
    const int32_t bad[] = {1, n_vocab}, negative[] = {-1}, nine[9] = {0};
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = bad, .n_tok = 2}, &f.err), TESS_EINPUT);
    assert_non_null(strstr(f.err.message, "place 1"));
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = negative, .n_tok = 1}, &f.err),
                     TESS_EINPUT);
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = nine, .n_tok = 9}, &f.err),
                     TESS_EUSAGE);
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = nine, .n_tok = 0}, &f.err),
                     TESS_EUSAGE);
    assert_int_equal(tess_session_get_length(f.session), 0);
    assert_null(tess_session_get_logits(f.session));
    int n_new;
    tess_finish finish;
    int32_t ids[4];
    tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY, .max_new = 4};
    assert_int_equal(tess_session_generate(f.session, &generation, ids, &n_new, &finish, &f.err),
                     TESS_EUSAGE);
    close_session(&f);
}

/* Positions beyond what rotary angles are made for are the caller's mistake, not the weights'. */
static void test_position_range(void **state)
{
    (void)state;
    static const float bad[] = {-1.5e16f, 3e38f, 1000001.0f, -1000001.0f, INFINITY, NAN};
    fixture f;
    open_session(&f, (tess_engine_options){.n_context = 8});
    const int32_t ids[] = {5, 6};
    tess_feed feed = {.ids = ids, .n_tok = 2};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        float positions[] = {0, 1, 0, 1, 0, bad[i]};
        feed.positions = positions;
        assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_EINPUT);
        assert_string_equal(f.err.field, "position_ids");
        assert_non_null(strstr(f.err.message, "place 1"));
        assert_int_equal(tess_session_get_length(f.session), 0);
    }
    const float most[] = {-TESS_POSITION_MAX, 1, 0, 1, 0, TESS_POSITION_MAX};
    feed.positions = most;
    assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_OK);
    /* continued by one, the last stream leaves the range */
    feed = (tess_feed){.ids = ids, .n_tok = 1};
    assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_EINPUT);
    assert_string_equal(f.err.field, "position_ids");
    close_session(&f);
}

/* What a listener puts in the place of one tap. */
typedef struct meddler {
    const char *tap;
    int64_t integer[2]; /* of the last row's first two columns */
    float value;
} meddler;

static bool wants_one(void *context, const tess_tap *tap)
{
    return !strcmp(tap->name, ((const meddler *)context)->tap);
}

static tess_status hear_nothing(void *context, const tess_tap_rows *rows, tess_error *err)
{
    (void)context, (void)rows, (void)err;
    return TESS_OK;
}

static tess_status meddle(void *context, const tess_tap_rows *rows, void *values, tess_error *err)
{
    (void)err;
    const meddler *m = context;
    size_t last = (size_t)(rows->n_row - 1) * rows->row_width;
    if (rows->tap.is_integer)
        memcpy((int64_t *)values + last, m->integer, sizeof m->integer);
    else
        ((float *)values)[last] = m->value;
    return TESS_OK;
}

/* What no router could have chosen does not reach the experts, and the session can go on. */
static void test_bad_replacements(void **state)
{
    (void)state;
    static const char choice[] = "tap.thinker.model.layers.1.mlp.gate.indices";
    const meddler cases[] = {{choice, {0, 0}, 0},
                             {choice, {0, INT64_MAX}, 0},
                             {choice, {-1, 0}, 0},
                             {"tap.thinker.position_ids", {0, 0}, 1e7f}};
    fixture f;
    open_session(&f, (tess_engine_options){.n_context = 8});
    const int32_t ids[] = {5, 6};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        meddler m = cases[i];
        const tess_tap_listener listener = {&m, wants_one, hear_nothing, meddle};
        const tess_feed feed = {.ids = ids, .n_tok = 2, .listener = &listener};
        assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_EINPUT);
        assert_string_equal(f.err.field, m.value != 0 ? "position_ids" : choice);
        assert_int_equal(tess_session_get_length(f.session), 0);
    }
    meddler m = {choice, {1, 0}, 0};
    const tess_tap_listener listener = {&m, wants_one, hear_nothing, meddle};
    const tess_feed feed = {.ids = ids, .n_tok = 2, .listener = &listener};
    assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_OK);
    close_session(&f);
}

/* An answer that fills the context ends there, and says so. */
static void test_context_ends_answer(void **state)
{
    (void)state;
    fixture f;
    open_session(&f, (tess_engine_options){.n_context = 8});
    const int32_t ids[] = {5, 6, 7, 8, 9, 10};
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = ids, .n_tok = 6}, &f.err), TESS_OK);
    int32_t answer[20];
    int n_new;
    tess_finish finish;
    tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY, .max_new = 20};
    assert_int_equal(tess_session_generate(f.session, &generation, answer, &n_new, &finish, &f.err), TESS_OK);
    assert_int_equal(n_new, 3); /* two are fed, the third needs no room */
    assert_int_equal(finish, TESS_FINISH_LENGTH);
    assert_int_equal(tess_session_get_length(f.session), 8);
    close_session(&f);
}

/* Going back and taking another way gives the bits of having gone there at once: nothing stale is seen. */
static void test_truncate(void **state)
{
    (void)state;
    fixture f;
    const int32_t ids[] = {5, 6, 7, 8, 9, 10, 11, 12}, other[] = {5, 6, 7, 40, 41};
    open_session(&f, (tess_engine_options){.n_context = 32});
    size_t size = (size_t)tess_engine_get_vocab_size(f.engine) * sizeof(float);
    float *expected = malloc(size);
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = other, .n_tok = 5}, &f.err), TESS_OK);
    memcpy(expected, tess_session_get_logits(f.session), size);
    tess_session_truncate(f.session, 0);
    assert_null(tess_session_get_logits(f.session));
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = ids, .n_tok = 8}, &f.err), TESS_OK);
    tess_session_truncate(f.session, 3);
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = other + 3, .n_tok = 2}, &f.err),
                     TESS_OK);
    assert_memory_equal(expected, tess_session_get_logits(f.session), size);
    assert_memory_equal(tess_session_get_ids(f.session), other, sizeof other);
    free(expected);
    close_session(&f);
}

static bool stop_second(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)total;
    int *calls = context;
    return activity != TESS_ACTIVITY_PREFILL || done < 2 || ++*calls > 1;
}

static void test_interrupt(void **state)
{
    (void)state;
    fixture f;
    int calls = 0;
    const int32_t ids[] = {5, 6, 7, 8};
    open_session(&f, (tess_engine_options){.n_context = 32, .n_chunk = 1});
    const tess_progress progress = {stop_second, &calls};
    tess_feed feed = {.ids = ids, .n_tok = 4, .progress = &progress};
    assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_EINTERRUPTED);
    assert_int_equal(tess_session_get_length(f.session), 0);
    assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_OK); /* and goes on afterwards */
    assert_int_equal(tess_session_get_length(f.session), 4);
    close_session(&f);
}

typedef struct countdown {
    int left;
} countdown;

static bool stop_at_zero(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)activity, (void)done, (void)total;
    countdown *c = context;
    return c->left-- > 0;
}

/* Wherever a feed is stopped, the session goes on afterwards with the bits of one that never was, and so does
 * another session of the engine. */
static void test_interrupt_anywhere(void **state)
{
    (void)state;
    fixture f;
    tess_session *other;
    const int32_t ids[] = {5, 6, 7, 8, 9, 10, 11}, tail[] = {40, 41, 42, 43, 44};
    open_session(&f,
                 (tess_engine_options){.n_context = 16, .n_chunk = 2, .n_session = 2, .n_expert_slot = 2});
    assert_int_equal(tess_session_new(f.engine, &other, &f.err), TESS_OK);
    size_t size = (size_t)tess_engine_get_vocab_size(f.engine) * sizeof(float);
    float *expected = malloc(size);
    assert_int_equal(tess_session_feed(other, &(tess_feed){.ids = ids, .n_tok = 7}, &f.err), TESS_OK);
    memcpy(expected, tess_session_get_logits(other), size);
    tess_session_truncate(other, 3);
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = ids, .n_tok = 3}, &f.err), TESS_OK);
    int n_stopped = 0;
    for (tess_status status = TESS_EINTERRUPTED; status != TESS_OK; n_stopped++) {
        countdown c = {n_stopped};
        const tess_progress progress = {stop_at_zero, &c};
        int32_t id;
        status = tess_session_feed(f.session, &(tess_feed){.ids = tail, .n_tok = 5, .progress = &progress},
                                   &f.err);
        if (status == TESS_OK) break;
        assert_int_equal(status, TESS_EINTERRUPTED);
        assert_int_equal(tess_session_get_length(f.session), 3);
        assert_null(tess_session_get_logits(f.session));
        assert_int_equal(tess_session_step(f.session, &TESS_SAMPLING_GREEDY, NULL, NULL, &id, &f.err),
                         TESS_EUSAGE);
        tess_session *both[] = {f.session, other};
        for (int s = 0; s < 2; s++) {
            assert_int_equal(tess_session_feed(both[s], &(tess_feed){.ids = ids + 3, .n_tok = 4}, &f.err),
                             TESS_OK);
            assert_memory_equal(tess_session_get_logits(both[s]), expected, size);
            tess_session_truncate(both[s], 3);
        }
    }
    assert_true(n_stopped > 3);
    free(expected);
    tess_session_free(other);
    close_session(&f);
}

/* A NaN in a weight that is used ends the run with the name of the tap where it shows. */
static void test_non_finite(void **state)
{
    (void)state;
    char folder[SCRATCH_BYTES], command[512], path[600];
    assert_int_equal(scratch_make_folder(folder, SCRATCH_ANYWHERE), 0);
    snprintf(command, sizeof command, "cp %s/* %s/ && chmod u+w %s/*", MODEL, folder, folder);
    assert_int_equal(system(command), 0);
    tess_error err;
    tess_store *store;
    assert_int_equal(tess_store_open(folder, TESS_DIRECT_AUTO, &store, &err), TESS_OK);
    const tess_tensor *t = tess_store_find(store, "thinker.model.layers.1.self_attn.o_proj.weight");
    assert_non_null(t);
    snprintf(path, sizeof path, "%s", tess_store_get_shard_path(store, t->shard));
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const uint16_t nan_bits = 0x7fc0;
    fseek(file, (long)t->offset, SEEK_SET);
    fwrite(&nan_bits, sizeof nan_bits, 1, file);
    fclose(file);
    tess_store_close(store);
    fixture f;
    const int32_t ids[] = {5, 6};
    open_session(&f, (tess_engine_options){.model_dir = folder, .n_context = 16});
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = ids, .n_tok = 2}, &f.err),
                     TESS_ENONFINITE);
    assert_string_equal(f.err.field, "tap.thinker.model.layers.1.self_attn");
    close_session(&f);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* Token by token gives what generate gives, with the same seed, and leaves the last token unfed as well. */
static void test_step(void **state)
{
    (void)state;
    fixture f;
    const int32_t prompt[] = {5, 6, 7, 8};
    const tess_sampling sampling = {.temperature = 1.5, .top_p = 1, .repetition_penalty = 1, .seed = 11};
    enum { N_NEW = 6 };
    int32_t generated[N_NEW], id, greedy;
    int n_new;
    tess_finish finish;
    open_session(&f, (tess_engine_options){.n_context = 32});
    assert_int_equal(tess_session_step(f.session, &sampling, NULL, NULL, &id, &f.err), TESS_EUSAGE);
    const tess_feed feed = {.ids = prompt, .n_tok = 4};
    assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_OK);
    const tess_generation generation = {.sampling = sampling, .max_new = N_NEW};
    assert_int_equal(tess_session_generate(f.session, &generation, generated, &n_new, &finish, &f.err),
                     TESS_OK);
    assert_int_equal(n_new, N_NEW);
    tess_session_truncate(f.session, 0);
    assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_OK);
    for (int i = 0; i < N_NEW; i++) {
        assert_int_equal(tess_session_step(f.session, &sampling, NULL, NULL, &id, &f.err), TESS_OK);
        assert_int_equal(id, generated[i]);
        assert_int_equal(tess_session_get_length(f.session), 4 + i);
    }
    /* a feed in between drops the token that was chosen, and the generator starts anew */
    tess_session_truncate(f.session, 0);
    assert_int_equal(tess_session_feed(f.session, &feed, &f.err), TESS_OK);
    assert_int_equal(tess_session_step(f.session, &sampling, NULL, NULL, &id, &f.err), TESS_OK);
    assert_int_equal(id, generated[0]);
    assert_int_equal(tess_session_step(f.session, &TESS_SAMPLING_GREEDY, NULL, NULL, &greedy, &f.err),
                     TESS_OK);
    assert_int_equal(tess_session_get_ids(f.session)[4], generated[0]);
    const tess_sampling bad = {.top_p = 2, .repetition_penalty = 1};
    assert_int_equal(tess_session_step(f.session, &bad, NULL, NULL, &id, &f.err), TESS_EUSAGE);
    assert_string_equal(f.err.field, "top_p");
    close_session(&f);
}

/* Steps that go on until the context is full are refused by the option's name. */
static void test_step_fills_context(void **state)
{
    (void)state;
    fixture f;
    const int32_t prompt[] = {5, 6};
    int32_t id;
    open_session(&f, (tess_engine_options){.n_context = 3});
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = prompt, .n_tok = 2}, &f.err), TESS_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tess_session_step(f.session, &TESS_SAMPLING_GREEDY, NULL, NULL, &id, &f.err),
                         TESS_OK);
    assert_int_equal(tess_session_step(f.session, &TESS_SAMPLING_GREEDY, NULL, NULL, &id, &f.err),
                     TESS_EUSAGE);
    assert_string_equal(f.err.field, "n_context");
    close_session(&f);
}

/* Sessions of one engine in turn, each with a sampler of its own, give what each gives alone. */
static void test_two_sessions(void **state)
{
    (void)state;
    fixture f;
    enum { N_NEW = 8 };
    const int32_t prompt[2][5] = {{5, 6, 7, 8, 9}, {40, 41, 42, 43, 44}};
    const tess_sampling sampling[2] = {
        {.temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 1},
        {.temperature = 2, .top_k = 20, .top_p = 1, .repetition_penalty = 1.2, .seed = 2}};
    int32_t alone[2][N_NEW], id;
    for (int s = 0; s < 2; s++) {
        open_session(&f, (tess_engine_options){.n_context = 32});
        assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = prompt[s], .n_tok = 5}, &f.err),
                         TESS_OK);
        for (int i = 0; i < N_NEW; i++)
            assert_int_equal(tess_session_step(f.session, &sampling[s], NULL, NULL, &alone[s][i], &f.err),
                             TESS_OK);
        close_session(&f);
    }
    open_session(&f, (tess_engine_options){.n_context = 32, .n_session = 2});
    tess_session *both[2] = {f.session}, *third;
    assert_int_equal(tess_session_new(f.engine, &both[1], &f.err), TESS_OK);
    assert_int_equal(tess_session_new(f.engine, &third, &f.err), TESS_EUSAGE);
    assert_string_equal(f.err.field, "n_session");
    for (int s = 0; s < 2; s++)
        assert_int_equal(tess_session_feed(both[s], &(tess_feed){.ids = prompt[s], .n_tok = 5}, &f.err),
                         TESS_OK);
    for (int i = 0; i < N_NEW; i++)
        for (int s = 0; s < 2; s++) {
            assert_int_equal(tess_session_step(both[s], &sampling[s], NULL, NULL, &id, &f.err), TESS_OK);
            assert_int_equal(id, alone[s][i]);
        }
    assert_memory_equal(tess_session_get_ids(both[0]), prompt[0], sizeof prompt[0]);
    tess_session_free(both[1]); /* its place is free for another */
    assert_int_equal(tess_session_new(f.engine, &third, &f.err), TESS_OK);
    assert_int_equal(tess_session_get_length(third), 0);
    assert_null(tess_session_get_logits(third));
    tess_session_free(third);
    close_session(&f);
}

/* Fewer experts than a layer routes to may stay: the bits are the same, and the plan says how many. */
static void test_expert_slots(void **state)
{
    (void)state;
    fixture f;
    const int32_t ids[] = {5, 6, 7, 8, 9, 10, 11, 12};
    float *expected = NULL;
    size_t size = 0;
    for (int slots = 0; slots < 6; slots++) { /* 0: as many as the budget allows */
        open_session(&f, (tess_engine_options){.n_context = 32, .n_expert_slot = slots});
        int n_slot = tess_engine_get_plan(f.engine)->n_expert_slot;
        assert_true(slots == 0 ? n_slot > 5 : n_slot == slots);
        assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = ids, .n_tok = 8}, &f.err), TESS_OK);
        if (!expected) {
            size = (size_t)tess_engine_get_vocab_size(f.engine) * sizeof(float);
            expected = malloc(size);
            memcpy(expected, tess_session_get_logits(f.session), size);
        }
        assert_memory_equal(tess_session_get_logits(f.session), expected, size);
        close_session(&f);
    }
    free(expected);
}

static bool count_tells(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    int *calls = context;
    assert_true(activity <= TESS_ACTIVITY_GENERATING && done <= total);
    calls[activity]++;
    return activity != TESS_ACTIVITY_GENERATING || calls[activity] < 3;
}

static bool stop_measuring(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    assert_int_equal(activity, TESS_ACTIVITY_LOADING);
    assert_true(done > 0 && done <= total);
    return ++*(int *)context < 2;
}

static void test_measuring_can_be_stopped(void **state)
{
    (void)state;
    int calls = 0;
    double rate = -1;
    tess_error err;
    const tess_progress progress = {stop_measuring, &calls};
    tess_engine_options options = {.model_dir = MODEL, .progress = &progress};
    assert_int_equal(tess_plan_measure(&options, 1u << 20, &rate, &err), TESS_EINTERRUPTED);
    assert_int_equal(calls, 2);
    assert_true(rate == -1);
    options.progress = NULL;
    assert_int_equal(tess_plan_measure(&options, 1u << 20, &rate, &err), TESS_OK);
    assert_true(rate > 0);
    calls = 0;
    rate = -1;
    const tess_plan plan = {.budget_bytes = 64 << 20};
    assert_int_equal(tess_plan_measure_memory(&plan, &progress, &rate, &err), TESS_EINTERRUPTED);
    assert_int_equal(calls, 2);
    assert_true(rate == -1);
    uint64_t before = tess_peak_rss_bytes();
    assert_int_equal(tess_plan_measure_memory(&plan, NULL, &rate, &err), TESS_OK);
    assert_true(rate > 0);
    if (getenv("TESS_SANITIZED")) return;                      /* whose memory is not the program's */
    assert_true(tess_peak_rss_bytes() <= before + (33 << 20)); /* within the budget */
}

/* Each call tells its own progress, and can be stopped by it alone. */
static void test_progress_is_per_call(void **state)
{
    (void)state;
    fixture f;
    int calls[TESS_ACTIVITY_GENERATING + 1] = {0};
    const tess_progress progress = {count_tells, calls};
    const int32_t ids[] = {5, 6, 7, 8};
    int32_t answer[8];
    int n_new;
    tess_finish finish;
    open_session(&f, (tess_engine_options){.n_context = 32, .progress = &progress});
    assert_true(calls[TESS_ACTIVITY_LOADING] > 0);
    assert_int_equal(tess_session_feed(f.session, &(tess_feed){.ids = ids, .n_tok = 4}, &f.err), TESS_OK);
    assert_int_equal(calls[TESS_ACTIVITY_PREFILL], 0);
    const tess_generation generation = {
        .sampling = TESS_SAMPLING_GREEDY, .max_new = 8, .progress = &progress};
    assert_int_equal(tess_session_generate(f.session, &generation, answer, &n_new, &finish, &f.err),
                     TESS_EINTERRUPTED);
    assert_int_equal(n_new, 3);
    assert_true(calls[TESS_ACTIVITY_DECODE] > 0 && calls[TESS_ACTIVITY_PREFILL] == 0);
    close_session(&f);
}

static void test_bad_options(void **state)
{
    (void)state;
    tess_error err;
    tess_engine *engine;
    tess_engine_options options = {.model_dir = MODEL, .memory_bytes = 1u << 30, .isa = "sse9"};
    assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_EUSAGE);
    options = (tess_engine_options){.model_dir = MODEL, .memory_bytes = 1u << 30, .n_context = 1 << 30};
    assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_EUSAGE);
    assert_string_equal(err.field, "n_context");
    options = (tess_engine_options){.model_dir = MODEL, .memory_bytes = 1u << 30, .n_expert_slot = -1};
    assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_EUSAGE);
    assert_string_equal(err.field, "n_expert_slot");
    options = (tess_engine_options){.model_dir = MODEL, .memory_bytes = 1u << 30, .other_bytes = UINT64_MAX};
    assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_EUSAGE);
    assert_string_equal(err.field, "other_bytes");
    options = (tess_engine_options){.model_dir = "tests/golden", .memory_bytes = 1u << 30};
    assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_EINPUT);
    assert_non_null(strstr(err.file, "config.json"));
    options = (tess_engine_options){.model_dir = MODEL, .memory_bytes = 1000};
    assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_EBUDGET);
    options.memory_bytes = err.smallest_budget_bytes;
    assert_true(options.memory_bytes > 1000000);
    if (getenv("TESS_SANITIZED")) options.memory_bytes += 64u << 20; /* the sanitizer's own memory grows */
    assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_OK);
    assert_true(tess_engine_get_plan(engine)->budget_bytes == options.memory_bytes);
    uint64_t sum = 0;
    const tess_plan *plan = tess_engine_get_plan(engine);
    for (int i = 0; i < plan->n_region; i++) sum += plan->region[i].n_byte;
    assert_true(plan->sum_bytes <= sum && plan->sum_bytes <= options.memory_bytes);
    tess_engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_position_range),
        cmocka_unit_test(test_bad_replacements),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_context_ends_answer),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_non_finite),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_step_fills_context),
        cmocka_unit_test(test_two_sessions),
        cmocka_unit_test(test_expert_slots),
        cmocka_unit_test(test_measuring_can_be_stopped),
        cmocka_unit_test(test_progress_is_per_call),
        cmocka_unit_test(test_interrupt_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
