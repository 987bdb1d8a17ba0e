/* Which place of a medium a row of a tower's tap is, by shapes alone; numbers and words are worked out here
 * by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"

#define AUDIO "tap.thinker.audio_tower"
#define VISUAL "tap.thinker.visual"

enum { WIDTH = 4, MEL = 5, PIXELS = 3 * 2 * 2 * 2 };

static void fill(test_tensor *t, int64_t n)
{
    for (int64_t i = 0; i < n; i++) t->values[i] = 1 + (float)(i % 7) / 8;
}

static void add(const char *name, int n_dim, int64_t a, int64_t b, int64_t c)
{
    const int64_t dim[] = {a, b, c};
    int64_t n = a * b * (n_dim > 2 ? c : 1);
    fill(test_trace_add(&fx.reference, name, false, n_dim, dim), n);
    fill(test_trace_add(&fx.trace, name, false, n_dim, dim), n);
}

static void add_integers(const char *name, int n_dim, int64_t a, int64_t b, const int64_t *values)
{
    const int64_t dim[] = {a, b};
    test_trace *const sides[] = {&fx.reference, &fx.trace};
    for (int i = 0; i < 2; i++)
        memcpy(test_trace_add(sides[i], name, true, n_dim, dim)->integers, values,
               (size_t)(n_dim > 1 ? a * b : a) * sizeof *values);
}

/* Clips of these frames, whose tokens and chunks are n_token and n_chunk of n_step steps. */
static void add_clips(const int64_t *frames, int64_t n, int64_t n_token, int64_t n_chunk, int64_t n_step)
{
    int64_t all = 0;
    for (int64_t i = 0; i < n; i++) all += frames[i];
    add_integers("in.audio_feature_lengths", 1, n, 0, frames);
    add("in.input_features", 2, MEL, all, 0);
    add(AUDIO ".conv_out", 3, n_chunk, n_step, WIDTH);
    add(AUDIO ".layers.0", 2, n_token, WIDTH, 0);
    add(AUDIO, 2, n_token, WIDTH, 0);
}

static void add_pictures(bool is_video, const char *run, const int64_t (*grids)[3], int64_t n, int64_t merge)
{
    int64_t all = 0;
    char patches[64], tokens[64];
    for (int64_t i = 0; i < n; i++) all += grids[i][0] * grids[i][1] * grids[i][2];
    snprintf(patches, sizeof patches, VISUAL ".patch_embed%s", run);
    snprintf(tokens, sizeof tokens, VISUAL ".merger%s", run);
    add_integers(is_video ? "in.video_grid_thw" : "in.image_grid_thw", 2, n, 3, grids[0]);
    add(is_video ? "in.pixel_values_videos" : "in.pixel_values", 2, all, PIXELS, 0);
    add(patches, 2, all, WIDTH, 0);
    add(tokens, 2, all / (merge * merge), WIDTH, 0);
}

/* A row is off: what is told of it, and the token of a medium that shows it; -1: none. */
static void expect_place(const char *name, int64_t row, const char *where, int medium, int64_t token)
{
    test_tensor *t = of(&fx.trace, name);
    float kept = t->values[row * WIDTH];
    t->values[row * WIDTH] += 0.5f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    t->values[row * WIDTH] = kept;
    assert_string_equal(report(name)->where, where);
    assert_true(report(name)->row == row && report(name)->position == -1);
    for (int i = 0; i < fx.result->n_medium; i++) {
        const tess_medium_report *m = &fx.result->medium[i];
        for (int64_t k = 0; k < m->n_token; k++) {
            bool is_off = i == medium && k == token;
            assert_true(is_off == (m->failed[k] != 0) && is_off == (m->error[k] > 0));
        }
        if (i == medium && token >= 0) assert_string_equal(fx.result->tap[m->tap].name, name);
    }
}

