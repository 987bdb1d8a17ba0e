/* Code2wav against the original's goldens, in both precisions, tap by tap; and that no defect of a kind that
 * speech would survive goes unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/agreement.h"
#include "../support/vocoders.h"

#define MODEL "tests/golden/c"
#define OWN "tests/golden/code2wav"
#define SHARED_MODEL "../shared/golden/a"

/* The bars for a waveform and for a hidden state in float32. */
static const double wave_bar = 2e-5, hidden_bar = 1e-5;

/* ---- whole goldens ---- */

typedef struct subject {
    const char *model, *f32, *bf16;
    const char *codes; /* of the golden */
} subject;

static void run_subject(const void *what, const test_tensors *golden, tess_rounding rounding,
                        const test_tensors *replacement, test_recording *recording)
{
    const subject *s = what;
    const test_vocoder_options options = {
        .model = s->model, .rounding = rounding, .n_thread = 2, .n_frame = 3};
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    test_vocoder vocoder;
    test_codes codes;
    test_vocoder_open(&options, &vocoder);
    test_codes_take(golden, s->codes, &codes);
    test_recording_init(recording, replacement);
    free(test_vocoder_run(&vocoder, &codes, 2, recording));
    if (test_tensors_find(golden, "tap.code2wav.waveform_chunked"))
        free(test_vocoder_run_windows(&vocoder, &codes, &windows, recording));
    test_codes_release(&codes);
    test_vocoder_close(&vocoder);
}

static const subject own[] = {
    {MODEL, OWN "/f32/one.safetensors", OWN "/bf16/one.safetensors", "in.codes"},
    {MODEL, OWN "/f32/five.safetensors", OWN "/bf16/five.safetensors", "in.codes"},
};

static const subject shared[] = {
    {SHARED_MODEL, "../shared/golden/a-f32/wav5.safetensors", NULL, "in.codes"},
    {SHARED_MODEL, "../shared/golden/a-f32/speak.safetensors", NULL, "tap.talker.codes"},
    {SHARED_MODEL, "../shared/golden/a-f32/omni.safetensors", "../shared/golden/a-bf16/omni.safetensors",
     "tap.talker.codes"},
};

static void check_subject(const subject *s)
{
    const test_subject checked = {
        .f32 = s->f32, .bf16 = s->bf16, .taps = "tap.code2wav", .run = run_subject, .what = s};
    assert_true(test_check_float32(&checked) <= hidden_bar);
    if (s->bf16) test_check_bf16(&checked);
}

static void test_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) check_subject(&own[i]);
}

static void test_shared(void **state)
{
    (void)state;
    if (!test_shared_folder()) return;
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) check_subject(&shared[i]);
}

/* ---- ends of long ones ---- */

/* The relative error of the last elements of what was made against all of a golden's tensor. */
static double error_at_end(const float *made, size_t n, const test_tensor *golden)
{
    assert_true(n >= golden->count);
    test_tensor end = *golden;
    end.values = (float *)(uintptr_t)(made + n - golden->count);
    return test_relative_l2(&end, golden);
}

static double error_of_run(test_vocoder *v, const test_codes *codes, const test_tensor *golden)
{
    float *samples = test_vocoder_run(v, codes, 0, NULL);
    double error = error_at_end(
        samples, (size_t)tess_code2wav_count_samples(&v->config.code2wav, codes->n_frame), golden);
    free(samples);
    return error;
}

static double error_of_windows(test_vocoder *v, const test_codes *codes, const tess_code2wav_windows *windows,
                               const test_tensor *golden)
{
    float *samples = test_vocoder_run_windows(v, codes, windows, NULL);
    double error = error_at_end(
        samples, (size_t)tess_code2wav_count_windowed(&v->config.code2wav, windows, codes->n_frame), golden);
    free(samples);
    return error;
}

