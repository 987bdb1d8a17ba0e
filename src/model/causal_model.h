/* A decoder between an embedding and a head: tokens and positions in, hidden states and logits out. The
 * thinker's text model is one, and the talker's model of the first codebook is another; rows that are none of
 * the embedding's (media, text to be spoken) come as vectors.
 */
#ifndef TESS_MODEL_CAUSAL_MODEL_H
#define TESS_MODEL_CAUSAL_MODEL_H

#include "model/decoder.h"

enum { TESS_MAX_LOGIT_ROWS = 16 };

typedef struct tess_causal_model {
    tess_decoder decoder;
    tess_row_table embedding, head;
    tess_tap_kind head_tap; /* what its logits are called */
    float *logits;          /* [n_logit_rows, n_vocab] */
    int n_logit_rows;
} tess_causal_model;

/* Which rows of a span get logits: those of all rows are emitted as a tap, those of the last are kept. */
typedef enum tess_logits { TESS_LOGITS_NONE, TESS_LOGITS_LAST, TESS_LOGITS_ALL } tess_logits;

typedef struct tess_head_request {
    tess_logits rows;
    float *last; /* [n_vocab] gets the last row's, unless rows is TESS_LOGITS_NONE */
} tess_head_request;

/* Prepares a model whose config and compute are known; the rest is laid out by what follows, each in an arena
 * that may be one that measures. */
tess_causal_model tess_causal_model_make(const char *name, tess_tap_kind head_tap,
                                         const tess_decoder_config *config, const tess_compute *compute);
/* n_logit_rows 1 … TESS_MAX_LOGIT_ROWS. */
void tess_causal_model_init_logits(tess_causal_model *model, int n_logit_rows, tess_arena *arena);

/* Runs a step; request [n_span]. Afterwards the decoder's work.normed holds the rows' hidden states, behind
 * the final norm. Errors: those of tess_decoder_run, and of leasing the head. */
tess_status tess_causal_model_run(tess_causal_model *model, const tess_step *step,
                                  const tess_head_request *request, tess_error *err);

#endif
