/* Grouped-query attention of one layer. */
#ifndef TESS_MODEL_ATTENTION_H
#define TESS_MODEL_ATTENTION_H

#include "model/decoder.h"

/* work.normed -> work.output for tokens [first, first + n), keys and values into the cache. weights: the
 * layer's parts. */
void tess_attention_run(tess_decoder *decoder, int layer, const void *const *weights, int first, int n);

#endif
