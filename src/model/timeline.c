#include "model/timeline.h"

void tess_timeline_init(tess_timeline *timeline, const tess_decoder_config *config, int n_context,
                        tess_arena *arena)
{
    uint64_t n_row = (uint64_t)config->n_layer * (uint64_t)n_context;
    *timeline =
        (tess_timeline){.n_context = n_context, .width = (size_t)config->n_kv_head * (size_t)config->d_head};
    timeline->ids = TESS_TAKE(arena, int32_t, n_context);
    timeline->positions = TESS_TAKE(arena, float, 3 * (uint64_t)n_context);
    timeline->keys = tess_arena_take(arena, n_row, timeline->width * sizeof(float), 64);
    timeline->values = tess_arena_take(arena, n_row, timeline->width * sizeof(float), 64);
}
