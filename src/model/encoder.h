/* The layers of a tower, audio's and vision's: layer norm, attention, layer norm, an MLP with GELU, with
 * biases everywhere, each half added to the stream.
 *
 *   x = x + output(attention(norm(x)))      x = x + down(gelu(up(norm(x))))
 *
 * Rows come in groups; the rows of a group all see each other and no others. Keys and values are made for all
 * rows first; the rest goes block by block, so that what it takes does not grow with the rows. The bits of a
 * row depend on neither blocks, nor threads, nor what other groups there are.
 *
 * An encoder is lent weights by its bank and threads by a pool; nothing is allocated while it runs.
 */
#ifndef TESS_MODEL_ENCODER_H
#define TESS_MODEL_ENCODER_H

#include "model/compute.h"
#include "model/tower_weights.h"

typedef struct tess_encoder_config {
    int n_layer, d_model, n_head, d_ff;
    double norm_eps;
    bool is_tanh; /* which GELU */
} tess_encoder_config;

/* What a tower is laid out for: this, and what it has before and behind its layers. */
typedef struct tess_tower_sizes {
    int n_row;       /* most rows of a run, at least n_group_row: a piece of what goes through the tower */
    int n_group_row; /* most rows of a group */
    int n_thread;
    int n_layer_slot; /* layers that stay, 1 … all */
    int n_part_slot;  /* parts before and behind them that stay, 1 … all */
} tess_tower_sizes;

typedef struct tess_encoder {
    tess_encoder_config config;
    tess_compute compute;
    tess_bank layers;
    int n_row, n_group_row, n_block; /* n_block: rows of a block */
    float *residual;                 /* [n_row, d_model] the stream: what goes in and what comes out */
    /* [n_head, n_row, d_head]: a head's keys lie side by side; between layers free for other use */
    float *keys, *values;
    /* Of a block of rows; free for other use between runs and while on_layer is called. */
    float *normed;        /* [n_block, d_model] */
    float *query;         /* [n_block, d_model] queries, then attention's weighted values */
    float *packed;        /* [n_block, packed(d_model)] */
    float *hidden;        /* [n_block, d_ff] */
    float *hidden_packed; /* [n_block, packed(d_ff)] */
    float *scores;        /* [n_thread, TESS_ENCODER_QUERIES, n_group_row] */
    float *near;          /* [n_thread, 2, TESS_ENCODER_QUERIES, d_head] a head's queries, and their result */
} tess_encoder;

/* Rows of one head that attention takes at a time: keys and values are read once for all of them. */
enum { TESS_ENCODER_QUERIES = 32 };

typedef struct tess_encoder_pass {
    int n_group;
    const int32_t *group; /* [n_group + 1] where groups begin: ascending from 0 to the number of rows */
    /* [rows, d_head / 2]: how queries and keys are rotated, in float32 with one rounding; NULL: not at all */
    const float *cosines, *sines;
    /* Told after each layer, when its output stands in residual and nothing is leased; what it returns other
     * than TESS_OK ends the run. */
    tess_status (*on_layer)(void *context, int layer, tess_error *err);
    /* Told after each block of rows, whose layer is leased, how many rows of the layer are done: with many
     * rows a layer takes minutes. Ends the run likewise. */
    tess_status (*on_rows)(void *context, int layer, int n_row, tess_error *err);
    void *context;
} tess_encoder_pass;

/* Lay out scratch, and the bank of layers. Config and compute are set before. They work over an arena that
 * measures as well; `weights` must outlive the encoder. */
void tess_encoder_init_workspace(tess_encoder *encoder, const tess_tower_sizes *sizes, tess_arena *arena);
void tess_encoder_init_layers(tess_encoder *encoder, tess_store *store, const tess_tower_weights *weights,
                              const tess_tower_sizes *sizes, tess_arena *arena);

/* Multiplications of all layers over n_row rows that each see n_key. */
double tess_encoder_count_products(const tess_encoder_config *config, double n_row, double n_key);

/* Runs all layers over the rows in residual. Errors: those of tess_bank_lease, of on_layer and of on_rows. */
tess_status tess_encoder_run(tess_encoder *encoder, const tess_encoder_pass *pass, tess_error *err);

#endif