static void test_published_chunks(void **state)
{
    (void)state;
    /* 100 frames are 13 steps; 17 are 3, 123 are 13 and 3 of the second chunk. */
    add_clips((int64_t[]){17, 123}, 2, 19, 3, 13);
    expect_place(AUDIO, 2, "clip 1, 0.16 s to 0.17 s", 0, 2);
    expect_place(AUDIO ".layers.0", 3, "clip 2, 0.00 s to 0.08 s", 1, 0);
    expect_place(AUDIO ".layers.0", 15, "clip 2, 0.96 s to 1.00 s", 1, 12);
    expect_place(AUDIO, 18, "clip 2, 1.16 s to 1.23 s", 1, 15);
    expect_place(AUDIO ".conv_out", 2, "clip 1, 0.16 s to 0.17 s", 0, 2);
    expect_place(AUDIO ".conv_out", 3, "clip 1, the padding behind its end", 0, -1);
    expect_place(AUDIO ".conv_out", 13 + 12, "clip 2, 0.96 s to 1.00 s", 1, 12);
    expect_place(AUDIO ".conv_out", 26 + 1, "clip 2, 1.08 s to 1.16 s", 1, 14);
    expect_place(AUDIO ".conv_out", 26 + 3, "clip 2, the padding behind its end", 1, -1);
    assert_true(fx.result->n_medium == 2 && fx.result->medium[1].n_chunk_frame == 100);
    assert_string_equal(fx.result->no_media, "");
}

static void test_other_chunks(void **state)
{
    (void)state;
    /* 40 frames are 5 steps: 100 are three chunks of 5, 5 and 3 – by the published ones one of 13. */
    add_clips((int64_t[]){100}, 1, 13, 3, 5);
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(fx.result->n_medium, 1);
    int chunk = fx.result->medium[0].n_chunk_frame;
    assert_true(chunk >= 34 && chunk <= 40); /* what three chunks of five steps leave open */
    expect_place(AUDIO, 0, "clip 1, 0.00 s to 0.08 s", 0, 0);
    assert_int_equal(fx.result->medium[0].n_token, 13);
}

static void test_clips_of_another_length(void **state)
{
    (void)state;
    add_clips((int64_t[]){17}, 1, 19, 3, 13);
    of(&fx.trace, AUDIO)->values[0] += 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_string_equal(report(AUDIO)->where, "");
    assert_int_equal(fx.result->n_medium, 0);
    assert_non_null(strstr(fx.result->no_media, "in.input_features"));
}

static void test_pictures(void **state)
{
    (void)state;
    static const int64_t images[][3] = {{1, 2, 4}, {1, 4, 6}}, videos[][3] = {{1, 2, 2}, {3, 4, 2}};
    add_pictures(false, "", images, 2, 2);
    add_pictures(true, "#1", videos, 2, 2);
    add_clips((int64_t[]){17}, 1, 3, 1, 3);
    /* Blocks of two by two patches, row by row. */
    expect_place(VISUAL ".patch_embed", 7, "image 1, patch in row 2 of 2, column 4 of 4", 1, 1);
    expect_place(VISUAL ".patch_embed", 8 + 21, "image 2, patch in row 3 of 4, column 6 of 6", 2, 5);
    expect_place(VISUAL ".merger", 2 + 3, "image 2, token in row 2 of 2, column 1 of 3", 2, 3);
    /* Beside images, videos are the tower's second run. */
    expect_place(VISUAL ".merger#1", 0,
                 "video 1, step 1 of 1 (from 0.00 s on), token in row 1 of 1, column 1 of 1", 3, 0);
    expect_place(VISUAL ".patch_embed#1", 4 + 8 + 6,
                 "video 2, step 2 of 3 (from 1.00 s on), patch in row 4 of 4, column 1 of 2", 4, 3);
    static const int steps[] = {3, 1, 1, 1, 3}, high[] = {0, 1, 2, 1, 2}, wide[] = {0, 2, 3, 1, 1};
    assert_int_equal(fx.result->n_medium, 5);
    for (int i = 1; i < 5; i++) {
        const tess_medium_report *m = &fx.result->medium[i];
        assert_true(m->n_step == steps[i] && m->n_high == high[i] && m->n_wide == wide[i] && m->merge == 2);
        assert_int_equal(m->n_token, steps[i] * high[i] * wide[i]);
    }
}

