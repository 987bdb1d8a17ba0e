/* How rows of the thinker become rows of the talker: linear, SiLU, linear, with biases; spec section 11. */
#ifndef TESS_MODEL_PROJECTION_H
#define TESS_MODEL_PROJECTION_H

#include "model/compute.h"

/* Scratch of n_tok rows at a time. */
typedef struct tess_projection_room {
    float *hidden; /* [n_tok, d_ff] */
    float *packed; /* [n_tok, packed(the wider of d_thinker and d_ff)] */
} tess_projection_room;

/* out[n_tok, d_model] = projected x[n_tok, d_thinker]; weights [TESS_PROJECTION_WEIGHTS]. */
void tess_project_rows(const tess_compute *compute, const tess_matrix *weights,
                       const tess_projection_room *room, const float *x, int n_tok, float *out);

#endif
