#include "engine/rooms.h"

/* Media that a session remembers; what it holds beyond is run again when it is asked for again. */
enum { MOST_RECALLED = 256 };

static void lay_out_sessions(tess_rooms *rooms, const tess_choice *choice, tess_layout *layout)
{
    const tess_decoder_config *c = rooms->thinker.decoder.config;
    tess_arena *arena = tess_layout_open(layout, "thinker", "kv_cache", "keys and values of every position",
                                         TESS_PHASE_ALWAYS);
    tess_session_room *session = TESS_TAKE(arena, tess_session_room, choice->n_session), unused;
    rooms->session = session;
    int n_recall = choice->media.n_medium ? MOST_RECALLED : 0;
    for (int i = 0; i < choice->n_session; i++) {
        tess_session_room *room = session ? &session[i] : &unused;
        tess_timeline_init(&room->timeline, c, choice->n_context,
                           tess_compute_is_narrow(&rooms->thinker.decoder.compute), arena);
        room->recall = (tess_recall){TESS_TAKE(arena, tess_recalled, n_recall), 0, n_recall};
        float *states = TESS_TAKE_ROWS(arena, choice->speech.n_state, c->d_model);
        room->states = choice->speech.n_state ? states : NULL;
    }
    arena =
        tess_layout_open(layout, "thinker", "sampler", "vocabulary's scores, last logits", TESS_PHASE_ALWAYS);
    tess_sampler_init(&rooms->sampler, rooms->thinker.decoder.compute.kernels, c->n_vocab, arena);
    for (int i = 0; i < choice->n_session; i++) {
        float *logits = TESS_TAKE(arena, float, c->n_vocab);
        if (session) session[i].logits = logits;
    }
}

static void lay_out_thinker_weights(tess_causal_model *thinker, tess_store *store,
                                    const tess_decoder_weights *weights, const tess_choice *choice,
                                    tess_layout *layout)
{
    const tess_decoder_choice *d = &choice->thinker;
    const tess_decoder_sizes sizes = tess_decoder_choice_sizes(d, choice->n_context, choice->n_thread);
    const tess_bank_packing packing = {d->packs, thinker->decoder.compute.pool};
    const bool is_packed = d->packs || tess_store_get_packed(store);
    const char *all = is_packed ? "all of them, packed" : "all of them, read once",
               *resident = is_packed ? "all of it, packed" : "all of it, read once";
    tess_arena *arena = tess_layout_open(
        layout, "thinker", "layers",
        d->n_layer_slot == thinker->decoder.config->n_layer ? all : "one layer at a time", TESS_PHASE_ALWAYS);
    tess_decoder_init_layers(&thinker->decoder, store, weights, &sizes, arena);
    arena = tess_layout_open(layout, "thinker", "head",
                             d->n_head_slot == weights->head.n_block ? resident : "a block of rows at a time",
                             TESS_PHASE_ALWAYS);
    tess_row_table_init(&thinker->head, store, &weights->head, d->n_head_slot, packing, arena);
    arena = tess_layout_open(layout, "thinker", "embedding",
                             d->n_embedding_slot == weights->embedding.n_block ? resident : "rows on demand",
                             TESS_PHASE_ALWAYS);
    tess_row_table_init(&thinker->embedding, store, &weights->embedding, d->n_embedding_slot, packing, arena);
}

/* Rows of media stay from their tower until their tokens have been run. */
static void lay_out_media_rows(tess_rooms *rooms, tess_layout *layout)
{
    const tess_media_choice *m = &rooms->choice.media;
    if (m->n_medium == 0) return;
    tess_arena *arena =
        tess_layout_open(layout, "media", "features", "what media become for the thinker", TESS_PHASE_ALWAYS);
    tess_media_rows *media = &rooms->media;
    uint64_t row_bytes = (uint64_t)rooms->thinker.decoder.config->d_model * sizeof(float);
    int n_deepstack = rooms->model->config.thinker.vision.n_deepstack, n_row = rooms->choice.thinker.n_row;
    media->rows = tess_arena_take(arena, (uint64_t)m->n_tok, row_bytes, 64);
    for (int k = 0; k < n_deepstack; k++)
        media->deepstack[k] = tess_arena_take(arena, (uint64_t)m->n_picture_tok, row_bytes, 64);
    media->list = TESS_TAKE(arena, const tess_features *, m->n_medium);
    media->vectors = TESS_TAKE(arena, const float *, n_row);
    media->addition = TESS_TAKE(arena, tess_addition, (uint64_t)n_row * (uint64_t)n_deepstack);
}

/* ---- the room that phases share ---- */

