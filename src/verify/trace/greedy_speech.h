/* The greedy speech of traces and verification. */
#ifndef TESS_VERIFY_TRACE_GREEDY_SPEECH_H
#define TESS_VERIFY_TRACE_GREEDY_SPEECH_H

#include "tessera/speech.h"
#include "tessera/trace.h"

#define TESS_CODES_TAP "tap.talker.codes"

typedef struct tess_greedy_speech {
    const tess_trace_inputs *inputs;
    const int64_t *answer; /* [n_answer] all but its last token, which was not fed, is spoken */
    int n_answer;
    /* [codebooks, n_frame] of the model: every code is chosen behind these, whatever was chosen before, and
     * after them the speech ends. NULL: behind those that were chosen. */
    const int64_t *fed;
    int64_t n_frame;
    const tess_tap_listener *listener; /* hears the talker's taps; may be NULL */
    const tess_progress *progress;     /* may be NULL */
} tess_greedy_speech;

/* Speaks an answer greedily, as the inputs say, in a session that was fed their prompt.
 *
 *   codes   [dim[0], dim[1]] codebooks and frames as they were chosen, to be freed; without frames as well.
 *           Where codes are fed and the end would not have been chosen behind them, there is a frame more,
 *           of its first codebook alone.
 *
 * Errors: those of tess_speech_new and tess_speech_step. */
tess_status tess_greedy_speak(tess_session *session, const tess_greedy_speech *request, int64_t **codes,
                              int64_t dim[2], tess_error *err);

/* Decodes codes [dim[0], dim[1]] as traces hold them; `listener` hears code2wav's taps. Errors: those of
 * tess_engine_decode_codes. */
tess_status tess_greedy_decode(tess_engine *engine, const int64_t *codes, const int64_t dim[2],
                               const tess_tap_listener *listener, const tess_progress *progress,
                               tess_error *err);

#endif
