/* What is put where in memory, for a choice of residency: the one place that knows, used to plan and to run.
 *
 * Memory is told by component, region and phase. Regions that are always in use come first; those of the
 * phases follow and share one room, since one phase ends before the next begins: what a phase leaves there is
 * lost.
 */
#ifndef TESS_ENGINE_LAYOUT_H
#define TESS_ENGINE_LAYOUT_H

#include "model/sampler.h"
#include "model/thinker.h"

/* ---- regions ---- */

/* A layout in progress over an arena, which may be one that measures. */
typedef struct tess_layout {
    tess_arena *arena;
    tess_region region[TESS_PLAN_REGIONS];
    int n_region;
    uint64_t region_start;
    uint64_t room_start, room_end; /* of the room that phases share */
} tess_layout;

tess_layout tess_layout_begin(tess_arena *arena);
/* Begins a region; what is taken from the returned arena until the next call belongs to it. Phases ascend,
 * and a phase's regions come together. */
tess_arena *tess_layout_open(tess_layout *layout, const char *component, const char *name, const char *holds,
                             tess_phase phase);
void tess_layout_end(tess_layout *layout);

/* ---- what is laid out ---- */

/* What a plan decides for a decoder. */
typedef struct tess_decoder_choice {
    int n_row, n_logit_rows; /* of a step, and of those that get logits at a time */
    int n_lease;             /* experts leased at a time */
    int n_layer_slot, n_head_slot, n_embedding_slot, n_expert_slot;
} tess_decoder_choice;

typedef struct tess_choice {
    int n_context, n_thread, n_session;
    tess_decoder_choice thinker;
} tess_choice;

/* What a session has in the arena. */
typedef struct tess_session_room {
    tess_timeline timeline;
    float *logits; /* [n_vocab] of the last position */
} tess_session_room;

/* Everything that lives in the engine's arena. */
typedef struct tess_rooms {
    tess_thinker thinker;
    tess_sampler sampler;
    tess_session_room *session; /* [n_session] */
} tess_rooms;

/* Lays everything out. rooms->thinker was made by tess_thinker_make. */
void tess_rooms_init(tess_rooms *rooms, tess_store *store, const tess_decoder_weights *weights,
                     const tess_choice *choice, tess_layout *layout);

#endif
