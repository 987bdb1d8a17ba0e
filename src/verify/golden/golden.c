/* A golden as something to run: inputs, declared identity, and whether its text becomes its ids. */
#include <stdlib.h>
#include <string.h>

#include "tessera/verify.h"
#include "verify/compare/measure.h"
#include "verify/compare/media_map.h"
#include "verify/golden/prompt_check.h"

void tess_golden_release(tess_golden *golden)
{
    free(golden->path);
    free(golden->config_sha256);
    free(golden->weights_sha256);
    tess_trace_inputs_release(&golden->inputs);
    tess_prompt_release(&golden->said);
    tess_conversation_release(&golden->talk);
    free(golden->unchecked);
    *golden = (tess_golden){0};
}

static tess_status copy_text(const char *text, char **out, tess_error *err)
{
    if (!text) return TESS_OK;
    *out = strdup(text);
    return *out ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for a golden's metadata");
}

/* Every tap has a state, two reports where both sides of a bar are judged, and its name in two places; rows
 * that fail are marked; routers' columns are experts with sums of their own, in the layer and in the report;
 * ids and logits have records by row; rows that go on together have sums of their own. */
static uint64_t tap_bytes(const tess_tensor *t)
{
    uint64_t n =
        sizeof(tess_tap_state) + 2 * sizeof(tess_tap_report) + 4 * (strlen(t->name) + 1) + sizeof(*t);
    if (t->n_byte == 0) return n; /* its rows or columns may be any number */
    uint64_t n_row = t->n_dim ? t->dim[0] : 1, n_column = t->n_dim > 1 ? t->dim[1] : 1;
    tess_tap_place place = tess_tap_place_of(t->name);
    if (place.part == TESS_PART_AUDIO || place.part == TESS_PART_VISION) {
        /* Steps of chunks are rows, and one tap of a tower is kept in either report. */
        if (t->n_dim > 2) n_row *= n_column;
        return n + 3 * n_row * (1 + sizeof(float));
    }
    if (place.part == TESS_PART_CODE2WAV) return n + n_row * (1 + sizeof(tess_column_sums));
    if (place.part == TESS_PART_INPUTS && !strcmp(place.component, "preprocess") &&
        t->dtype == TESS_DTYPE_I64)
        return n + n_row * (sizeof(tess_mapped_medium) + 2 * sizeof(tess_medium_report)); /* one a medium */
    switch (place.class) {
    case TESS_CLASS_ROUTER_LOGITS:
        return n + n_column * (sizeof(tess_expert_sum) + 2 * sizeof(tess_expert_error));
    case TESS_CLASS_ROUTER_INDICES:
        return n + n_row + t->n_byte;
    case TESS_CLASS_CODES: /* of these two either report keeps one */
        return n + n_row + 2 * (tess_code_sums_bytes(n_row, n_column) + sizeof(tess_codes_report));
    case TESS_CLASS_WAVEFORM:
        return n + 1 + 2 * (tess_sound_sums_bytes(n_row, true) + sizeof(tess_sound_report));
    case TESS_CLASS_LOGITS:
        return n + n_row * (sizeof(tess_logits_row) + 2 * sizeof(tess_next_token)) + n_column * sizeof(float);
    default:
        return n + n_row * (1 + sizeof(float));
    }
}

/* Beside the taps: windows of three readers, of the media's, one more, and what is shared while they are
 * heard. */
static uint64_t working_bytes(const tess_trace_reader *reader)
{
    uint64_t n = 6 * (uint64_t)tess_window_bytes(TESS_TRACE_PIECE_BYTES) +
                 TESS_COMPARE_MAX_EXPERT * (sizeof(float) + sizeof(int)) + TESS_ROUTED_ROOM * sizeof(int64_t);
    for (size_t i = 0; i < tess_safetensors_get_count(reader->st); i++)
        n += tap_bytes(tess_safetensors_get(reader->st, i));
    return n;
}

static tess_status read_identity(const char *path, tess_golden *out, tess_error *err)
{
    tess_trace_reader reader;
    tess_status status = tess_trace_reader_open(path, &reader, err);
    if (status != TESS_OK) return status;
    status = copy_text(path, &out->path, err);
    if (status == TESS_OK)
        status =
            copy_text(tess_safetensors_get_metadata(reader.st, "config_sha256"), &out->config_sha256, err);
    if (status == TESS_OK)
        status =
            copy_text(tess_safetensors_get_metadata(reader.st, "weights_sha256"), &out->weights_sha256, err);
    out->working_bytes = working_bytes(&reader);
    tess_trace_reader_close(&reader);
    return status;
}

static tess_status check_text(const char *model_dir, tess_golden *golden, tess_error *err)
{
    tess_prompt_check check;
    tess_status status = tess_prompt_check_make(model_dir, golden->path, &golden->inputs, &check, err);
    golden->text_is_checked = check.is_checked;
    golden->said = check.prompt;
    golden->talk = check.talk;
    golden->unchecked = check.unchecked;
    golden->said_component = check.component;
    return status;
}

tess_status tess_golden_read(const char *path, const char *model_dir, tess_golden *out, tess_error *err)
{
    *out = (tess_golden){0};
    tess_status status = read_identity(path, out, err);
    if (status == TESS_OK) status = tess_trace_inputs_read(path, &out->inputs, err);
    if (status == TESS_OK) status = check_text(model_dir, out, err);
    if (status != TESS_OK) tess_golden_release(out);
    return status;
}
