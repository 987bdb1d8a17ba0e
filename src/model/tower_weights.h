/* A tower's weights as places in a checkpoint: those of its layers, and those of the parts before and behind
 * them (the audio tower's stem and head, the vision tower's patches and mergers). Banks lend either.
 */
#ifndef TESS_MODEL_TOWER_WEIGHTS_H
#define TESS_MODEL_TOWER_WEIGHTS_H

#include "model/weights.h"

typedef struct tess_tower_weights {
    tess_weight *layer; /* [n_layer, TESS_ENCODER_WEIGHTS] */
    tess_weight *part;  /* [n_part, TESS_TOWER_PART_WEIGHTS] */
    int n_layer, n_part;
} tess_tower_weights;

/* Finds all tensors of a tower's component (audio, vision) in the store. Errors: those of tess_weight_find,
 * TESS_ENOMEM. */
tess_status tess_tower_weights_find(const tess_store *store, const tess_config *config,
                                    tess_component component, tess_tower_weights *out, tess_error *err);
void tess_tower_weights_release(tess_tower_weights *weights);

/* How a bank lends layers or parts from n_slot slots, one at a time. */
tess_bank_layout tess_tower_layer_bank(const tess_tower_weights *weights, int n_slot);
tess_bank_layout tess_tower_part_bank(const tess_tower_weights *weights, int n_slot);

#endif
