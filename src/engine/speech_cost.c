#include "engine/speech_cost.h"

#include <math.h>

static uint64_t table_bytes(const tess_row_blocks *table)
{
    return tess_weights_count_bytes(table->block, table->n_block);
}

static uint64_t projection_bytes(const tess_talker_weights *weights)
{
    return tess_weights_count_bytes(weights->projection, TESS_PROJECTION_WEIGHTS);
}

/* The experts of one token, in all layers. */
static uint64_t routed_bytes(const tess_model *model)
{
    const tess_decoder_config *c = &model->config.talker.text;
    return tess_decoder_weights_count_expert(&model->talker.model, c) *
           (uint64_t)(tess_decoder_count_expert_layers(c) * c->n_expert_used);
}

uint64_t tess_talker_count_step_bytes(const tess_model *model)
{
    const tess_talker_weights *w = &model->talker;
    return tess_decoder_weights_count_layers(&w->model, &model->config.talker.text) + routed_bytes(model) +
           table_bytes(&w->model.head) + projection_bytes(w);
}

/* All layers once for each code behind the first, and its head. */
uint64_t tess_code_predictor_count_frame_bytes(const tess_model *model)
{
    const tess_code_predictor_weights *w = &model->code_predictor;
    uint64_t sum = tess_decoder_weights_count_layers(&w->model, &model->config.talker.code_predictor.text) *
                   (uint64_t)w->n_table;
    for (int i = 0; i < w->n_table; i++) sum += table_bytes(&w->head[i]);
    return sum;
}

static uint64_t vocoder_layer_bytes(const tess_code2wav_weights *weights)
{
    return tess_weights_count_bytes(weights->layer, weights->n_layer * TESS_CODE2WAV_LAYER_WEIGHTS);
}

static uint64_t vocoder_part_bytes(const tess_code2wav_weights *weights)
{
    return tess_weights_count_bytes(weights->part, weights->n_part * TESS_CODE2WAV_PART_WEIGHTS);
}

uint64_t tess_code2wav_count_weight_bytes(const tess_model *model)
{
    return vocoder_layer_bytes(&model->code2wav) + vocoder_part_bytes(&model->code2wav);
}

/* ---- what is read from files ---- */

/* What a pass over segments reads of which n_slot stay: one that is passed over in order is never there when
 * its turn comes, unless all are. */
static double reread(uint64_t n_byte, int n_slot, int n_segment)
{
    return n_slot < n_segment ? (double)n_byte : 0;
}

/* What a row of a table reads, any of them equally likely, where n_slot of its blocks stay. */
static double count_row(const tess_row_blocks *table, int n_slot)
{
    return (1 - fmin(1, (double)n_slot / table->n_block)) * (double)table->block[0].n_byte;
}

static double count_missing_experts(const tess_model *model, const tess_decoder_choice *choice)
{
    const tess_decoder_config *c = &model->config.talker.text;
    const int n_expert = tess_decoder_count_expert_layers(c) * c->n_expert;
    if (n_expert == 0) return 0;
    double held = (double)choice->n_expert_slot / n_expert;
    return held * c->n_expert < c->n_expert_used ? 1 : 1 - held;
}

static double count_talker_reads(const tess_model *model, const tess_speech_choice *choice)
{
    const tess_talker_weights *w = &model->talker;
    const tess_decoder_config *c = &model->config.talker.text;
    return reread(tess_decoder_weights_count_layers(&w->model, c), choice->talker.n_layer_slot, c->n_layer) +
           reread(table_bytes(&w->model.head), choice->talker.n_head_slot, w->model.head.n_block) +
           reread(projection_bytes(w), choice->n_projection_slot, TESS_PROJECTIONS) +
           count_row(&w->model.embedding, choice->talker.n_embedding_slot) +
           count_missing_experts(model, &choice->talker) * (double)routed_bytes(model);
}

static double count_predictor_reads(const tess_model *model, const tess_speech_choice *choice)
{
    const tess_code_predictor_weights *w = &model->code_predictor;
    const int n_layer = model->config.talker.code_predictor.text.n_layer;
    double sum = 0;
    for (int i = 0; i < w->n_table; i++)
        sum += reread(tess_decoder_weights_count_layers(&w->model, &model->config.talker.code_predictor.text),
                      choice->predictor.n_layer_slot, n_layer) +
               reread(table_bytes(&w->head[i]), choice->predictor.n_head_slot, w->head[i].n_block) +
               count_row(&w->embedding[i], choice->predictor.n_embedding_slot);
    return sum;
}

/* Each is passed over once for the frames that are made at once. */
static double count_code2wav_reads(const tess_model *model, const tess_speech_choice *choice)
{
    const tess_code2wav_weights *w = &model->code2wav;
    const tess_code2wav_sizes *sizes = &choice->code2wav;
    const double sum = reread(table_bytes(&w->embedding), sizes->n_embedding_slot, w->embedding.n_block) +
                       reread(vocoder_layer_bytes(w), sizes->n_layer_slot, w->n_layer) +
                       reread(vocoder_part_bytes(w), sizes->n_part_slot, w->n_part);
    return sum / sizes->n_frame;
}

tess_speech_cost tess_speech_count_cost(const tess_model *model, const tess_speech_choice *choice)
{
    if (choice->n_step == 0) return (tess_speech_cost){0};
    return (tess_speech_cost){
        .read_bytes = count_talker_reads(model, choice) + count_predictor_reads(model, choice) +
                      count_code2wav_reads(model, choice),
        .weight_bytes =
            (double)(tess_talker_count_step_bytes(model) + tess_code_predictor_count_frame_bytes(model)),
        .operations = 2 * tess_code2wav_count_products(&model->config.code2wav)};
}
