/* Every tensor that a configuration implies: name, shape, component, and what it is to the network. All are
 * BF16. The one table of names and shapes: a checkpoint is checked by it, and weights are found by it.
 *
 * This is the T0 half of the proof: a checkpoint holds the model if it has these tensors, each once, and no
 * other. Names and shapes are the published ones (one tensor per expert and projection).
 */
#ifndef TESS_MODEL_MANIFEST_H
#define TESS_MODEL_MANIFEST_H

#include "model/config.h"
#include "store/store.h"

/* Weights of a decoder layer, its experts aside. Shapes as published: [out, in] row-major. */
typedef enum tess_layer_weight {
    TESS_LAYER_INPUT_NORM, /* [d_model] */
    TESS_LAYER_QUERY,      /* [n_head * d_head, d_model] */
    TESS_LAYER_KEY,        /* [n_kv_head * d_head, d_model] */
    TESS_LAYER_VALUE,      /* [n_kv_head * d_head, d_model] */
    TESS_LAYER_OUTPUT,     /* [d_model, n_head * d_head] */
    TESS_LAYER_QUERY_NORM, /* [d_head] */
    TESS_LAYER_KEY_NORM,   /* [d_head] */
    TESS_LAYER_POST_NORM,  /* [d_model] */
    TESS_LAYER_ROUTER,     /* [n_expert, d_model]; not in a dense layer */
    TESS_LAYER_GATE, /* [d_ff, d_model] of a dense layer, [d_shared_expert, d_model] of a shared expert */
    TESS_LAYER_UP,   /* likewise */
    TESS_LAYER_DOWN, /* [d_model, d_ff] or [d_model, d_shared_expert] */
    TESS_LAYER_SHARED_GATE, /* [1, d_model] the weight of the shared expert, where there is one */
    TESS_LAYER_WEIGHTS
} tess_layer_weight;

typedef enum tess_expert_weight {
    TESS_EXPERT_GATE, /* [d_expert, d_model] */
    TESS_EXPERT_UP,   /* [d_expert, d_model] */
    TESS_EXPERT_DOWN, /* [d_model, d_expert] */
    TESS_EXPERT_WEIGHTS
} tess_expert_weight;

/* Weights of a decoder that belong to no layer. */
typedef enum tess_top_weight {
    TESS_TOP_EMBEDDING, /* [n_vocab, d_model] */
    TESS_TOP_NORM,      /* [d_model] */
    TESS_TOP_HEAD,      /* [n_vocab, d_model] */
    TESS_TOP_WEIGHTS
} tess_top_weight;

/* What a tensor is to its decoder: a tess_expert_weight of an expert, else a tess_layer_weight of a layer,
 * else a tess_top_weight. */
typedef struct tess_weight_role {
    int layer, expert; /* -1: does not apply */
    int weight;        /* -1: no weight that a decoder asks for */
} tess_weight_role;

typedef struct tess_manifest_entry {
    const char *name; /* lives for the call */
    tess_component component;
    tess_weight_role role;
    int n_dim;
    uint64_t dim[TESS_MAX_DIM];
} tess_manifest_entry;

/* Called for every tensor; another status than TESS_OK ends the enumeration and is returned. */
typedef tess_status tess_manifest_visitor(void *arg, const tess_manifest_entry *entry);

/* Enumerates component by component, each in the order of the network. */
tess_status tess_manifest_visit(const tess_config *config, tess_manifest_visitor *visitor, void *arg);
/* One component alone. */
tess_status tess_manifest_visit_component(const tess_config *config, tess_component component,
                                          tess_manifest_visitor *visitor, void *arg);

/* Compares with what a store has: missing, extra, misshapen, wrong dtype. With `sink` every problem is
 * reported; without, the first is a failure, TESS_EINPUT. */
tess_status tess_manifest_check(const tess_config *config, const tess_store *store,
                                const tess_problem_sink *sink, tess_error *err);

#endif
