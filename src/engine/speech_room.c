#include "engine/speech_room.h"

#include <limits.h>

#include "io/file.h"

static int min_of(int a, int b)
{
    return a < b ? a : b;
}

/* ---- layout ---- */

static void lay_out_talker(tess_speech_room *room, const tess_model *model, const tess_choice *choice,
                           tess_phase phase, tess_layout *layout)
{
    const tess_speech_choice *c = &choice->speech;
    const tess_decoder_choice *d = &c->talker;
    const tess_talker_weights *weights = &model->talker;
    tess_causal_model *talker = &room->talker.model;
    const tess_bank_packing packing = {d->packs, talker->decoder.compute.pool};
    const int n_rows = choice->n_context + TESS_TALKER_START_ROWS + c->n_step;
    const tess_decoder_sizes sizes =
        tess_decoder_choice_sizes(d, min_of(n_rows, talker->decoder.config->max_positions), choice->n_thread);
    tess_arena *arena = tess_layout_open(layout, "talker", "layers", "layers, tables and projections", phase);
    tess_decoder_init_layers(&talker->decoder, model->store, &weights->model, &sizes, arena);
    tess_row_table_init(&talker->head, model->store, &weights->model.head, d->n_head_slot, packing, arena);
    tess_row_table_init(&talker->embedding, model->store, &weights->model.embedding, d->n_embedding_slot,
                        packing, arena);
    tess_talker_init_projections(&room->talker, model->store, weights, c->n_projection_slot, d->packs, arena);
    arena = tess_layout_open(layout, "talker", "experts",
                             d->packs_experts || tess_store_get_packed(model->store)
                                 ? "slots of packed experts"
                                 : "slots that experts are read into",
                             phase);
    tess_decoder_init_experts(&talker->decoder, model->store, &weights->model, &sizes, arena);
    arena = tess_layout_open(layout, "talker", "workspace", "keys, values and activations", phase);
    tess_talker_init_workspace(&room->talker, &sizes, d->n_logit_rows, arena);
    tess_sampler_init(&room->sampler, talker->decoder.compute.kernels, talker->decoder.config->n_vocab,
                      arena);
}

void tess_speech_room_init(tess_speech_room *room, const tess_model *model, tess_row_table *thinker_embedding,
                           const tess_compute *compute, const tess_choice *choice, tess_layout *layout)
{
    tess_phase phase = choice->speech.stays ? TESS_PHASE_ALWAYS : TESS_PHASE_SPEECH;
    room->talker = tess_talker_make(&model->config, thinker_embedding, compute);
    room->predictor = tess_code_predictor_make(&model->config.talker.code_predictor, compute);
    room->code2wav = tess_code2wav_make(&model->config.code2wav, compute);
    lay_out_talker(room, model, choice, phase, layout);
    tess_arena *arena =
        tess_layout_open(layout, "code predictor", "weights", "layers, embeddings and heads", phase);
    tess_code_predictor_init_weights(&room->predictor, model->store, &model->code_predictor,
                                     &choice->speech.predictor, arena);
    arena = tess_layout_open(layout, "code predictor", "workspace", "activations of a frame", phase);
    tess_code_predictor_init_workspace(&room->predictor, &choice->speech.predictor, arena);
    arena = tess_layout_open(layout, "code2wav", "weights", "embedding, layers, convolutions", phase);
    tess_code2wav_init_weights(&room->code2wav, model->store, &model->code2wav, &choice->speech.code2wav,
                               arena);
    arena = tess_layout_open(layout, "code2wav", "workspace", "activations of some frames", phase);
    tess_code2wav_init_workspace(&room->code2wav, &choice->speech.code2wav, arena);
}

static tess_status read_norm(const tess_model *model, const tess_weight *norm, uint16_t *out, tess_error *err)
{
    return tess_store_read_weight(model->store, norm, out, err);
}

tess_status tess_speech_room_read_norms(tess_speech_room *room, const tess_model *model, tess_error *err)
{
    tess_status status = read_norm(model, &model->talker.model.norm, room->talker.model.decoder.norm, err);
    return status == TESS_OK
               ? read_norm(model, &model->code_predictor.model.norm, room->predictor.decoder.norm, err)
               : status;
}

/* ---- choices ---- */

tess_speech_choice tess_speech_choice_make_least(const tess_model *model, int n_step, int n_state,
                                                 int n_thread)
{
    return (tess_speech_choice){
        .n_step = n_step,
        .n_state = n_state,
        .talker = tess_decoder_choice_make_least(&model->config.talker.text, INT_MAX),
        .n_projection_slot = 1,
        .predictor = {.n_thread = n_thread, .n_layer_slot = 1, .n_embedding_slot = 1, .n_head_slot = 1},
        .code2wav = {
            .n_frame = 1, .n_thread = n_thread, .n_embedding_slot = 1, .n_layer_slot = 1, .n_part_slot = 1}};
}

tess_speech_choice tess_speech_choice_make_dense(const tess_model *model, const tess_speech_choice *least)
{
    const tess_code_predictor_weights *predictor = &model->code_predictor;
    tess_speech_choice dense = *least;
    dense.talker.n_layer_slot = model->config.talker.text.n_layer;
    dense.talker.n_head_slot = model->talker.model.head.n_block;
    dense.talker.n_embedding_slot = model->talker.model.embedding.n_block;
    dense.n_projection_slot = TESS_PROJECTIONS;
    dense.predictor.n_layer_slot = model->config.talker.code_predictor.text.n_layer;
    dense.predictor.n_embedding_slot = predictor->embedding[0].n_block;
    dense.predictor.n_head_slot = predictor->head[0].n_block;
    dense.code2wav.n_frame = TESS_SPEECH_FRAMES_AT_ONCE;
    dense.code2wav.n_embedding_slot = model->code2wav.embedding.n_block;
    dense.code2wav.n_layer_slot = model->code2wav.n_layer;
    dense.code2wav.n_part_slot = model->code2wav.n_part;
    return dense;
}
