#include "verify/trace/greedy.h"

#include <stdlib.h>

typedef struct generating {
    const tess_engine *engine;
    uint64_t done, total;
} generating;

/* Generation reports to nobody by itself; this shows it and lets it be stopped. */
static bool count_token(void *context, int32_t id)
{
    (void)id;
    generating *g = context;
    g->done++;
    return tess_engine_tell(g->engine, "generating", "tokens", g->done, g->total, NULL) == TESS_OK;
}

static tess_status generate(const tess_engine *engine, tess_session *session, int most,
                            const tess_tap_listener *observer, int32_t *ids, int *n, tess_error *err)
{
    int32_t stop = tess_engine_get_end_token(engine);
    generating progress = {engine, 0, (uint64_t)most};
    tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY,
                                  .max_new = most,
                                  .stop = &stop,
                                  .n_stop = 1,
                                  .on_token = count_token,
                                  .context = &progress,
                                  .listener = observer};
    tess_finish finish = TESS_FINISH_LENGTH;
    tess_status status = tess_session_generate(session, &generation, ids, n, &finish, err);
    if (status == TESS_OK && finish == TESS_FINISH_INTERRUPTED)
        status = tess_fail(err, TESS_EINTERRUPTED, "interrupted");
    return status;
}

tess_status tess_greedy_generate(const tess_engine *engine, tess_session *session, int most,
                                 const tess_tap_listener *observer, int64_t **ids, int *n, tess_error *err)
{
    int32_t *narrow = malloc((size_t)most * sizeof *narrow);
    *ids = malloc((size_t)most * sizeof **ids);
    *n = 0;
    tess_status status = narrow && *ids
                             ? generate(engine, session, most, observer, narrow, n, err)
                             : tess_fail(err, TESS_ENOMEM, "no memory for %d generated tokens", most);
    for (int i = 0; i < *n && status == TESS_OK; i++) (*ids)[i] = narrow[i];
    free(narrow);
    return status;
}
