/* Keys (rotated) and values of every position so far, float32; one timeline. */
#ifndef TESS_MODEL_KV_CACHE_H
#define TESS_MODEL_KV_CACHE_H

#include "base/arena.h"
#include "model/config.h"

typedef struct tess_kv_cache {
    float *keys, *values; /* [n_layer, n_context, width] */
    int n_layer, n_context;
    size_t width; /* n_kv_head * d_head: one position of one layer */
} tess_kv_cache;

void tess_kv_cache_init(tess_kv_cache *cache, const tess_decoder_config *config, int n_context,
                        tess_arena *arena);

/* The row of a layer at a position; rows of later positions follow at `width`. */
static inline size_t tess_kv_cache_row(const tess_kv_cache *cache, int layer, int position)
{
    return ((size_t)layer * (size_t)cache->n_context + (size_t)position) * cache->width;
}

#endif
