/* preprocessor_config.json: one file that two classes of the original read, its Whisper feature extractor and
 * its Qwen2-VL image processor, each what it knows of it.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fpenv.h"
#include "base/json.h"
#include "base/whole_file.h"
#include "media/mel.h"
#include "tessera/media.h"

enum { MAX_FILE_BYTES = 1 << 20, MAX_PATCH = 1 << 8, MAX_MERGE = 1 << 4, MAX_TEMPORAL = 1 << 4 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char file_name[] = "preprocessor_config.json";

/* Keys of which one value is implemented. Where two are listed, either will do. */
typedef struct fixed_key {
    const char *name, *value, *other; /* as JSON; other NULL: none */
    bool is_required;                 /* else absent or null means this value */
} fixed_key;

static const fixed_key fixed_keys[] = {
    {"sampling_rate", "16000", NULL, true},
    {"n_fft", "400", NULL, true},
    {"hop_length", "160", NULL, true},
    {"feature_extractor_type", "\"WhisperFeatureExtractor\"", NULL, false},
    {"dither", "0.0", NULL, false},
    {"padding_value", "0.0", NULL, false},
    {"padding_side", "\"right\"", NULL, false},
    {"do_resize", "true", NULL, false},
    {"do_rescale", "true", NULL, false},
    {"do_normalize", "true", NULL, false},
    {"do_convert_rgb", "true", NULL, false},
    {"do_center_crop", "false", NULL, false},
    {"do_pad", "false", NULL, false},
    {"resample", "3", NULL, false},                                           /* bicubic */
    {"rescale_factor", "0.00392156862745098", "0.003921568627450980", false}, /* 1/255 */
    {"image_processor_type", "\"Qwen2VLImageProcessor\"", "\"Qwen2VLImageProcessorFast\"", false},
};

static tess_status check_key(const tess_json_section *s, const fixed_key *key, tess_error *err)
{
    const json_t *found = json_object_get(s->object, key->name);
    if (!key->is_required && (!found || json_is_null(found))) return TESS_OK;
    return tess_json_expect(s, key->name, key->value, key->other, err);
}

static tess_status read_int(const tess_json_section *s, const char *key, int most, int *out, tess_error *err)
{
    int64_t value;
    const tess_status status = tess_json_int(s, key, 1, most, &value, err);
    if (status == TESS_OK) *out = (int)value;
    return status;
}

/* A limit in pixels, in the newer spelling within `size`. Where both are there, the older one counts. */
static tess_status read_limit(const tess_json_section *s, const char *older, const char *newer, int64_t *out,
                              tess_error *err)
{
    const json_t *value = json_object_get(s->object, older);
    if (value && !json_is_null(value)) return tess_json_int(s, older, 1, INT32_MAX, out, err);
    if (!json_is_object(json_object_get(s->object, "size"))) {
        char expected[80];
        snprintf(expected, sizeof expected, "a number of pixels, here or as %s of size", newer);
        return tess_json_refuse(s, older, expected, "nothing", err);
    }
    tess_json_section size;
    const tess_status status = tess_json_enter(s, "size", &size, err);
    return status == TESS_OK ? tess_json_int(&size, newer, 1, INT32_MAX, out, err) : status;
}

static tess_status read_limits(const tess_json_section *s, tess_preprocessor *out, tess_error *err)
{
    tess_status status = read_limit(s, "min_pixels", "shortest_edge", &out->least_pixels, err);
    if (status == TESS_OK) status = read_limit(s, "max_pixels", "longest_edge", &out->most_pixels, err);
    if (status != TESS_OK || out->least_pixels <= out->most_pixels) return status;
    char found[80];
    snprintf(found, sizeof found, "%lld, above the %lld of max_pixels", (long long)out->least_pixels,
             (long long)out->most_pixels);
    return tess_json_refuse(s, "min_pixels", "at most max_pixels", found, err);
}

/* Three numbers, one per colour, each within float32; a divisor is not 0. */
static tess_status read_colours(const tess_json_section *s, const char *key, bool is_divisor, double out[3],
                                tess_error *err)
{
    const json_t *array;
    const tess_status status = tess_json_array(s, key, 3, &array, err);
    if (status != TESS_OK) return status;
    bool is_good = json_array_size(array) == 3;
    for (size_t c = 0; c < 3 && is_good; c++) {
        const json_t *item = json_array_get(array, c);
        out[c] = json_number_value(item);
        is_good = json_is_number(item) && fabs(out[c]) <= 1e6 && (!is_divisor || fabs(out[c]) >= 1e-6);
    }
    if (is_good) return TESS_OK;
    char found[128];
    tess_json_spell(array, found, sizeof found);
    return tess_json_refuse(
        s, key, is_divisor ? "3 numbers of 0.000001 to 1000000" : "3 numbers of at most 1000000", found, err);
}

