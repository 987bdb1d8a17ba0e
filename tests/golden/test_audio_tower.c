/* The audio tower against the original's goldens, in both precisions, tap by tap; and that neither pieces,
 * threads, slots nor instruction sets change a bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/agreement.h"
#include "base/fpenv.h"
#include "engine/model.h"
#include "model/audio_tower.h"

typedef struct subject {
    const char *model, *f32, *bf16; /* either golden may be NULL */
    bool shared;                    /* below the folder of further goldens */
} subject;

#define OF_C(title)                                                                                          \
    {                                                                                                        \
        "tests/golden/c", "tests/golden/audio_tower/f32/" title ".safetensors",                              \
            "tests/golden/audio_tower/bf16/" title ".safetensors", false                                     \
    }
static const subject subjects[] = {
    OF_C("1"),
    OF_C("8"),
    OF_C("9"),
    OF_C("99"),
    OF_C("100"),
    OF_C("101"),
    OF_C("250"),
    OF_C("60_33"),
    OF_C("33_250"),
    OF_C("900"),
    OF_C("30_1_830"),
    {"golden/a", "golden/a-f32/audio.safetensors", NULL, true},
    {"golden/a", "golden/a-f32/av.safetensors", NULL, true},
    {"golden/a", "golden/a-f32/omni.safetensors", "golden/a-bf16/omni.safetensors", true},
};
enum { N_SUBJECTS = sizeof subjects / sizeof subjects[0], SHORT = 7, LONG = 10 };

static const char *join_path(char out[256], const subject *s, const char *path)
{
    snprintf(out, 256, "%s%s", s->shared ? "../shared/" : "", path);
    return out;
}

/* ---- a tower ---- */

/* Numbers of 0 mean: one window, one thread, all slots. */
typedef struct tower_options {
    const char *isa;
    tess_rounding rounding;
    int n_row, n_thread, n_layer_slot, n_part_slot;
} tower_options;

typedef struct open_tower {
    tess_config config;
    tess_store *store;
    tess_tower_weights weights;
    tess_kernels kernels;
    tess_pool *pool;
    tess_arena arena;
    tess_fpenv saved;
    tess_audio_tower tower;
} open_tower;

static int or_all(int n, int all)
{
    return n ? n : all;
}

static void lay_out(open_tower *t, const tower_options *options, tess_arena *arena)
{
    const tess_audio_config *c = &t->config.thinker.audio;
    const tess_audio_sizes sizes = {.n_row = or_all(options->n_row, tess_audio_count_window_tokens(c)),
                                    .n_thread = or_all(options->n_thread, 1),
                                    .n_layer_slot = or_all(options->n_layer_slot, c->n_layer),
                                    .n_part_slot = or_all(options->n_part_slot, TESS_AUDIO_PARTS)};
    const tess_compute compute = {.kernels = &t->kernels, .pool = t->pool, .rounding = options->rounding};
    t->tower = tess_audio_tower_make(c, &compute);
    tess_audio_tower_init_workspace(&t->tower, &sizes, arena);
    tess_audio_tower_init_weights(&t->tower, t->store, &t->weights, &sizes, arena);
}

static void tower_open(const subject *s, const tower_options *options, open_tower *out)
{
    char model[256];
    tess_error err;
    *out = (open_tower){.saved = tess_fpenv_enter()};
    join_path(model, s, s->model);
    tess_status status = tess_kernels_choose(options->isa, &out->kernels, &err);
    if (status == TESS_OK) status = tess_config_load(model, &out->config, &err);
    if (status == TESS_OK) status = tess_audio_check_config(&out->config.thinker.audio, &err);
    if (status == TESS_OK) status = tess_store_open(model, TESS_DIRECT_AUTO, &out->store, &err);
    if (status == TESS_OK)
        status = tess_tower_weights_find(out->store, &out->config, TESS_COMPONENT_AUDIO, &out->weights, &err);
    if (status == TESS_OK) status = tess_pool_new(or_all(options->n_thread, 1), &out->pool, &err);
    if (status != TESS_OK) fail_msg("%s", err.message);
    tess_arena measuring = tess_arena_measure();
    lay_out(out, options, &measuring);
    assert_int_equal(tess_arena_reserve(measuring.used, &out->arena, &err), TESS_OK);
    lay_out(out, options, &out->arena);
    assert_int_equal(out->arena.used, measuring.used);
}

static void tower_close(open_tower *t)
{
    tess_pool_free(t->pool);
    tess_arena_release(&t->arena);
    tess_tower_weights_release(&t->weights);
    tess_store_close(t->store);
    tess_fpenv_leave(t->saved);
}

/* ---- clips of a golden ---- */

enum { MAX_CLIPS = 8, N_MEL = 128 };

/* A clip's frames: a golden's, [N_MEL, frames of all clips], or without them the made ones. */
typedef struct source {
    const test_tensor *frames;
    int64_t first; /* of this clip among those of all */
    bool is_damaged;
} source;

typedef struct clips {
    int n;
    source source[MAX_CLIPS];
    tess_features features[MAX_CLIPS];
    const tess_features *clip[MAX_CLIPS];
} clips;

/* Goldens of the tower alone hold no frames: both sides make them (reference/audio_tower.py). All are bf16
 * numbers. */
static float make_value(int64_t frame, int64_t mel)
{
    uint32_t hash = ((uint32_t)frame * N_MEL + (uint32_t)mel) * 2654435761u;
    hash = (hash ^ hash >> 15) * 2246822519u;
    return (float)((int)((hash >> 16) % 255) - 127) / 64.0f;
}

