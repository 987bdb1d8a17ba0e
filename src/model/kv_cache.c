#include "model/kv_cache.h"

void tess_kv_cache_init(tess_kv_cache *cache, const tess_decoder_config *config, int n_context,
                        tess_arena *arena)
{
    cache->n_layer = config->n_layer;
    cache->n_context = n_context;
    cache->width = (size_t)config->n_kv_head * (size_t)config->d_head;
    uint64_t n_row = (uint64_t)config->n_layer * (uint64_t)n_context;
    cache->keys = tess_arena_take(arena, n_row, cache->width * sizeof(float), 64);
    cache->values = tess_arena_take(arena, n_row, cache->width * sizeof(float), 64);
}
