#include "engine/speech_cost.h"

static uint64_t bytes_of(const tess_weight *weight, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) sum += weight[i].n_byte;
    return sum;
}

static uint64_t table_bytes(const tess_row_blocks *table)
{
    return bytes_of(table->block, table->n_block);
}

static uint64_t layer_bytes(const tess_decoder_weights *weights, const tess_decoder_config *config)
{
    return bytes_of(weights->layer, config->n_layer * TESS_LAYER_WEIGHTS);
}

/* The experts of one token, in all layers. */
static uint64_t routed_bytes(const tess_model *model)
{
    const tess_decoder_config *c = &model->config.talker.text;
    uint64_t n_layer = 0;
    for (int i = 0; i < c->n_layer; i++) n_layer += c->is_moe[i];
    if (n_layer == 0) return 0;
    return bytes_of(model->talker.model.expert, TESS_EXPERT_WEIGHTS) * n_layer * (uint64_t)c->n_expert_used;
}

uint64_t tess_talker_count_step_bytes(const tess_model *model)
{
    const tess_talker_weights *w = &model->talker;
    return layer_bytes(&w->model, &model->config.talker.text) + routed_bytes(model) +
           table_bytes(&w->model.head) + bytes_of(w->projection, TESS_PROJECTION_WEIGHTS);
}

/* All layers once for each code behind the first, and its head. */
uint64_t tess_code_predictor_count_frame_bytes(const tess_model *model)
{
    const tess_code_predictor_weights *w = &model->code_predictor;
    uint64_t sum = layer_bytes(&w->model, &model->config.talker.code_predictor.text) * (uint64_t)w->n_table;
    for (int i = 0; i < w->n_table; i++) sum += table_bytes(&w->head[i]);
    return sum;
}

/* ---- what is read from files ---- */

/* What a pass over segments reads of which n_slot stay: one that is passed over in order is never there when
 * its turn comes, unless all are. */
static double reread(uint64_t n_byte, int n_slot, int n_segment)
{
    return n_slot < n_segment ? (double)n_byte : 0;
}

static double count_missing_experts(const tess_model *model, const tess_decoder_choice *choice)
{
    const tess_decoder_config *c = &model->config.talker.text;
    double n_expert = 0;
    for (int i = 0; i < c->n_layer; i++) n_expert += c->is_moe[i] ? c->n_expert : 0;
    if (n_expert == 0) return 0;
    double held = choice->n_expert_slot / n_expert;
    return held * c->n_expert < c->n_expert_used ? 1 : 1 - held;
}

static double count_talker_reads(const tess_model *model, const tess_speech_choice *choice)
{
    const tess_talker_weights *w = &model->talker;
    const tess_decoder_config *c = &model->config.talker.text;
    return reread(layer_bytes(&w->model, c), choice->talker.n_layer_slot, c->n_layer) +
           reread(table_bytes(&w->model.head), choice->talker.n_head_slot, w->model.head.n_block) +
           reread(bytes_of(w->projection, TESS_PROJECTION_WEIGHTS), choice->n_projection_slot,
                  TESS_PROJECTIONS) +
           count_missing_experts(model, &choice->talker) * (double)routed_bytes(model);
}

static double count_predictor_reads(const tess_model *model, const tess_speech_choice *choice)
{
    const tess_code_predictor_weights *w = &model->code_predictor;
    const int n_layer = model->config.talker.code_predictor.text.n_layer;
    double sum = 0;
    for (int i = 0; i < w->n_table; i++)
        sum += reread(layer_bytes(&w->model, &model->config.talker.code_predictor.text),
                      choice->predictor.n_layer_slot, n_layer) +
               reread(table_bytes(&w->head[i]), choice->predictor.n_head_slot, w->head[i].n_block);
    return sum;
}

static double count_code2wav_reads(const tess_model *model, const tess_speech_choice *choice)
{
    const tess_code2wav_weights *w = &model->code2wav;
    const tess_code2wav_sizes *sizes = &choice->code2wav;
    return (reread(bytes_of(w->layer, w->n_layer * TESS_CODE2WAV_LAYER_WEIGHTS), sizes->n_layer_slot,
                   w->n_layer) +
            reread(bytes_of(w->part, w->n_part * TESS_CODE2WAV_PART_WEIGHTS), sizes->n_part_slot,
                   w->n_part)) /
           sizes->n_frame;
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
