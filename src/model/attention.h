/* Grouped-query attention of one layer. */
#ifndef TESS_MODEL_ATTENTION_H
#define TESS_MODEL_ATTENTION_H

#include "model/decoder_state.h"

/* work.normed -> work.output for the n rows of a step; their keys and values go into their timelines.
 * weights: the layer's. */
void tess_attention_run(tess_decoder *decoder, int layer, const tess_matrix *weights, int n);

#endif
