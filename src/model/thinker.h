/* The thinker's text decoder: tokens and positions in, hidden states and logits out.
 *
 * One path serves prefill and decoding: a chunk of n tokens, n >= 1, continues the timeline in the KV cache.
 * The decoder is lent weights by banks and threads by a pool; it opens nothing, starts nothing and allocates
 * nothing: its workspace is laid out once, for the longest chunk. Results do not depend on how a prompt was
 * cut into chunks.
 *
 * Files: thinker (embedding, layers, head), attention, moe (router, experts, dense MLP), rope, kv_cache,
 * taps.
 */
#ifndef TESS_MODEL_THINKER_H
#define TESS_MODEL_THINKER_H

#include "base/pool.h"
#include "model/kv_cache.h"
#include "model/rope.h"
#include "model/taps.h"
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

typedef struct tess_thinker {
    const tess_decoder_config *config;
    const tess_kernels *kernels;
    tess_pool *pool;
    tess_rounding rounding;
    tess_bank layers, experts, embedding, head;
    int embedding_rows, head_rows; /* rows per block of those banks */
    tess_rope rope;
    tess_kv_cache kv;
    tess_workspace work;
} tess_thinker;

typedef struct tess_thinker_sizes {
    int n_context, n_chunk, n_thread, n_logit_rows, n_lease;
} tess_thinker_sizes;

/* Lays out workspace and rope tables; config, kernels, pool and rounding are set before. Works over an arena
 * that measures as well. */
void tess_thinker_init(tess_thinker *thinker, const tess_thinker_sizes *sizes, tess_arena *arena);

/* Runs tokens [first, first + n) of the timeline, n at most n_chunk.
 *   ids [n]; position t of stream s stands at positions[s * position_stride + t]
 *   sink: taps; tap rows are counted from `row`, the place of the chunk in its feed
 *   logits: which rows get logits; afterwards work.logits holds those of the last token (row 0) unless NONE
 */
typedef enum tess_logits { TESS_LOGITS_NONE, TESS_LOGITS_LAST, TESS_LOGITS_ALL } tess_logits;

typedef struct tess_chunk {
    const int32_t *ids;
    const float *positions;
    size_t position_stride;
    int first, n;
    int64_t row;
    tess_logits logits;
} tess_chunk;

tess_status tess_thinker_run(tess_thinker *thinker, const tess_chunk *chunk, const tess_tap_sink *sink,
                             tess_error *err);

/* The attention module of one layer: work.normed -> work.output, keys and values into the cache. */
void tess_attention_run(tess_thinker *thinker, int layer, const void *const *weights, int first, int n);

/* The MLP module of one layer: work.normed -> work.output. Emits the router's taps. */
tess_status tess_moe_run(tess_thinker *thinker, int layer, const void *const *weights,
                         const tess_chunk *chunk, const tess_tap_sink *sink, tess_error *err);
void tess_mlp_run(tess_thinker *thinker, const void *const *weights, int n);

/* Packs n rows of x (n_col wide, dense) into work.packed, split among threads. */
void tess_thinker_pack(tess_thinker *thinker, const float *x, size_t n_col, int n);

#endif
