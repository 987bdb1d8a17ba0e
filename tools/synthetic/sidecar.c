#include "sidecar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { MAX_CONFIG_BYTES = 4 << 20 };

static tess_status load_base(const char *file, json_t **root, tess_error *err)
{
    if (file) return tess_json_load(file, MAX_CONFIG_BYTES, root, err);
    size_t n;
    const char *text = sidecar_released_config(&n);
    return tess_json_parse("the released configuration", 0, text, n, root, err);
}

static void change_config(json_t *root, const sidecar_change *change)
{
    json_t *text = json_object_get(json_object_get(root, "thinker_config"), "text_config"),
           *talker = json_object_get(root, "talker_config"),
           *accepted = json_object_get(talker, "accept_hidden_layer");
    if (change->with_speech >= 0)
        json_object_set_new(root, "enable_audio_output", json_boolean(change->with_speech));
    if (!change->n_layer) return;
    json_object_set_new(text, "num_hidden_layers", json_integer(change->n_layer));
    if (json_integer_value(accepted) > change->n_layer)
        json_object_set_new(talker, "accept_hidden_layer", json_integer(change->n_layer));
}

tess_status sidecar_config(const char *file, const sidecar_change *change, json_t **root, tess_config *out,
                           tess_error *err)
{
    *root = NULL;
    tess_status status = load_base(file, root, err);
    if (status != TESS_OK) return status;
    change_config(*root, change);
    return tess_config_parse(file ? file : "the released configuration", *root, out, err);
}

static tess_status write_text(const char *folder, const char *name, const char *text, size_t n_byte,
                              tess_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!text) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its text", path);
    FILE *f = fopen(path, "wbx");
    if (!f) return tess_fail_system(err, errno, path, -1, "create");
    int failed = fwrite(text, 1, n_byte, f) != n_byte ? errno : 0;
    if (fclose(f) && !failed) failed = errno;
    return failed ? tess_fail_system(err, failed, path, -1, "write") : TESS_OK;
}

/* Takes the reference. */
static tess_status write_json(const char *folder, const char *name, json_t *root, tess_error *err)
{
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    tess_status status = write_text(folder, name, text, text ? strlen(text) : 0, err);
    free(text);
    json_decref(root);
    return status;
}

static json_t *preprocessor(const tess_config *config)
{
    const tess_vision_config *vision = &config->thinker.vision;
    return json_pack(
        "{s:f, s:s, s:i, s:i, s:[f,f,f], s:s, s:[f,f,f], s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:i, "
        "s:s, s:b, s:i, s:i}",
        "dither", 0.0, "feature_extractor_type", "WhisperFeatureExtractor", "feature_size",
        config->thinker.audio.n_mel, "hop_length", 160, "image_mean", 0.5, 0.5, 0.5, "image_processor_type",
        "Qwen2VLImageProcessor", "image_std", 0.5, 0.5, 0.5, "max_pixels", 12845056, "merge_size",
        vision->spatial_merge_size, "min_pixels", 3136, "n_fft", 400, "n_samples", 4800000, "nb_max_frames",
        30000, "padding_side", "right", "padding_value", 0.0, "patch_size", vision->patch_size,
        "processor_class", "Qwen3OmniMoeProcessor", "return_attention_mask", 1, "sampling_rate", 16000,
        "temporal_patch_size", vision->temporal_patch_size);
}

static json_t *generation(void)
{
    return json_pack("{s:i, s:f, s:f, s:i, s:f}", "talker_max_new_tokens", 4096, "talker_repetition_penalty",
                     1.05, "talker_temperature", 0.9, "talker_top_k", 50, "talker_top_p", 1.0);
}

tess_status sidecar_write(const char *folder, const json_t *root, const tess_config *config,
                          const char *index, size_t index_bytes, tess_error *err)
{
    tess_status status = write_json(folder, "config.json", json_deep_copy(root), err);
    if (status == TESS_OK)
        status = write_text(folder, "model.safetensors.index.json", index, index_bytes, err);
    if (status == TESS_OK) status = write_json(folder, "preprocessor_config.json", preprocessor(config), err);
    if (status == TESS_OK && config->has_talker)
        status = write_json(folder, "generation_config.json", generation(), err);
    return status;
}

/* The whole of a small file; *out is NULL if there is none. The caller owns it. */
static tess_status read_small(const char *path, char **out, size_t *n_byte, tess_error *err)
{
    FILE *f = fopen(path, "rb"), *copy;
    *out = NULL;
    if (!f) return errno == ENOENT ? TESS_OK : tess_fail_system(err, errno, path, -1, "open");
    copy = open_memstream(out, n_byte);
    char block[4096];
    size_t n;
    while (copy && (n = fread(block, 1, sizeof block, f)) > 0) fwrite(block, 1, n, copy);
    int failed = ferror(f);
    fclose(f);
    if (!copy || fclose(copy)) return tess_fail(err, TESS_ENOMEM, "%s: no memory to copy it", path);
    return failed ? tess_fail_system(err, EIO, path, -1, "read") : TESS_OK;
}

tess_status sidecar_copy_tokenizer(const char *from, const char *folder, tess_error *err)
{
    static const struct {
        const char *name;
        bool is_required;
    } file[] = {{"vocab.json", true},
                {"merges.txt", true},
                {"tokenizer_config.json", false},
                {"chat_template.json", false}};
    tess_status status = TESS_OK;
    for (size_t i = 0; i < sizeof file / sizeof *file && status == TESS_OK; i++) {
        char path[4096], *text;
        size_t n_byte = 0;
        snprintf(path, sizeof path, "%s/%s", from, file[i].name);
        status = read_small(path, &text, &n_byte, err);
        if (status == TESS_OK && text) status = write_text(folder, file[i].name, text, n_byte, err);
        if (status == TESS_OK && !text && file[i].is_required)
            status = tess_refuse(err, path, "", -1, "a tokenizer's file", "nothing");
        free(text);
    }
    return status;
}
