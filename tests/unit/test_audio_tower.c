/* The audio tower: how many tokens a clip has, that neither pieces, threads, slots nor instruction sets
 * change a bit, what it refuses, and that it can be stopped. What it computes is compared with the original's
 * in tests/golden/test_audio_tower.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/audio_towers.h"
#include "../support/conditions.h"
#include "../support/fault.h"

#define MODEL "tests/golden/c"

/* ---- counting ---- */

static const tess_audio_config published = {.n_window = 50, .n_window_infer = 800};

/* The original's formula, with its floor divisions. */
static int64_t original_count(int64_t n_frame, int64_t chunk)
{
    int64_t rest = n_frame % chunk;
    for (int i = 0; i < 3; i++) rest = (rest - 1 >= 0 ? (rest - 1) / 2 : -1) + 1;
    return rest + n_frame / chunk * 13;
}

static void test_tokens(void **state)
{
    (void)state;
    static const int64_t known[][2] = {{0, 0},      {1, 1},        {8, 1},
                                       {9, 2},      {40, 5},       {50, 7},
                                       {99, 13},    {100, 13},     {101, 14},
                                       {109, 15},   {200, 26},     {300, 39},
                                       {640, 83},   {801, 105},    {1000, 130},
                                       {1502, 196}, {2000, 260},   {3000, 390},
                                       {6000, 780}, {30000, 3900}, {10000000000, 1300000000}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(tess_audio_count_tokens(&published, known[i][0]), known[i][1]);
    for (int n_window = 49; n_window <= 52; n_window++) {
        const tess_audio_config c = {.n_window = n_window, .n_window_infer = 8 * n_window};
        assert_int_equal(tess_audio_check_config(&c, NULL), TESS_OK);
        for (int64_t n = 0; n < 1000; n++)
            assert_int_equal(tess_audio_count_tokens(&c, n), original_count(n, 2 * n_window));
    }
}

static void test_windows(void **state)
{
    (void)state;
    assert_int_equal(tess_audio_count_window_tokens(&published), 104);
    assert_int_equal(
        tess_audio_count_window_tokens(&(tess_audio_config){.n_window = 50, .n_window_infer = 399}), 39);
}

/* Chunks of another number of steps than the original counts with. */
static void test_refused_configs(void **state)
{
    (void)state;
    static const int refused[] = {1, 4, 48, 53, 100, 1 << 16};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const tess_audio_config c = {.n_window = refused[i], .n_window_infer = 16 * refused[i]};
        tess_error err;
        assert_int_equal(tess_audio_check_config(&c, &err), TESS_EINPUT);
        assert_string_equal(err.field, "thinker_config.audio_config.n_window");
    }
}

/* ---- bits do not depend on how ---- */

/* Two short clips fill a piece of the smallest size; the long one has a window and a half. */
static const int64_t lengths[] = {30, 1, 1230, 400};
enum { N_CLIPS = sizeof lengths / sizeof lengths[0], N_TOKENS = 4 + 1 + 160 + 52 };

static const test_tower_options variants[] = {
    {.n_row = 104},
    {.n_row = 105},
    {.n_row = 109},
    {.n_row = 160},
    {.n_row = 165},
    {.n_row = N_TOKENS},
    {.n_row = 5000},
    {.n_thread = 2},
    {.n_thread = 3, .n_row = 165},
    {.n_layer_slot = 1, .n_part_slot = 1},
    {.n_layer_slot = 1, .n_part_slot = 2, .n_row = N_TOKENS, .n_thread = 3},
    {.isa = "reference", .n_row = 105},
    {.isa = "avx2", .n_thread = 3},
    {.isa = "avx512", .n_row = N_TOKENS},
    {.isa = "neon", .n_row = N_TOKENS},
};