static void lay_out_audio(tess_rooms *rooms, tess_layout *layout)
{
    const tess_tower_sizes *sizes = &rooms->choice.media.audio;
    if (sizes->n_row == 0) return;
    const tess_compute compute = tess_model_get_compute(rooms->model, rooms->pool);
    rooms->audio = tess_audio_tower_make(&rooms->model->config.thinker.audio, &compute);
    tess_arena *arena = tess_layout_open(
        layout, "audio", "weights",
        sizes->n_layer_slot == rooms->model->audio.n_layer ? "all layers" : "one layer at a time",
        TESS_PHASE_AUDIO);
    tess_audio_tower_init_weights(&rooms->audio, rooms->model->store, &rooms->model->audio, sizes, arena);
    arena = tess_layout_open(layout, "audio", "workspace", "activations of a piece of the clips",
                             TESS_PHASE_AUDIO);
    tess_audio_tower_init_workspace(&rooms->audio, sizes, arena);
}

static void lay_out_vision(tess_rooms *rooms, tess_layout *layout)
{
    const tess_tower_sizes *sizes = &rooms->choice.media.vision;
    if (sizes->n_row == 0) return;
    const tess_compute compute = tess_model_get_compute(rooms->model, rooms->pool);
    rooms->vision = tess_vision_tower_make(&rooms->model->config.thinker.vision, &compute);
    tess_arena *arena = tess_layout_open(
        layout, "vision", "weights",
        sizes->n_layer_slot == rooms->model->vision.n_layer ? "all blocks" : "one block at a time",
        TESS_PHASE_VISION);
    tess_vision_tower_init_weights(&rooms->vision, rooms->model->store, &rooms->model->vision, sizes, arena);
    arena = tess_layout_open(layout, "vision", "workspace", "activations of a piece of pictures",
                             TESS_PHASE_VISION);
    tess_vision_tower_init_workspace(&rooms->vision, sizes, arena);
}

static void lay_out_text(tess_rooms *rooms, tess_layout *layout)
{
    const tess_decoder_choice *d = &rooms->choice.thinker;
    const tess_decoder_sizes sizes =
        tess_decoder_choice_sizes(d, rooms->choice.n_context, rooms->choice.n_thread);
    tess_decoder *decoder = &rooms->thinker.decoder;
    tess_arena *arena = tess_layout_open(layout, "thinker", "experts",
                                         d->packs_experts || tess_store_get_packed(rooms->model->store)
                                             ? "slots of packed experts"
                                             : "slots that experts are read into",
                                         TESS_PHASE_TEXT);
    tess_decoder_init_experts(decoder, rooms->model->store, &rooms->model->thinker, &sizes, arena);
    arena =
        tess_layout_open(layout, "thinker", "workspace", "activations of one prefill chunk", TESS_PHASE_TEXT);
    tess_decoder_init_workspace(decoder, &sizes, arena);
    tess_causal_model_init_logits(&rooms->thinker, d->n_logit_rows, arena);
}

static void lay_out_speech(tess_rooms *rooms, tess_layout *layout)
{
    if (rooms->choice.speech.n_step == 0) return;
    const tess_compute compute = tess_model_get_compute(rooms->model, rooms->pool);
    tess_speech_room_init(&rooms->speech, rooms->model, &rooms->thinker.embedding, &compute, &rooms->choice,
                          layout);
}

void tess_rooms_init(tess_rooms *rooms, const tess_model *model, tess_pool *pool, const tess_choice *choice,
                     tess_layout *layout)
{
    const tess_compute compute = tess_model_get_compute(model, pool);
    *rooms = (tess_rooms){
        .model = model,
        .pool = pool,
        .choice = *choice,
        .thinker = tess_causal_model_make("thinker", TESS_TAP_LM_HEAD, &model->config.thinker.text, &compute),
        .phase = TESS_PHASE_TEXT};
    lay_out_sessions(rooms, choice, layout);
    lay_out_thinker_weights(&rooms->thinker, model->store, &model->thinker, choice, layout);
    lay_out_media_rows(rooms, layout);
    if (choice->speech.stays) lay_out_speech(rooms, layout);
    rooms->shared = *layout->arena;
    lay_out_audio(rooms, layout);
    lay_out_vision(rooms, layout);
    lay_out_text(rooms, layout);
    if (!choice->speech.stays && choice->speech.n_step) {
        lay_out_speech(rooms, layout);
        rooms->phase = TESS_PHASE_SPEECH;
    }
    tess_layout_end(layout);
    if (layout->arena->base)
        tess_rooms_enter(rooms, TESS_PHASE_TEXT); /* which the last phase was laid over */
}

void tess_rooms_enter(tess_rooms *rooms, tess_phase phase)
{
    if (rooms->phase == phase) return;
    tess_arena shared = rooms->shared;
    tess_layout layout = tess_layout_begin(&shared);
    if (phase == TESS_PHASE_AUDIO) lay_out_audio(rooms, &layout);
    if (phase == TESS_PHASE_VISION) lay_out_vision(rooms, &layout);
    if (phase == TESS_PHASE_TEXT) lay_out_text(rooms, &layout);
    if (phase == TESS_PHASE_SPEECH) lay_out_speech(rooms, &layout);
    rooms->phase = phase;
}
