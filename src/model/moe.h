/* The MLP of one layer: router and experts, or a dense MLP. */
#ifndef TESS_MODEL_MOE_H
#define TESS_MODEL_MOE_H

#include "model/decoder.h"
#include "model/taps.h"

/* work.normed -> work.output through the experts each token is routed to. Emits the router's taps. Errors:
 * those of leasing an expert, and of the taps. */
tess_status tess_moe_run(tess_decoder *decoder, int layer, const void *const *weights,
                         const tess_chunk *chunk, const tess_tap_sink *sink, tess_error *err);

/* The same for a layer without experts. */
void tess_mlp_run(tess_decoder *decoder, const void *const *weights, int n);

#endif
