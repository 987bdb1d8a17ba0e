/* Pictures: the size they are taken as, resizing to Pillow's bytes, and patches in the original's order. */
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
#include "media/image_size.h"
#include "media/patches.h"
#include "media/resize.h"

static const double half[3] = {0.5, 0.5, 0.5};

static tess_picture new_picture(int width, int height, int seed)
{
    return (tess_picture){width, height, front_picture(width, height, seed)};
}

static tess_picture resize(const tess_picture *in, int width, int height)
{
    /* Room that ends with the picture, so that a sanitizer sees what goes beyond it. */
    tess_picture out = {width, height, malloc((size_t)width * (size_t)height * 3)};
    tess_error err;
    assert_non_null(out.rgb);
    if (tess_picture_resize(in, &out, "picture", &err) != TESS_OK) fail_msg("%s", err.message);
    return out;
}

static void sizes_are_the_originals(void **state)
{
    (void)state;
    json_t *root = front_pictures(), *entry;
    size_t i, n_refused = 0;
    json_array_foreach(json_object_get(root, "sizes"), i, entry)
    {
        int64_t v[7];
        for (size_t j = 0; j < 7; j++) v[j] = json_integer_value(json_array_get(entry, j));
        int width = 0, height = 0;
        const tess_status status = tess_image_size_choose("picture", (int)v[0], (int)v[1], (int)v[2], v[3],
                                                          v[4], &width, &height, NULL);
        assert_int_equal(status, v[5] ? TESS_OK : TESS_EINPUT);
        if (width != v[5] || height != v[6])
            fail_msg("%lld x %lld: %d x %d, the original %lld x %lld", (long long)v[0], (long long)v[1],
                     width, height, (long long)v[5], (long long)v[6]);
        n_refused += v[5] == 0;
    }
    assert_true(i >= 1500 && n_refused >= 20);
    json_decref(root);
}

/* The specification's examples, width and height first as everywhere here. */
static void sizes_of_the_specification(void **state)
{
    (void)state;
    static const int cases[][4] = {{640, 480, 640, 480}, {1920, 1080, 1920, 1088}, {1280, 720, 1280, 704},
                                   {224, 224, 224, 224}, {32, 32, 64, 64},         {6000, 4000, 4384, 2912},
                                   {30, 100, 32, 128},   {1260, 840, 1248, 832},   {1, 1, 64, 64}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int width, height;
        assert_int_equal(tess_image_size_choose("picture", cases[i][0], cases[i][1], 32, 3136, 12845056,
                                                &width, &height, NULL),
                         TESS_OK);
        assert_int_equal(width, cases[i][2]);
        assert_int_equal(height, cases[i][3]);
    }
}

static void must_refuse_size(int width, int height, const char *found)
{
    int a = 7, b = 7;
    tess_error err;
    assert_int_equal(tess_image_size_choose("p.png", width, height, 32, 3136, 12845056, &a, &b, &err),
                     TESS_EINPUT);
    assert_int_equal(a, 7);
    assert_int_equal(b, 7);
    assert_string_equal(err.file, "p.png");
    assert_string_equal(err.found, found);
}

static void refuses_sizes(void **state)
{
    (void)state;
    must_refuse_size(4000, 19, "4000 x 19 pixels, 210.5 to 1");
    must_refuse_size(1, 201, "1 x 201 pixels, 201 to 1");
    must_refuse_size(0, 5, "0 x 5 pixels");
    must_refuse_size(5, -1, "5 x -1 pixels");
    must_refuse_size(INT32_MAX, INT32_MAX, "2147483647 x 2147483647 pixels");
}

static void resizes_to_pillows_bytes(void **state)
{
    (void)state;
    json_t *root = front_pictures(), *entry;
    size_t i;
    json_array_foreach(json_object_get(root, "resizes"), i, entry)
    {
        tess_picture in = new_picture(front_int(entry, "width"), front_int(entry, "height"), 0);
        tess_picture out = resize(&in, front_int(entry, "out_width"), front_int(entry, "out_height"));
        front_assert_digest(entry, "rgb", out.rgb, (size_t)out.width * (size_t)out.height * 3);
        free(in.rgb);
        free(out.rgb);
    }
    assert_true(i >= 30);
    json_decref(root);
}

static void the_environment_changes_no_byte(void **state)
{
    (void)state;
    tess_picture in = new_picture(301, 203, 1), usual = resize(&in, 160, 224);
    fesetround(FE_DOWNWARD);
    tess_picture other = resize(&in, 160, 224);
    fesetround(FE_TONEAREST);
    assert_memory_equal(usual.rgb, other.rgb, (size_t)160 * 224 * 3);
    free(in.rgb);
    free(usual.rgb);
    free(other.rgb);
}

/* All rows, read in pieces of a size that no block or row is a multiple of, last first. */
static float *read_rows(const tess_features *features, int64_t n_row, size_t width)
{
    float *rows = malloc((size_t)n_row * width * sizeof *rows);
    assert_non_null(rows);
    for (int64_t end = n_row; end > 0;) {
        const int64_t n = end < 37 ? end : 37;
        end -= n;
        assert_int_equal(features->read(features->context, end, n, rows + (size_t)end * width, NULL),
                         TESS_OK);
    }
    return rows;
}