/* More frames than the transformer's window. */
static void test_long(void **state)
{
    (void)state;
    test_tensors golden;
    test_codes codes;
    test_vocoder v;
    test_recording recording;
    test_vocoder_open(&(test_vocoder_options){.model = MODEL, .n_frame = 20, .n_thread = 2}, &v);
    test_tensors_read(OWN "/f32/long.safetensors", &golden);
    test_codes_take(&golden, "in.codes", &codes);
    test_recording_init(&recording, NULL);
    double wave = error_of_run(&v, &codes, test_tensors_get(&golden, "tap.code2wav.waveform.end"));
    free(test_vocoder_run(&v, &codes, 7, &recording));
    double hidden = test_relative_l2(test_tensors_get(&recording.taps, "tap.code2wav.pre_transformer"),
                                     test_tensors_get(&golden, "tap.code2wav.pre_transformer"));
    print_message("# 90 frames: transformer %.3g, waveform %.3g\n", hidden, wave);
    assert_true(hidden <= hidden_bar && wave <= wave_bar);
    test_recording_release(&recording);
    test_tensors_release(&golden);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

static void check_windows(const char *path, const char *name, tess_rounding rounding, double bar)
{
    test_tensors golden;
    test_codes codes;
    test_vocoder v;
    test_vocoder_open(
        &(test_vocoder_options){.model = MODEL, .rounding = rounding, .n_frame = 40, .n_thread = 2}, &v);
    test_tensors_read(path, &golden);
    test_codes_take(&golden, "in.codes", &codes);
    const int64_t *sizes = test_tensors_get(&golden, "in.windows")->integers;
    const tess_code2wav_windows windows = {(int)sizes[0], (int)sizes[1]};
    double error = error_of_windows(&v, &codes, &windows, test_tensors_get(&golden, name));
    print_message("# %s: %.3g\n", path, error);
    assert_true(error <= bar);
    test_tensors_release(&golden);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

static void test_windows(void **state)
{
    (void)state;
    check_windows(OWN "/f32/windows.safetensors", "tap.code2wav.waveform_chunked", TESS_ROUND_NONE, wave_bar);
    check_windows(OWN "/f32/published.safetensors", "tap.code2wav.waveform_chunked.end", TESS_ROUND_NONE,
                  wave_bar);
    check_windows(OWN "/bf16/windows.safetensors", "tap.code2wav.waveform_chunked", TESS_ROUND_BF16, 1e-4);
}

static void test_shared_long(void **state)
{
    (void)state;
    if (!test_shared_folder()) return;
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    test_tensors golden;
    test_codes codes;
    test_vocoder v;
    test_vocoder_open(&(test_vocoder_options){.model = SHARED_MODEL, .n_frame = 30, .n_thread = 2}, &v);
    test_tensors_read("../shared/golden/a-f32/wav90.safetensors", &golden);
    test_codes_take(&golden, "in.codes", &codes);
    const test_tensor *whole = test_tensors_get(&golden, "tap.code2wav.waveform");
    assert_int_equal(whole->count, tess_code2wav_count_samples(&v.config.code2wav, 90));
    double error = error_of_run(&v, &codes, whole);
    double windowed =
        error_of_windows(&v, &codes, &windows, test_tensors_get(&golden, "tap.code2wav.waveform_chunked"));
    print_message("# wav90: %.3g, in windows %.3g\n", error, windowed);
    assert_true(error <= wave_bar && windowed <= wave_bar);
    test_tensors_release(&golden);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

/* ---- a stream instead of windows ---- */

static double error_between(const float *samples, const test_tensor *golden, size_t first, size_t n)
{
    test_tensor ours = *golden, theirs = *golden;
    ours.count = theirs.count = n;
    ours.values = (float *)(uintptr_t)(samples);
    theirs.values = golden->values + first;
    return test_relative_l2(&ours, &theirs);
}

/* What speech is and what the original makes of the same 310 frames in its windows of 300: up to the boundary
 * the same, there 555 samples that the original lacks, and behind it what a context of 25 frames does not
 * remember. */
static void test_stream_and_windows(void **state)
{
    (void)state;
    test_tensors golden;
    test_codes codes;
    test_vocoder v;
    test_vocoder_open(&(test_vocoder_options){.model = MODEL, .n_frame = 40, .n_thread = 2}, &v);
    test_tensors_read(OWN "/f32/published.safetensors", &golden);
    test_codes_take(&golden, "in.codes", &codes);
    const test_tensor *windowed = test_tensors_get(&golden, "tap.code2wav.waveform_chunked.end");
    const size_t frame = 1920, lack = 555, boundary = 300 * frame - lack, n_behind = 10 * frame - lack,
                 n_before = windowed->count - n_behind;
    assert_int_equal(codes.n_frame, 310);
    float *stream = test_vocoder_run(&v, &codes, 0, NULL);
    double before = error_between(stream + boundary - n_before, windowed, 0, n_before),
           behind = error_between(stream + boundary + lack, windowed, n_before, n_behind),
           unmoved = error_between(stream + boundary, windowed, n_before, n_behind);
    print_message("# before the boundary %.3g, behind it %.3g, were there no gap %.3g\n", before, behind,
                  unmoved);
    assert_true(before <= wave_bar && n_before > 1000);
    assert_true(behind <= 0.31 && unmoved > 2 * behind);
    assert_int_equal(tess_code2wav_count_samples(&v.config.code2wav, 310),
                     tess_code2wav_count_windowed(&v.config.code2wav, &TESS_CODE2WAV_WINDOWS, 310) +
                         (int64_t)lack);
    free(stream);
    test_tensors_release(&golden);
    test_codes_release(&codes);
    test_vocoder_close(&v);
}

/* ---- defects ---- */

static void widen_window(tess_code2wav_config *config)
{
    config->sliding_window = 1000;
}

static void widen_window_by_one(tess_code2wav_config *config)
{
    config->sliding_window++;
}

static void lower_epsilon(tess_code2wav_config *config)
{
    config->rms_norm_eps = 1e-6;
}

/* How far a defect takes the transformer's output of a golden. */
static double error_with(void (*damage)(tess_code2wav_config *config), const char *path)
{
    test_tensors golden;
    test_codes codes;
    test_vocoder v;
    test_recording recording;
    test_vocoder_open(&(test_vocoder_options){.model = MODEL, .damage = damage}, &v);
    test_tensors_read(path, &golden);
    test_codes_take(&golden, "in.codes", &codes);
    test_recording_init(&recording, NULL);
    free(test_vocoder_run(&v, &codes, 0, &recording));
    double error = test_relative_l2(test_tensors_get(&recording.taps, "tap.code2wav.pre_transformer"),
                                    test_tensors_get(&golden, "tap.code2wav.pre_transformer"));
    test_recording_release(&recording);
    test_tensors_release(&golden);
    test_codes_release(&codes);
    test_vocoder_close(&v);
    return error;
}

static void test_defects(void **state)
{
    (void)state;
    double wide = error_with(widen_window, OWN "/f32/long.safetensors");
    double wide_by_one = error_with(widen_window_by_one, OWN "/f32/long.safetensors");
    double epsilon = error_with(lower_epsilon, OWN "/f32/five.safetensors");
    print_message("# without the window %.3g, a window of 73 %.3g, epsilon 1e-6 %.3g\n", wide, wide_by_one,
                  epsilon);
    assert_true(wide > 100 * hidden_bar && wide_by_one > 100 * hidden_bar && epsilon > hidden_bar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_shared_long),
        cmocka_unit_test(test_defects),
        cmocka_unit_test(test_stream_and_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
