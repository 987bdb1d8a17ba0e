#include "model/timeline.h"

void tess_timeline_init(tess_timeline *timeline, const tess_decoder_config *config, int n_context,
                        tess_arena *arena)
{
    const uint64_t n_row = (uint64_t)config->n_layer * (uint64_t)config->n_kv_head * (uint64_t)n_context;
    const uint64_t width = (uint64_t)config->d_head * sizeof(float);
    *timeline = (tess_timeline){
        .n_context = n_context, .n_kv_head = (size_t)config->n_kv_head, .d_head = (size_t)config->d_head};
    timeline->ids = TESS_TAKE(arena, int32_t, n_context);
    timeline->positions = TESS_TAKE(arena, float, 3 * (uint64_t)n_context);
    timeline->keys = tess_arena_take(arena, n_row, width, 64);
    timeline->values = tess_arena_take(arena, n_row, width, 64);
    tess_use_small_pages(timeline->keys, n_row * width);
    tess_use_small_pages(timeline->values, n_row * width);
}
