/* What is put where in memory, for a choice of residency: the one place that knows, used to plan and to run.
 *
 * Experts stand in the room that phases share: while towers are at work, they have the room instead.
 */
#ifndef TESS_ENGINE_ROOMS_H
#define TESS_ENGINE_ROOMS_H

#include "engine/choice.h"
#include "engine/layout.h"
#include "engine/model.h"
#include "engine/speech_room.h"
#include "model/sampler.h"

/* What the towers made of the media of a feed, until its tokens have been run. */
typedef struct tess_media_rows {
    float *rows;                          /* [n_tok, d_model] clips, images, videos */
    float *deepstack[TESS_MAX_DEEPSTACK]; /* [n_picture_tok, d_model] images, videos */
    const tess_features **list;           /* [n_medium] those of one kind */
    const float **vectors;                /* [rows of a step] */
    tess_addition *addition;              /* [rows of a step, n_deepstack] */
    int64_t first[3], n_used[3];          /* by kind: its first row, and how many tokens stood for one */
} tess_media_rows;

/* A medium that a session holds. */
typedef struct tess_recalled {
    unsigned char digest[32]; /* of its features; zeros: not known */
    int first, end;           /* of its tokens: where the first stands, and behind the last */
    tess_media_kind kind;
} tess_recalled;

/* The media that it holds. */
typedef struct tess_recall {
    tess_recalled *medium; /* [n] */
    int n, capacity;
} tess_recall;

/* What a session has in the arena. */
typedef struct tess_session_room {
    tess_timeline timeline;
    tess_recall recall;
    float *logits; /* [n_vocab] of the last position */
    float *states; /* [n_state, d_model] what the talker is told of media, by media token; NULL: nothing */
} tess_session_room;

/* Everything that lives in the engine's arena. */
typedef struct tess_rooms {
    const tess_model *model;
    tess_pool *pool;
    tess_choice choice;
    tess_causal_model thinker;
    tess_audio_tower audio;
    tess_vision_tower vision;
    tess_media_rows media;
    tess_speech_room speech;
    tess_sampler sampler;
    tess_session_room *session; /* [n_session] */
    tess_phase phase;           /* whose the shared room is */
    tess_arena shared;          /* the arena as it was when the shared room began */
} tess_rooms;

/* Lays everything out; the shared room is then that of the text. `pool` may be NULL while measuring. */
void tess_rooms_init(tess_rooms *rooms, const tess_model *model, tess_pool *pool, const tess_choice *choice,
                     tess_layout *layout);

/* Makes the shared room that of another phase: it is laid out again, and what was in it is lost. Costs little
 * where the phase is the one already. */
void tess_rooms_enter(tess_rooms *rooms, tess_phase phase);

#endif
