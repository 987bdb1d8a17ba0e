/* The bars of mel frames: as derived, kept by the original, stricter where a band is loud, and found beyond.
 */
#include "verify/compare/mel_bars.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"
#include "../support/fault.h"
#include "../support/front.h"
#include "../support/recording.h"
#include "media/mel.h"

#define FEATURES "in.input_features"

enum { N_MEL = 128, N_FRAME = 50, LOUD = 20, WAV_HEAD = 44 };

/* A band `db` below the loudest of its frame. */
static double bar_at(double db)
{
    return tess_mel_bar(1.0, 1.0 - db / 40);
}

static void test_as_derived(void **state)
{
    (void)state;
    const double u = 0x1p-24, transform = 8 * u / (2 * log(10));
    assert_true(fabs(bar_at(0) / (transform + 5 * u) - 1) < 1e-12);
    assert_true(fabs(bar_at(60) / (1e3 * transform + 12.5 * u) - 1) < 1e-12);
    for (double db = 0; db < 80; db++) assert_true(bar_at(db + 1) > bar_at(db));
    /* The plain bar of 2e-5 in between, and no more than 80 dB and the widest band's share below. */
    assert_true(bar_at(44) < 2e-5 && bar_at(46) > 2e-5 && bar_at(0) < 5e-7);
    assert_true(bar_at(90) < 4.1e-3 && bar_at(1e30) > bar_at(90));
    assert_true(tess_mel_bar((double)INFINITY, 0) < 4.1e-3);
    /* Half the width of a triangle is where the next begins: 23.4 Hz up to 1,000 Hz. */
    const double step = 45.245640472 / 129, below = 8000 * pow(6.4, -2 * step / 27);
    assert_true(fabs(tess_mel_get_width_hz(N_MEL, 0) - 200.0 / 3 * step) < 1e-6);
    assert_true(fabs(tess_mel_get_width_hz(N_MEL, 127) - (8000 - below) / 2) < 1e-6);
}

/* ---- against the original ---- */

static double loudest_of(const float *frame, size_t stride)
{
    double loudest = -INFINITY;
    for (int m = 0; m < N_MEL; m++) {
        const double wider = tess_mel_get_width_hz(N_MEL, m) / tess_mel_get_width_hz(N_MEL, 0);
        loudest = fmax(loudest, (double)frame[(size_t)m * stride] + log10(wider) / 4);
    }
    return loudest;
}

/* The largest share of a bar that our frames of the samples use up beside the original's: every n-th frame,
 * of which value m stands m · stride on. */
static double share_of(const float *samples, size_t n, const float *expected, size_t n_expected, size_t every,
                       size_t stride, double *max_abs)
{
    tess_mel *mel;
    assert_int_equal(tess_mel_new(&mel, "clip", N_MEL, 1 << 20, NULL), TESS_OK);
    assert_int_equal(tess_mel_push(mel, samples, n, NULL), TESS_OK);
    assert_int_equal(tess_mel_finish(mel, NULL), TESS_OK);
    const tess_features features = tess_mel_get_features(mel);
    double worst = 0;
    *max_abs = 0;
    for (size_t t = 0; t < n_expected; t++) {
        const float *theirs = expected + t * (stride == 1 ? N_MEL : 1);
        float ours[N_MEL];
        const double loudest = loudest_of(theirs, stride);
        assert_int_equal(features.read(features.context, (int64_t)(t * every), 1, ours, NULL), TESS_OK);
        for (size_t m = 0; m < N_MEL; m++) {
            const double b = (double)theirs[m * stride], off = fabs((double)ours[m] - b);
            worst = fmax(worst, off / tess_mel_bar(loudest, b));
            *max_abs = fmax(*max_abs, off);
        }
    }
    tess_mel_free(mel);
    return worst;
}

static void test_clips_by_formulas(void **state)
{
    (void)state;
    test_tensors golden;
    int n_clip = 0;
    test_tensors_read("tests/golden/front/mel.safetensors", &golden);
    for (size_t i = 0; i < golden.count; i++) {
        const test_tensor *expected = &golden.item[i];
        char kind[32];
        long n = 0, every = 0;
        double max_abs;
        if (sscanf(expected->name, "%31[a-z].%ld.%ld", kind, &n, &every) != 3) continue;
        float *samples = front_samples(kind, (size_t)n);
        const double share = share_of(samples, (size_t)n, expected->values, (size_t)expected->dim[0],
                                      (size_t)every, 1, &max_abs);
        printf("# %-20s %.2f of a bar, max abs %.2e\n", expected->name, share, max_abs);
        assert_true(share <= 1);
        free(samples);
        n_clip++;
    }
    assert_true(n_clip >= 25);
    test_tensors_release(&golden);
}

