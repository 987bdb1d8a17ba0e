#include "model/merger.h"

static const double norm_eps = 1e-6;

void tess_head_finish(const tess_compute *compute, const tess_matrix *weights, const tess_head_room *room,
                      int n_tok, float *out)
{
    const tess_matrix *first = &weights[TESS_HEAD_FIRST], *second = &weights[TESS_HEAD_SECOND];
    const tess_linear into = tess_linear_make(first, first + 1, room->packed, n_tok, room->hidden),
                      back = tess_linear_make(second, second + 1, room->packed, n_tok, out);
    tess_pack_rows(compute, room->packed, room->normed, first->n_col, n_tok);
    tess_linear_run(compute, &into, 1);
    tess_gelu_rows(compute, room->packed, room->hidden, first->n_row, n_tok, false);
    tess_linear_run(compute, &back, 1);
}

static void merge_block(const tess_compute *compute, const tess_matrix *weights, const tess_head_room *room,
                        const float *x, int n_tok, float *out)
{
    size_t d_merged = weights[TESS_HEAD_FIRST].n_col, d_norm = weights[TESS_HEAD_NORM].n_col;
    tess_layer_norm_rows(compute, room->normed, x, tess_matrix_get_vector(&weights[TESS_HEAD_NORM]),
                         tess_matrix_get_vector(&weights[TESS_HEAD_NORM_BIAS]), d_norm, norm_eps,
                         n_tok * (int)(d_merged / d_norm));
    tess_head_finish(compute, weights, room, n_tok, out);
}

void tess_merger_run(const tess_compute *compute, const tess_matrix *weights, const tess_head_room *room,
                     const float *x, int n_tok, float *out)
{
    size_t d_merged = weights[TESS_HEAD_FIRST].n_col, d_output = weights[TESS_HEAD_SECOND].n_row;
    for (int first = 0, n; first < n_tok; first += n) {
        n = n_tok - first < room->n_tok ? n_tok - first : room->n_tok;
        merge_block(compute, weights, room, x + (size_t)first * d_merged, n, out + (size_t)first * d_output);
    }
}
