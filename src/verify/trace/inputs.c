#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tessera/trace.h"
#include "verify/trace/media.h"
#include "verify/trace/reader.h"

enum { MAX_GENERATE = 16777216 };

void tess_trace_inputs_release(tess_trace_inputs *inputs)
{
    free(inputs->ids);
    free(inputs->codes);
    free(inputs->positions);
    tess_trace_media_free(inputs->own_media);
    free(inputs->case_name);
    free(inputs->speaker);
    free(inputs->messages);
    free(inputs->raw);
    *inputs = (tess_trace_inputs){0};
}

static tess_status no_memory(const tess_trace_reader *reader, tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "%s: no memory for its inputs", tess_trace_reader_get_path(reader));
}

static bool is_known_input(const char *name)
{
    static const char *const known[] = {"in.input_ids",
                                        "in.position_ids",
                                        "in.input_features",
                                        "in.audio_feature_lengths",
                                        "in.pixel_values",
                                        "in.image_grid_thw",
                                        "in.pixel_values_videos",
                                        "in.video_grid_thw",
                                        "in.video_second_per_grid",
                                        "in.use_audio_in_video",
                                        "in.codes"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(name, known[i])) return true;
    return false;
}

static tess_status refuse_other_inputs(const tess_trace_reader *reader, tess_error *err)
{
    const char *path = tess_trace_reader_get_path(reader);
    for (size_t i = 0; i < tess_safetensors_get_count(reader->st); i++) {
        const tess_tensor *t = tess_safetensors_get(reader->st, i);
        if (strncmp(t->name, "in.", 3) || is_known_input(t->name)) continue;
        tess_status status = tess_fail(err, TESS_EUNSUPPORTED,
                                       "%s: %s: this input is not part of this version", path, t->name);
        if (!err) return status;
        snprintf(err->file, sizeof err->file, "%.250s", path);
        snprintf(err->field, sizeof err->field, "%.150s", t->name);
        return status;
    }
    return TESS_OK;
}

static tess_status check_shape(const tess_trace_reader *reader, const tess_tensor *t, tess_dtype dtype,
                               uint64_t rows, uint64_t n_tok, tess_error *err)
{
    int n_dim = rows ? 2 : 1;
    if (t->dtype == dtype && t->n_dim == n_dim && t->dim[n_dim - 1] == n_tok && (!rows || t->dim[0] == rows))
        return TESS_OK;
    char shape[80], expected[80];
    tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
    if (rows)
        snprintf(expected, sizeof expected, "%s [%llu, %llu]", tess_dtype_name(dtype),
                 (unsigned long long)rows, (unsigned long long)n_tok);
    else
        snprintf(expected, sizeof expected, "%s [tokens]", tess_dtype_name(dtype));
    return tess_refuse(err, tess_trace_reader_get_path(reader), t->name, (int64_t)t->offset, expected,
                       "%s %s", tess_dtype_name(t->dtype), shape);
}

static tess_status read_ids(tess_trace_reader *reader, tess_trace_inputs *out, tess_error *err)
{
    const char *path = tess_trace_reader_get_path(reader);
    const tess_tensor *t = tess_safetensors_find(reader->st, "in.input_ids");
    if (!t) return tess_refuse(err, path, "in.input_ids", -1, "I64 [tokens]", "no such tensor");
    tess_status status = check_shape(reader, t, TESS_DTYPE_I64, 0, t->dim[0], err);
    if (status != TESS_OK) return status;
    if (t->dim[0] < 1 || t->dim[0] > INT32_MAX)
        return tess_refuse(err, path, t->name, (int64_t)t->offset, "at least one token", "%llu",
                           (unsigned long long)t->dim[0]);
    out->n_tok = (int)t->dim[0];
    out->ids = malloc((size_t)out->n_tok * sizeof *out->ids);
    if (!out->ids) return no_memory(reader, err);
    for (uint64_t at = 0; at < t->dim[0];) {
        const void *values;
        size_t n = tess_trace_reader_piece(t, at, 1);
        status = tess_trace_reader_read(reader, t, at, n, &values, err);
        if (status != TESS_OK) return status;
        for (size_t i = 0; i < n; i++) {
            int64_t id = ((const int64_t *)values)[i];
            if (id < 0 || id > INT32_MAX)
                return tess_refuse(err, path, t->name, (int64_t)(t->offset + (at + i) * sizeof id),
                                   "a token id", "%lld", (long long)id);
            out->ids[at + i] = (int32_t)id;
        }
        at += n;
    }
    return TESS_OK;
}