/* Frames that lie further off than a single bar for all would allow, for what the original rounds. */
static void test_noise_and_tone(void **state)
{
    (void)state;
    static const char *const names[] = {"white", "tone"};
    for (int i = 0; i < 2; i++) {
        char path[64];
        int16_t whole[16000];
        float samples[16000];
        test_tensors golden;
        double max_abs;
        snprintf(path, sizeof path, "tests/golden/front/%s.wav", names[i]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        assert_int_equal(fseek(file, WAV_HEAD, SEEK_SET), 0);
        assert_int_equal(fread(whole, sizeof whole[0], 16000, file), 16000);
        fclose(file);
        for (int k = 0; k < 16000; k++) samples[k] = (float)whole[k] / 32768;
        snprintf(path, sizeof path, "tests/golden/e-f32/audio_%s.safetensors", names[i]);
        test_tensors_read(path, &golden);
        const test_tensor *expected = test_tensors_get(&golden, FEATURES);
        const double share = share_of(samples, 16000, expected->values, 100, 1, 100, &max_abs);
        printf("# %-20s %.2f of a bar, max abs %.2e\n", names[i], share, max_abs);
        assert_true(share <= 1 && max_abs > 2e-5);
        test_tensors_release(&golden);
    }
}

/* ---- two files ---- */

static void fill(test_tensor *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const size_t band = i / N_FRAME, frame = i % N_FRAME;
        t->values[i] = frame == LOUD && band == 3 ? 1.0f : -0.95f;
    }
}

static void add_features(void)
{
    static const int64_t lengths[] = {17, N_FRAME - 17}, shape[] = {N_MEL, N_FRAME}, one[] = {2};
    test_trace *const sides[] = {&fx.reference, &fx.trace};
    for (int i = 0; i < 2; i++) {
        memcpy(test_trace_add(sides[i], "in.audio_feature_lengths", true, 1, one)->integers, lengths,
               sizeof lengths);
        fill(test_trace_add(sides[i], FEATURES, false, 2, shape));
    }
}

static void move_to(int band, int frame, double by)
{
    fill(of(&fx.trace, FEATURES));
    of(&fx.trace, FEATURES)->values[band * N_FRAME + frame] += (float)by;
}

static void test_each_by_its_own(void **state)
{
    (void)state;
    add_features();
    expect(TESS_VERDICT_EQUAL, 0);
    /* The loudest band, by less than 2e-5. */
    move_to(3, LOUD, 4e-6);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_string_equal(report(FEATURES)->where, "clip 2, 0.03 s to 0.04 s");
    assert_true(report(FEATURES)->measure == TESS_MEASURE_BY_ELEMENT && report(FEATURES)->row == 3);
    assert_true(report(FEATURES)->tolerance == 1 && report(FEATURES)->error > 5);
    /* A quiet one beside it, and the same in a frame without a loud one. */
    move_to(90, LOUD, 5e-4);
    expect(TESS_VERDICT_EQUAL, 0); /* of what is listed: inputs are where they differ */
    move_to(90, LOUD, 1e-2);
    expect(TESS_VERDICT_DIFFERENT, 1);
    move_to(90, LOUD + 1, 1e-5);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_string_equal(report(FEATURES)->where, "clip 2, 0.04 s to 0.05 s");
    /* The place is the first beyond its bar, not the first that differs. */
    move_to(90, LOUD + 1, 1e-5);
    of(&fx.trace, FEATURES)->values[2] += 3e-7f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_string_equal(report(FEATURES)->where, "clip 2, 0.04 s to 0.05 s");
    assert_int_equal(report(FEATURES)->first_different, 2);
    move_to(5, 7, 0);
    of(&fx.trace, FEATURES)->values[5 * N_FRAME + 7] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(report(FEATURES)->outcome, TESS_OUTCOME_NONFINITE);
}

/* Frames that no extractor makes are judged all the same. */
static void test_odd_frames(void **state)
{
    (void)state;
    add_features();
    test_trace *const sides[] = {&fx.reference, &fx.trace};
    for (int i = 0; i < 2; i++) {
        of(sides[i], FEATURES)->values[0] = 3e38f;
        of(sides[i], FEATURES)->values[1] = -3e38f;
    }
    expect(TESS_VERDICT_EQUAL, 0);
    of(&fx.trace, FEATURES)->values[N_FRAME] += 0.01f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    of(&fx.reference, FEATURES)->values[2] = INFINITY;
    expect(TESS_VERDICT_DIFFERENT, 1);
}

static tess_error fault_err;

static tess_status compare_without_memory(void)
{
    const char *const golden = "tests/golden/e-f32/audio_tone.safetensors";
    tess_compare_result *result = NULL;
    tess_status status = tess_compare_files(golden, golden, &(tess_compare_options){0}, &result, &fault_err);
    tess_compare_result_free(result);
    return status;
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(compare_without_memory, &fault_err) >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_derived),
        cmocka_unit_test(test_clips_by_formulas),
        cmocka_unit_test(test_noise_and_tone),
        COMPARING(test_each_by_its_own),
        COMPARING(test_odd_frames),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
