/* The engine's own picture of itself, for the files of this folder. */
#ifndef TESS_ENGINE_ENGINE_H
#define TESS_ENGINE_ENGINE_H

#include "engine/plan.h"

struct tess_engine {
    tess_model model;
    tess_plan plan;
    tess_pool *pool;
    tess_arena arena;
    tess_parts parts;
    tess_progress *progress;
    void *progress_context;
    bool has_session;
};

/* Tells progress, if anybody wants it: TESS_EINTERRUPTED if they ask to stop. */
tess_status tess_engine_tell(const tess_engine *engine, const char *what, const char *unit, uint64_t done,
                             uint64_t total, tess_error *err);

#endif
