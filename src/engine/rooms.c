#include "engine/rooms.h"

static tess_decoder_sizes sizes_of(const tess_choice *choice, const tess_decoder_choice *decoder)
{
    return (tess_decoder_sizes){.n_context = choice->n_context,
                                .n_row = decoder->n_row,
                                .n_thread = choice->n_thread,
                                .n_lease = decoder->n_lease,
                                .n_layer_slot = decoder->n_layer_slot,
                                .n_expert_slot = decoder->n_expert_slot};
}

static void lay_out_sessions(tess_rooms *rooms, const tess_choice *choice, tess_layout *layout)
{
    const tess_decoder_config *c = rooms->thinker.decoder.config;
    tess_arena *arena = tess_layout_open(layout, "thinker", "kv_cache", "keys and values of every position",
                                         TESS_PHASE_ALWAYS);
    tess_session_room *session = TESS_TAKE(arena, tess_session_room, choice->n_session), unused;
    rooms->session = session;
    for (int i = 0; i < choice->n_session; i++)
        tess_timeline_init(session ? &session[i].timeline : &unused.timeline, c, choice->n_context, arena);
    arena = tess_layout_open(layout, "thinker", "sampler", "scores of the vocabulary, last logits",
                             TESS_PHASE_ALWAYS);
    tess_sampler_init(&rooms->sampler, rooms->thinker.decoder.compute.kernels, c->n_vocab, arena);
    for (int i = 0; i < choice->n_session; i++) {
        float *logits = TESS_TAKE(arena, float, c->n_vocab);
        if (session) session[i].logits = logits;
    }
}

static void lay_out_thinker_weights(tess_thinker *thinker, tess_store *store,
                                    const tess_decoder_weights *weights, const tess_choice *choice,
                                    tess_layout *layout)
{
    const tess_decoder_choice *d = &choice->thinker;
    const tess_decoder_sizes sizes = sizes_of(choice, d);
    const char *all = "all of them, read once", *resident = "all of it, read once";
    tess_arena *arena = tess_layout_open(
        layout, "thinker", "layers",
        d->n_layer_slot == thinker->decoder.config->n_layer ? all : "one layer at a time", TESS_PHASE_ALWAYS);
    tess_decoder_init_layers(&thinker->decoder, store, weights, &sizes, arena);
    arena = tess_layout_open(layout, "thinker", "head",
                             d->n_head_slot == weights->head.n_block ? resident : "a block of rows at a time",
                             TESS_PHASE_ALWAYS);
    tess_row_table_init(&thinker->head, store, &weights->head, d->n_head_slot, arena);
    arena = tess_layout_open(layout, "thinker", "embedding",
                             d->n_embedding_slot == weights->embedding.n_block ? resident : "rows on demand",
                             TESS_PHASE_ALWAYS);
    tess_row_table_init(&thinker->embedding, store, &weights->embedding, d->n_embedding_slot, arena);
}

/* Regions of one phase. */
static void lay_out_text(tess_rooms *rooms, tess_layout *layout)
{
    const tess_decoder_choice *d = &rooms->choice.thinker;
    const tess_decoder_sizes sizes = sizes_of(&rooms->choice, d);
    tess_decoder *decoder = &rooms->thinker.decoder;
    tess_arena *arena =
        tess_layout_open(layout, "thinker", "experts", "slots that experts are read into", TESS_PHASE_TEXT);
    tess_decoder_init_experts(decoder, rooms->model->store, &rooms->model->thinker, &sizes, arena);
    arena =
        tess_layout_open(layout, "thinker", "workspace", "activations of one prefill chunk", TESS_PHASE_TEXT);
    tess_decoder_init_workspace(decoder, &sizes, arena);
    tess_thinker_init_logits(&rooms->thinker, d->n_logit_rows, arena);
}

void tess_rooms_init(tess_rooms *rooms, const tess_model *model, tess_pool *pool, const tess_choice *choice,
                     tess_layout *layout)
{
    *rooms = (tess_rooms){.model = model,
                          .pool = pool,
                          .choice = *choice,
                          .thinker = tess_model_make_thinker(model, pool),
                          .phase = TESS_PHASE_TEXT};
    lay_out_sessions(rooms, choice, layout);
    lay_out_thinker_weights(&rooms->thinker, model->store, &model->thinker, choice, layout);
    rooms->shared = *layout->arena;
    lay_out_text(rooms, layout);
    tess_layout_end(layout);
}

void tess_rooms_enter(tess_rooms *rooms, tess_phase phase)
{
    if (rooms->phase == phase) return;
    tess_arena shared = rooms->shared;
    tess_layout layout = tess_layout_begin(&shared);
    TESS_ASSERT(phase == TESS_PHASE_TEXT);
    lay_out_text(rooms, &layout);
    rooms->phase = phase;
}
