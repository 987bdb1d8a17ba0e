/* The thinker's text weights as parts of a checkpoint: which bytes each computation needs.
 *
 * Every tensor is asked for with its exact dtype, rank and shape and refused by name if it is not that.
 * Parts of a layer and of an expert are indexed by the enums below; banks lend them in the same order.
 */
#ifndef TESS_MODEL_WEIGHTS_H
#define TESS_MODEL_WEIGHTS_H

#include "model/config.h"
#include "store/bank.h"

/* Everything of a layer but its experts. Shapes as published: [out, in] row-major, bf16. */
typedef enum tess_layer_part {
    TESS_LAYER_INPUT_NORM, /* [d_model] */
    TESS_LAYER_QUERY,      /* [n_head * d_head, d_model] */
    TESS_LAYER_KEY,        /* [n_kv_head * d_head, d_model] */
    TESS_LAYER_VALUE,      /* [n_kv_head * d_head, d_model] */
    TESS_LAYER_OUTPUT,     /* [d_model, n_head * d_head] */
    TESS_LAYER_QUERY_NORM, /* [d_head] */
    TESS_LAYER_KEY_NORM,   /* [d_head] */
    TESS_LAYER_POST_NORM,  /* [d_model] */
    TESS_LAYER_ROUTER,     /* [n_expert, d_model]; no bytes in a dense layer */
    TESS_LAYER_GATE,       /* [d_ff, d_model]; this and the next two only in a dense layer */
    TESS_LAYER_UP,         /* [d_ff, d_model] */
    TESS_LAYER_DOWN,       /* [d_model, d_ff] */
    TESS_LAYER_PARTS
} tess_layer_part;

typedef enum tess_expert_part {
    TESS_EXPERT_GATE, /* [d_expert, d_model] */
    TESS_EXPERT_UP,   /* [d_expert, d_model] */
    TESS_EXPERT_DOWN, /* [d_model, d_expert] */
    TESS_EXPERT_PARTS
} tess_expert_part;

/* Rows of one [n_row, n_col] tensor, cut into blocks of block_rows (the last may be shorter). */
typedef struct tess_row_blocks {
    tess_part *part; /* [n_block] */
    int n_block, block_rows, n_row;
} tess_row_blocks;

typedef struct tess_thinker_weights {
    tess_part *layer;  /* [n_layer, TESS_LAYER_PARTS] */
    tess_part *expert; /* [n_layer * n_expert, TESS_EXPERT_PARTS]; dense layers have no bytes */
    tess_part norm;    /* [d_model] */
    tess_row_blocks embedding, head;
} tess_thinker_weights;

/* Finds all tensors in the store. block_bytes: about how long a block of rows may be (at least one row). */
tess_status tess_thinker_weights_find(const tess_store *store, const tess_decoder_config *config,
                                      uint64_t embedding_block_bytes, uint64_t head_block_bytes,
                                      tess_thinker_weights *out, tess_error *err);
void tess_thinker_weights_release(tess_thinker_weights *weights);

#endif
