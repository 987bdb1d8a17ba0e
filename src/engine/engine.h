/* The engine's own picture of itself, for the files of this folder. */
#ifndef TESS_ENGINE_ENGINE_H
#define TESS_ENGINE_ENGINE_H

#include "engine/plan.h"

struct tess_session {
    tess_engine *engine; /* NULL: nobody has it */
    tess_session_room *room;
    bool has_logits;  /* room->logits are those of the last position */
    bool has_pending; /* a token was chosen and not yet fed */
    int32_t pending;
    uint64_t random; /* state of the sampler's generator */
};

struct tess_engine {
    tess_model model;
    tess_plan plan;
    tess_pool *pool;
    tess_arena arena;
    tess_rooms rooms;
    tess_session *session; /* [plan.n_session] */
};

#endif
