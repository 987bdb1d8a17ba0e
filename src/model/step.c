#include "model/step.h"

int tess_step_count_rows(const tess_step *step)
{
    int n = 0;
    for (int i = 0; i < step->n_span; i++) n += step->span[i].n;
    return n;
}

tess_status tess_step_emit(const tess_step *step, tess_tap_kind kind, int layer, float *values,
                           size_t row_width, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int i = 0; i < step->n_span && status == TESS_OK; i++) {
        const tess_span *span = &step->span[i];
        status = tess_tap_emit(span->sink, kind, layer, span->tap_row, span->n, values, err);
        values += (size_t)span->n * row_width;
    }
    return status;
}

tess_status tess_step_emit_integers(const tess_step *step, tess_tap_kind kind, int layer, int64_t *integers,
                                    size_t row_width, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int i = 0; i < step->n_span && status == TESS_OK; i++) {
        const tess_span *span = &step->span[i];
        status = tess_tap_emit_integers(span->sink, kind, layer, span->tap_row, span->n, integers, err);
        integers += (size_t)span->n * row_width;
    }
    return status;
}