static tess_status read_frames(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const source *s = context;
    for (int64_t frame = s->first + first; n-- > 0; frame++)
        for (int64_t m = 0; m < N_MEL; m++)
            *out++ = s->frames ? s->frames->values[m * s->frames->dim[1] + frame] : make_value(frame, m);
    if (s->is_damaged) out[-3] = HUGE_VALF;
    return TESS_OK;
}

static void take_clips(const test_tensors *golden, clips *out)
{
    const test_tensor *lengths = test_tensors_get(golden, "in.audio_feature_lengths");
    *out = (clips){.n = (int)lengths->count};
    assert_true(out->n <= MAX_CLIPS);
    int64_t first = 0;
    for (int i = 0; i < out->n; first += lengths->integers[i++]) {
        out->source[i] = (source){test_tensors_find(golden, "in.input_features"), first, false};
        out->features[i] = (tess_features){.kind = TESS_MEDIA_AUDIO,
                                           .n_frame = lengths->integers[i],
                                           .read = read_frames,
                                           .context = &out->source[i]};
        out->clip[i] = &out->features[i];
    }
}

/* The taps that the tower emits, in place. */
static test_tensors select_taps(const test_tensors *golden)
{
    static const char prefix[] = "tap.thinker.audio_tower";
    test_tensors taps = {calloc(golden->count, sizeof *taps.item), 0};
    for (size_t i = 0; i < golden->count; i++)
        if (!strncmp(golden->item[i].name, prefix, strlen(prefix))) taps.item[taps.count++] = golden->item[i];
    return taps;
}

static int count_tokens(const open_tower *t, const clips *c)
{
    int n = 0;
    for (int i = 0; i < c->n; i++)
        n += tess_audio_count_tokens(&t->config.thinker.audio, c->features[i].n_frame);
    return n;
}

/* Runs the clips; what comes out is the last tap. */
static void tower_run(open_tower *t, const clips *c, const tess_progress *progress, test_recording *recording)
{
    size_t n = (size_t)count_tokens(t, c) * (size_t)t->config.thinker.audio.d_output;
    float *out = calloc(n, sizeof *out);
    tess_error err;
    if (tess_audio_tower_run(&t->tower, c->clip, c->n, &recording->listener, progress, out, &err) != TESS_OK)
        fail_msg("%s", err.message);
    const test_tensor *tap = test_tensors_get(&recording->taps, "tap.thinker.audio_tower");
    const test_tensor *kept =
        recording->replacement ? test_tensors_get(recording->replacement, tap->name) : tap;
    assert_int_equal(tap->count, n);
    assert_memory_equal(out, kept->values, n * sizeof *out);
    free(out);
}

/* ---- agreement with the original ---- */

static void run_subject(const subject *s, const test_tensors *golden, tess_rounding rounding,
                        const test_tensors *replacement, test_recording *recording)
{
    open_tower t;
    clips c;
    tower_open(s, &(tower_options){.rounding = rounding, .n_thread = 2}, &t);
    take_clips(golden, &c);
    test_recording_init(recording, replacement);
    tower_run(&t, &c, NULL, recording);
    tower_close(&t);
}

static bool is_absent(const subject *s)
{
    return s->shared && !test_shared_folder();
}

static void read_golden(const subject *s, const char *path, test_tensors *out)
{
    char full[256];
    test_tensors_read(join_path(full, s, path), out);
}

static void test_float32(void **state)
{
    (void)state;
    for (int i = 0; i < N_SUBJECTS; i++) {
        const subject *s = &subjects[i];
        test_tensors golden;
        test_recording whole, isolated;
        if (is_absent(s)) continue;
        read_golden(s, s->f32, &golden);
        test_tensors taps = select_taps(&golden);
        assert_int_equal(taps.count, 5);
        run_subject(s, &golden, TESS_ROUND_NONE, NULL, &whole);
        double worst = test_assert_agrees(&whole.taps, &taps, false);
        run_subject(s, &golden, TESS_ROUND_NONE, &taps, &isolated);
        double worst_isolated = test_assert_agrees(&isolated.taps, &taps, true);
        print_message("# %s: worst relative L2 %.3g, isolated %.3g\n", s->f32, worst, worst_isolated);
        assert_true(worst <= 5e-6);
        test_recording_release(&whole);
        test_recording_release(&isolated);
        free(taps.item);
        test_tensors_release(&golden);
    }
}

static void check_bf16(const subject *s)
{
    test_tensors golden, truth;
    test_recording whole, isolated, as_f32;
    double mean, most;
    read_golden(s, s->bf16, &golden);
    read_golden(s, s->f32, &truth);
    test_tensors taps = select_taps(&golden);
    run_subject(s, &golden, TESS_ROUND_BF16, NULL, &whole);
    bool holds = test_holds_whole_run_bar(&whole.taps, &taps, &truth, &mean, &most);
    print_message("# %s: distance to float32 over the original's: mean %.3f, most %.3f\n", s->bf16, mean,
                  most);
    if (!holds) fail_msg("%s: mean ratio %.3f (0.87 to 1.15), most %.3f (2.5)", s->bf16, mean, most);
    run_subject(s, &golden, TESS_ROUND_BF16, &taps, &isolated);
    test_assert_isolated_bf16(&isolated.taps, &taps, s->bf16, false);
    run_subject(s, &golden, TESS_ROUND_NONE, NULL, &as_f32);
    assert_false(test_holds_whole_run_bar(&as_f32.taps, &taps, &truth, &mean, &most));
    test_recording_release(&whole);
    test_recording_release(&isolated);
    test_recording_release(&as_f32);
    free(taps.item);
    test_tensors_release(&golden);
    test_tensors_release(&truth);
}

static void test_bf16(void **state)
{
    (void)state;
    for (int i = 0; i < N_SUBJECTS; i++)
        if (subjects[i].bf16 && !is_absent(&subjects[i])) check_bf16(&subjects[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
