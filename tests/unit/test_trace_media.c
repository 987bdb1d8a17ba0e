/* Media among a trace's inputs: every row of every medium is where the format says, written again it is the
 * same, and files whose tensors do not fit each other are refused by the tensor's name.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"
#include "../support/synthetic.h"
#include "verify/trace/media.h"
#include "verify/trace/writer.h"

enum { MELS = 5, FRAMES = 300000, WIDTH = 12 };

static char folder[SCRATCH_BYTES];
static char path[64], other[64];
static tess_error err;

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/trace", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(folder);
}

/* ---- a trace with two clips, two images and a video ---- */

static float number_at(size_t i)
{
    return (float)(i % 9973) / 64.0f - 70.0f;
}

static void add_floats(test_trace *trace, const char *name, int64_t a, int64_t b)
{
    test_tensor *t = test_trace_add(trace, name, false, b ? 2 : 1, (int64_t[]){a, b});
    for (size_t i = 0; i < t->count; i++) t->values[i] = number_at(i);
}

static void add_integers(test_trace *trace, const char *name, int64_t a, int64_t b, const int64_t *values)
{
    test_tensor *t = test_trace_add(trace, name, true, b ? 2 : 1, (int64_t[]){a, b});
    memcpy(t->integers, values, t->count * sizeof *values);
}

static test_trace media_trace(void)
{
    test_trace trace;
    test_trace_make(&trace);
    add_floats(&trace, "in.input_features", MELS, FRAMES);
    add_integers(&trace, "in.audio_feature_lengths", 2, 0, (int64_t[]){FRAMES - 7, 7});
    add_floats(&trace, "in.pixel_values", 8 + 16, WIDTH);
    add_integers(&trace, "in.image_grid_thw", 2, 3, (int64_t[]){1, 2, 4, 1, 4, 4});
    add_floats(&trace, "in.pixel_values_videos", 3 * 4, WIDTH);
    add_integers(&trace, "in.video_grid_thw", 1, 3, (int64_t[]){3, 2, 2});
    test_trace_add(&trace, "in.video_second_per_grid", false, 1, (int64_t[]){1})->values[0] = 0.25f;
    add_integers(&trace, "in.use_audio_in_video", 1, 0, (int64_t[]){1});
    return trace;
}

static void open_inputs(const char *file, tess_trace_inputs *in)
{
    memset(in, 0, sizeof *in);
    if (tess_trace_inputs_read(file, in, &err) != TESS_OK) fail_msg("%s", err.message);
}

/* Element i of a row, by the layout of the file. */
static float right_number(const tess_features *f, int64_t first, int64_t row, int64_t i)
{
    if (f->kind == TESS_MEDIA_AUDIO) return number_at((size_t)(i * FRAMES + first + row));
    return number_at((size_t)((first + row) * f->width + i));
}

static void check_rows(const tess_features *f, int64_t first, int64_t row, int64_t n)
{
    float out[40 * WIDTH];
    if (f->read(f->context, row, n, out, &err) != TESS_OK) fail_msg("%s", err.message);
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < f->width; i++)
            assert_true(out[r * f->width + i] == right_number(f, first, row + r, i));
}

static void check_media(const tess_trace_inputs *in)
{
    assert_int_equal(in->n_media, 5);
    static const tess_media_kind kinds[] = {TESS_MEDIA_AUDIO, TESS_MEDIA_AUDIO, TESS_MEDIA_IMAGE,
                                            TESS_MEDIA_IMAGE, TESS_MEDIA_VIDEO};
    static const int64_t firsts[] = {0, FRAMES - 7, 0, 8, 0}, rows[] = {FRAMES - 7, 7, 8, 16, 12};
    for (int i = 0; i < 5; i++) {
        const tess_features *f = in->media[i];
        assert_int_equal(f->kind, kinds[i]);
        assert_int_equal(f->width, i < 2 ? MELS : WIDTH);
        check_rows(f, firsts[i], 0, rows[i] < 40 ? rows[i] : 40);
        check_rows(f, firsts[i], rows[i] - 3, 3);
        check_rows(f, firsts[i], rows[i] / 2, 1);
    }
    assert_int_equal(in->media[0]->n_frame, FRAMES - 7);
    const tess_features *image = in->media[3], *video = in->media[4];
    assert_true(image->n_step == 1 && image->n_high == 4 && image->n_wide == 4);
    assert_true(video->n_step == 3 && video->n_high == 2 && video->n_wide == 2);
    assert_true(video->seconds_per_grid == 0.25);
    assert_true(in->use_audio_in_video);
}

static void test_rows_are_read(void **state)
{
    (void)state;
    test_trace trace = media_trace();
    test_trace_save(&trace, path);
    tess_trace_inputs in;
    open_inputs(path, &in);
    check_media(&in);
    tess_trace_inputs_release(&in);
    test_trace_release(&trace);
}

