#include "audio_towers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/guard.h"
#include "engine/model.h"

/* ---- a tower ---- */

static int or_all(int n, int all)
{
    return n ? n : all;
}

static void lay_out(test_audio_tower *t, const test_tower_options *options, tess_arena *arena)
{
    const tess_audio_config *c = &t->config.thinker.audio;
    const tess_tower_sizes sizes = {.n_row = or_all(options->n_row, tess_audio_count_window_tokens(c)),
                                    .n_group_row = tess_audio_count_window_tokens(c),
                                    .n_thread = or_all(options->n_thread, 1),
                                    .n_layer_slot = or_all(options->n_layer_slot, c->n_layer),
                                    .n_part_slot = or_all(options->n_part_slot, TESS_AUDIO_PARTS)};
    const tess_compute compute = {.kernels = &t->kernels, .pool = t->pool, .rounding = options->rounding};
    t->tower = tess_audio_tower_make(c, &compute);
    tess_audio_tower_init_workspace(&t->tower, &sizes, arena);
    tess_audio_tower_init_weights(&t->tower, t->store, &t->weights, &sizes, arena);
}

void test_audio_tower_open(const test_tower_options *options, test_audio_tower *out)
{
    tess_error err;
    *out = (test_audio_tower){.saved = tess_fpenv_enter()};
    tess_status status = tess_kernels_choose(options->isa, &out->kernels, &err);
    if (status == TESS_OK) status = tess_config_load(options->model, &out->config, &err);
    if (options->n_window_infer) out->config.thinker.audio.n_window_infer = options->n_window_infer;
    if (status == TESS_OK) status = tess_audio_check_config(&out->config.thinker.audio, &err);
    if (status == TESS_OK) status = tess_store_open(options->model, TESS_DIRECT_AUTO, &out->store, &err);
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

void test_audio_tower_close(test_audio_tower *t)
{
    tess_pool_free(t->pool);
    tess_arena_release(&t->arena);
    tess_tower_weights_release(&t->weights);
    tess_store_close(t->store);
    tess_fpenv_leave(t->saved);
}

/* ---- clips ---- */

/* All are bf16 numbers. */
static float make_value(int64_t frame, int64_t mel)
{
    uint32_t hash = ((uint32_t)frame * TEST_MEL + (uint32_t)mel) * 2654435761u;
    hash = (hash ^ hash >> 15) * 2246822519u;
    return (float)((int)((hash >> 16) % 255) - 127) / 64.0f;
}

static tess_status read_frames(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const test_clip_source *s = context;
    for (int64_t frame = s->first + first; n-- > 0; frame++)
        for (int64_t m = 0; m < TEST_MEL; m++)
            *out++ = s->frames ? s->frames->values[m * s->frames->dim[1] + frame] : make_value(frame, m);
    if (s->damage) out[-1] = *s->damage;
    return s->fails;
}

void test_clips_make(const int64_t *n_frame, int n, const test_tensor *frames, test_clips *out)
{
    int64_t first = 0;
    assert_true(n <= TEST_CLIPS);
    *out = (test_clips){.n = n};
    for (int i = 0; i < n; first += n_frame[i++]) {
        out->source[i] = (test_clip_source){.frames = frames, .first = first};
        out->features[i] = (tess_features){
            .kind = TESS_MEDIA_AUDIO, .n_frame = n_frame[i], .read = read_frames, .context = &out->source[i]};
        out->clip[i] = &out->features[i];
    }
}

void test_clips_take(const test_tensors *golden, test_clips *out)
{
    const test_tensor *lengths = test_tensors_get(golden, "in.audio_feature_lengths");
    test_clips_make(lengths->integers, (int)lengths->count, test_tensors_find(golden, "in.input_features"),
                    out);
}

void test_audio_tower_run(test_audio_tower *t, const test_clips *clips, test_recording *recording)
{
    const tess_audio_config *c = &t->config.thinker.audio;
    size_t n = 0;
    for (int i = 0; i < clips->n; i++) n += (size_t)tess_audio_count_tokens(c, clips->features[i].n_frame);
    n *= (size_t)c->d_output;
    float *out = calloc(n, sizeof *out);
    tess_error err;
    assert_non_null(out);
    tess_guard_begin();
    tess_status status =
        tess_audio_tower_run(&t->tower, clips->clip, clips->n, &recording->listener, NULL, out, &err);
    tess_guard_end();
    if (status != TESS_OK) fail_msg("%s", err.message);
    const test_tensors *kept = recording->replacement ? recording->replacement : &recording->taps;
    const test_tensor *tap = test_tensors_get(kept, "tap.thinker.audio_tower");
    assert_int_equal(tap->count, n);
    assert_memory_equal(out, tap->values, n * sizeof *out);
    free(out);
}
