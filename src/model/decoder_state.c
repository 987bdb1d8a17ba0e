/* How large a decoder's scratch and banks are. */
#include "model/decoder_state.h"

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool has_dense_layer(const tess_decoder_config *c)
{
    for (int layer = 0; layer < c->n_layer; layer++)
        if (!c->is_moe[layer]) return true;
    return false;
}

static void take_router_buffers(tess_workspace *w, const tess_decoder_config *c, tess_arena *arena)
{
    uint64_t n = (uint64_t)w->n_row, n_expert = (uint64_t)c->n_expert,
             n_assigned = n * (uint64_t)c->n_expert_used;
    w->router_logits = TESS_TAKE_ROWS(arena, n, n_expert);
    w->router_probs = TESS_TAKE_ROWS(arena, n, n_expert);
    w->candidates = TESS_TAKE(arena, tess_candidate, n * n_expert);
    w->router_weights = TESS_TAKE(arena, float, n_assigned);
    w->router_indices = TESS_TAKE(arena, int64_t, n_assigned);
    w->expert_begin = TESS_TAKE(arena, int32_t, n_expert + 1);
    w->assigned_row = TESS_TAKE(arena, int32_t, n_assigned);
    w->assigned_weight = TESS_TAKE(arena, float, n_assigned);
}

/* Rows and widths of the buffers that experts, dense layers and a shared expert have in common. */
static void take_mlp_buffers(tess_workspace *w, const tess_decoder_config *c, tess_arena *arena)
{
    bool all_rows = c->d_shared_expert || has_dense_layer(c);
    uint64_t n_row = max_of((uint64_t)w->n_expert_rows, all_rows ? (uint64_t)w->n_row : 0);
    uint64_t width = max_of((uint64_t)(c->n_expert ? c->d_expert : 0), (uint64_t)c->d_shared_expert);
    if (has_dense_layer(c)) width = max_of(width, (uint64_t)c->d_ff);
    uint64_t n_expert_rows = (uint64_t)w->n_expert_rows;
    w->wave = TESS_TAKE(arena, tess_wave_expert, w->n_lease);
    w->linear = TESS_TAKE(arena, tess_linear, 2 * (uint64_t)w->n_lease);
    w->expert_packed = TESS_TAKE_ROWS(arena, n_expert_rows, tess_packed_floats((size_t)c->d_model));
    w->expert_output = TESS_TAKE_ROWS(arena, n_expert_rows, c->d_model);
    w->gate = TESS_TAKE_ROWS(arena, n_row, width);
    w->up = TESS_TAKE_ROWS(arena, n_row, width);
    w->hidden_packed = TESS_TAKE_ROWS(arena, n_row, tess_packed_floats((size_t)width));
    w->shared_gate = TESS_TAKE(arena, float, c->d_shared_expert ? w->n_row : 0);
}

int tess_decoder_count_together(const tess_decoder_config *config)
{
    const int n_shared = config->n_head / config->n_kv_head;
    return n_shared < TESS_QUERY_GRAIN ? TESS_QUERY_GRAIN / n_shared : 1;
}

static void take_attention_buffers(tess_workspace *w, const tess_decoder_config *c,
                                   const tess_decoder_sizes *sizes, tess_arena *arena)
{
    uint64_t n = (uint64_t)w->n_row, n_query = (uint64_t)c->n_head * (uint64_t)c->d_head,
             n_key = (uint64_t)c->n_kv_head * (uint64_t)c->d_head,
             n_shared = (uint64_t)(c->n_head / c->n_kv_head);
    w->query = TESS_TAKE_ROWS(arena, n, n_query);
    w->mixed = TESS_TAKE_ROWS(arena, n, n_query);
    w->keys = TESS_TAKE_ROWS(arena, n, n_key);
    w->values = TESS_TAKE_ROWS(arena, n, n_key);
    w->cosines = TESS_TAKE_ROWS(arena, n, c->d_head / 2);
    w->sines = TESS_TAKE_ROWS(arena, n, c->d_head / 2);
    w->n_together = tess_decoder_count_together(c);
    uint64_t n_near = (uint64_t)sizes->n_thread * (uint64_t)w->n_together * n_shared;
    w->near = TESS_TAKE_ROWS(arena, 2 * n_near, c->d_head);
    w->scores = TESS_TAKE_ROWS(arena, n_near, sizes->n_context);
}

void tess_decoder_init_workspace(tess_decoder *decoder, const tess_decoder_sizes *sizes, tess_arena *arena)
{
    const tess_decoder_config *c = decoder->config;
    tess_workspace *w = &decoder->work;
    uint64_t n = (uint64_t)sizes->n_row, d_model = (uint64_t)c->d_model;
    uint64_t widest = max_of(d_model, (uint64_t)c->n_head * (uint64_t)c->d_head);
    w->n_row = sizes->n_row;
    w->n_lease = sizes->n_lease;
    w->n_context = sizes->n_context;
    w->n_expert_rows = c->n_expert ? (int)max_of(n, (uint64_t)sizes->n_lease) : 0;
    w->place = TESS_TAKE(arena, tess_row_place, n);
    w->residual = TESS_TAKE_ROWS(arena, n, d_model);
    w->normed = TESS_TAKE_ROWS(arena, n, d_model);
    w->output = TESS_TAKE_ROWS(arena, n, d_model);
    w->packed = TESS_TAKE_ROWS(arena, n, tess_packed_floats((size_t)widest));
    take_attention_buffers(w, c, sizes, arena);
    take_router_buffers(w, c, arena);
    take_mlp_buffers(w, c, arena);
}

void tess_decoder_init_layers(tess_decoder *decoder, tess_store *store, const tess_decoder_weights *weights,
                              const tess_decoder_sizes *sizes, tess_arena *arena)
{
    const tess_decoder_config *c = decoder->config;
    tess_bank_layout layers = {
        .weight = weights->layer,
        .n_segment = c->n_layer,
        .n_weight = TESS_LAYER_WEIGHTS,
        .group_size = c->n_layer,
        .n_slot = sizes->n_layer_slot,
        .n_lease = 1,
        .packing = {sizes->packs_layers && sizes->n_layer_slot == c->n_layer, decoder->compute.pool}};
    tess_rope_init(&decoder->rope, c, arena);
    decoder->norm = TESS_TAKE(arena, uint16_t, c->d_model);
    tess_bank_init(&decoder->layers, store, &layers, arena);
}

void tess_decoder_init_experts(tess_decoder *decoder, tess_store *store, const tess_decoder_weights *weights,
                               const tess_decoder_sizes *sizes, tess_arena *arena)
{
    const tess_decoder_config *c = decoder->config;
    if (sizes->n_expert_slot == 0) return;
    tess_bank_layout experts = {.weight = weights->expert,
                                .n_segment = c->n_layer * c->n_expert,
                                .n_weight = TESS_EXPERT_WEIGHTS,
                                .group_size = c->n_expert,
                                .n_slot = sizes->n_expert_slot,
                                .n_lease = sizes->n_lease,
                                .packing = {sizes->packs_experts, decoder->compute.pool}};
    tess_bank_init(&decoder->experts, store, &experts, arena);
}