static void check_rows(const json_t *entry, tess_patches *patches, tess_media_kind kind)
{
    tess_patches_set_values(patches, half, half);
    tess_features features = tess_patches_get_features(patches, kind);
    const int32_t found[3] = {features.n_step, features.n_high, features.n_wide};
    int64_t n_row = 1;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(found[i], json_integer_value(json_array_get(json_object_get(entry, "grid"), i)));
        n_row *= found[i];
    }
    assert_int_equal(features.kind, kind);
    const int patch = patches->patch_size;
    const size_t width = (size_t)(3 * patches->temporal_patch_size * patch * patch);
    float *rows = read_rows(&features, n_row, width);
    front_assert_digest(entry, "pixel_values", rows, (size_t)n_row * width * sizeof *rows);
    free(rows);
}

static void images_are_the_originals_patches(void **state)
{
    (void)state;
    json_t *root = front_pictures(), *entry;
    size_t i;
    json_array_foreach(json_object_get(root, "images"), i, entry)
    {
        const int patch = front_int(entry, "patch"), merge = front_int(entry, "merge");
        tess_picture in = new_picture(front_int(entry, "width"), front_int(entry, "height"), 0);
        int width, height;
        assert_int_equal(tess_image_size_choose("picture", in.width, in.height, patch * merge,
                                                front_int(entry, "least"), front_int(entry, "most"), &width,
                                                &height, NULL),
                         TESS_OK);
        tess_picture out = resize(&in, width, height);
        tess_patches patches = {.width = width,
                                .height = height,
                                .patch_size = patch,
                                .merge_size = merge,
                                .temporal_patch_size = 2,
                                .n_frame = 1,
                                .frame = &out.rgb};
        check_rows(entry, &patches, TESS_MEDIA_IMAGE);
        free(in.rgb);
        free(out.rgb);
    }
    assert_true(i >= 35);
    json_decref(root);
}

static void films_are_the_originals_patches(void **state)
{
    (void)state;
    json_t *root = front_pictures(), *entry;
    size_t i;
    json_array_foreach(json_object_get(root, "films"), i, entry)
    {
        uint8_t *frame[8];
        const int n_frame = front_int(entry, "frames"), patch = front_int(entry, "patch");
        int width = 0, height = 0;
        for (int j = 0; j < n_frame; j++) {
            tess_picture in = new_picture(front_int(entry, "width"), front_int(entry, "height"), j);
            assert_int_equal(tess_image_size_choose("film", in.width, in.height, 2 * patch,
                                                    TESS_FRAME_LEAST_PIXELS, TESS_FRAME_MOST_PIXELS, &width,
                                                    &height, NULL),
                             TESS_OK);
            frame[j] = resize(&in, width, height).rgb;
            free(in.rgb);
        }
        tess_patches patches = {.width = width,
                                .height = height,
                                .patch_size = patch,
                                .merge_size = 2,
                                .temporal_patch_size = front_int(entry, "pair"),
                                .n_frame = n_frame,
                                .frame = frame};
        check_rows(entry, &patches, TESS_MEDIA_VIDEO);
        for (int j = 0; j < n_frame; j++) free(frame[j]);
    }
    assert_true(i >= 4);
    json_decref(root);
}

/* How far the one step in which the original's video processor normalises lies from the image processor's. */
static void a_films_values_differ_in_the_last_place(void **state)
{
    (void)state;
    tess_patches patches = {0};
    tess_patches_set_values(&patches, half, half);
    double worst = 0;
    for (int b = 0; b < 256; b++) {
        const float one_step = ((float)b - 0.5f * 255.0f) / (0.5f * 255.0f);
        const double off = fabs((double)(patches.value[0][b] - one_step));
        if (off > worst) worst = off;
    }
    printf("# max abs %.2e\n", worst);
    assert_true(worst > 0 && worst <= 6.0e-8);
}

static void means_and_deviations_go_by_colour(void **state)
{
    (void)state;
    static const double mean[3] = {0.48145466, 0.4578275, 0.40821073},
                        deviation[3] = {0.26862954, 0.26130258, 0.27577711};
    tess_patches patches = {0};
    tess_patches_set_values(&patches, mean, deviation);
    for (int c = 0; c < 3; c++)
        for (int b = 0; b < 256; b += 5)
            assert_float_equal(patches.value[c][b], (float)((b / 255.0 - mean[c]) / deviation[c]), 1e-6f);
}

static tess_error fault_err;

static tess_status resize_without_memory(void)
{
    uint8_t in[12 * 10 * 3] = {0}, out[7 * 20 * 3];
    return tess_picture_resize(&(tess_picture){12, 10, in}, &(tess_picture){7, 20, out}, "picture",
                               &fault_err);
}

static void runs_out_of_memory_safely(void **state)
{
    (void)state;
    assert_int_equal(fault_alloc_each(resize_without_memory, &fault_err), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_the_originals),
        cmocka_unit_test(sizes_of_the_specification),
        cmocka_unit_test(refuses_sizes),
        cmocka_unit_test(resizes_to_pillows_bytes),
        cmocka_unit_test(the_environment_changes_no_byte),
        cmocka_unit_test(images_are_the_originals_patches),
        cmocka_unit_test(films_are_the_originals_patches),
        cmocka_unit_test(a_films_values_differ_in_the_last_place),
        cmocka_unit_test(means_and_deviations_go_by_colour),
        cmocka_unit_test(runs_out_of_memory_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
