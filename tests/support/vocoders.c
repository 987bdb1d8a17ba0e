#include "vocoders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/guard.h"
#include "engine/model.h"

/* ---- a vocoder ---- */

static int or_all(int n, int all)
{
    return n ? n : all;
}

static void lay_out(test_vocoder *v, const test_vocoder_options *options, tess_arena *arena)
{
    const tess_code2wav_sizes sizes = {.n_frame = or_all(options->n_frame, 8),
                                       .n_thread = or_all(options->n_thread, 1),
                                       .n_embedding_slot =
                                           or_all(options->n_slot, v->weights.embedding.n_block),
                                       .n_layer_slot = or_all(options->n_slot, v->weights.n_layer),
                                       .n_part_slot = or_all(options->n_slot, v->weights.n_part)};
    const tess_compute compute = {.kernels = &v->kernels, .pool = v->pool, .rounding = options->rounding};
    v->code2wav = tess_code2wav_make(&v->config.code2wav, &compute);
    tess_code2wav_init_workspace(&v->code2wav, &sizes, arena);
    tess_code2wav_init_weights(&v->code2wav, v->store, &v->weights, &sizes, arena);
}

void test_vocoder_open(const test_vocoder_options *options, test_vocoder *out)
{
    tess_error err;
    *out = (test_vocoder){.saved = tess_fpenv_enter()};
    tess_status status = tess_kernels_choose(options->isa, &out->kernels, &err);
    if (status == TESS_OK) status = tess_config_load(options->model, &out->config, &err);
    if (status == TESS_OK) status = tess_store_open(options->model, TESS_DIRECT_AUTO, &out->store, &err);
    if (status == TESS_OK)
        status = tess_code2wav_weights_find(out->store, &out->config, 4096, &out->weights, &err);
    if (status == TESS_OK) status = tess_pool_new(or_all(options->n_thread, 1), &out->pool, &err);
    if (status != TESS_OK) fail_msg("%s", err.message);
    if (options->damage) options->damage(&out->config.code2wav);
    tess_arena measuring = tess_arena_measure();
    lay_out(out, options, &measuring);
    assert_int_equal(tess_arena_reserve(measuring.used, &out->arena, &err), TESS_OK);
    lay_out(out, options, &out->arena);
    assert_int_equal(out->arena.used, measuring.used);
}

void test_vocoder_close(test_vocoder *v)
{
    tess_pool_free(v->pool);
    tess_arena_release(&v->arena);
    tess_code2wav_weights_release(&v->weights);
    tess_store_close(v->store);
    tess_fpenv_leave(v->saved);
}

/* ---- codes ---- */

static int32_t *must_alloc(size_t n)
{
    int32_t *codes = calloc(n, sizeof *codes);
    assert_non_null(codes);
    return codes;
}

void test_codes_take(const test_tensors *golden, const char *name, test_codes *out)
{
    const test_tensor *t = test_tensors_get(golden, name);
    *out = (test_codes){.codes = must_alloc(t->count), .n_frame = t->dim[1]};
    for (size_t i = 0; i < t->count; i++) out->codes[i] = (int32_t)t->integers[i];
}

void test_codes_make(const tess_code2wav_config *config, int64_t n_frame, test_codes *out)
{
    size_t n = (size_t)config->n_quantizer * (size_t)n_frame;
    *out = (test_codes){.codes = must_alloc(n), .n_frame = n_frame};
    for (size_t i = 0; i < n; i++) {
        uint32_t hash = ((uint32_t)i + 1) * 2654435761u;
        hash = (hash ^ hash >> 15) * 2246822519u;
        out->codes[i] = (int32_t)((hash >> 8) % (uint32_t)config->codebook_size);
    }
}

void test_codes_release(test_codes *codes)
{
    free(codes->codes);
}

/* ---- running ---- */

typedef struct heard {
    float *samples;
    int64_t n, most;
} heard;

static tess_status hear(void *context, const float *samples, int64_t n, tess_error *err)
{
    (void)err;
    heard *h = context;
    assert_true(n >= 1 && n <= h->most - h->n);
    memcpy(h->samples + h->n, samples, (size_t)n * sizeof *samples);
    h->n += n;
    return TESS_OK;
}

static heard expect_samples(int64_t n)
{
    heard h = {.samples = calloc((size_t)n + 1, sizeof *h.samples), .most = n};
    assert_non_null(h.samples);
    return h;
}

static void check_heard(const heard *h, const test_recording *recording, const char *name)
{
    assert_int_equal(h->n, h->most);
    if (!recording || h->n == 0) return;
    const test_tensors *kept = recording->replacement ? recording->replacement : &recording->taps;
    const test_tensor *tap = test_tensors_find(kept, name);
    if (!tap) return;
    assert_int_equal(tap->count, h->n);
    assert_memory_equal(h->samples, tap->values, tap->count * sizeof *tap->values);
}

float *test_vocoder_run(test_vocoder *v, const test_codes *codes, int64_t n_push, test_recording *recording)
{
    tess_error err;
    tess_status status = TESS_OK;
    heard h = expect_samples(tess_code2wav_count_samples(&v->config.code2wav, codes->n_frame));
    const tess_code2wav_stream stream = {.hear = hear,
                                         .context = &h,
                                         .listener = recording ? &recording->listener : NULL,
                                         .n_frame = codes->n_frame};
    if (n_push == 0) n_push = codes->n_frame;
    tess_guard_begin();
    tess_code2wav_begin(&v->code2wav, &stream);
    for (int64_t at = 0; at < codes->n_frame && status == TESS_OK; at += n_push) {
        int64_t left = codes->n_frame - at;
        status = tess_code2wav_push(&v->code2wav, codes->codes + at, codes->n_frame,
                                    left < n_push ? left : n_push, &err);
        int64_t done = left < n_push ? codes->n_frame : at + n_push;
        assert_int_equal(h.n, tess_code2wav_count_samples(&v->config.code2wav, done));
    }
    tess_guard_end();
    if (status != TESS_OK) fail_msg("%s", err.message);
    check_heard(&h, recording, "tap.code2wav.waveform");
    return h.samples;
}

float *test_vocoder_run_windows(test_vocoder *v, const test_codes *codes,
                                const tess_code2wav_windows *windows, test_recording *recording)
{
    tess_error err;
    heard h = expect_samples(tess_code2wav_count_windowed(&v->config.code2wav, windows, codes->n_frame));
    const tess_code2wav_stream stream = {.hear = hear,
                                         .context = &h,
                                         .listener = recording ? &recording->listener : NULL,
                                         .n_frame = codes->n_frame};
    tess_guard_begin();
    tess_status status =
        tess_code2wav_run_windows(&v->code2wav, windows, &stream, codes->codes, codes->n_frame, &err);
    tess_guard_end();
    if (status != TESS_OK) fail_msg("%s", err.message);
    check_heard(&h, recording, "tap.code2wav.waveform_chunked");
    return h.samples;
}
