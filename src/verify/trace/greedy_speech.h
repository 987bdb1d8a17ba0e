/* The greedy speech of traces and verification. */
#ifndef TESS_VERIFY_TRACE_GREEDY_SPEECH_H
#define TESS_VERIFY_TRACE_GREEDY_SPEECH_H

#include "tessera/speech.h"
#include "tessera/trace.h"

#define TESS_CODES_TAP "tap.talker.codes"

/* Speaks an answer greedily, as the inputs say, in a session that was fed their prompt: all of answer[n] but
 * its last token, which was not fed. `listener` (may be NULL) hears the talker's taps.
 *
 *   codes   [dim[0], dim[1]] codebooks and frames, to be freed; without frames as well
 *
 * Errors: those of tess_speech_new and tess_speech_step. */
tess_status tess_greedy_speak(tess_session *session, const tess_trace_inputs *inputs, const int64_t *answer,
                              int n, const tess_tap_listener *listener, const tess_progress *progress,
                              int64_t **codes, int64_t dim[2], tess_error *err);

/* Decodes codes [dim[0], dim[1]] as traces hold them; `listener` hears code2wav's taps. Errors: those of
 * tess_engine_decode_codes. */
tess_status tess_greedy_decode(tess_engine *engine, const int64_t *codes, const int64_t dim[2],
                               const tess_tap_listener *listener, const tess_progress *progress,
                               tess_error *err);

#endif
