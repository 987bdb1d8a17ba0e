/* Media as the inputs of a trace: which tensors there are, and that every row stands at its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/recording.h"
#include "../support/scratch.h"

enum { N_MEL = 5, WIDTH = 3 * 2 * 4 * 4 };

/* A medium whose values say whose they are, which row and which place. */
typedef struct fake {
    tess_features features;
    int number, width;
    int64_t fails_at; /* the row whose reading fails; -1: none */
} fake;

static float value_of(int number, int64_t row, int64_t place)
{
    return (float)(number * 1000000 + row * 100 + place);
}

static tess_status read_rows(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    const fake *f = context;
    if (f->fails_at >= first && f->fails_at < first + n) {
        if (err) *err = (tess_error){.status = TESS_EIO, .message = "the row cannot be read"};
        return TESS_EIO;
    }
    for (int64_t row = first; row < first + n; row++)
        for (int place = 0; place < f->width; place++) *out++ = value_of(f->number, row, place);
    return TESS_OK;
}

static fake fakes[] = {
    {{.kind = TESS_MEDIA_AUDIO, .width = N_MEL, .n_frame = 7}, 1, N_MEL, -1},
    {{.kind = TESS_MEDIA_IMAGE, .width = WIDTH, .n_step = 1, .n_high = 2, .n_wide = 4}, 2, WIDTH, -1},
    {{.kind = TESS_MEDIA_AUDIO, .width = N_MEL, .n_frame = 9000},
     3,
     N_MEL,
     -1}, /* more than are read at a time */
    {{.kind = TESS_MEDIA_VIDEO,
      .width = WIDTH,
      .n_step = 3,
      .n_high = 4,
      .n_wide = 2,
      .seconds_per_grid = 1.0},
     4,
     WIDTH,
     -1},
    {{.kind = TESS_MEDIA_IMAGE, .width = WIDTH, .n_step = 1, .n_high = 32, .n_wide = 30}, 5, WIDTH, -1},
    {{.kind = TESS_MEDIA_VIDEO,
      .width = WIDTH,
      .n_step = 1,
      .n_high = 2,
      .n_wide = 2,
      .seconds_per_grid = 0.2},
     6,
     WIDTH,
     -1},
    {{.kind = TESS_MEDIA_AUDIO, .width = N_MEL, .n_frame = 1}, 7, N_MEL, -1},
};
enum { N_FAKE = sizeof fakes / sizeof fakes[0] };

static const tess_features *media[N_FAKE];
static char folder[SCRATCH_BYTES], path[64];

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < N_FAKE; i++) {
        fakes[i].features.read = read_rows;
        fakes[i].features.context = &fakes[i];
        media[i] = &fakes[i].features;
    }
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/media.safetensors", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* which fails if something else was left there */
}

static void write_media(int n, bool use_audio_in_video, test_tensors *out)
{
    tess_error err;
    if (tess_trace_write_media(media, n, use_audio_in_video, NULL, path, &err) != TESS_OK)
        fail_msg("%s", err.message);
    test_tensors_read(path, out);
}

static void check_shape(const test_tensors *tensors, const char *name, int n_dim, int64_t a, int64_t b)
{
    const test_tensor *t = test_tensors_get(tensors, name);
    assert_int_equal(t->n_dim, n_dim);
    assert_int_equal(t->dim[0], a);
    if (n_dim > 1) assert_int_equal(t->dim[1], b);
}

static void check_integers(const test_tensors *tensors, const char *name, const int64_t *expected, size_t n)
{
    const test_tensor *t = test_tensors_get(tensors, name);
    assert_true(t->is_integer);
    assert_int_equal(t->count, n);
    assert_memory_equal(t->integers, expected, n * sizeof *expected);
}

/* Patches of medium `number`, which begin at row `at`. */
static void check_patches(const test_tensor *t, int number, int64_t at, int64_t n)
{
    for (int64_t row = 0; row < n; row++)
        for (int place = 0; place < WIDTH; place++)
            assert_true(t->values[(at + row) * WIDTH + place] == value_of(number, row, place));
}

