/* Two files: the trace's taps are read in the reference's model order and heard as if a run told them. */
#include "tessera/compare.h"

#include <string.h>

#include "verify/compare/comparison.h"

static tess_status hear_tensor(tess_comparison *c, tess_trace_reader *trace, const tess_tensor *t,
                               tess_error *err)
{
    size_t width = t->n_dim > 1 && t->dim[0] ? (size_t)(tess_tensor_count(t) / t->dim[0]) : 1;
    for (uint64_t at = 0; at < tess_tensor_count(t);) {
        const void *values;
        size_t n = tess_trace_reader_piece(t, at, width);
        tess_status status = tess_trace_reader_read(trace, t, at, n, &values, err);
        if (status == TESS_OK) status = tess_comparison_hear(c, t->name, at, values, n, err);
        if (status != TESS_OK) return status;
        at += n;
    }
    return TESS_OK;
}

static tess_status note_extras(tess_comparison *c, const tess_trace_reader *trace, tess_error *err)
{
    for (size_t i = 0; i < tess_safetensors_get_count(trace->st); i++) {
        const char *name = tess_safetensors_get(trace->st, i)->name;
        if (strncmp(name, "tap.", 4) || tess_comparison_find(c, name)) continue;
        tess_status status = tess_comparison_note_extra(c, name, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static tess_status hear_trace(tess_comparison *c, tess_trace_reader *trace, tess_error *err)
{
    tess_comparison_other other = {
        .path = tess_trace_reader_get_path(trace),
        .config_sha256 = tess_safetensors_get_metadata(trace->st, "config_sha256"),
        .weights_sha256 = tess_safetensors_get_metadata(trace->st, "weights_sha256"),
    };
    tess_status status = tess_trace_reader_precision(trace, &other.precision, &other.precision_known, err);
    if (status == TESS_OK) status = tess_comparison_meet(c, &other, err);
    for (int i = 0; i < c->n_tap && status == TESS_OK; i++) {
        const tess_tensor *t = tess_safetensors_find(trace->st, c->tap[i].reference->name);
        if (t && tess_comparison_wants(c, t->name, t->dtype, t->n_dim, t->dim))
            status = hear_tensor(c, trace, t, err);
    }
    return status == TESS_OK ? note_extras(c, trace, err) : status;
}

tess_status tess_compare_files(const char *reference, const char *trace, const tess_compare_options *options,
                               tess_compare_result **out, tess_error *err)
{
    tess_comparison *c;
    tess_status status = tess_comparison_new(reference, options, &c, err);
    if (status != TESS_OK) return status;
    tess_trace_reader reader = {0};
    status = tess_trace_reader_open(trace, &reader, err);
    if (status == TESS_OK) status = hear_trace(c, &reader, err);
    tess_trace_reader_close(&reader);
    if (status == TESS_OK) status = tess_comparison_finish(c, out, err);
    tess_comparison_free(c);
    return status;
}
