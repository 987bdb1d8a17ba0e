/* Placeholders and positions against the original's, in tests/golden/positions: ids exactly, positions bit
 * for bit; and prompts whose media are not where they should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "model/positions.h"

enum { MOST = 4096 };

typedef struct sample {
    tess_thinker_config config;
    tess_features features[16];
    const tess_features *item[16];
    tess_media_list media;
    int32_t prompt[MOST], ids[MOST], expanded[MOST];
    int n_prompt, n_id;
} sample;

static int number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return (int)json_integer_value(value);
}

static int read_ids(const json_t *array, int32_t *out)
{
    size_t n = json_array_size(array);
    assert_true(n <= MOST);
    for (size_t i = 0; i < n; i++) out[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return (int)n;
}

static tess_features *add(sample *s, tess_media_kind kind)
{
    tess_features *f = &s->features[s->media.n];
    assert_true(s->media.n < 16);
    *f = (tess_features){.kind = kind, .width = kind == TESS_MEDIA_AUDIO ? 128 : 1536, .n_step = 1};
    s->item[s->media.n++] = f;
    return f;
}

static void add_clip(sample *s, const json_t *c, size_t clip, bool is_inside)
{
    tess_features *f = add(s, TESS_MEDIA_AUDIO);
    f->n_frame = json_integer_value(json_array_get(json_object_get(c, "frames"), clip));
    f->is_inside_video = is_inside;
}

static void add_grid(sample *s, const json_t *c, const char *key, size_t i)
{
    const json_t *grid = json_array_get(json_object_get(c, key), i);
    tess_features *f = add(s, strcmp(key, "images") ? TESS_MEDIA_VIDEO : TESS_MEDIA_IMAGE);
    f->n_step = (int32_t)json_integer_value(json_array_get(grid, 0));
    f->n_high = (int32_t)json_integer_value(json_array_get(grid, 1));
    f->n_wide = (int32_t)json_integer_value(json_array_get(grid, 2));
    if (f->kind == TESS_MEDIA_VIDEO)
        f->seconds_per_grid = json_number_value(json_array_get(json_object_get(c, "seconds"), i));
}

/* The media in the order of the prompt's pad tokens, a video's sound behind it. */
static void read_media(sample *s, const json_t *c)
{
    size_t n_clip = 0, n_image = 0, n_video = 0;
    for (int i = 0; i < s->n_prompt; i++) {
        if (s->prompt[i] == s->config.audio_token) add_clip(s, c, n_clip++, false);
        if (s->prompt[i] == s->config.image_token) add_grid(s, c, "images", n_image++);
        if (s->prompt[i] != s->config.video_token) continue;
        int sound = (int)json_integer_value(json_array_get(json_object_get(c, "sound"), n_video));
        add_grid(s, c, "videos", n_video++);
        if (sound >= 0) add_clip(s, c, n_clip++, true);
    }
}

static void read_sample(sample *s, const json_t *root, const json_t *c)
{
    tess_thinker_config *t = &s->config;
    t->audio_token = number(root, "audio_token_id");
    t->image_token = number(root, "image_token_id");
    t->video_token = number(root, "video_token_id");
    t->audio_start = number(root, "audio_start_token_id");
    t->audio_end = number(root, "audio_end_token_id");
    t->vision_start = number(root, "vision_start_token_id");
    t->vision_end = number(root, "vision_end_token_id");
    t->position_id_per_seconds = number(root, "position_id_per_seconds");
    t->audio = (tess_audio_config){.n_window = number(root, "n_window"), .n_mel = 128};
    t->vision = (tess_vision_config){.spatial_merge_size = number(root, "spatial_merge_size"),
                                     .n_channel = 3,
                                     .temporal_patch_size = 2,
                                     .patch_size = 16};
    s->n_prompt = read_ids(json_object_get(c, "prompt"), s->prompt);
    s->n_id = read_ids(json_object_get(c, "ids"), s->ids);
    s->media = (tess_media_list){.item = s->item};
    read_media(s, c);
}

static void check_expansion(sample *s, const char *name)
{
    tess_error err;
    int64_t n = 0;
    tess_status status = tess_media_check(&s->config, &s->media, &err);
    if (status == TESS_OK)
        status = tess_placeholders_expand(&s->config, s->prompt, s->n_prompt, &s->media, s->expanded, MOST,
                                          &n, &err);
    if (status != TESS_OK) fail_msg("%s: %s", name, err.message);
    assert_int_equal(n, s->n_id);
    if (memcmp(s->expanded, s->ids, (size_t)n * sizeof *s->ids)) fail_msg("%s: other ids", name);
    assert_int_equal(tess_placeholders_check(&s->config, s->ids, s->n_id, &s->media, &err), TESS_OK);
    /* Counted without room. */
    assert_int_equal(
        tess_placeholders_expand(&s->config, s->prompt, s->n_prompt, &s->media, NULL, 0, &n, &err), TESS_OK);
    assert_int_equal(n, s->n_id);
}

