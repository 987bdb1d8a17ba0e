#include "model/timeline.h"

/* [n_row] heads' vectors of keys or of values. */
static void *take_rows(tess_arena *arena, uint64_t n_row, uint64_t row_bytes)
{
    void *rows = tess_arena_take(arena, n_row, row_bytes, 64);
    tess_use_small_pages(rows, n_row * row_bytes);
    return rows;
}

static uint64_t element_bytes(bool is_narrow)
{
    return is_narrow ? sizeof(uint16_t) : sizeof(float);
}

uint64_t tess_timeline_count_position(const tess_decoder_config *config, bool is_narrow)
{
    return 2 * (uint64_t)config->n_layer * (uint64_t)config->n_kv_head * (uint64_t)config->d_head *
           element_bytes(is_narrow);
}

void tess_timeline_init(tess_timeline *timeline, const tess_decoder_config *config, int n_context,
                        bool is_narrow, tess_arena *arena)
{
    const uint64_t n_row = (uint64_t)config->n_layer * (uint64_t)config->n_kv_head * (uint64_t)n_context,
                   row_bytes = (uint64_t)config->d_head * element_bytes(is_narrow);
    *timeline = (tess_timeline){
        .n_context = n_context, .n_kv_head = (size_t)config->n_kv_head, .d_head = (size_t)config->d_head};
    timeline->ids = TESS_TAKE(arena, int32_t, n_context);
    timeline->positions = TESS_TAKE(arena, float, 3 * (uint64_t)n_context);
    void *keys = take_rows(arena, n_row, row_bytes), *values = take_rows(arena, n_row, row_bytes);
    if (is_narrow) {
        timeline->narrow_keys = keys;
        timeline->narrow_values = values;
    } else {
        timeline->keys = keys;
        timeline->values = values;
    }
}
