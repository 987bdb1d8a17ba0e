/* The audio tower's stem: a chunk of mel frames to rows of d_model.
 *
 * A convolution of 3 x 3 and stride 2 is a product: each place of its output is a row of the nine places of
 * the input below it, channel by channel, and the weights are a matrix as they are published. Places outside
 * the input are zeros in that row, whose products change no sum but, where it is zero, its sign.
 */
#ifndef TESS_MODEL_AUDIO_STEM_H
#define TESS_MODEL_AUDIO_STEM_H

#include "model/audio_tower.h"

/* Steps that three convolutions make of n frames, or mel bins: each halves, rounding up. */
int tess_audio_stem_steps(int n);

/* Multiplications of a chunk of so many frames. */
double tess_audio_stem_count_products(const tess_audio_config *config, int n_frame);

void tess_audio_stem_init(tess_audio_tower *tower, const tess_tower_sizes *sizes, tess_arena *arena);

/* tower->steps [steps of n_frame, d_model] = the rows of tower->frames [n_frame, n_mel], without positions;
 * weights [TESS_AUDIO_STEM_WEIGHTS]. */
void tess_audio_stem_run(tess_audio_tower *tower, const tess_matrix *weights, int n_frame);

#endif