static void check_positions(const sample *s, const json_t *c, const char *name)
{
    static float positions[3 * MOST];
    tess_error err;
    tess_status status =
        tess_positions_compute(&s->config, s->ids, s->n_id, &s->media, 0.0f, positions, MOST, &err);
    if (status != TESS_OK) fail_msg("%s: %s", name, err.message);
    for (size_t stream = 0; stream < 3; stream++) {
        const json_t *expected = json_array_get(json_object_get(c, "positions"), stream);
        const json_t *next = json_array_get(json_object_get(c, "next"), stream);
        assert_int_equal(json_array_size(expected), s->n_id);
        for (size_t i = 0; i < (size_t)s->n_id; i++) {
            float right = (float)json_number_value(json_array_get(expected, i));
            if (positions[stream * MOST + i] != right)
                fail_msg("%s: stream %zu, token %zu: found %.9g, expected %.9g", name, stream, i,
                         (double)positions[stream * MOST + i], (double)right);
        }
        /* Generated tokens go on behind the last one, stream by stream. */
        float last = positions[stream * MOST + (size_t)s->n_id - 1];
        for (size_t i = 0; i < 3; i++)
            assert_true(last + (float)(i + 1) == (float)json_number_value(json_array_get(next, i)));
    }
}

static json_t *load_cases(void)
{
    json_error_t error;
    json_t *root = json_load_file("tests/golden/positions/cases.json", 0, &error);
    if (!root) fail_msg("%s", error.text);
    return root;
}

static void agrees_with_the_original(void **state)
{
    (void)state;
    json_t *root = load_cases();
    const json_t *cases = json_object_get(root, "cases");
    assert_true(json_array_size(cases) >= 100);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        static sample s;
        memset(&s, 0, sizeof s);
        read_sample(&s, root, c);
        check_expansion(&s, json_string_value(json_object_get(c, "name")));
        check_positions(&s, c, json_string_value(json_object_get(c, "name")));
    }
    printf("%zu prompts\n", json_array_size(cases));
    json_decref(root);
}

/* A case by its name. */
static void read_named(sample *s, const char *name)
{
    json_t *root = load_cases();
    const json_t *cases = json_object_get(root, "cases");
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        if (!strcmp(json_string_value(json_object_get(c, "name")), name)) read_sample(s, root, c);
    }
    assert_true(s->n_id > 0);
    json_decref(root);
}

static void later_turns_go_on(void **state)
{
    (void)state;
    static sample s;
    static float whole[3 * MOST], rest[3 * MOST];
    read_named(&s, "two images");
    tess_error err;
    assert_int_equal(tess_positions_compute(&s.config, s.ids, s.n_id, &s.media, 0, whole, MOST, &err),
                     TESS_OK);
    /* The first image ends with its end token; what stands behind, with the second image, is the rest. */
    int cut = 0;
    while (s.ids[cut] != s.config.vision_end) cut++;
    cut++;
    const tess_media_list second = {s.item + 1, 1};
    float start = whole[cut - 1] + 1.0f;
    assert_int_equal(
        tess_positions_compute(&s.config, s.ids + cut, s.n_id - cut, &second, start, rest, MOST, &err),
        TESS_OK);
    for (size_t stream = 0; stream < 3; stream++)
        for (int i = cut; i < s.n_id; i++)
            assert_true(rest[stream * MOST + (size_t)(i - cut)] == whole[stream * MOST + (size_t)i]);
}

static void refuse(sample *s, const char *said)
{
    static float positions[3 * MOST];
    tess_error err;
    tess_status status = tess_placeholders_check(&s->config, s->ids, s->n_id, &s->media, &err);
    if (status == TESS_OK)
        status = tess_positions_compute(&s->config, s->ids, s->n_id, &s->media, 0, positions, MOST, &err);
    assert_int_equal(status, TESS_EINPUT);
    assert_string_equal(err.field, "input_ids");
    if (!strstr(err.message, said)) fail_msg("\"%s\" is not in: %s", said, err.message);
}

static int find(const sample *s, int32_t id)
{
    for (int i = 0; i < s->n_id; i++)
        if (s->ids[i] == id) return i;
    fail_msg("no token %d", (int)id);
    return -1;
}

