/* The weights of the talker and of its code predictor as places in a checkpoint: their decoders', and those
 * of what is around them. */
#ifndef TESS_MODEL_SPEECH_WEIGHTS_H
#define TESS_MODEL_SPEECH_WEIGHTS_H

#include "model/weights.h"

typedef struct tess_talker_weights {
    tess_decoder_weights model; /* embedding and head are those of the first codebook */
    tess_weight projection[TESS_PROJECTIONS * TESS_PROJECTION_WEIGHTS];
} tess_talker_weights;

typedef struct tess_code_predictor_weights {
    tess_decoder_weights model;
    tess_row_blocks *embedding, *head; /* [n_table] of the codebooks behind the first */
    int n_table;
} tess_code_predictor_weights;

/* Find all tensors of the component in the store of a checkpoint that has a talker. Errors: those of
 * tess_weight_find; TESS_ENOMEM. */
tess_status tess_talker_weights_find(const tess_store *store, const tess_config *config,
                                     const tess_block_sizes *sizes, tess_talker_weights *out,
                                     tess_error *err);
tess_status tess_code_predictor_weights_find(const tess_store *store, const tess_config *config,
                                             const tess_block_sizes *sizes, tess_code_predictor_weights *out,
                                             tess_error *err);
void tess_talker_weights_release(tess_talker_weights *weights);
void tess_code_predictor_weights_release(tess_code_predictor_weights *weights);

#endif
