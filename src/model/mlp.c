#include "model/mlp.h"

void tess_mlp_run(tess_decoder *decoder, const tess_matrix *weights, int d_ff, float *out, int n)
{
    const tess_workspace *work = &decoder->work;
    const tess_compute *compute = &decoder->compute;
    const tess_linear into[] = {
        tess_linear_make(&weights[TESS_LAYER_GATE], NULL, work->packed, n, work->gate),
        tess_linear_make(&weights[TESS_LAYER_UP], NULL, work->packed, n, work->up)};
    const tess_linear back = tess_linear_make(&weights[TESS_LAYER_DOWN], NULL, work->hidden_packed, n, out);
    tess_linear_run(compute, into, 2);
    tess_swiglu_rows(compute, work->hidden_packed, work->gate, work->up, (size_t)d_ff, n);
    tess_linear_run(compute, &back, 1);
}