static void run_variant(test_tower_options options, const test_clips *clips, test_recording *recording)
{
    test_audio_tower tower;
    options.model = MODEL;
    test_audio_tower_open(&options, &tower);
    test_recording_init(recording, NULL);
    test_audio_tower_run(&tower, clips, recording);
    if (options.n_layer_slot == 1) /* streamed: every piece leases every layer anew */
        assert_true(tower.tower.encoder.layers.n_miss >= (uint64_t)tower.config.thinker.audio.n_layer);
    test_audio_tower_close(&tower);
}

/* Once with windows as published, and once with larger ones than a block of rows. */
static void test_invariance(void **state)
{
    (void)state;
    test_clips clips;
    test_clips_make(lengths, N_CLIPS, NULL, &clips);
    for (int i = 0; i < 4; i++) {
        const tess_rounding rounding = i % 2 ? TESS_ROUND_BF16 : TESS_ROUND_NONE;
        const int n_window_infer = i / 2 ? 1200 : 800;
        test_recording one, other;
        run_variant((test_tower_options){.rounding = rounding, .n_window_infer = n_window_infer}, &clips,
                    &one);
        assert_int_equal(test_tensors_get(&one.taps, "tap.thinker.audio_tower")->dim[0], N_TOKENS);
        for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
            test_tower_options options = variants[v];
            char title[64];
            snprintf(title, sizeof title, "variant %zu", v);
            if (!test_has_isa(options.isa)) continue;
            options.rounding = rounding;
            options.n_window_infer = n_window_infer;
            if (options.n_row && options.n_row < 13 * n_window_infer / 100) continue;
            run_variant(options, &clips, &other);
            test_tensors_assert_equal(&one.taps, &other.taps, title);
            test_recording_release(&other);
        }
        test_recording_release(&one);
    }
}

/* Clips that all begin with the same frames. */
static void run_clips_of(const int64_t *length, int n, int n_row, test_recording *out)
{
    test_clips clips;
    test_clips_make(length, n, NULL, &clips);
    for (int i = 0; i < n; i++) clips.source[i].first = 0;
    run_variant((test_tower_options){.n_row = n_row}, &clips, out);
}

/* The rows of the first n_tok tokens of one are those of the other from `at` on. */
static bool has_rows(const test_recording *one, size_t n_tok, const test_recording *other, size_t at)
{
    const test_tensor *a = test_tensors_get(&one->taps, "tap.thinker.audio_tower"),
                      *b = test_tensors_get(&other->taps, "tap.thinker.audio_tower");
    size_t width = (size_t)a->dim[1];
    assert_int_equal(b->dim[1], width);
    assert_true(n_tok * width <= a->count && (at + n_tok) * width <= b->count);
    return !memcmp(a->values, b->values + at * width, n_tok * width * sizeof(float));
}

/* Windows and clips do not see each other: a clip's rows are the same with others before and behind it that
 * leave the call's longest chunk as it is, and those of its first window whatever comes behind that. Beside a
 * longer chunk a short clip is filled up, and comes out otherwise. */
static void test_company(void **state)
{
    (void)state;
    enum { WHOLE = 160, FIRST = 104, BRIEF = 5 };
    static const int64_t first_window[] = {800}, alone[] = {1230}, brief[] = {38}, beside[] = {1230, 38, 800},
                         briefs[] = {30, 38};
    test_recording window, whole, shorter, all, two;
    run_clips_of(first_window, 1, 0, &window);
    run_clips_of(alone, 1, 400, &whole);
    run_clips_of(brief, 1, 0, &shorter);
    run_clips_of(beside, 3, 0, &all);
    run_clips_of(briefs, 2, 0, &two);
    assert_true(has_rows(&window, FIRST, &whole, 0));
    assert_true(has_rows(&whole, WHOLE, &all, 0));
    assert_false(has_rows(&shorter, BRIEF, &all, WHOLE));
    assert_true(has_rows(&window, FIRST, &all, WHOLE + BRIEF));
    assert_true(has_rows(&shorter, BRIEF, &two, 4));
    test_recording *const made[] = {&window, &whole, &shorter, &all, &two};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) test_recording_release(made[i]);
}

