/* What the boxes of a decoder share: configuration, kernels, threads, weights and scratch.
 *
 * A decoder is lent weights by banks and threads by a pool; it opens nothing, starts nothing and allocates
 * nothing: its workspace is laid out once, for the longest step.
 */
#ifndef TESS_MODEL_DECODER_STATE_H
#define TESS_MODEL_DECODER_STATE_H

#include "model/compute.h"
#include "model/rope.h"
#include "model/row_table.h"
#include "model/timeline.h"
#include "model/topk.h"
#include "model/weights.h"

/* One expert's work in a wave: rows [row, row + n) of the wave's buffers. */
typedef struct tess_wave_expert {
    int expert, row, n;
    const tess_matrix *weights; /* [TESS_EXPERT_WEIGHTS], while it is leased */
} tess_wave_expert;

/* Where a row of the step belongs. */
typedef struct tess_row_place {
    tess_timeline *timeline;
    int place;
} tess_row_place;

/* Scratch of one step. `packed` rows are what products read. */
typedef struct tess_workspace {
    int n_row, n_expert_rows, n_lease, n_context;
    tess_row_place *place;  /* [n_row] */
    float *residual;        /* [n_row, d_model] the stream that layers add to */
    float *normed;          /* [n_row, d_model] input of the current module; in the end, the output */
    float *output;          /* [n_row, d_model] output of the current module */
    float *query, *mixed;   /* [n_row, n_head * d_head] queries; attention's weighted values */
    float *keys, *values;   /* [n_row, n_kv_head * d_head] */
    float *packed;          /* [n_row, packed(the widest input)] */
    float *cosines, *sines; /* [n_row, d_head / 2] */
    int n_together;         /* rows that a key-value head is shown to at once */
    float *near;   /* [n_thread, 2, n_together * heads per kv head, d_head] their queries, their mixed */
    float *scores; /* [n_thread, n_together * heads per kv head, n_context] */
    float *router_logits, *router_probs; /* [n_row, n_expert] */
    tess_candidate *candidates;          /* [n_row, n_expert] */
    float *router_weights;               /* [n_row, n_expert_used] */
    int64_t *router_indices;             /* [n_row, n_expert_used] */
    int32_t *expert_begin;               /* [n_expert + 1] first assignment of each expert */
    int32_t *assigned_row;               /* [n_row * n_expert_used] by expert, then row */
    float *assigned_weight;              /* likewise */
    tess_wave_expert *wave;              /* [n_lease] */
    tess_linear *linear;                 /* [2 * n_lease] */
    float *expert_packed;                /* [n_expert_rows, packed(d_model)] */
    float *gate, *up;                    /* [max(n_expert_rows, n_row), the widest MLP] */
    float *hidden_packed;                /* the same rows, packed */
    float *expert_output;                /* [n_expert_rows, d_model] */
    float *shared_gate;                  /* [n_row] */
} tess_workspace;

typedef struct tess_decoder {
    const char *name; /* "thinker": what its taps' names begin with; a static string */
    const tess_decoder_config *config;
    tess_compute compute;
    tess_bank layers, experts;
    tess_row_table *embedding; /* gives rows their vectors by id; NULL: they come as vectors only */
    uint16_t *norm;            /* [d_model] weight of the final norm */
    tess_rope rope;
    tess_workspace work;
} tess_decoder;

typedef struct tess_decoder_sizes {
    int n_context; /* of the longest timeline */
    int n_row, n_thread;
    int n_lease;                      /* experts leased at a time, at least 1 if there are any */
    int n_layer_slot, n_expert_slot;  /* segments that stay */
    bool packs_layers, packs_experts; /* those that stay are packed: layers only where all do */
} tess_decoder_sizes;

/* Rows of a step that a key-value head is shown to at once: their queries fill a group of the kernel's. */
int tess_decoder_count_together(const tess_decoder_config *config);

/* Lay out scratch; the bank of layers, with what stays beside it (the final norm, whose weight the caller
 * reads, and rope tables); and the bank of experts. Name, config and compute are set before. They work over
 * an arena that measures as well. */
void tess_decoder_init_workspace(tess_decoder *decoder, const tess_decoder_sizes *sizes, tess_arena *arena);
void tess_decoder_init_layers(tess_decoder *decoder, tess_store *store, const tess_decoder_weights *weights,
                              const tess_decoder_sizes *sizes, tess_arena *arena);
void tess_decoder_init_experts(tess_decoder *decoder, tess_store *store, const tess_decoder_weights *weights,
                               const tess_decoder_sizes *sizes, tess_arena *arena);

#endif
