#include "model/merger.h"

static const double norm_eps = 1e-6;

static tess_linear linear_of(const tess_matrix *weights, tess_head_weight weight, const float *packed,
                             int n_tok, float *out)
{
    return (tess_linear){.weight = &weights[weight],
                         .bias = tess_matrix_get_vector(&weights[weight + 1]),
                         .packed = packed,
                         .n_tok = n_tok,
                         .out = out,
                         .out_stride = weights[weight].n_row};
}

static void merge_block(const tess_compute *compute, const tess_matrix *weights, const tess_merger_room *room,
                        const float *x, int n_tok, float *out)
{
    size_t d_merged = weights[TESS_HEAD_FIRST].n_col, d_norm = weights[TESS_HEAD_NORM].n_col;
    tess_layer_norm_rows(compute, room->normed, x, tess_matrix_get_vector(&weights[TESS_HEAD_NORM]),
                         tess_matrix_get_vector(&weights[TESS_HEAD_NORM_BIAS]), d_norm, norm_eps,
                         n_tok * (int)(d_merged / d_norm));
    tess_pack_rows(compute, room->packed, room->normed, d_merged, n_tok);
    const tess_linear first = linear_of(weights, TESS_HEAD_FIRST, room->packed, n_tok, room->hidden);
    tess_linear_run(compute, &first, 1);
    tess_gelu_rows(compute, room->packed, room->hidden, d_merged, n_tok, false);
    const tess_linear second = linear_of(weights, TESS_HEAD_SECOND, room->packed, n_tok, out);
    tess_linear_run(compute, &second, 1);
}

void tess_merger_run(const tess_compute *compute, const tess_matrix *weights, const tess_merger_room *room,
                     const float *x, int n_tok, float *out)
{
    size_t d_merged = weights[TESS_HEAD_FIRST].n_col, d_output = weights[TESS_HEAD_SECOND].n_row;
    for (int first = 0, n; first < n_tok; first += n) {
        n = n_tok - first < room->n_tok ? n_tok - first : room->n_tok;
        merge_block(compute, weights, room, x + (size_t)first * d_merged, n, out + (size_t)first * d_output);
    }
}
