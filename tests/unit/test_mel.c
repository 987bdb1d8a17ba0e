/* Mel frames: against the original's, in any pieces, at any length, and what is refused. */
#include "media/mel.h"

#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/front.h"
#include "../support/recording.h"
#include "kernels/angles.h"
#include "media/fft.h"

enum { N_MEL = 128, MANY = 1 << 20 };

/* What remains is the original's own float32 transform: 1e-7 of a clip's loudest band is 1e-3 of its
 * quietest, which may lie 80 dB below, and then 1e-4 of a feature; of "smooth", nearly a tone, it is 1.2e-5.
 */
static const double bar = 2e-5;

static tess_mel *make_clip(const float *samples, size_t n, size_t piece)
{
    tess_mel *mel;
    tess_error err;
    assert_int_equal(tess_mel_new(&mel, "clip", N_MEL, MANY, &err), TESS_OK);
    for (size_t at = 0; at < n; at += piece)
        if (tess_mel_push(mel, samples + at, n - at < piece ? n - at : piece, &err) != TESS_OK)
            fail_msg("%s", err.message);
    if (tess_mel_finish(mel, &err) != TESS_OK) fail_msg("%s", err.message);
    return mel;
}

static float *read_all(tess_mel *mel, int64_t *n_frame)
{
    tess_features features = tess_mel_get_features(mel);
    *n_frame = features.n_frame;
    float *out = malloc((size_t)features.n_frame * N_MEL * sizeof *out);
    assert_non_null(out);
    assert_int_equal(features.read(features.context, 0, features.n_frame, out, NULL), TESS_OK);
    return out;
}

static void agrees_with_the_original(void **state)
{
    (void)state;
    test_tensors golden;
    test_tensors_read("tests/golden/front/mel.safetensors", &golden);
    int n_clip = 0;
    for (size_t i = 0; i < golden.count; i++) {
        const test_tensor *expected = &golden.item[i];
        char kind[32];
        long n = 0, every = 0;
        if (sscanf(expected->name, "%31[a-z].%ld.%ld", kind, &n, &every) != 3) continue;
        float *samples = front_samples(kind, (size_t)n);
        tess_mel *mel = make_clip(samples, (size_t)n, 777);
        int64_t n_frame;
        float *frames = read_all(mel, &n_frame);
        assert_int_equal(n_frame, n / 160);
        assert_int_equal(expected->dim[0], (n_frame + every - 1) / every);
        double worst = 0;
        for (size_t j = 0; j < expected->count; j++) {
            const size_t t = j / N_MEL * (size_t)every;
            const double off = fabs((double)(frames[t * N_MEL + j % N_MEL] - expected->values[j]));
            if (!(off <= worst)) worst = off;
        }
        printf("# %-20s max abs %.2e\n", expected->name, worst);
        if (!(worst <= bar)) fail_msg("%s: max abs %g", expected->name, worst);
        free(frames);
        free(samples);
        tess_mel_free(mel);
        n_clip++;
    }
    assert_true(n_clip >= 25);
    test_tensors_release(&golden);
}

static void filters_are_the_originals(void **state)
{
    (void)state;
    test_tensors golden;
    test_tensors_read("tests/golden/front/mel.safetensors", &golden);
    const test_tensor *expected = test_tensors_get(&golden, "filters");
    float *found = malloc(expected->count * sizeof *found);
    tess_mel *mel;
    assert_non_null(found);
    assert_int_equal(tess_mel_new(&mel, "clip", N_MEL, MANY, NULL), TESS_OK);
    tess_mel_get_filters(mel, found);
    double sum = 0;
    size_t n_different = 0;
    for (size_t i = 0; i < expected->count; i++) {
        const float a = found[i], b = expected->values[i];
        n_different += a != b;
        sum += (double)a;
        if (!(fabsf(a - b) <= 1.2e-7f * b))
            fail_msg("filter %zu, bin %zu: %g, not %g", i / 201, i % 201, (double)a, (double)b);
    }
    printf("# %zu of %zu values of the filters differ, by their last place\n", n_different, expected->count);
    assert_true(fabs(sum - 3.19098552854) < 1e-7);
    free(found);
    tess_mel_free(mel);
    test_tensors_release(&golden);
}

