/* The gated MLP of a layer without experts, or of a shared expert. */
#ifndef TESS_MODEL_MLP_H
#define TESS_MODEL_MLP_H

#include "model/decoder_state.h"

/* out [n, d_model] = down(silu(gate(x)) * up(x)) of the n rows that work.packed holds; d_ff wide inside.
 * weights: the layer's. */
void tess_mlp_run(tess_decoder *decoder, const tess_matrix *weights, int d_ff, float *out, int n);

#endif
