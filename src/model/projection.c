#include "model/projection.h"

#include "model/manifest.h"

void tess_project_rows(const tess_compute *compute, const tess_matrix *weights,
                       const tess_projection_room *room, const float *x, int n_tok, float *out)
{
    const tess_matrix *first = &weights[TESS_PROJECTION_FIRST], *second = &weights[TESS_PROJECTION_SECOND];
    const tess_linear into = tess_linear_make(first, first + 1, room->packed, n_tok, room->hidden),
                      back = tess_linear_make(second, second + 1, room->packed, n_tok, out);
    tess_pack_rows(compute, room->packed, x, first->n_col, n_tok);
    tess_linear_run(compute, &into, 1);
    tess_silu_rows(compute, room->packed, room->hidden, first->n_row, n_tok);
    tess_linear_run(compute, &back, 1);
}
