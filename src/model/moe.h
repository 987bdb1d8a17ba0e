/* The mixture of experts of one layer: router, experts, shared expert. */
#ifndef TESS_MODEL_MOE_H
#define TESS_MODEL_MOE_H

#include "model/decoder_state.h"
#include "model/step.h"

/* work.packed -> work.output for the n rows of a step, through the experts each is routed to, and the shared
 * expert if the configuration has one. weights: the layer's. Emits the taps of router and experts. Errors:
 * those of leasing an expert, and of the taps. */
tess_status tess_moe_run(tess_decoder *decoder, int layer, const tess_matrix *weights, int n,
                         const tess_step *step, tess_error *err);

#endif
