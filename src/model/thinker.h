/* The thinker's text decoder: tokens and positions in, hidden states and logits out. Here are what it has
 * beside its layers: the embedding, rows that come as vectors in place of tokens (media), and the head. */
#ifndef TESS_MODEL_THINKER_H
#define TESS_MODEL_THINKER_H

#include "model/decoder.h"

enum { TESS_MAX_LOGIT_ROWS = 16 };

typedef struct tess_thinker {
    tess_decoder decoder;
    tess_row_table embedding, head;
    float *logits; /* [n_logit_rows, n_vocab] */
    int n_logit_rows;
} tess_thinker;

/* Which rows of a span get logits: those of all rows are emitted as a tap, those of the last are kept. */
typedef enum tess_logits { TESS_LOGITS_NONE, TESS_LOGITS_LAST, TESS_LOGITS_ALL } tess_logits;

typedef struct tess_head_request {
    tess_logits rows;
    float *last; /* [n_vocab] gets the last row's, unless rows is TESS_LOGITS_NONE */
} tess_head_request;

/* Prepares a thinker whose config and compute are known; the rest is laid out by what follows, each in an
 * arena that may be one that measures. */
tess_thinker tess_thinker_make(const tess_decoder_config *config, const tess_compute *compute);
/* n_logit_rows 1 … TESS_MAX_LOGIT_ROWS. */
void tess_thinker_init_logits(tess_thinker *thinker, int n_logit_rows, tess_arena *arena);

/* Runs a step; request [n_span]. Errors: those of tess_decoder_run, and of leasing the head. */
tess_status tess_thinker_run(tess_thinker *thinker, const tess_step *step, const tess_head_request *request,
                             tess_error *err);

#endif
