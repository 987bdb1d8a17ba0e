/* What the boxes of a decoder share: configuration, kernels, threads, weights, cache and scratch.
 *
 * A decoder is lent weights by banks and threads by a pool; it opens nothing, starts nothing and allocates
 * nothing: its workspace is laid out once, for the longest chunk of tokens.
 */
#ifndef TESS_MODEL_DECODER_H
#define TESS_MODEL_DECODER_H

#include "base/pool.h"
#include "model/kv_cache.h"
#include "model/rope.h"
#include "model/topk.h"
#include "model/weights.h"

/* Scratch of one chunk. Rows are tokens; `packed` rows are what matmul reads. */
typedef struct tess_workspace {
    int n_chunk, n_logit_rows, n_expert_rows, n_lease;
    size_t packed_stride;                /* floats between rows of `packed`, enough for the widest input */
    float *residual;                     /* [n_chunk, d_model] the stream that layers add to */
    float *normed;                       /* [n_chunk, d_model] input of the current module */
    float *output;                       /* [n_chunk, d_model] output of the current module */
    float *query, *mixed;                /* [n_chunk, n_head * d_head] queries; attention's weighted values */
    float *packed;                       /* [n_chunk, packed_stride] */
    float *cosines, *sines;              /* [n_chunk, d_head / 2] */
    float *scores;                       /* [n_thread, heads per kv head, n_context] */
    float *router_logits, *router_probs; /* [n_chunk, n_expert] */
    tess_candidate *candidates;          /* [n_chunk, n_expert] */
    float *router_weights;               /* [n_chunk, n_expert_used] */
    int64_t *router_indices;             /* [n_chunk, n_expert_used] */
    int32_t *expert_begin;               /* [n_expert + 1] first assignment of each expert */
    int32_t *assigned_token;             /* [n_chunk * n_expert_used] by expert, then token */
    float *assigned_weight;              /* likewise */
    float *expert_packed;                /* [n_expert_rows, packed(d_model)] */
    float *gate, *up;                    /* [max(n_expert_rows, n_chunk if dense), max(d_expert, d_ff)] */
    float *hidden_packed;                /* the same rows, packed */
    float *expert_output;                /* [n_expert_rows, d_model] */
    float *logits;                       /* [n_logit_rows, n_vocab] */
    const void *const **leased;          /* [n_lease] parts of the experts at hand */
    uint16_t *norm;                      /* [d_model] the final norm's weight */
} tess_workspace;

typedef struct tess_decoder {
    const tess_decoder_config *config;
    const tess_kernels *kernels;
    tess_pool *pool;
    tess_rounding rounding;
    tess_bank layers, experts, embedding, head;
    int embedding_rows, head_rows; /* rows per block of those banks */
    tess_rope rope;
    tess_kv_cache kv;
    tess_workspace work;
} tess_decoder;

typedef struct tess_decoder_sizes {
    int n_context, n_chunk, n_thread, n_logit_rows, n_lease;
} tess_decoder_sizes;

/* Lays out workspace and rope tables; config, kernels, pool and rounding are set before. Works over an arena
 * that measures as well. */
void tess_decoder_init(tess_decoder *decoder, const tess_decoder_sizes *sizes, tess_arena *arena);

/* The piece of a prompt that goes through the layers together, tokens [first, first + n) of the timeline.
 *   ids [n]; position t of stream s stands at positions[s * position_stride + t]
 *   row: the place of the chunk in its feed, from which tap rows are counted
 *   logits: which rows get logits
 *   on_layer (may be NULL): told after each layer; what it returns other than TESS_OK ends the run */
typedef enum tess_logits { TESS_LOGITS_NONE, TESS_LOGITS_LAST, TESS_LOGITS_ALL } tess_logits;

typedef struct tess_chunk {
    const int32_t *ids;
    const float *positions;
    size_t position_stride;
    int first, n;
    int64_t row;
    tess_logits logits;
    tess_status (*on_layer)(void *context, int n_layer_done, tess_error *err);
    void *context;
} tess_chunk;

/* Packs n rows of x (n_col wide, dense) into work.packed, split among threads. */
void tess_decoder_pack(tess_decoder *decoder, const float *x, size_t n_col, int n);

#endif
