/* The thinker's text decoder: tokens and positions in, hidden states and logits out.
 *
 * One path serves prefill and decoding: a chunk of n tokens, n >= 1, continues the timeline in the KV cache.
 * Results do not depend on how a prompt was cut into chunks.
 */
#ifndef TESS_MODEL_THINKER_H
#define TESS_MODEL_THINKER_H

#include "model/decoder.h"
#include "model/taps.h"

/* Runs a chunk of at most n_chunk tokens. Afterwards work.logits holds the logits of its last token (row 0),
 * unless they were not asked for. */
tess_status tess_thinker_run(tess_decoder *decoder, const tess_chunk *chunk, const tess_tap_sink *sink,
                             tess_error *err);

#endif
