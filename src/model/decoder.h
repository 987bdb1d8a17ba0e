/* A decoder: layers of attention and MLP over rows of one or several timelines. The thinker's, the talker's
 * and the code predictor's are this code with a configuration and a name.
 *
 * One path serves prefill and decoding: a step runs n rows, n >= 1, each at a place of its timeline. Results
 * depend neither on how a prompt was cut into steps nor on which other rows share a step.
 */
#ifndef TESS_MODEL_DECODER_H
#define TESS_MODEL_DECODER_H

#include "model/decoder_state.h"
#include "model/step.h"

/* Runs the rows through all layers and the final norm; afterwards work.normed holds their hidden states, in
 * the order of the spans. Keys and values of the rows are then in their timelines. Errors: those of leasing
 * weights, of the taps, and of on_layer; places written may then hold anything. */
tess_status tess_decoder_run(tess_decoder *decoder, const tess_step *step, tess_error *err);

#endif
