#include "engine/layout.h"

const char *tess_region_name(tess_region region)
{
    switch (region) {
    case TESS_REGION_KV_CACHE:
        return "kv_cache";
    case TESS_REGION_WORKSPACE:
        return "workspace";
    case TESS_REGION_SAMPLER:
        return "sampler";
    case TESS_REGION_LAYERS:
        return "layers";
    case TESS_REGION_HEAD:
        return "head";
    case TESS_REGION_EMBEDDING:
        return "embedding";
    case TESS_REGION_EXPERTS:
        return "experts";
    case TESS_REGIONS:
        break;
    }
    return "?";
}

static void init_row_bank(tess_bank *bank, tess_store *store, const tess_row_blocks *blocks, int n_slot,
                          tess_arena *arena)
{
    tess_bank_layout layout = {.part = blocks->part,
                               .n_segment = blocks->n_block,
                               .n_part = 1,
                               .group_size = blocks->n_block,
                               .n_slot = n_slot,
                               .n_lease = 1};
    tess_bank_init(bank, store, &layout, arena);
}

static void init_layer_banks(tess_decoder *t, tess_store *store, const tess_thinker_weights *weights,
                             const tess_choice *choice, tess_arena *arena,
                             uint64_t region_bytes[TESS_REGIONS])
{
    const tess_decoder_config *c = t->config;
    tess_bank_layout layers = {.part = weights->layer,
                               .n_segment = c->n_layer,
                               .n_part = TESS_LAYER_PARTS,
                               .group_size = c->n_layer,
                               .n_slot = choice->n_layer_slot,
                               .n_lease = 1};
    tess_bank_layout experts = {.part = weights->expert,
                                .n_segment = c->n_layer * c->n_expert,
                                .n_part = TESS_EXPERT_PARTS,
                                .group_size = c->n_expert,
                                .n_slot = choice->n_expert_slot,
                                .n_lease = c->n_expert_used};
    uint64_t before = arena->used;
    tess_bank_init(&t->layers, store, &layers, arena);
    region_bytes[TESS_REGION_LAYERS] = arena->used - before;
    before = arena->used;
    if (choice->n_expert_slot > 0) tess_bank_init(&t->experts, store, &experts, arena);
    region_bytes[TESS_REGION_EXPERTS] = arena->used - before;
}

void tess_parts_init(tess_parts *parts, tess_store *store, const tess_thinker_weights *weights,
                     const tess_choice *choice, tess_arena *arena, uint64_t region_bytes[TESS_REGIONS])
{
    tess_decoder *t = &parts->thinker;
    tess_decoder_sizes sizes = {.n_context = choice->n_context,
                                .n_chunk = choice->n_chunk,
                                .n_thread = choice->n_thread,
                                .n_logit_rows = choice->n_logit_rows,
                                .n_lease = t->config->n_expert_used};
    uint64_t before = arena->used;
    tess_kv_cache_init(&t->kv, t->config, choice->n_context, arena);
    region_bytes[TESS_REGION_KV_CACHE] = arena->used - before;
    before = arena->used;
    tess_decoder_init(t, &sizes, arena);
    parts->ids = TESS_TAKE(arena, int32_t, choice->n_context);
    parts->positions = TESS_TAKE(arena, float, 3 * (uint64_t)choice->n_context);
    region_bytes[TESS_REGION_WORKSPACE] = arena->used - before;
    before = arena->used;
    tess_sampler_init(&parts->sampler, t->kernels, t->config->n_vocab, arena);
    region_bytes[TESS_REGION_SAMPLER] = arena->used - before;
    t->embedding_rows = weights->embedding.block_rows;
    t->head_rows = weights->head.block_rows;
    before = arena->used;
    init_row_bank(&t->head, store, &weights->head, choice->n_head_slot, arena);
    region_bytes[TESS_REGION_HEAD] = arena->used - before;
    before = arena->used;
    init_row_bank(&t->embedding, store, &weights->embedding, choice->n_embedding_slot, arena);
    region_bytes[TESS_REGION_EMBEDDING] = arena->used - before;
    init_layer_banks(t, store, weights, choice, arena, region_bytes);
}
