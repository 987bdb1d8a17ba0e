#include "engine/layout.h"

const char *tess_phase_name(tess_phase phase)
{
    static const char *const names[] = {"always", "audio", "vision", "text", "speech"};
    return names[phase];
}

tess_layout tess_layout_begin(tess_arena *arena)
{
    return (tess_layout){.arena = arena};
}

static void close_region(tess_layout *layout)
{
    if (layout->n_region == 0) return;
    layout->region[layout->n_region - 1].n_byte = layout->arena->used - layout->region_start;
    if (layout->arena->used > layout->room_end) layout->room_end = layout->arena->used;
}

tess_arena *tess_layout_open(tess_layout *layout, const char *component, const char *name, const char *holds,
                             tess_phase phase)
{
    tess_phase before = layout->n_region ? layout->region[layout->n_region - 1].phase : TESS_PHASE_ALWAYS;
    TESS_ASSERT(layout->n_region < TESS_PLAN_REGIONS && phase >= before);
    close_region(layout);
    if (before == TESS_PHASE_ALWAYS) layout->room_start = layout->arena->used;
    if (phase != before) layout->arena->used = layout->room_start;
    layout->region_start = layout->arena->used;
    layout->region[layout->n_region++] =
        (tess_region){.name = name, .component = component, .holds = holds, .phase = phase};
    return layout->arena;
}

void tess_layout_end(tess_layout *layout)
{
    close_region(layout);
    layout->arena->used = layout->room_end;
}