/* Codes stand for a prompt: nothing else is run. Whether a codebook has them is told where they are decoded,
 * which knows its size. */
static tess_status read_codes(tess_trace_reader *reader, tess_trace_inputs *out, tess_error *err)
{
    const char *path = tess_trace_reader_get_path(reader);
    const tess_tensor *t = tess_safetensors_find(reader->st, "in.codes");
    if (tess_safetensors_find(reader->st, "in.input_ids"))
        return tess_refuse(err, path, t->name, (int64_t)t->offset, "codes or a prompt",
                           "in.input_ids as well");
    bool is_table = t->dtype == TESS_DTYPE_I64 && t->n_dim == 2 && t->dim[0] >= 1 && t->dim[1] >= 1 &&
                    t->dim[0] <= INT16_MAX && t->dim[1] <= INT32_MAX;
    if (!is_table) {
        char shape[64];
        tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
        return tess_refuse(err, path, t->name, (int64_t)t->offset, "I64 [codebooks, frames]", "%s %s",
                           tess_dtype_name(t->dtype), shape);
    }
    uint64_t n_code = t->dim[0] * t->dim[1];
    out->codes = malloc((size_t)n_code * sizeof *out->codes);
    if (!out->codes) return no_memory(reader, err);
    out->n_code_group = (int64_t)t->dim[0];
    out->n_frame = (int64_t)t->dim[1];
    for (uint64_t at = 0; at < n_code;) {
        const void *values;
        size_t n = tess_trace_reader_piece(t, at, 1);
        tess_status status = tess_trace_reader_read(reader, t, at, n, &values, err);
        if (status != TESS_OK) return status;
        for (size_t i = 0; i < n; i++) {
            int64_t code = ((const int64_t *)values)[i];
            if (code < INT32_MIN || code > INT32_MAX)
                return tess_refuse(err, path, t->name, (int64_t)(t->offset + (at + i) * sizeof code),
                                   "a code of 0 or more, and less than 2147483648", "%lld", (long long)code);
            out->codes[at + i] = (int32_t)code;
        }
        at += n;
    }
    return TESS_OK;
}

static tess_status read_positions(tess_trace_reader *reader, tess_trace_inputs *out, tess_error *err)
{
    const tess_tensor *t = tess_safetensors_find(reader->st, "in.position_ids");
    if (!t) return TESS_OK;
    tess_status status = check_shape(reader, t, TESS_DTYPE_F32, 3, (uint64_t)out->n_tok, err);
    if (status != TESS_OK) return status;
    size_t count = 3 * (size_t)out->n_tok;
    out->positions = malloc(count * sizeof *out->positions);
    if (!out->positions) return no_memory(reader, err);
    for (size_t at = 0; at < count;) {
        const void *values;
        size_t n = tess_trace_reader_piece(t, at, 1);
        status = tess_trace_reader_read(reader, t, at, n, &values, err);
        if (status != TESS_OK) return status;
        memcpy(out->positions + at, values, n * sizeof *out->positions);
        at += n;
    }
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(out->positions[i]) <= (float)TESS_POSITION_MAX)) {
            char expected[64];
            snprintf(expected, sizeof expected, "a position from -%d to %d", TESS_POSITION_MAX,
                     TESS_POSITION_MAX);
            return tess_refuse(err, tess_trace_reader_get_path(reader), t->name,
                               (int64_t)(t->offset + i * sizeof(float)), expected, "%g",
                               (double)out->positions[i]);
        }
    return TESS_OK;
}

static tess_status read_sound_flag(tess_trace_reader *reader, tess_trace_inputs *out, tess_error *err)
{
    const tess_tensor *t = tess_safetensors_find(reader->st, "in.use_audio_in_video");
    if (!t) return TESS_OK;
    const char *path = tess_trace_reader_get_path(reader);
    const void *values;
    bool is_flag = t->dtype == TESS_DTYPE_I64 && tess_tensor_count(t) == 1;
    if (!is_flag) return tess_refuse(err, path, t->name, (int64_t)t->offset, "I64 [1]", "another shape");
    tess_status status = tess_trace_reader_read(reader, t, 0, 1, &values, err);
    if (status != TESS_OK) return status;
    int64_t value = *(const int64_t *)values;
    if (value != 0 && value != 1)
        return tess_refuse(err, path, t->name, (int64_t)t->offset, "0 or 1", "%lld", (long long)value);
    out->use_audio_in_video = value == 1;
    return TESS_OK;
}

