/* Code2wav: how long what it makes is, that neither pieces, blocks, threads, slots nor instruction sets
 * change a bit of any tap, what it refuses, and that a stream begins anew. What it computes is compared with
 * the original's in tests/golden/test_code2wav.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/conditions.h"
#include "../support/vocoders.h"

#define MODEL "tests/golden/c"

static const tess_code2wav_config published = {.d_model = 1024,
                                               .n_layer = 8,
                                               .n_head = 16,
                                               .n_kv_head = 16,
                                               .d_ff = 3072,
                                               .sliding_window = 72,
                                               .d_decoder = 1536,
                                               .n_upsample_rate = 4,
                                               .upsample_rate = {8, 5, 4, 3},
                                               .n_upsampling_ratio = 2,
                                               .upsampling_ratio = {2, 2}};

/* ---- counting ---- */

static void test_lengths(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 1000; n++)
        assert_int_equal(tess_code2wav_count_samples(&published, n), 1920 * n - 555);
    assert_int_equal(tess_code2wav_count_samples(&published, 0), 0);
    assert_int_equal(tess_code2wav_count_samples(&published, 20), 37845);
    static const int stages[] = {5, 10, 20, 152, 755, 3016, 9045};
    for (int i = 0; i < 7; i++) assert_int_equal(tess_code2wav_count_length(&published, i, 5), stages[i]);
    const tess_code2wav_config least = {.n_upsample_rate = 2, .upsample_rate = {3, 2}};
    assert_int_equal(tess_code2wav_count_samples(&least, 1), 0);
    assert_int_equal(tess_code2wav_count_samples(&least, 2), 4);
}

static void test_windowed_lengths(void **state)
{
    (void)state;
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    assert_int_equal(tess_code2wav_count_windowed(&published, &windows, 90), 90 * 1920 - 555);
    assert_int_equal(tess_code2wav_count_windowed(&published, &windows, 300), 300 * 1920 - 555);
    assert_int_equal(tess_code2wav_count_windowed(&published, &windows, 310), 310 * 1920 - 2 * 555);
    assert_int_equal(tess_code2wav_count_windowed(&published, &windows, 901), 901 * 1920 - 4 * 555);
}

static void test_products(void **state)
{
    (void)state;
    double n = tess_code2wav_count_products(&published);
    assert_true(n > 2.55e9 && n < 2.57e9);
}

/* ---- bits do not depend on how ---- */

enum { N_FRAME = 90 };

/* n_push frames at a time, 0: all. */
typedef struct variant {
    test_vocoder_options options;
    int n_push;
} variant;

static const variant variants[] = {
    {{.n_frame = N_FRAME}, 0},
    {{.n_frame = 1}, 1},
    {{.n_frame = 3}, 4},
    {{.n_frame = 10}, 10},
    {{.n_frame = 25}, 25},
    {{.n_frame = 7}, 25},
    {{.n_thread = 2}, 0},
    {{.n_thread = 3, .n_frame = 5}, 4},
    {{.n_thread = 7, .n_frame = 2}, 10},
    {{.n_slot = 1}, 10},
    {{.n_slot = 1, .n_thread = 2, .n_frame = N_FRAME}, 0},
    {{.isa = "reference", .n_frame = 5}, 25},
    {{.isa = "avx2", .n_thread = 3}, 10},
    {{.isa = "avx512", .n_frame = 11}, 4},
    {{.isa = "neon", .n_frame = 11}, 4},
};

static void run_variant(const variant *which, tess_rounding rounding, const test_codes *codes,
                        test_recording *recording)
{
    test_vocoder v;
    test_vocoder_options options = which->options;
    options.model = MODEL;
    options.rounding = rounding;
    test_vocoder_open(&options, &v);
    test_recording_init(recording, NULL);
    free(test_vocoder_run(&v, codes, which->n_push, recording));
    if (options.n_slot == 1) /* streamed: every push reads every layer and part anew */
        assert_true(v.code2wav.layers.n_miss >= 2 && v.code2wav.parts.n_miss >= (uint64_t)v.weights.n_part &&
                    v.code2wav.parts.n_hit == 0);
    else
        assert_true(v.code2wav.parts.n_miss == (uint64_t)v.weights.n_part);
    test_vocoder_close(&v);
}