static void test_written_again(void **state)
{
    (void)state;
    test_trace trace = media_trace();
    test_trace_save(&trace, path);
    tess_trace_inputs in;
    open_inputs(path, &in);
    tess_trace_writer *w;
    assert_int_equal(tess_trace_writer_new(&w, &err), TESS_OK);
    assert_int_equal(tess_trace_writer_declare(w, "in.input_ids", true, 1, (int64_t[]){1}, &err), TESS_OK);
    assert_int_equal(tess_trace_media_declare(in.media, in.n_media, in.use_audio_in_video, w, &err), TESS_OK);
    assert_int_equal(tess_trace_writer_open(w, other, &err), TESS_OK);
    assert_int_equal(tess_trace_writer_put(w, "in.input_ids", 0, (int64_t[]){3}, 1, &err), TESS_OK);
    assert_int_equal(tess_trace_media_put(in.media, in.n_media, in.use_audio_in_video, w, NULL, &err),
                     TESS_OK);
    assert_int_equal(tess_trace_writer_commit(w, &err), TESS_OK);
    tess_trace_inputs_release(&in);
    open_inputs(other, &in);
    check_media(&in);
    tess_trace_inputs_release(&in);
    test_trace_release(&trace);
}

/* ---- what does not fit ---- */

static void refuse(test_trace *trace, const char *field, const char *said)
{
    test_trace_save(trace, path);
    tess_trace_inputs in = {0};
    tess_status status = tess_trace_inputs_read(path, &in, &err);
    if (status == TESS_OK) fail_msg("%s (%s) was accepted", field, said);
    assert_int_equal(status, TESS_EINPUT);
    assert_string_equal(err.field, field);
    if (!strstr(err.message, said)) fail_msg("\"%s\" is not in: %s", said, err.message);
    test_trace_release(trace);
}

static void refuse_without(const char *name, const char *said)
{
    test_trace trace = media_trace();
    test_trace_remove(&trace, name);
    refuse(&trace, name, said);
}

static void refuse_integers(const char *name, int64_t a, int64_t b, const int64_t *values, const char *said)
{
    test_trace trace = media_trace();
    test_trace_remove(&trace, name);
    add_integers(&trace, name, a, b, values);
    refuse(&trace, name, said);
}

static void test_partners_are_needed(void **state)
{
    (void)state;
    refuse_without("in.input_features", "no such tensor");
    refuse_without("in.audio_feature_lengths", "no such tensor");
    refuse_without("in.pixel_values", "no such tensor");
    refuse_without("in.image_grid_thw", "no such tensor");
    refuse_without("in.pixel_values_videos", "no such tensor");
    refuse_without("in.video_grid_thw", "no such tensor");
}

static void test_sizes_must_fit(void **state)
{
    (void)state;
    const char *lengths = "in.audio_feature_lengths", *grids = "in.image_grid_thw";
    refuse_integers(lengths, 2, 0, (int64_t[]){FRAMES, 1}, "has left");
    refuse_integers(lengths, 2, 0, (int64_t[]){0, FRAMES}, "found 0");
    refuse_integers(lengths, 2, 0, (int64_t[]){-5, FRAMES + 5}, "found -5");
    refuse_integers(lengths, 1, 0, (int64_t[]){FRAMES - 1}, "lengths that sum");
    refuse_integers(lengths, 1, 2, (int64_t[]){FRAMES - 1, 1}, "I64 [clips]");
    refuse_integers(grids, 2, 3, (int64_t[]){1, 2, 4, 1, 4, 5}, "have left");
    refuse_integers(grids, 2, 3, (int64_t[]){1, 2, 4, 1, INT64_MAX, INT64_MAX}, "have left");
    refuse_integers(grids, 2, 3, (int64_t[]){1, 2, 4, 1, 4, 3}, "grids that take all");
    refuse_integers(grids, 2, 2, (int64_t[]){1, 24, 1, 1}, "I64 [pictures, 3]");
    refuse_integers("in.use_audio_in_video", 1, 0, (int64_t[]){2}, "0 or 1");
    refuse_integers("in.use_audio_in_video", 2, 0, (int64_t[]){1, 1}, "I64 [1]");
    refuse_integers("in.pixel_values", 24, WIDTH, (int64_t[24 * WIDTH]){0}, "F32");
}

static void test_seconds_must_be_some(void **state)
{
    (void)state;
    static const float wrong[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < 4; i++) {
        test_trace trace = media_trace();
        test_tensors_get(&trace.tensors, "in.video_second_per_grid")->values[0] = wrong[i];
        refuse(&trace, "in.video_second_per_grid", "seconds above 0");
    }
    test_trace trace = media_trace();
    test_trace_remove(&trace, "in.video_second_per_grid");
    test_trace_add(&trace, "in.video_second_per_grid", false, 1, (int64_t[]){2});
    refuse(&trace, "in.video_second_per_grid", "as many as");
}

/* Numbers are looked at when they are read. */
static void test_numbers_must_be_finite(void **state)
{
    (void)state;
    test_trace trace = media_trace();
    test_tensors_get(&trace.tensors, "in.pixel_values")->values[9 * WIDTH + 2] = NAN;
    test_trace_save(&trace, path);
    tess_trace_inputs in;
    open_inputs(path, &in);
    float out[WIDTH];
    const tess_features *second = in.media[3];
    assert_int_equal(second->read(second->context, 0, 1, out, &err), TESS_OK);
    assert_int_equal(second->read(second->context, 1, 1, out, &err), TESS_EINPUT);
    assert_string_equal(err.field, "in.pixel_values");
    assert_true(err.offset > 0);
    tess_trace_inputs_release(&in);
    test_trace_release(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_read),        cmocka_unit_test(test_written_again),
        cmocka_unit_test(test_partners_are_needed),  cmocka_unit_test(test_sizes_must_fit),
        cmocka_unit_test(test_seconds_must_be_some), cmocka_unit_test(test_numbers_must_be_finite),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