static void test_other_merges(void **state)
{
    (void)state;
    static const int64_t grids[][3] = {{1, 6, 9}};
    add_pictures(false, "", grids, 1, 3);
    expect_place(VISUAL ".patch_embed", 9 * 4 + 5, "image 1, patch in row 5 of 6, column 6 of 9", 0, 4);
}

/* Of several taps the first that failed is shown; a value that is not finite counts more than any error, and
 * what a row has in common with others is its token's worst. */
static void test_which_errors(void **state)
{
    (void)state;
    static const int64_t grids[][3] = {{1, 2, 4}};
    add_pictures(false, "", grids, 1, 2);
    of(&fx.trace, VISUAL ".merger")->values[0] = NAN;
    of(&fx.trace, VISUAL ".patch_embed")->values[1 * WIDTH] += 0.25f;
    of(&fx.trace, VISUAL ".patch_embed")->values[2 * WIDTH] += 0.5f;
    expect(TESS_VERDICT_DIFFERENT, 2);
    const tess_medium_report *m = fx.result->medium;
    double norm2 = 0;
    for (int i = 2 * WIDTH; i < 3 * WIDTH; i++)
        norm2 += pow((double)of(&fx.reference, VISUAL ".patch_embed")->values[i], 2);
    assert_string_equal(fx.result->tap[m->tap].name, VISUAL ".patch_embed");
    assert_true(fabs((double)m->error[0] / (0.5 / sqrt(norm2)) - 1) < 1e-6 && m->error[1] == 0);
    assert_true(m->failed[0] && !m->failed[1] && m->measure == TESS_MEASURE_REL_L2 && m->tolerance == 1e-5);
    of(&fx.trace, VISUAL ".patch_embed")->values[1 * WIDTH] = INFINITY;
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_true(isnan(fx.result->medium[0].error[0]) && fx.result->medium[0].failed[0]);
}

/* Against a truth errors are distances to it, ours. */
static void test_truth(void **state)
{
    (void)state;
    static const int64_t grids[][3] = {{1, 2, 4}};
    add_pictures(false, "", grids, 1, 2);
    test_trace_release(&fx.truth);
    test_trace_copy(&fx.reference, &fx.truth);
    strcpy(fx.reference.dtype, "bfloat16");
    strcpy(fx.trace.dtype, "bfloat16");
    test_trace_blur(&fx.reference, VISUAL ".merger", 1e-2);
    of(&fx.trace, VISUAL ".merger")->values[WIDTH] += 0.25f;
    fx.options.truth = fx.truth_path;
    compare();
    const tess_medium_report *m = fx.result->medium;
    double norm2 = 0;
    for (int i = WIDTH; i < 2 * WIDTH; i++)
        norm2 += pow((double)of(&fx.truth, VISUAL ".merger")->values[i], 2);
    assert_true(m->measure == TESS_MEASURE_RATIO && isnan(m->tolerance) && m->error[0] == 0);
    assert_true(fabs((double)m->error[1] / (0.25 / sqrt(norm2)) - 1) < 1e-6);
}

static void test_broken_inputs(void **state)
{
    (void)state;
    static const int64_t grids[][3] = {{1, 2, 4}};
    add_pictures(false, "", grids, 1, 2);
    of(&fx.reference, "in.image_grid_thw")->integers[1] = INT64_MAX;
    of(&fx.trace, VISUAL ".merger")->values[0] += 1;
    compare();
    assert_int_equal(fx.result->n_medium, 0);
    assert_non_null(strstr(fx.result->no_media, "in.image_grid_thw"));
    assert_string_equal(report(VISUAL ".merger")->where, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPARING(test_published_chunks),
        COMPARING(test_other_chunks),
        COMPARING(test_clips_of_another_length),
        COMPARING(test_pictures),
        COMPARING(test_other_merges),
        COMPARING(test_which_errors),
        COMPARING(test_truth),
        COMPARING(test_broken_inputs),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
