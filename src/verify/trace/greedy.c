#include "verify/trace/greedy.h"

#include <stdlib.h>

#include "base/error.h"

tess_status tess_greedy_generate(const tess_engine *engine, tess_session *session, int most,
                                 const tess_tap_listener *observer, const tess_progress *progress,
                                 int64_t **ids, int *n, tess_error *err)
{
    int32_t stop = tess_engine_get_end_token(engine);
    const tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY,
                                        .max_new = most,
                                        .stop = &stop,
                                        .n_stop = 1,
                                        .listener = observer,
                                        .progress = progress};
    int32_t *narrow = malloc((size_t)most * sizeof *narrow);
    *ids = malloc((size_t)most * sizeof **ids);
    *n = 0;
    tess_finish finish;
    tess_status status = narrow && *ids
                             ? tess_session_generate(session, &generation, narrow, n, &finish, err)
                             : tess_fail(err, TESS_ENOMEM, "no memory for %d generated tokens", most);
    for (int i = 0; i < *n && status == TESS_OK; i++) (*ids)[i] = narrow[i];
    free(narrow);
    return status;
}