static void misplaced_media_are_refused(void **state)
{
    (void)state;
    static sample s;
    read_named(&s, "image");
    s.ids[find(&s, s.config.image_token)] = 7;
    refuse(&s, "one for each row of image");
    read_named(&s, "image");
    s.ids[find(&s, s.config.vision_start)] = 7;
    refuse(&s, "a start token before every medium");
    read_named(&s, "image"); /* a pad token changes places with the end token */
    int end = find(&s, s.config.vision_end);
    s.ids[end - 1] = s.config.vision_end;
    s.ids[end] = s.config.image_token;
    refuse(&s, "placeholder tokens of the image");
    read_named(&s, "two images");
    int start = find(&s, s.config.vision_start);
    if (start > 0) s.ids[start - 1] = s.config.vision_start;
    refuse(&s, "a medium behind every start token");
    read_named(&s, "sound 2 fps");
    s.ids[find(&s, s.config.audio_start) + 2] = 7;
    refuse(&s, "one for each row of");
}

static void refuse_prompt(sample *s, const char *said)
{
    tess_error err;
    int64_t n = -7;
    assert_int_equal(
        tess_placeholders_expand(&s->config, s->prompt, s->n_prompt, &s->media, s->expanded, MOST, &n, &err),
        TESS_EINPUT);
    assert_int_equal(n, -7);
    if (!strstr(err.message, said)) fail_msg("\"%s\" is not in: %s", said, err.message);
}

static void other_placeholders_than_media_are_refused(void **state)
{
    (void)state;
    static sample s;
    read_named(&s, "image");
    s.prompt[0] = s.config.image_token;
    refuse_prompt(&s, "found 2; text that spells one becomes one");
    read_named(&s, "image");
    for (int i = 0; i < s.n_prompt; i++)
        if (s.prompt[i] == s.config.image_token) s.prompt[i] = 7;
    refuse_prompt(&s, "for each image of the request: 1");
    read_named(&s, "image");
    s.prompt[0] = s.config.audio_token;
    refuse_prompt(&s, "for each audio of the request: 0");
    read_named(&s, "sound 2 fps");
    for (int i = 0; i < s.n_prompt; i++)
        if (s.prompt[i] == s.config.vision_end) s.prompt[i] = 7;
    refuse_prompt(&s, "a video with its sound between");
}

static void refuse_features(sample *s, int item, const char *said)
{
    tess_error err;
    assert_int_equal(tess_media_check(&s->config, &s->media, &err), TESS_EINPUT);
    char field[32];
    snprintf(field, sizeof field, "media[%d]", item);
    assert_string_equal(err.field, field);
    if (!strstr(err.message, said)) fail_msg("\"%s\" is not in: %s", said, err.message);
}

static void impossible_media_are_refused(void **state)
{
    (void)state;
    static sample s;
    read_named(&s, "iav with text");
    s.features[0].width = 768;
    refuse_features(&s, 0, "rows of 1536");
    read_named(&s, "iav with text");
    s.features[0].n_wide = 3;
    refuse_features(&s, 0, "multiples of 2 patches");
    read_named(&s, "iav with text");
    s.features[0].n_step = 2;
    refuse_features(&s, 0, "a grid of one step");
    read_named(&s, "iav with text");
    s.features[0].n_high = s.features[0].n_wide = 1 << 20;
    refuse_features(&s, 0, "a grid of");
    read_named(&s, "iav with text");
    s.features[1].n_frame = 0;
    refuse_features(&s, 1, "found 0 frames, expected 1 to 2^31 frames");
    s.features[1].n_frame = INT64_MAX;
    refuse_features(&s, 1, "1 to 2^31 frames");
    read_named(&s, "iav with text");
    s.features[2].seconds_per_grid = 0;
    refuse_features(&s, 2, "seconds per grid above 0");
    read_named(&s, "iav with text");
    s.features[1].is_inside_video = true;
    refuse_features(&s, 1, "a video before the sound");
    read_named(&s, "iav with text");
    s.features[0].is_inside_video = true;
    refuse_features(&s, 0, "found image, expected audio");
    read_named(&s, "iav with text");
    s.features[0].kind = (tess_media_kind)3;
    refuse_features(&s, 0, "found kind 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_original),
        cmocka_unit_test(later_turns_go_on),
        cmocka_unit_test(misplaced_media_are_refused),
        cmocka_unit_test(other_placeholders_than_media_are_refused),
        cmocka_unit_test(impossible_media_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
