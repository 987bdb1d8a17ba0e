/* Code2wav's embedding and transformer: codes in, a row of d_model for each frame out. */
#ifndef TESS_MODEL_CODE2WAV_LAYERS_H
#define TESS_MODEL_CODE2WAV_LAYERS_H

#include "model/code2wav.h"

void tess_code2wav_layers_init(tess_code2wav *c, const tess_code2wav_sizes *sizes, tess_arena *arena);

/* c->current [n, d_model] = frames c->n_done and on, n at most c->n_frame, behind the last norm. Errors:
 * those of tess_bank_lease. */
tess_status tess_code2wav_layers_run(tess_code2wav *c, const int32_t *codes, int64_t stride, int n,
                                     tess_error *err);

#endif
