/* A decoder's weights as places in a checkpoint: which bytes each computation needs.
 *
 * Every tensor of the decoder's component in the manifest is asked for with its exact dtype, rank and shape
 * and refused by name if it is not that. Weights of a layer and of an expert are indexed by the manifest's
 * roles; banks lend them in the same order.
 */
#ifndef TESS_MODEL_WEIGHTS_H
#define TESS_MODEL_WEIGHTS_H

#include "model/config.h"
#include "model/manifest.h"
#include "store/bank.h"

/* Rows of one tensor, cut into blocks of block_rows (the last may be shorter). */
typedef struct tess_row_blocks {
    tess_weight *block; /* [n_block] */
    int n_block, block_rows, n_row;
} tess_row_blocks;

typedef struct tess_decoder_weights {
    tess_weight *layer;  /* [n_layer, TESS_LAYER_WEIGHTS] */
    tess_weight *expert; /* [n_layer * n_expert, TESS_EXPERT_WEIGHTS]; dense layers have no bytes */
    tess_weight norm;    /* [d_model] */
    tess_row_blocks embedding, head; /* no blocks where the component has no such tensor */
} tess_decoder_weights;

/* About how many bytes a block of rows may have; at least one row is in it. */
typedef struct tess_block_sizes {
    uint64_t embedding_bytes, head_bytes;
} tess_block_sizes;

/* Finds the tensor of a manifest entry: one of several axes is a matrix whose rows are the first. Refuses one
 * that is missing, or of another dtype or shape, and one that a packed store has cut otherwise. */
tess_status tess_weight_find(const tess_store *store, const tess_manifest_entry *entry, tess_weight *out,
                             tess_error *err);
/* The same as n_part weights of equally many rows, or elements of a vector, one behind the other. */
tess_status tess_weight_find_parts(const tess_store *store, const tess_manifest_entry *entry, int n_part,
                                   tess_weight *const *out, tess_error *err);

/* The same in blocks of rows: of about block_bytes each as published, or those that a packed store has.
 * free(out->block) after success. TESS_ENOMEM besides. */
tess_status tess_row_blocks_find(const tess_store *store, const tess_manifest_entry *entry,
                                 uint64_t block_bytes, tess_row_blocks *out, tess_error *err);
/* The rows of such a block. */
uint64_t tess_row_blocks_count_rows(uint64_t n_row, uint64_t n_col, uint64_t block_bytes);

/* Finds all tensors of a component's decoder (text, talker, code predictor) in the store, with its only
 * embedding and head where it has them. */
tess_status tess_decoder_weights_find(const tess_store *store, const tess_config *config,
                                      tess_component component, const tess_block_sizes *sizes,
                                      tess_decoder_weights *out, tess_error *err);
void tess_decoder_weights_release(tess_decoder_weights *weights);

uint64_t tess_weights_count_bytes(const tess_weight *weight, int n);
/* Of all layers without their experts, and of one expert, 0 where there is none. */
uint64_t tess_decoder_weights_count_layers(const tess_decoder_weights *weights,
                                           const tess_decoder_config *config);
uint64_t tess_decoder_weights_count_expert(const tess_decoder_weights *weights,
                                           const tess_decoder_config *config);

/* What all layers with their experts keep of their bytes at most where they are packed: 1 where they are too
 * narrow. */
double tess_decoder_weights_count_packed_share(const tess_decoder_weights *weights,
                                               const tess_decoder_config *config);

/* Their bytes in the store's files, divided by those as published. */
double tess_decoder_weights_count_stored_share(const tess_decoder_weights *weights,
                                               const tess_decoder_config *config);

/* The configuration of a decoder's component. */
const tess_decoder_config *tess_decoder_config_of(const tess_config *config, tess_component component);

#endif
