/* A merger of the vision tower: patches that follow each other on one block of the grid become one token;
 * spec section 10.6. Norm, linear, GELU (erf), linear, which is how the audio tower ends as well. */
#ifndef TESS_MODEL_MERGER_H
#define TESS_MODEL_MERGER_H

#include "model/compute.h"
#include "model/manifest.h"

/* Scratch for n_tok tokens at a time, of d_merged = patches of a token x d_model; the audio tower's have
 * d_model. */
typedef struct tess_head_room {
    int n_tok;
    float *normed, *hidden; /* [n_tok, d_merged] */
    float *packed;          /* [n_tok, packed(d_merged)] */
} tess_head_room;

/* out[n_tok, d_output] = what stands behind the norm, of room->normed, at most room->n_tok of them. weights
 * [TESS_HEAD_WEIGHTS]. */
void tess_head_finish(const tess_compute *compute, const tess_matrix *weights, const tess_head_room *room,
                      int n_tok, float *out);

/* out[n_tok, d_output] = merged x[n_tok, d_merged]. The norm goes over rows of its weight's width: patches
 * (the main merger) or tokens (DeepStack). */
void tess_merger_run(const tess_compute *compute, const tess_matrix *weights, const tess_head_room *room,
                     const float *x, int n_tok, float *out);

#endif
