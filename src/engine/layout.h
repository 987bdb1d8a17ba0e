/* What is put where in memory, for a choice of residency: the one place that knows, used to plan and to run.
 */
#ifndef TESS_ENGINE_LAYOUT_H
#define TESS_ENGINE_LAYOUT_H

#include "model/sampler.h"
#include "model/thinker.h"

/* What a plan decides. */
typedef struct tess_choice {
    int n_context, n_chunk, n_thread, n_logit_rows;
    int n_layer_slot, n_head_slot, n_embedding_slot, n_expert_slot;
} tess_choice;

/* Everything that lives in the engine's arena. */
typedef struct tess_parts {
    tess_decoder thinker;
    tess_sampler sampler;
    int32_t *ids;     /* [n_context] tokens of the timeline */
    float *positions; /* [3, n_context] their positions */
} tess_parts;

typedef enum tess_region {
    TESS_REGION_KV_CACHE,
    TESS_REGION_WORKSPACE,
    TESS_REGION_SAMPLER,
    TESS_REGION_LAYERS,
    TESS_REGION_HEAD,
    TESS_REGION_EMBEDDING,
    TESS_REGION_EXPERTS,
    TESS_REGIONS
} tess_region;

const char *tess_region_name(tess_region region);

/* Lays all parts out in `arena` and tells the bytes of each region. thinker's config, kernels, pool and
 * rounding are set before. */
void tess_parts_init(tess_parts *parts, tess_store *store, const tess_thinker_weights *weights,
                     const tess_choice *choice, tess_arena *arena, uint64_t region_bytes[TESS_REGIONS]);

#endif
