/* Positions of a prompt with media on three streams (temporal, height, width); spec section 7.
 *
 * Text and sound advance all streams by one a token. The patches of an image or of a video's step share a
 * time and spread over height and width; what follows goes on behind the largest. All arithmetic is float32,
 * operation by operation as in the original.
 */
#ifndef TESS_MODEL_POSITIONS_H
#define TESS_MODEL_POSITIONS_H

#include "model/placeholders.h"

/* out[s*stride + i] = position of token i on stream s, counted from `start`, n_tok tokens whose media have
 * been checked (placeholders.h). Errors: TESS_EINPUT, field "input_ids": a medium that does not stand where
 * its start token says. */
tess_status tess_positions_compute(const tess_thinker_config *config, const int32_t *ids, int n_tok,
                                   const tess_media_list *media, float start, float *out, size_t stride,
                                   tess_error *err);

/* The same where media need not have as many rows as there are tokens for them, counted from 0: what follows
 * a body begins where its medium's rows end. TESS_EINPUT also where the tokens end before them. */
tess_status tess_positions_compute_unchecked(const tess_thinker_config *config, const int32_t *ids, int n_tok,
                                             const tess_media_list *media, float *out, size_t stride,
                                             tess_error *err);

#endif