static void check_invariance(tess_rounding rounding)
{
    test_vocoder v;
    test_codes codes;
    test_recording first;
    test_vocoder_open(&(test_vocoder_options){.model = MODEL}, &v);
    test_codes_make(&v.config.code2wav, N_FRAME, &codes);
    test_vocoder_close(&v);
    run_variant(&variants[0], rounding, &codes, &first);
    assert_int_equal(first.taps.count, 13);
    for (size_t i = 1; i < sizeof variants / sizeof variants[0]; i++) {
        char what[64];
        test_recording recording;
        if (!test_has_isa(variants[i].options.isa)) continue;
        snprintf(what, sizeof what, "variant %zu, rounding %d", i, rounding);
        run_variant(&variants[i], rounding, &codes, &recording);
        test_tensors_assert_equal(&recording.taps, &first.taps, what);
        test_recording_release(&recording);
    }
    test_recording_release(&first);
    test_codes_release(&codes);
}

static void test_invariance(void **state)
{
    (void)state;
    check_invariance(TESS_ROUND_NONE);
    check_invariance(TESS_ROUND_BF16);
}

/* Nobody who listens changes a bit, and a stream knows nothing of the one before it, however that ended. */
static void test_beginning_anew(void **state)
{
    (void)state;
    test_vocoder v;
    test_codes codes, others;
    test_recording recording;
    test_vocoder_open(&(test_vocoder_options){.model = MODEL}, &v);
    test_codes_make(&v.config.code2wav, 9, &codes);
    test_codes_make(&v.config.code2wav, 80, &others);
    size_t n_byte = (size_t)tess_code2wav_count_samples(&v.config.code2wav, 9) * sizeof(float);
    float *first = test_vocoder_run(&v, &codes, 0, NULL);
    free(test_vocoder_run(&v, &others, 3, NULL));
    test_recording_init(&recording, NULL);
    float *again = test_vocoder_run(&v, &codes, 2, &recording);
    assert_memory_equal(first, again, n_byte);
    free(first);
    free(again);
    test_recording_release(&recording);
    test_codes_release(&codes);
    test_codes_release(&others);
    test_vocoder_close(&v);
}

