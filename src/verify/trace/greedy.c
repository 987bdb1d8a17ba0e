#include "verify/trace/greedy.h"

#include <stdlib.h>

#include "base/error.h"
#include "tessera/dialog.h"

/* The ids as traces hold them. */
static tess_status widen_ids(const tess_ids *narrow, int64_t **ids, int *n, tess_error *err)
{
    *ids = malloc((narrow->count + 1) * sizeof **ids);
    if (!*ids) return tess_fail(err, TESS_ENOMEM, "no memory for %zu generated tokens", narrow->count);
    for (size_t i = 0; i < narrow->count; i++) (*ids)[i] = narrow->data[i];
    *n = (int)narrow->count;
    return TESS_OK;
}

tess_status tess_greedy_generate(const tess_engine *engine, tess_session *session, int most,
                                 const tess_tap_listener *observer, const tess_progress *progress,
                                 int64_t **ids, int *n, tess_error *err)
{
    int32_t stop_ids[TESS_STOP_MAX_IDS];
    tess_answer_request request = {.sampling = TESS_SAMPLING_GREEDY,
                                   .max_new = most,
                                   .stop_ids = stop_ids,
                                   .n_stop_id = tess_stop_ids_get(engine, NULL, stop_ids),
                                   .listener = observer,
                                   .progress = progress};
    tess_answer answer;
    *ids = NULL;
    *n = 0;
    tess_status status = tess_answer_generate(session, NULL, &request, &answer, err);
    if (status == TESS_OK && answer.finish == TESS_FINISH_INTERRUPTED)
        status = tess_fail(err, TESS_EINTERRUPTED, "interrupted");
    if (status == TESS_OK) status = widen_ids(&answer.ids, ids, n, err);
    tess_answer_release(&answer);
    return status;
}
