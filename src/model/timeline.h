/* One timeline: the tokens of a sequence, their positions, and the keys (rotated) and values of every layer,
 * float32, or bf16 where that is what a decoder rounds them to: half the bytes. A decoder writes keys and
 * values at the places of the rows it runs; who owns the timeline keeps ids, positions and length. */
#ifndef TESS_MODEL_TIMELINE_H
#define TESS_MODEL_TIMELINE_H

#include "base/arena.h"
#include "model/config.h"

typedef struct tess_timeline {
    int n_context;    /* places there is room for */
    int length;       /* places that hold a token */
    int32_t *ids;     /* [n_context] */
    float *positions; /* [3, n_context] temporal, height, width */
    size_t n_kv_head, d_head;
    float *keys, *values; /* [n_layer, n_kv_head, n_context, d_head]: a head's lie next to each other */
    uint16_t *narrow_keys, *narrow_values; /* likewise; instead of those, where they are bf16 */
} tess_timeline;

/* Lays an empty timeline out in the arena (which may be one that measures). */
void tess_timeline_init(tess_timeline *timeline, const tess_decoder_config *config, int n_context,
                        bool is_narrow, tess_arena *arena);

/* Bytes of a position's keys and values in all layers. */
uint64_t tess_timeline_count_position(const tess_decoder_config *config, bool is_narrow);

/* The offset of a head's key and value at a place of a layer; those of later places follow at d_head. */
static inline size_t tess_timeline_key(const tess_timeline *timeline, int layer, size_t kv_head, int place)
{
    size_t row = (size_t)layer * timeline->n_kv_head + kv_head;
    return (row * (size_t)timeline->n_context + (size_t)place) * timeline->d_head;
}

#endif
