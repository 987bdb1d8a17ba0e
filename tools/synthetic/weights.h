/* What every tensor of a synthetic checkpoint is filled with: its rule by name, and its values.
 *
 * Sizes are such that the network lives: branches add a little to the stream each, so that it grows slowly
 * and keeps the token it began with; norms are near one. On top of that the decoders with experts are built
 * so that routing can be chosen. With d the width of the stream:
 *
 *   - Every embedding has the same component along one direction, the signs s of all columns but the local
 *     ones (every sixteenth). No branch writes along s on purpose, so how large h·s is follows from the
 * depth.
 *   - Query and key rows have a component along s that, turned by the rotary embedding, is largest at
 * distance zero and fades over some tens of positions: attention is a mean of the neighbourhood. Value rows
 * have none, so that the mean holds what tokens differ in.
 *   - Attention writes that mean into the local columns, where embeddings are small: what stands there
 * changes slowly from token to token.
 *   - A router row has three parts, whose shares of the logit's variance are the knobs: one along s, the same
 *     for every token (skew); one over the local columns, nearly the same for neighbours (repeat); and one
 *     over the rest, the token's own.
 */
#ifndef TESS_TOOLS_SYNTHETIC_WEIGHTS_H
#define TESS_TOOLS_SYNTHETIC_WEIGHTS_H

#include "model/manifest.h"
#include "noise.h"

typedef struct weights_options {
    uint64_t seed;
    double router_skew;   /* share of a router logit's variance that no token changes: 0 … 0.999 */
    double router_repeat; /* share of the rest that neighbours have in common: 0 … 0.999 */
    double tiny_share;    /* of weights, see noise.h */
} weights_options;

typedef struct synthetic_weights synthetic_weights;

typedef enum weights_kind {
    WEIGHTS_NOISE,     /* mean 0 */
    WEIGHTS_AROUND,    /* another mean */
    WEIGHTS_EMBEDDING, /* the common component, and small local columns */
    WEIGHTS_ROWS,      /* rows of a chosen component along s, and local columns of their own size */
    WEIGHTS_OUTPUT,    /* local rows of their own size */
} weights_kind;

typedef struct weights_side weights_side; /* what the tensors of one decoder share */

/* How one tensor is made; plain memory. */
typedef struct weights_recipe {
    weights_kind kind;
    int shape; /* of the noise */
    uint64_t key;
    uint64_t n_row, n_column;
    float mean, deviation, local_deviation;
    float component;     /* along s, for a preference of 1 */
    bool prefers_places; /* preferences by place in the head (queries, keys); else by row (routers) */
    const weights_side *side;
} weights_recipe;

/* Tables of one thread. */
typedef struct weights_scratch {
    noise_table table[2];
    float *row; /* as wide as weights_row_floats() says */
} weights_scratch;

/* `config` is borrowed. NULL without memory. */
synthetic_weights *weights_new(const tess_config *config, const weights_options *options);
void weights_free(synthetic_weights *w);
uint64_t weights_row_floats(const synthetic_weights *w);

weights_recipe weights_plan(const synthetic_weights *w, const tess_manifest_entry *entry);
/* Elements first … first + n - 1, in bf16. Threads: any number, a scratch each. */
void weights_fill(const synthetic_weights *w, const weights_recipe *recipe, uint64_t first, uint64_t n,
                  uint16_t *out, weights_scratch *scratch);

#endif
