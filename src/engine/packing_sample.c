#include "engine/packing_sample.h"

#include <stdlib.h>

#include "io/file.h"
#include "kernels/packed_weights.h"

enum { SAMPLE_ROWS = 16 };

typedef struct sample {
    const tess_store *store;
    uint16_t *rows; /* [SAMPLE_ROWS, TESS_PACKED_MAX_COLUMNS] */
    int n_matrix, n_paying;
} sample;

/* Looks at the first rows of a matrix, if it can be packed at all. */
static tess_status add_matrix(sample *s, const tess_weight *w, tess_error *err)
{
    const size_t n_row = w->n_row < SAMPLE_ROWS ? (size_t)w->n_row : SAMPLE_ROWS, n_col = (size_t)w->n_col;
    if (w->n_byte == 0 || !tess_weights_can_pack((size_t)w->n_row, n_col)) return TESS_OK;
    tess_status status = tess_file_read(tess_store_get_file(s->store, w->file), w->offset, s->rows,
                                        n_row * n_col * sizeof *s->rows, err);
    if (status != TESS_OK) return status;
    s->n_matrix++;
    s->n_paying += tess_packing_pays(tess_weights_count_exceptions(s->rows, n_row, n_col), n_row, n_col);
    return TESS_OK;
}

static tess_status add_matrices(sample *s, const tess_weight *weight, int n, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int i = 0; i < n && status == TESS_OK; i++) status = add_matrix(s, &weight[i], err);
    return status;
}

static tess_status add_layer(sample *s, const tess_decoder_weights *weights, const tess_decoder_config *c,
                             int layer, tess_error *err)
{
    tess_status status =
        add_matrices(s, weights->layer + (size_t)layer * TESS_LAYER_WEIGHTS, TESS_LAYER_WEIGHTS, err);
    if (status != TESS_OK || c->n_expert == 0) return status;
    const size_t expert = (size_t)layer * (size_t)c->n_expert + (size_t)(layer % c->n_expert);
    return add_matrices(s, weights->expert + expert * TESS_EXPERT_WEIGHTS, TESS_EXPERT_WEIGHTS, err);
}

tess_status tess_model_sample_packing(const tess_model *model, bool *pays, tess_error *err)
{
    const tess_decoder_config *c = &model->config.thinker.text;
    const tess_decoder_weights *weights = &model->thinker;
    sample s = {.store = model->store,
                .rows = malloc(SAMPLE_ROWS * sizeof *s.rows * TESS_PACKED_MAX_COLUMNS)};
    if (!s.rows) return tess_fail(err, TESS_ENOMEM, "no memory for a sample of weights");
    tess_status status = TESS_OK;
    for (int layer = 0; layer < c->n_layer && status == TESS_OK; layer++)
        status = add_layer(&s, weights, c, layer, err);
    if (status == TESS_OK) status = add_matrices(&s, weights->head.block, 1, err);
    if (status == TESS_OK) status = add_matrices(&s, weights->embedding.block, 1, err);
    free(s.rows);
    *pays = 8 * s.n_paying >= 7 * s.n_matrix;
    return status;
}
