/* The code predictor: from the talker's hidden state and a frame's first code to the codes of the other
 * codebooks, one after the other; spec section 13.
 *
 * A frame is a timeline of its own. Its rows are the hidden state, the first code's row of the talker's
 * embedding, then each code's row of its codebook's own; behind row j + 1 stands the head of codebook j + 1.
 *
 * A code predictor is lent weights by banks and threads by a pool; nothing is allocated while it runs.
 */
#ifndef TESS_MODEL_CODE_PREDICTOR_H
#define TESS_MODEL_CODE_PREDICTOR_H

#include "model/decoder.h"
#include "model/sampler.h"
#include "model/speech_weights.h"

typedef struct tess_code_predictor {
    const tess_code_predictor_config *config;
    tess_decoder decoder;
    tess_row_table *embedding, *head; /* [n_code_group - 1] */
    tess_timeline timeline;           /* of n_code_group rows */
    tess_sampler sampler;
    float *row;    /* [d_model] of a code */
    float *logits; /* [n_vocab] */
} tess_code_predictor;

typedef struct tess_code_predictor_sizes {
    int n_thread, n_layer_slot;
    int n_embedding_slot, n_head_slot; /* blocks of each table that stay, 1 … all */
    bool packs;                        /* what stays whole is packed */
} tess_code_predictor_sizes;

/* Prepares a code predictor; the rest is laid out by what follows, each in an arena that may be one that
 * measures. `config` stays where it is. */
tess_code_predictor tess_code_predictor_make(const tess_code_predictor_config *config,
                                             const tess_compute *compute);
void tess_code_predictor_init_workspace(tess_code_predictor *predictor,
                                        const tess_code_predictor_sizes *sizes, tess_arena *arena);
void tess_code_predictor_init_weights(tess_code_predictor *predictor, tess_store *store,
                                      const tess_code_predictor_weights *weights,
                                      const tess_code_predictor_sizes *sizes, tess_arena *arena);

/* How codes behind the first are chosen: greedily where the first is. */
tess_sampling tess_code_predictor_sampling(bool is_greedy);

/* Hears a code of codebook 1 … n_code_group - 1 as it is chosen, and may put another in its place; an error
 * that it returns ends the frame. */
typedef struct tess_code_ear {
    tess_status (*hear)(void *context, int codebook, int32_t *code, tess_error *err);
    void *context;
} tess_code_ear;

/* codes [n_code_group - 1] = those behind the first, chosen as `sampling` says (no penalty) with `random`.
 *
 *   hidden    [d_model] the talker's, behind its final norm
 *   code_row  [d_model] the first code's row of the talker's embedding; then the sum with all others' rows,
 *             rounded once, which is what the talker goes on with
 *   ear       NULL: nobody hears
 *
 *   listener  hears the taps of the first run, whose two rows are these; may be NULL
 *
 * Errors: those of leasing weights, of the listener and of tess_sampler_choose; TESS_ENONFINITE. */
tess_status tess_code_predictor_run(tess_code_predictor *predictor, const float *hidden, float *code_row,
                                    const tess_sampling *sampling, uint64_t *random, const tess_code_ear *ear,
                                    const tess_tap_listener *listener, int32_t *codes, tess_error *err);
/* Visits the taps of that run in model order. */
void tess_code_predictor_taps_visit(const tess_code_predictor_config *config,
                                    void (*visit)(void *context, const tess_tap *tap), void *context);

#endif