static tess_status read_section(const tess_json_section *s, tess_preprocessor *out, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < COUNT(fixed_keys) && status == TESS_OK; i++)
        status = check_key(s, &fixed_keys[i], err);
    if (status == TESS_OK) status = read_int(s, "feature_size", TESS_MEL_MOST_BANDS, &out->n_mel, err);
    if (status == TESS_OK) status = read_int(s, "patch_size", MAX_PATCH, &out->patch_size, err);
    if (status == TESS_OK) status = read_int(s, "merge_size", MAX_MERGE, &out->merge_size, err);
    if (status == TESS_OK)
        status = read_int(s, "temporal_patch_size", MAX_TEMPORAL, &out->temporal_patch_size, err);
    if (status == TESS_OK) status = read_limits(s, out, err);
    if (status == TESS_OK) status = read_colours(s, "image_mean", false, out->mean, err);
    return status == TESS_OK ? read_colours(s, "image_std", true, out->deviation, err) : status;
}

tess_status tess_preprocessor_load(const char *dir, tess_preprocessor *out, tess_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, file_name);
    tess_status status = tess_folder_check(dir, "a checkpoint's folder", err);
    if (status != TESS_OK) return status;
    if (access(path, F_OK) != 0)
        return tess_refuse(err, path, "", -1,
                           "the file that says how sounds and pictures are prepared; it is published with "
                           "the checkpoint",
                           "no such file");
    json_t *root;
    const tess_fpenv saved = tess_fpenv_enter();
    status = tess_json_load(path, MAX_FILE_BYTES, &root, err);
    tess_fpenv_leave(saved);
    if (status != TESS_OK) return status;
    tess_preprocessor read = {0};
    const tess_json_section section = {.object = root, .file = path};
    status = read_section(&section, &read, err);
    json_decref(root);
    if (status == TESS_OK) *out = read;
    return status;
}

static tess_status check_equal(const char *path, const char *key, int found, int expected, const char *of,
                               tess_error *err)
{
    if (found == expected) return TESS_OK;
    char right[96];
    snprintf(right, sizeof right, "%d, %s of config.json", expected, of);
    return tess_refuse(err, path, key, -1, right, "%d", found);
}

tess_status tess_preprocessor_check(const tess_preprocessor *p, const char *dir, int num_mel_bins,
                                    int patch_size, int spatial_merge_size, int temporal_patch_size,
                                    int in_channels, tess_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, file_name);
    tess_status status = check_equal(path, "feature_size", p->n_mel, num_mel_bins, "num_mel_bins", err);
    if (status == TESS_OK)
        status = check_equal(path, "patch_size", p->patch_size, patch_size, "patch_size", err);
    if (status == TESS_OK)
        status =
            check_equal(path, "merge_size", p->merge_size, spatial_merge_size, "spatial_merge_size", err);
    if (status == TESS_OK)
        status = check_equal(path, "temporal_patch_size", p->temporal_patch_size, temporal_patch_size,
                             "temporal_patch_size", err);
    return status == TESS_OK ? check_equal(path, "image_mean", 3, in_channels, "in_channels", err) : status;
}

int tess_preprocessor_frame_width(const tess_preprocessor *p)
{
    return p->n_mel;
}

int tess_preprocessor_patch_width(const tess_preprocessor *p)
{
    return 3 * p->temporal_patch_size * p->patch_size * p->patch_size;
}

int64_t tess_features_count_tokens(const tess_features *features, const tess_preprocessor *p)
{
    if (features->kind != TESS_MEDIA_AUDIO) {
        const int64_t n_patch = (int64_t)features->n_step * features->n_high * features->n_wide;
        return n_patch / ((int64_t)p->merge_size * p->merge_size);
    }
    /* A chunk of 100 frames is halved three times, each time rounded up: 13. */
    const int64_t whole = features->n_frame / 100, rest = features->n_frame % 100;
    return 13 * whole + (rest + 7) / 8;
}