/* ---- taps ---- */

typedef struct visitor {
    const test_tensors *heard;
    size_t n;
} visitor;

static void compare_tap(void *context, const tess_tap *tap)
{
    visitor *v = context;
    const test_tensor *heard = &v->heard->item[v->n++];
    assert_string_equal(tap->name, heard->name);
    assert_int_equal(tap->n_dim, heard->n_dim);
    assert_memory_equal(tap->dim, heard->dim, (size_t)tap->n_dim * sizeof *tap->dim);
    assert_false(tap->is_integer);
}

/* What is listed is what is heard, in order, of one chunk and of several. */
static void test_listed_taps(void **state)
{
    (void)state;
    static const int64_t chunk[] = {77};
    for (int i = 0; i < 2; i++) {
        test_audio_tower tower;
        test_recording recording;
        test_clips clips;
        test_clips_make(i ? lengths : chunk, i ? N_CLIPS : 1, NULL, &clips);
        test_audio_tower_open(&(test_tower_options){.model = MODEL, .n_row = N_TOKENS}, &tower);
        test_recording_init(&recording, NULL);
        test_audio_tower_run(&tower, &clips, &recording);
        visitor v = {&recording.taps, 0};
        tess_audio_taps_visit(&tower.config.thinker.audio, clips.clip, clips.n, compare_tap, &v);
        assert_int_equal(v.n, recording.taps.count);
        assert_int_equal(recording.taps.item[0].n_dim, i ? 3 : 2);
        test_recording_release(&recording);
        test_audio_tower_close(&tower);
    }
}

/* ---- weights ---- */

static test_audio_tower opened;

static tess_status find_weights(tess_error *err)
{
    tess_tower_weights found;
    tess_status status =
        tess_tower_weights_find(opened.store, &opened.config, TESS_COMPONENT_AUDIO, &found, err);
    if (status == TESS_OK) tess_tower_weights_release(&found);
    return status;
}

static tess_error find_error;
static tess_status find_with_fault(void)
{
    return find_weights(&find_error);
}

/* A tensor that is missing or of another shape is refused by name, and so is a lack of memory. */
static void test_weights(void **state)
{
    (void)state;
    tess_error err;
    test_audio_tower_open(&(test_tower_options){.model = MODEL}, &opened);
    tess_audio_config *c = &opened.config.thinker.audio, kept = *c;
    assert_int_equal(opened.weights.n_layer, c->n_layer);
    assert_int_equal(opened.weights.n_part, TESS_AUDIO_PARTS);
    c->n_layer++;
    assert_int_equal(find_weights(&err), TESS_EINPUT);
    assert_string_equal(err.field, "thinker.audio_tower.layers.2.self_attn_layer_norm.weight");
    *c = kept;
    c->n_mel -= 8;
    assert_int_equal(find_weights(&err), TESS_EINPUT);
    assert_string_equal(err.field, "thinker.audio_tower.conv_out.weight");
    *c = kept;
    c->d_output++;
    assert_int_equal(find_weights(&err), TESS_EINPUT);
    assert_string_equal(err.field, "thinker.audio_tower.proj2.weight");
    *c = kept;
    assert_int_equal(fault_alloc_each(find_with_fault, &find_error), 2);
    test_audio_tower_close(&opened);
}

/* ---- failures ---- */

typedef struct failing_run {
    test_audio_tower tower;
    test_clips clips;
    float out[N_TOKENS * 24], again[N_TOKENS * 24];
} failing_run;

static tess_status run_clips(failing_run *r, const tess_tap_listener *listener, const tess_progress *progress,
                             float *out, tess_error *err)
{
    return tess_audio_tower_run(&r->tower.tower, r->clips.clip, r->clips.n, listener, progress, out, err);
}