static void window_is_the_originals(void **state)
{
    (void)state;
    test_tensors golden;
    test_tensors_read("tests/golden/front/mel.safetensors", &golden);
    const test_tensor *expected = test_tensors_get(&golden, "window");
    float found[TESS_MEL_WINDOW];
    tess_mel *mel;
    assert_int_equal(tess_mel_new(&mel, "clip", N_MEL, MANY, NULL), TESS_OK);
    tess_mel_get_window(mel, found);
    assert_int_equal(expected->count, TESS_MEL_WINDOW);
    for (int i = 0; i < TESS_MEL_WINDOW; i++)
        if (memcmp(&found[i], &expected->values[i], sizeof found[i]) != 0)
            fail_msg("window %d: %.9g, not %.9g", i, (double)found[i], (double)expected->values[i]);
    tess_mel_free(mel);
    test_tensors_release(&golden);
}

static void pieces_change_no_bit(void **state)
{
    (void)state;
    static const size_t lengths[] = {160, 200, 201, 359, 360, 361, 400, 560, 561, 800, 16001};
    static const size_t pieces[] = {1, 2, 159, 160, 161, 200, 201, 400, 401, 800, 1000, 16000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        float *samples = front_samples("noise", lengths[i]);
        tess_mel *whole = make_clip(samples, lengths[i], lengths[i]);
        int64_t n_frame, n_again;
        float *expected = read_all(whole, &n_frame);
        for (size_t j = 0; j < sizeof pieces / sizeof pieces[0]; j++) {
            tess_mel *mel = make_clip(samples, lengths[i], pieces[j]);
            float *found = read_all(mel, &n_again);
            assert_int_equal(n_again, n_frame);
            assert_memory_equal(found, expected, (size_t)n_frame * N_MEL * sizeof *found);
            free(found);
            tess_mel_free(mel);
        }
        free(expected);
        free(samples);
        tess_mel_free(whole);
    }
}

static void rows_are_read_in_any_parts(void **state)
{
    (void)state;
    float *samples = front_samples("noise", 64000);
    tess_mel *mel = make_clip(samples, 64000, 64000);
    int64_t n_frame;
    float *all = read_all(mel, &n_frame), some[7 * N_MEL];
    tess_features features = tess_mel_get_features(mel);
    assert_int_equal(features.kind, TESS_MEDIA_AUDIO);
    for (int64_t first = n_frame - 7; first >= 0; first -= 31) {
        assert_int_equal(features.read(features.context, first, 7, some, NULL), TESS_OK);
        assert_memory_equal(some, all + first * N_MEL, sizeof some);
    }
    free(all);
    free(samples);
    tess_mel_free(mel);
}

/* Of one clip, whatever compiler, processor and flags. */
static void bits_are_always_these(void **state)
{
    (void)state;
    float *samples = front_samples("noise", 16001);
    tess_mel *mel = make_clip(samples, 16001, 1000);
    int64_t n_frame;
    float *frames = read_all(mel, &n_frame);
    json_t *entry =
        json_pack("{s:s}", "frames", "dcc969243311f8df9cffdc98a189d8afdc4e2d94b8c0172dded011d6c4e47098");
    front_assert_digest(entry, "frames", frames, (size_t)n_frame * N_MEL * sizeof *frames);
    json_decref(entry);
    free(frames);
    free(samples);
    tess_mel_free(mel);
}

/* Of a caller who rounds otherwise, and flushes what is tiny. */
static void the_environment_changes_no_bit(void **state)
{
    (void)state;
    float *samples = front_samples("swell", 8000);
    tess_mel *usual = make_clip(samples, 8000, 8000);
    int64_t n_frame;
    float *expected = read_all(usual, &n_frame);
    fesetround(FE_UPWARD);
    tess_mel *other = make_clip(samples, 8000, 8000);
    float *found = read_all(other, &n_frame);
    fesetround(FE_TONEAREST);
    assert_memory_equal(found, expected, (size_t)n_frame * N_MEL * sizeof *found);
    free(found);
    free(expected);
    free(samples);
    tess_mel_free(usual);
    tess_mel_free(other);
}

