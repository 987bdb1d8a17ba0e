/* The greedy tokens that follow a traced prompt. */
#ifndef TESS_VERIFY_TRACE_GREEDY_H
#define TESS_VERIFY_TRACE_GREEDY_H

#include "tessera/engine.h"

#define TESS_GREEDY_TAP "tap.thinker.generated"

/* Generates up to `most` tokens from the session's logits, ending after im_end_token_id, which is kept. *ids:
 * [*n] as traces hold them; the caller frees it, also NULL. `observer` and `progress` may be NULL. Errors:
 * those of tess_session_generate; TESS_ENOMEM. */
tess_status tess_greedy_generate(const tess_engine *engine, tess_session *session, int most,
                                 const tess_tap_listener *observer, const tess_progress *progress,
                                 int64_t **ids, int *n, tess_error *err);

#endif
