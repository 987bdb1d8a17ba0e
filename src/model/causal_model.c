#include "model/causal_model.h"

#include <string.h>

tess_causal_model tess_causal_model_make(const char *name, tess_tap_kind head_tap,
                                         const tess_decoder_config *config, const tess_compute *compute)
{
    return (tess_causal_model){.decoder = {.name = name, .config = config, .compute = *compute},
                               .head_tap = head_tap};
}

void tess_causal_model_init_logits(tess_causal_model *model, int n_logit_rows, tess_arena *arena)
{
    TESS_ASSERT(n_logit_rows >= 1 && n_logit_rows <= TESS_MAX_LOGIT_ROWS);
    model->n_logit_rows = n_logit_rows;
    model->logits = tess_arena_take(arena, (uint64_t)n_logit_rows,
                                    (uint64_t)model->decoder.config->n_vocab * sizeof(float), 64);
}

/* A row that gets logits. */
typedef struct head_row {
    const tess_span *span;
    const tess_head_request *request;
    int row; /* of its span */
} head_row;

static tess_status emit_logits(const head_row *at, tess_tap_kind tap, float *logits, size_t n_vocab,
                               tess_error *err)
{
    int64_t tap_row = at->span->sink->last_logits ? 0 : at->span->tap_row + at->row;
    tess_status status = tess_tap_emit(at->span->sink, tap, 0, tap_row, 1, logits, err);
    if (status == TESS_OK && at->row == at->span->n - 1)
        memcpy(at->request->last, logits, n_vocab * sizeof *logits);
    return status;
}

/* Logits of n rows, which stand packed in work.packed. */
static tess_status run_head(tess_causal_model *model, const head_row *rows, int n, tess_error *err)
{
    size_t n_vocab = (size_t)model->decoder.config->n_vocab;
    tess_status status = tess_row_table_multiply(&model->head, &model->decoder.compute,
                                                 model->decoder.work.packed, n, model->logits, err);
    for (int i = 0; i < n && status == TESS_OK; i++)
        status = emit_logits(&rows[i], model->head_tap, model->logits + (size_t)i * n_vocab, n_vocab, err);
    return status;
}

/* The head over all rows that want it, as many at a time as there is room for, whosever they are. */
static tess_status run_logits(tess_causal_model *model, const tess_step *step,
                              const tess_head_request *request, tess_error *err)
{
    const tess_workspace *work = &model->decoder.work;
    size_t d_model = (size_t)model->decoder.config->d_model, width = tess_packed_floats(d_model);
    head_row rows[TESS_MAX_LOGIT_ROWS];
    int n = 0, first_row = 0;
    for (int s = 0; s < step->n_span; first_row += step->span[s].n, s++) {
        const tess_span *span = &step->span[s];
        int row = request[s].rows == TESS_LOGITS_ALL    ? 0
                  : request[s].rows == TESS_LOGITS_LAST ? span->n - 1
                                                        : span->n;
        for (; row < span->n; row++) {
            model->decoder.compute.kernels->pack(work->packed + (size_t)n * width,
                                                 work->normed + (size_t)(first_row + row) * d_model, d_model);
            rows[n++] = (head_row){span, &request[s], row};
            if (n < model->n_logit_rows) continue;
            tess_status status = run_head(model, rows, n, err);
            if (status != TESS_OK) return status;
            n = 0;
        }
    }
    return n > 0 ? run_head(model, rows, n, err) : TESS_OK;
}

tess_status tess_causal_model_run(tess_causal_model *model, const tess_step *step,
                                  const tess_head_request *request, tess_error *err)
{
    model->decoder.embedding = &model->embedding;
    tess_status status = tess_decoder_run(&model->decoder, step, err);
    return status == TESS_OK ? run_logits(model, step, request, err) : status;
}
