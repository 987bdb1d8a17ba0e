#include "model/mlp.h"

void tess_mlp_run(tess_decoder *decoder, const tess_matrix *weights, int d_ff, float *out, int n)
{
    const tess_workspace *work = &decoder->work;
    const tess_compute *compute = &decoder->compute;
    size_t width = (size_t)d_ff, d_model = (size_t)decoder->config->d_model;
    const tess_linear into[] = {{&weights[TESS_LAYER_GATE], work->packed, n, work->gate, width, NULL},
                                {&weights[TESS_LAYER_UP], work->packed, n, work->up, width, NULL}};
    const tess_linear back = {&weights[TESS_LAYER_DOWN], work->hidden_packed, n, out, d_model, NULL};
    tess_linear_run(compute, into, 2);
    tess_swiglu_rows(compute, work->hidden_packed, work->gate, work->up, width, n);
    tess_linear_run(compute, &back, 1);
}
