/* Code2wav's weights as places in a checkpoint: blocks of the code embedding's rows, the transformer's
 * layers, and the parts behind them, numbered by the manifest. Banks lend each.
 */
#ifndef TESS_MODEL_CODE2WAV_WEIGHTS_H
#define TESS_MODEL_CODE2WAV_WEIGHTS_H

#include "model/weights.h"

typedef struct tess_code2wav_weights {
    tess_row_blocks embedding; /* [n_quantizer * codebook_size, d_model] */
    tess_weight *layer;        /* [n_layer, TESS_CODE2WAV_LAYER_WEIGHTS] */
    tess_weight *part;         /* [n_part, TESS_CODE2WAV_PART_WEIGHTS] */
    int n_layer, n_part;
} tess_code2wav_weights;

/* Finds all tensors of code2wav in the store; a block of the embedding has about block_bytes. The config has
 * a talker. Errors: those of tess_weight_find, TESS_ENOMEM. */
tess_status tess_code2wav_weights_find(const tess_store *store, const tess_config *config,
                                       uint64_t block_bytes, tess_code2wav_weights *out, tess_error *err);
void tess_code2wav_weights_release(tess_code2wav_weights *weights);

/* How a bank lends layers or parts from n_slot slots, one at a time. Parts differ in size by a factor of
 * hundreds: with a slot for each, a slot is as large as its part. */
tess_bank_layout tess_code2wav_layer_bank(const tess_code2wav_weights *weights, int n_slot);
tess_bank_layout tess_code2wav_part_bank(const tess_code2wav_weights *weights, int n_slot);

#endif