/* One slot each: a lease that a failure left behind would leave nothing to lease. */
static failing_run *begin_failing(void)
{
    failing_run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    test_audio_tower_open(&(test_tower_options){.model = MODEL, .n_layer_slot = 1, .n_part_slot = 1},
                          &r->tower);
    assert_int_equal(r->tower.config.thinker.audio.d_output, 24);
    test_clips_make(lengths, N_CLIPS, NULL, &r->clips);
    assert_int_equal(run_clips(r, NULL, NULL, r->out, NULL), TESS_OK);
    return r;
}

/* After a failure the tower runs as if nothing had been. */
static void end_failing(failing_run *r)
{
    assert_int_equal(run_clips(r, NULL, NULL, r->again, NULL), TESS_OK);
    assert_memory_equal(r->out, r->again, sizeof r->out);
    test_audio_tower_close(&r->tower);
    free(r);
}

static void test_failing_features(void **state)
{
    (void)state;
    static float damage[] = {INFINITY, -INFINITY, NAN};
    failing_run *r = begin_failing();
    tess_error err;
    for (int i = 0; i < 3; i++) {
        r->clips.source[2].damage = &damage[i];
        assert_int_equal(run_clips(r, NULL, NULL, r->again, &err), TESS_EINPUT);
        assert_string_equal(err.field, "input_features");
        assert_non_null(strstr(err.message, "frame 99, mel bin 127"));
    }
    r->clips.source[2].damage = NULL;
    r->clips.source[3].fails = TESS_EIO;
    assert_int_equal(run_clips(r, NULL, NULL, r->again, NULL), TESS_EIO);
    r->clips.source[3].fails = TESS_OK;
    end_failing(r);
}

/* Whatever tap is not finite, the run ends with its name. */
static void test_failing_taps(void **state)
{
    (void)state;
    failing_run *r = begin_failing();
    test_recording heard, damaged;
    tess_error err;
    test_recording_init(&heard, NULL);
    assert_int_equal(run_clips(r, &heard.listener, NULL, r->again, NULL), TESS_OK);
    for (size_t i = 0; i < heard.taps.count; i++) {
        test_tensor *tap = &heard.taps.item[i];
        float *last = &tap->values[tap->count - 1], kept = *last;
        *last = NAN;
        test_recording_init(&damaged, &heard.taps);
        assert_int_equal(run_clips(r, &damaged.listener, NULL, r->again, &err), TESS_ENONFINITE);
        assert_string_equal(err.field, tap->name);
        test_recording_release(&damaged);
        *last = kept;
    }
    test_recording_release(&heard);
    end_failing(r);
}

typedef struct watcher {
    uint64_t last, total;
    int n_call, n_most;
} watcher;

static bool watch(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    watcher *w = context;
    assert_int_equal(activity, TESS_ACTIVITY_ENCODING);
    assert_true(done >= w->last && done <= total && total == N_TOKENS);
    w->last = done;
    w->total = total;
    return ++w->n_call < w->n_most;
}

static void test_progress(void **state)
{
    (void)state;
    failing_run *r = begin_failing();
    watcher all = {.n_most = 1000};
    assert_int_equal(run_clips(r, NULL, &(tess_progress){watch, &all}, r->again, NULL), TESS_OK);
    assert_int_equal(all.last, N_TOKENS);
    for (int n = 1; n <= all.n_call; n++) {
        watcher some = {.n_most = n};
        assert_int_equal(run_clips(r, NULL, &(tess_progress){watch, &some}, r->again, NULL),
                         TESS_EINTERRUPTED);
        assert_int_equal(some.n_call, n);
    }
    end_failing(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),          cmocka_unit_test(test_windows),
        cmocka_unit_test(test_refused_configs), cmocka_unit_test(test_invariance),
        cmocka_unit_test(test_company),         cmocka_unit_test(test_listed_taps),
        cmocka_unit_test(test_weights),         cmocka_unit_test(test_failing_features),
        cmocka_unit_test(test_failing_taps),    cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