static tess_status read_media(const tess_trace_reader *reader, tess_trace_inputs *out, tess_error *err)
{
    tess_trace_media *media;
    tess_status status = tess_trace_media_open(tess_trace_reader_get_path(reader), &media, err);
    if (status != TESS_OK) return status;
    out->media = tess_trace_media_get(media, &out->n_media);
    if (out->n_media)
        out->own_media = media;
    else
        tess_trace_media_free(media);
    return TESS_OK;
}

static tess_status read_count(const tess_trace_reader *reader, const char *key, int *out, tess_error *err)
{
    const char *text = tess_safetensors_get_metadata(reader->st, key);
    *out = 0;
    if (!text || !*text) return TESS_OK;
    long value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && value <= MAX_GENERATE; at++) value = value * 10 + (*at - '0');
    if (*at || value > MAX_GENERATE)
        return tess_refuse(err, tess_trace_reader_get_path(reader), key, -1,
                           "a whole number of steps, at most 16777216", "\"%.40s\"", text);
    *out = (int)value;
    return TESS_OK;
}

static tess_status read_rate(const tess_trace_reader *reader, double *out, tess_error *err)
{
    const char *text = tess_safetensors_get_metadata(reader->st, "fps");
    *out = 0;
    if (!text) return TESS_OK;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 1000))
        return tess_refuse(err, tess_trace_reader_get_path(reader), "fps", -1,
                           "frames a second, at most 1000", "\"%.40s\"", text);
    *out = value;
    return TESS_OK;
}

static tess_status copy_note(const tess_trace_reader *reader, const char *key, char **out, tess_error *err)
{
    const char *text = tess_safetensors_get_metadata(reader->st, key);
    if (!text) return TESS_OK;
    *out = strdup(text);
    return *out ? TESS_OK : no_memory(reader, err);
}

static tess_status read_prompt(tess_trace_reader *reader, tess_trace_inputs *out, tess_error *err)
{
    tess_status status = read_ids(reader, out, err);
    if (status == TESS_OK) status = read_positions(reader, out, err);
    if (status == TESS_OK) status = read_sound_flag(reader, out, err);
    return status == TESS_OK ? read_media(reader, out, err) : status;
}

static tess_status read_all(tess_trace_reader *reader, tess_trace_inputs *out, tess_error *err)
{
    tess_status status = refuse_other_inputs(reader, err);
    if (status == TESS_OK)
        status = tess_safetensors_find(reader->st, "in.codes") ? read_codes(reader, out, err)
                                                               : read_prompt(reader, out, err);
    if (status == TESS_OK) status = read_count(reader, "generate", &out->generate, err);
    if (status == TESS_OK) status = read_count(reader, "speak", &out->speak, err);
    if (status == TESS_OK) status = read_rate(reader, &out->fps, err);
    if (status == TESS_OK)
        status = tess_trace_reader_precision(reader, &out->precision, &out->has_precision, err);
    if (status == TESS_OK) status = copy_note(reader, "case", &out->case_name, err);
    if (status == TESS_OK) status = copy_note(reader, "speaker", &out->speaker, err);
    if (status == TESS_OK) status = copy_note(reader, "messages", &out->messages, err);
    if (status == TESS_OK) status = copy_note(reader, "raw", &out->raw, err);
    return status;
}

tess_status tess_trace_inputs_read(const char *path, tess_trace_inputs *out, tess_error *err)
{
    tess_trace_reader reader;
    tess_status status = tess_trace_reader_open(path, &reader, err);
    if (status != TESS_OK) return status;
    tess_trace_inputs inputs = {0};
    status = read_all(&reader, &inputs, err);
    tess_trace_reader_close(&reader);
    if (status != TESS_OK) {
        tess_trace_inputs_release(&inputs);
        return status;
    }
    *out = inputs;
    return TESS_OK;
}
