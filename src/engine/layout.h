/* Memory told by component, region and phase: a layout in progress over an arena.
 *
 * Regions that are always in use come first; those of the phases follow and share one room, since one phase
 * ends before the next begins: what a phase leaves there is lost.
 */
#ifndef TESS_ENGINE_LAYOUT_H
#define TESS_ENGINE_LAYOUT_H

#include "base/arena.h"
#include "tessera/engine.h"

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

#endif