static void check_frames(const test_tensor *t, int number, int64_t at, int64_t n)
{
    for (int64_t row = 0; row < n; row++)
        for (int m = 0; m < N_MEL; m++)
            assert_true(t->values[m * t->dim[1] + at + row] == value_of(number, row, m));
}

static void every_row_is_at_its_place(void **state)
{
    (void)state;
    test_tensors found;
    write_media(N_FAKE, true, &found);
    assert_int_equal(found.count, 8);
    check_shape(&found, "in.input_features", 2, N_MEL, 9008);
    check_shape(&found, "in.pixel_values", 2, 8 + 960, WIDTH);
    check_shape(&found, "in.pixel_values_videos", 2, 24 + 4, WIDTH);
    check_shape(&found, "in.image_grid_thw", 2, 2, 3);
    check_shape(&found, "in.video_grid_thw", 2, 2, 3);
    check_shape(&found, "in.video_second_per_grid", 1, 2, 0);
    check_integers(&found, "in.audio_feature_lengths", (int64_t[]){7, 9000, 1}, 3);
    check_integers(&found, "in.image_grid_thw", (int64_t[]){1, 2, 4, 1, 32, 30}, 6);
    check_integers(&found, "in.video_grid_thw", (int64_t[]){3, 4, 2, 1, 2, 2}, 6);
    check_integers(&found, "in.use_audio_in_video", (int64_t[]){1}, 1);
    const test_tensor *seconds = test_tensors_get(&found, "in.video_second_per_grid");
    assert_true(seconds->values[0] == 1.0f && seconds->values[1] == 0.2f);
    const test_tensor *frames = test_tensors_get(&found, "in.input_features");
    check_frames(frames, 1, 0, 7);
    check_frames(frames, 3, 7, 9000);
    check_frames(frames, 7, 9007, 1);
    check_patches(test_tensors_get(&found, "in.pixel_values"), 2, 0, 8);
    check_patches(test_tensors_get(&found, "in.pixel_values"), 5, 8, 960);
    check_patches(test_tensors_get(&found, "in.pixel_values_videos"), 4, 0, 24);
    check_patches(test_tensors_get(&found, "in.pixel_values_videos"), 6, 24, 4);
    test_tensors_release(&found);
}

static void what_there_is_not_has_no_tensor(void **state)
{
    (void)state;
    test_tensors found;
    write_media(1, false, &found);
    assert_int_equal(found.count, 2);
    test_tensors_release(&found);
    write_media(2, false, &found);
    assert_int_equal(found.count, 4);
    assert_null(test_tensors_find(&found, "in.use_audio_in_video"));
    test_tensors_release(&found);
}

static bool stop(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)activity;
    assert_true(done <= total);
    return ++*(int *)context < 3;
}

static void nothing_is_left_after_a_failure(void **state)
{
    (void)state;
    tess_error err;
    unlink(path);
    fakes[4].fails_at = 900;
    assert_int_equal(tess_trace_write_media(media, N_FAKE, false, NULL, path, &err), TESS_EIO);
    fakes[4].fails_at = -1;
    assert_int_equal(access(path, F_OK), -1);
    int n_call = 0;
    const tess_progress progress = {stop, &n_call};
    assert_int_equal(tess_trace_write_media(media, N_FAKE, false, &progress, path, &err), TESS_EINTERRUPTED);
    assert_int_equal(n_call, 3);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(tess_trace_write_media(media, N_FAKE, false, NULL, "/nowhere/x", &err), TESS_EIO);
}

static tess_error fault_err;

static tess_status write_without_memory(void)
{
    return tess_trace_write_media(media, 4, true, NULL, path, &fault_err);
}

static void runs_out_of_memory_safely(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(write_without_memory, &fault_err) > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_at_its_place),
        cmocka_unit_test(what_there_is_not_has_no_tensor),
        cmocka_unit_test(nothing_is_left_after_a_failure),
        cmocka_unit_test(runs_out_of_memory_safely),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