/* Windows that hold everything are one pass. */
static void test_one_window(void **state)
{
    (void)state;
    test_vocoder v;
    test_codes codes;
    test_vocoder_open(&(test_vocoder_options){.model = MODEL}, &v);
    test_codes_make(&v.config.code2wav, 12, &codes);
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    float *whole = test_vocoder_run(&v, &codes, 0, NULL);
    float *windowed = test_vocoder_run_windows(&v, &codes, &windows, NULL);
    assert_memory_equal(whole, windowed,
                        (size_t)tess_code2wav_count_samples(&v.config.code2wav, codes.n_frame) *
                            sizeof *whole);
    free(whole);
    free(windowed);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

/* ---- taps ---- */

static void count_tap(void *context, const tess_tap *tap)
{
    const test_recording *recording = context;
    const test_tensor *t = test_tensors_get(&recording->taps, tap->name);
    assert_int_equal(t->n_dim, tap->n_dim);
    assert_memory_equal(t->dim, tap->dim, (size_t)tap->n_dim * sizeof *tap->dim);
}

static void test_listed_taps(void **state)
{
    (void)state;
    test_vocoder v;
    test_codes codes;
    test_recording recording;
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    test_vocoder_open(&(test_vocoder_options){.model = MODEL}, &v);
    test_codes_make(&v.config.code2wav, 4, &codes);
    test_recording_init(&recording, NULL);
    free(test_vocoder_run(&v, &codes, 3, &recording));
    free(test_vocoder_run_windows(&v, &codes, &windows, &recording));
    assert_int_equal(recording.taps.count, 14);
    tess_code2wav_taps_visit(&v.config.code2wav, 4, count_tap, &recording);
    test_recording_release(&recording);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

/* ---- what is refused, and stopping ---- */

typedef struct sink {
    int64_t n;
    tess_status says;
} sink;

static tess_status hear(void *context, const float *samples, int64_t n, tess_error *err)
{
    sink *s = context;
    (void)err;
    for (int64_t i = 0; i < n; i++) assert_true(samples[i] >= -1 && samples[i] <= 1);
    s->n += n;
    return s->says;
}

static void test_refused_codes(void **state)
{
    (void)state;
    test_vocoder v;
    test_codes codes;
    tess_error err;
    sink s = {0};
    test_vocoder_open(&(test_vocoder_options){.model = MODEL}, &v);
    test_codes_make(&v.config.code2wav, 6, &codes);
    tess_code2wav_begin(&v.code2wav, &(tess_code2wav_stream){.hear = hear, .context = &s});
    assert_int_equal(tess_code2wav_push(&v.code2wav, codes.codes, 6, 3, &err), TESS_OK);
    int32_t *wrong = &codes.codes[5 * 6 + 4], right = *wrong;
    static const int32_t values[] = {-1, 96, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        *wrong = values[i];
        assert_int_equal(tess_code2wav_push(&v.code2wav, codes.codes + 3, 6, 3, &err), TESS_EINPUT);
        assert_string_equal(err.field, "codes");
        assert_non_null(strstr(err.message, "quantizer 5 in frame 4"));
        assert_int_equal(s.n, 3 * 1920 - 555);
    }
    *wrong = right; /* nothing was decoded: the stream goes on */
    assert_int_equal(tess_code2wav_push(&v.code2wav, codes.codes + 3, 6, 3, &err), TESS_OK);
    assert_int_equal(s.n, 6 * 1920 - 555);
    assert_int_equal(tess_code2wav_push(&v.code2wav, codes.codes, 6, 0, &err), TESS_OK);
    v.code2wav.n_done = TESS_POSITION_MAX - 2;
    assert_int_equal(tess_code2wav_push(&v.code2wav, codes.codes, 6, 3, &err), TESS_EUSAGE);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

static void test_stopping(void **state)
{
    (void)state;
    test_vocoder v;
    test_codes codes;
    tess_error err;
    sink s = {.says = TESS_EINTERRUPTED};
    test_vocoder_open(&(test_vocoder_options){.model = MODEL, .n_frame = 2}, &v);
    test_codes_make(&v.config.code2wav, 6, &codes);
    tess_code2wav_begin(&v.code2wav, &(tess_code2wav_stream){.hear = hear, .context = &s});
    assert_int_equal(tess_code2wav_push(&v.code2wav, codes.codes, 6, 6, &err), TESS_EINTERRUPTED);
    assert_int_equal(s.n, 2 * 1920 - 555);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

/* A value that is not finite ends the run with the name of the tap where it first shows. */
static void test_not_finite(void **state)
{
    (void)state;
    test_vocoder v;
    test_codes codes;
    tess_error err;
    sink s = {0};
    test_vocoder_open(&(test_vocoder_options){.model = MODEL, .n_frame = 2}, &v);
    test_codes_make(&v.config.code2wav, 2, &codes);
    tess_code2wav_begin(&v.code2wav, &(tess_code2wav_stream){.hear = hear, .context = &s});
    v.code2wav.unit[0][1].rows[3] = INFINITY;
    assert_int_equal(tess_code2wav_push(&v.code2wav, codes.codes, 2, 2, &err), TESS_ENONFINITE);
    assert_string_equal(err.field, "tap.code2wav.decoder.1");
    assert_int_equal(s.n, 0);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

/* Memory does not grow with the length: what is laid out depends on the frames at a time only. */
static void test_memory(void **state)
{
    (void)state;
    const tess_compute compute = {.rounding = TESS_ROUND_NONE};
    tess_code2wav c = tess_code2wav_make(&published, &compute);
    uint64_t used[3];
    for (int i = 0; i < 3; i++) {
        const tess_code2wav_sizes sizes = {.n_frame = 1 << i, .n_thread = 2};
        tess_arena arena = tess_arena_measure();
        c = tess_code2wav_make(&published, &compute);
        tess_code2wav_init_workspace(&c, &sizes, &arena);
        used[i] = arena.used;
        print_message("# %d frames at a time take %.1f MB\n", 1 << i, (double)arena.used / 1e6);
    }
    assert_true(used[0] < 20u << 20 && used[2] - used[1] < 8u << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_windowed_lengths),
        cmocka_unit_test(test_products),       cmocka_unit_test(test_invariance),
        cmocka_unit_test(test_beginning_anew), cmocka_unit_test(test_one_window),
        cmocka_unit_test(test_listed_taps),    cmocka_unit_test(test_refused_codes),
        cmocka_unit_test(test_stopping),       cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
