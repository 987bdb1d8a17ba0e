/* preprocessor_config.json: what is read, what is refused and by which name. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/scratch.h"
#include "tessera/media.h"

/* The published file. */
static const char published[] =
    "{\"dither\": 0.0, \"feature_extractor_type\": \"WhisperFeatureExtractor\", \"feature_size\": 128, "
    "\"hop_length\": 160, \"image_mean\": [0.5, 0.5, 0.5], \"image_processor_type\": "
    "\"Qwen2VLImageProcessor\", \"image_std\": [0.5, 0.5, 0.5], \"max_pixels\": 12845056, \"merge_size\": 2, "
    "\"min_pixels\": 3136, \"n_fft\": 400, \"n_samples\": 4800000, \"nb_max_frames\": 30000, "
    "\"padding_side\": \"right\", \"padding_value\": 0.0, \"patch_size\": 16, \"processor_class\": "
    "\"Qwen3OmniMoeProcessor\", \"return_attention_mask\": true, \"sampling_rate\": 16000, "
    "\"temporal_patch_size\": 2}";

static char folder[SCRATCH_BYTES], path[64];

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_text(const char *text)
{
    scratch_write(path, text, strlen(text));
}

/* The published file with one key changed to a JSON value; NULL takes the key away. */
static void write_with(const char *key, const char *value)
{
    json_t *root = json_loads(published, 0, NULL);
    assert_non_null(root);
    if (value)
        assert_int_equal(json_object_set_new(root, key, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    else
        assert_int_equal(json_object_del(root, key), 0);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
}

static void must_refuse(const char *key, const char *value, const char *found)
{
    tess_preprocessor out, before;
    tess_error err;
    memset(&out, 7, sizeof out);
    before = out;
    write_with(key, value);
    if (tess_preprocessor_load(folder, &out, &err) != TESS_EINPUT)
        fail_msg("%s: %s is taken", key, value ? value : "nothing");
    assert_string_equal(err.file, path);
    assert_string_equal(err.field, key);
    if (found) assert_string_equal(err.found, found);
    assert_memory_equal(&out, &before, sizeof out);
}

static tess_preprocessor load(void)
{
    tess_preprocessor out;
    tess_error err;
    if (tess_preprocessor_load(folder, &out, &err) != TESS_OK) fail_msg("%s", err.message);
    return out;
}

static void reads_the_published_file(void **state)
{
    (void)state;
    write_text(published);
    const tess_preprocessor p = load();
    assert_int_equal(p.n_mel, 128);
    assert_int_equal(p.patch_size, 16);
    assert_int_equal(p.merge_size, 2);
    assert_int_equal(p.temporal_patch_size, 2);
    assert_int_equal(p.least_pixels, 3136);
    assert_int_equal(p.most_pixels, 12845056);
    for (int c = 0; c < 3; c++) {
        assert_true(p.mean[c] == 0.5);
        assert_true(p.deviation[c] == 0.5);
    }
    assert_int_equal(tess_preprocessor_frame_width(&p), 128);
    assert_int_equal(tess_preprocessor_patch_width(&p), 1536);
}

/* What a save of the original writes beside and instead of it. */
static void reads_other_spellings(void **state)
{
    (void)state;
    json_t *root = json_loads(published, 0, NULL);
    json_object_del(root, "min_pixels");
    json_object_set_new(root, "max_pixels", json_null());
    json_object_set_new(root, "size",
                        json_pack("{s:i, s:i}", "shortest_edge", 1000, "longest_edge", 2000000));
    json_object_set_new(root, "image_processor_type", json_string("Qwen2VLImageProcessorFast"));
    json_object_set_new(root, "rescale_factor", json_real(1.0 / 255));
    json_object_set_new(root, "resample", json_integer(3));
    json_object_set_new(root, "do_resize", json_true());
    json_object_set_new(root, "do_center_crop", json_null());
    json_object_set_new(root, "chunk_length", json_integer(30));
    json_object_set_new(root, "image_mean", json_pack("[f, f, i]", 0.48145466, 0.4578275, 0));
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    const tess_preprocessor p = load();
    assert_int_equal(p.least_pixels, 1000);
    assert_int_equal(p.most_pixels, 2000000);
    assert_true(p.mean[0] == 0.48145466 && p.mean[2] == 0);
    write_with("size", "{\"shortest_edge\": 5, \"longest_edge\": 6}");
    assert_int_equal(load().most_pixels, 12845056); /* the older spelling counts */
}

static void refuses_by_name(void **state)
{
    (void)state;
    static const char *const needed[] = {
        "feature_size", "hop_length", "n_fft",      "sampling_rate", "image_mean",         "image_std",
        "min_pixels",   "max_pixels", "patch_size", "merge_size",    "temporal_patch_size"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) must_refuse(needed[i], NULL, NULL);
    must_refuse("hop_length", "200", "200");
    must_refuse("n_fft", "512", "512");
    must_refuse("sampling_rate", "24000", "24000");
    must_refuse("dither", "0.0001", NULL);
    must_refuse("padding_value", "1.0", "1.0");
    must_refuse("padding_side", "\"left\"", "\"left\"");
    must_refuse("feature_extractor_type", "\"ClapFeatureExtractor\"", "\"ClapFeatureExtractor\"");
    must_refuse("image_processor_type", "\"CLIPImageProcessor\"", "\"CLIPImageProcessor\"");
    must_refuse("do_resize", "false", "false");
    must_refuse("do_rescale", "false", "false");
    must_refuse("do_normalize", "false", "false");
    must_refuse("do_convert_rgb", "false", "false");
    must_refuse("do_center_crop", "true", "true");
    must_refuse("do_pad", "true", "true");
    must_refuse("resample", "2", "2");
    must_refuse("rescale_factor", "0.5", "0.5");
    must_refuse("feature_size", "0", "0");
    must_refuse("feature_size", "513", "513");
    must_refuse("feature_size", "128.0", "a number");
    must_refuse("patch_size", "257", "257");
    must_refuse("merge_size", "-1", "-1");
    must_refuse("temporal_patch_size", "\"2\"", "a string");
    must_refuse("min_pixels", "0", "0");
    must_refuse("max_pixels", "4294967296", "4294967296");
    must_refuse("min_pixels", "12845057", "12845057, above the 12845056 of max_pixels");
    must_refuse("image_mean", "[0.5, 0.5]", NULL);
    must_refuse("image_mean", "[0.5, 0.5, 0.5, 0.5]", "4");
    must_refuse("image_mean", "[0.5, 0.5, null]", NULL);
    must_refuse("image_mean", "[0.5, 0.5, 1e300]", NULL);
    must_refuse("image_std", "[0.5, 0.0, 0.5]", NULL);
    must_refuse("image_std", "0.5", NULL);
}

static void refuses_what_is_no_such_file(void **state)
{
    (void)state;
    tess_preprocessor out;
    tess_error err;
    unlink(path);
    assert_int_equal(tess_preprocessor_load(folder, &out, &err), TESS_EINPUT);
    assert_string_equal(err.file, path);
    assert_string_equal(err.found, "no such file");
    assert_non_null(strstr(err.expected, "how sounds and pictures are prepared"));
    assert_int_equal(tess_preprocessor_load("/nowhere", &out, &err), TESS_EINPUT);
    assert_string_equal(err.file, "/nowhere");
    write_text("[1]");
    assert_int_equal(tess_preprocessor_load(folder, &out, &err), TESS_EINPUT);
    write_text("{\"feature_size\": 128");
    assert_int_equal(tess_preprocessor_load(folder, &out, &err), TESS_EINPUT);
    write_text("{\"size\": {\"shortest_edge\": 3136}, \"size\": 7}");
    assert_int_equal(tess_preprocessor_load(folder, &out, &err), TESS_EINPUT);
}

static void checks_against_the_towers(void **state)
{
    (void)state;
    write_text(published);
    const tess_preprocessor p = load();
    assert_int_equal(tess_preprocessor_check(&p, folder, 128, 16, 2, 2, 3, NULL), TESS_OK);
    static const int others[][5] = {
        {80, 16, 2, 2, 3}, {128, 14, 2, 2, 3}, {128, 16, 3, 2, 3}, {128, 16, 2, 1, 3}, {128, 16, 2, 2, 4}};
    static const char *const fields[] = {"feature_size", "patch_size", "merge_size", "temporal_patch_size",
                                         "image_mean"};
    for (size_t i = 0; i < 5; i++) {
        tess_error err;
        const int *v = others[i];
        assert_int_equal(tess_preprocessor_check(&p, folder, v[0], v[1], v[2], v[3], v[4], &err),
                         TESS_EINPUT);
        assert_string_equal(err.file, path);
        assert_string_equal(err.field, fields[i]);
    }
}

/* Frames and tokens of the original's processor, from field reports. */
static void counts_tokens(void **state)
{
    (void)state;
    static const int counts[][2] = {{1, 1},      {8, 1},      {9, 2},      {40, 5},      {50, 7},
                                    {99, 13},    {100, 13},   {101, 14},   {109, 15},    {200, 26},
                                    {300, 39},   {640, 83},   {801, 105},  {1000, 130},  {1502, 196},
                                    {2000, 260}, {3000, 390}, {6000, 780}, {30000, 3900}};
    const tess_preprocessor p = {.merge_size = 2};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const tess_features f = {.kind = TESS_MEDIA_AUDIO, .n_frame = counts[i][0]};
        assert_int_equal(tess_features_count_tokens(&f, &p), counts[i][1]);
    }
    const tess_features image = {.kind = TESS_MEDIA_IMAGE, .n_step = 1, .n_high = 52, .n_wide = 78};
    assert_int_equal(tess_features_count_tokens(&image, &p), 1014);
    const tess_features film = {.kind = TESS_MEDIA_VIDEO, .n_step = 20, .n_high = 44, .n_wide = 80};
    assert_int_equal(tess_features_count_tokens(&film, &p), 17600);
}

static tess_error fault_err;

static tess_status load_without_memory(void)
{
    tess_preprocessor out;
    return tess_preprocessor_load(folder, &out, &fault_err);
}

static void runs_out_of_memory_safely(void **state)
{
    (void)state;
    write_text(published);
    assert_true(fault_alloc_each(load_without_memory, &fault_err) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_published_file),  cmocka_unit_test(reads_other_spellings),
        cmocka_unit_test(refuses_by_name),           cmocka_unit_test(refuses_what_is_no_such_file),
        cmocka_unit_test(checks_against_the_towers), cmocka_unit_test(counts_tokens),
        cmocka_unit_test(runs_out_of_memory_safely),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
