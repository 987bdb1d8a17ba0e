#include "model/thinker.h"

#include <string.h>

tess_thinker tess_thinker_make(const tess_decoder_config *config, const tess_compute *compute)
{
    return (tess_thinker){.decoder = {.name = "thinker", .config = config, .compute = *compute}};
}

void tess_thinker_init_logits(tess_thinker *thinker, int n_logit_rows, tess_arena *arena)
{
    TESS_ASSERT(n_logit_rows >= 1 && n_logit_rows <= TESS_MAX_LOGIT_ROWS);
    thinker->n_logit_rows = n_logit_rows;
    thinker->logits = tess_arena_take(arena, (uint64_t)n_logit_rows,
                                      (uint64_t)thinker->decoder.config->n_vocab * sizeof(float), 64);
}

/* A row that gets logits. */
typedef struct head_row {
    const tess_span *span;
    const tess_head_request *request;
    int row; /* of its span */
} head_row;

static tess_status emit_logits(const head_row *at, float *logits, size_t n_vocab, tess_error *err)
{
    int64_t tap_row = at->span->sink->last_logits ? 0 : at->span->tap_row + at->row;
    tess_status status = tess_tap_emit(at->span->sink, TESS_TAP_LM_HEAD, 0, tap_row, 1, logits, err);
    if (status == TESS_OK && at->row == at->span->n - 1)
        memcpy(at->request->last, logits, n_vocab * sizeof *logits);
    return status;
}

/* Logits of n rows, which stand packed in work.packed. */
static tess_status run_head(tess_thinker *thinker, const head_row *rows, int n, tess_error *err)
{
    size_t n_vocab = (size_t)thinker->decoder.config->n_vocab;
    tess_status status = tess_row_table_multiply(&thinker->head, &thinker->decoder.compute,
                                                 thinker->decoder.work.packed, n, thinker->logits, err);
    for (int i = 0; i < n && status == TESS_OK; i++)
        status = emit_logits(&rows[i], thinker->logits + (size_t)i * n_vocab, n_vocab, err);
    return status;
}

/* The head over all rows that want it, as many at a time as there is room for, whosever they are. */
static tess_status run_logits(tess_thinker *thinker, const tess_step *step, const tess_head_request *request,
                              tess_error *err)
{
    const tess_workspace *work = &thinker->decoder.work;
    size_t d_model = (size_t)thinker->decoder.config->d_model, width = tess_packed_floats(d_model);
    head_row rows[TESS_MAX_LOGIT_ROWS];
    int n = 0, first_row = 0;
    for (int s = 0; s < step->n_span; first_row += step->span[s].n, s++) {
        const tess_span *span = &step->span[s];
        int row = request[s].rows == TESS_LOGITS_ALL    ? 0
                  : request[s].rows == TESS_LOGITS_LAST ? span->n - 1
                                                        : span->n;
        for (; row < span->n; row++) {
            thinker->decoder.compute.kernels->pack(work->packed + (size_t)n * width,
                                                   work->normed + (size_t)(first_row + row) * d_model,
                                                   d_model);
            rows[n++] = (head_row){span, &request[s], row};
            if (n < thinker->n_logit_rows) continue;
            tess_status status = run_head(thinker, rows, n, err);
            if (status != TESS_OK) return status;
            n = 0;
        }
    }
    return n > 0 ? run_head(thinker, rows, n, err) : TESS_OK;
}

tess_status tess_thinker_run(tess_thinker *thinker, const tess_step *step, const tess_head_request *request,
                             tess_error *err)
{
    thinker->decoder.embedding = &thinker->embedding;
    tess_status status = tess_decoder_run(&thinker->decoder, step, err);
    return status == TESS_OK ? run_logits(thinker, step, request, err) : status;
}
