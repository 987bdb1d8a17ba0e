/* Rotary positions with three interleaved streams (temporal, height, width); spec section 7.1. */
#ifndef TESS_MODEL_ROPE_H
#define TESS_MODEL_ROPE_H

#include "base/arena.h"
#include "kernels/kernels.h"
#include "model/config.h"

typedef struct tess_rope {
    int n_pair;            /* d_head / 2 */
    float *inv_freq;       /* [n_pair] */
    unsigned char *stream; /* [n_pair] 0 temporal, 1 height, 2 width */
} tess_rope;

/* Lays the tables out in the arena and fills them (not while measuring). */
void tess_rope_init(tess_rope *rope, const tess_decoder_config *config, tess_arena *arena);

/* Cosines and sines [n_pair] of one token at position[3], rounded as `rounding` says. */
void tess_rope_angles(const tess_rope *rope, const tess_kernels *kernels, const float position[3],
                      tess_rounding rounding, float *cosines, float *sines);

#endif
