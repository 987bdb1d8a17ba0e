/* The talker: rows of the thinker in, codes' logits of the first codebook out; spec section 12.
 *
 * It is a decoder between an embedding and a head like the thinker's. What is its own are two projections
 * that make rows of the thinker's its own, and that every step's row is the sum of the codes of the frame
 * before and of the next token of the text.
 *
 * A talker is lent weights by banks and threads by a pool; nothing is allocated while it runs.
 */
#ifndef TESS_MODEL_TALKER_H
#define TESS_MODEL_TALKER_H

#include "model/causal_model.h"
#include "model/projection.h"
#include "model/speech_weights.h"
#include "model/talker_prompt.h"

typedef struct tess_talker {
    const tess_config *config;
    tess_causal_model model;
    tess_bank projections;
    tess_row_table *thinker_embedding; /* the thinker's own */
    tess_timeline timeline;            /* rows that were run; its ids give them their positions */
    tess_talker_row *row;              /* [n_context] what the prompt's rows are made of */
    float *thinker_rows;               /* [n_row, d_thinker] embeddings or states to be projected */
    tess_projection_room projecting;   /* of n_row rows */
    float *projected;                  /* [n_row, d_model] */
    float *rows;                       /* [n_row, d_model] what a step runs */
    const float **vectors;             /* [n_row] their places */
    int32_t *which;                    /* [n_row] whose row each projected one is */
    float *code_row;                   /* [d_model] of one code */
    float *pad_row;                    /* [d_model] the projected pad, which is added once the text is over */
    float *logits;                     /* [n_vocab] of the last row */
} tess_talker;

/* Prepares a talker; the rest is laid out by what follows, each in an arena that may be one that measures.
 * `config` and `thinker_embedding` stay where they are. */
tess_talker tess_talker_make(const tess_config *config, tess_row_table *thinker_embedding,
                             const tess_compute *compute);
/* Scratch, and the timeline of sizes->n_context rows. */
void tess_talker_init_workspace(tess_talker *talker, const tess_decoder_sizes *sizes, int n_logit_rows,
                                tess_arena *arena);
/* Projections that stay: 1 or 2. */
void tess_talker_init_projections(tess_talker *talker, tess_store *store, const tess_talker_weights *weights,
                                  int n_slot, bool packs, tess_arena *arena);

/* Runs a prompt whose rows stand in talker->row, and ids and positions in the timeline, from its start.
 * `states` are those that the thinker kept. `sink` gets the taps. Afterwards
 * talker->logits are those of the last row, and its hidden state is given to last_hidden [d_model]. */
tess_status tess_talker_prefill(tess_talker *talker, int n_row, const float *states,
                                const tess_tap_sink *sink, float *last_hidden, tess_error *err);

/* Runs one row more: codes [d_model], the sum of the last frame's codes, is added to the projected embedding
 * of a token; token -1: to that of the pad. Afterwards as above. */
tess_status tess_talker_step(tess_talker *talker, const float *codes, int32_t token, float *last_hidden,
                             tess_error *err);

/* Makes what may not be chosen for the first codebook impossible, in logits [n_vocab]: all control codes but
 * the end. */
void tess_talker_suppress(const tess_talker_config *config, float *logits);

#endif
