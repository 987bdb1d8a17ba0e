/* A golden as something to run: inputs, declared identity, and whether its text becomes its ids. */
#include <stdlib.h>
#include <string.h>

#include "tessera/verify.h"
#include "verify/prompt_check.h"
#include "verify/trace_reader.h"

void tess_golden_release(tess_golden *golden)
{
    free(golden->path);
    free(golden->config_sha256);
    free(golden->weights_sha256);
    tess_trace_inputs_release(&golden->inputs);
    tess_ids_release(&golden->said);
    *golden = (tess_golden){0};
}

static tess_status copy(const char *text, char **out, tess_error *err)
{
    if (!text) return TESS_OK;
    *out = strdup(text);
    return *out ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for a golden's metadata");
}

static tess_status read_identity(const char *path, tess_golden *out, tess_error *err)
{
    tess_trace_reader reader;
    tess_status status = tess_trace_reader_open(path, &reader, err);
    if (status != TESS_OK) return status;
    status = copy(path, &out->path, err);
    if (status == TESS_OK)
        status = copy(tess_safetensors_get_metadata(reader.st, "config_sha256"), &out->config_sha256, err);
    if (status == TESS_OK)
        status = copy(tess_safetensors_get_metadata(reader.st, "weights_sha256"), &out->weights_sha256, err);
    tess_trace_reader_close(&reader);
    return status;
}

static tess_status check_text(const char *model_dir, tess_golden *golden, tess_error *err)
{
    tess_prompt_check check;
    tess_status status = tess_prompt_check_make(model_dir, golden->path, &golden->inputs, &check, err);
    golden->text_is_checked = check.is_checked;
    golden->said = check.ids;
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