static void transforms_as_defined(void **state)
{
    (void)state;
    float *x = front_samples("noise", TESS_FFT_POINTS);
    tess_fft fft;
    double power[TESS_FFT_BINS], worst = 0;
    tess_fft_init(&fft);
    tess_fft_power(&fft, x, power);
    for (int k = 0; k < TESS_FFT_BINS; k++) {
        double re = 0, im = 0;
        for (int n = 0; n < TESS_FFT_POINTS; n++) {
            re += (double)x[n] * fft.cosine[k * n % TESS_FFT_POINTS];
            im -= (double)x[n] * fft.sine[k * n % TESS_FFT_POINTS];
        }
        const double off = fabs(power[k] / (re * re + im * im) - 1);
        if (!(off <= worst)) worst = off;
    }
    printf("# power off by %.1e at most\n", worst);
    assert_true(worst < 1e-12);
    free(x);
}

static void must_refuse(const float *samples, size_t n, int64_t most, const char *field, const char *found)
{
    tess_mel *mel;
    tess_error err;
    assert_int_equal(tess_mel_new(&mel, "clip.wav", N_MEL, most, &err), TESS_OK);
    tess_status status = tess_mel_push(mel, samples, n, &err);
    if (status == TESS_OK) status = tess_mel_finish(mel, &err);
    assert_int_equal(status, TESS_EINPUT);
    assert_string_equal(err.file, "clip.wav");
    assert_string_equal(err.field, field);
    assert_string_equal(err.found, found);
    if (strstr(field, "sample ")) assert_string_equal(err.expected, "-1e15 to 1e15, usually -1 to 1");
    tess_mel_free(mel);
}

static void refuses_what_has_no_frames(void **state)
{
    (void)state;
    float *samples = front_samples("noise", 16000);
    must_refuse(samples, 0, MANY, "length", "0 samples");
    must_refuse(samples, 1, MANY, "length", "1 sample");
    must_refuse(samples, 159, MANY, "length", "159 samples");
    must_refuse(samples, 16000, 99, "length", "more");
    samples[1600] = NAN;
    must_refuse(samples, 16000, MANY, "sample 1600 (at 0.100 s)", "nan");
    samples[1600] = -INFINITY;
    must_refuse(samples, 16000, MANY, "sample 1600 (at 0.100 s)", "-inf");
    samples[1600] = 2e15f;
    must_refuse(samples, 16000, MANY, "sample 1600 (at 0.100 s)", "2e+15");
    samples[1600] = 1e15f;
    tess_mel *mel = make_clip(samples, 16000, 16000);
    int64_t n_frame;
    float *frames = read_all(mel, &n_frame);
    for (int64_t i = 0; i < n_frame * N_MEL; i++) assert_true(isfinite(frames[i]));
    free(frames);
    free(samples);
    tess_mel_free(mel);
}

/* A clip that is just short enough, and one that is not by 160 samples. */
static void a_limit_is_met_exactly(void **state)
{
    (void)state;
    float *samples = front_samples("noise", 1760);
    tess_mel *mel;
    assert_int_equal(tess_mel_new(&mel, "clip", N_MEL, 10, NULL), TESS_OK);
    assert_int_equal(tess_mel_push(mel, samples, 1759, NULL), TESS_OK);
    assert_int_equal(tess_mel_finish(mel, NULL), TESS_OK);
    assert_int_equal(tess_mel_get_features(mel).n_frame, 10);
    assert_int_equal(tess_mel_get_samples(mel), 1759);
    tess_mel_free(mel);
    must_refuse(samples, 1760, 10, "length", "more");
    free(samples);
}

static tess_error fault_err;

static tess_status work_without_memory(void)
{
    float silence[1000] = {0};
    tess_mel *mel = NULL;
    tess_status status = tess_mel_new(&mel, "clip", N_MEL, MANY, &fault_err);
    for (int i = 0; i < 60 && status == TESS_OK; i++) status = tess_mel_push(mel, silence, 1000, &fault_err);
    if (status == TESS_OK) status = tess_mel_finish(mel, &fault_err);
    tess_mel_free(mel);
    return status;
}

static void runs_out_of_memory_safely(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(work_without_memory, &fault_err) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_original),       cmocka_unit_test(filters_are_the_originals),
        cmocka_unit_test(window_is_the_originals),        cmocka_unit_test(pieces_change_no_bit),
        cmocka_unit_test(rows_are_read_in_any_parts),     cmocka_unit_test(bits_are_always_these),
        cmocka_unit_test(the_environment_changes_no_bit), cmocka_unit_test(transforms_as_defined),
        cmocka_unit_test(refuses_what_has_no_frames),     cmocka_unit_test(a_limit_is_met_exactly),
        cmocka_unit_test(runs_out_of_memory_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
