#include "model/decoder.h"

#include <string.h>

#include "model/attention.h"
#include "model/mlp.h"
#include "model/moe.h"

/* ---- before the layers ---- */

/* The rows' vectors -> work.residual. */
static tess_status read_rows(tess_decoder *decoder, const tess_span *span, float *residual, tess_error *err)
{
    size_t d_model = (size_t)decoder->config->d_model;
    for (int i = 0; i < span->n; i++, residual += d_model) {
        if (span->vectors && span->vectors[i]) {
            memcpy(residual, span->vectors[i], d_model * sizeof *residual);
            continue;
        }
        tess_status status =
            tess_row_table_read(decoder->embedding, decoder->compute.kernels, span->ids[i], residual, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

/* Where the rows belong, and the angles of their positions. */
static void set_places(tess_decoder *decoder, const tess_span *span, int first_row)
{
    const tess_timeline *timeline = span->timeline;
    size_t n_pair = (size_t)decoder->rope.n_pair, n_context = (size_t)timeline->n_context;
    for (int i = 0; i < span->n; i++) {
        size_t row = (size_t)first_row + (size_t)i, place = (size_t)span->first + (size_t)i;
        float position[3];
        decoder->work.place[row] = (tess_row_place){span->timeline, (int)place};
        for (size_t s = 0; s < 3; s++) position[s] = timeline->positions[s * n_context + place];
        tess_rope_angles(&decoder->rope, decoder->compute.kernels, position, decoder->compute.rounding,
                         decoder->work.cosines + row * n_pair, decoder->work.sines + row * n_pair);
    }
}

static tess_status begin_step(tess_decoder *decoder, const tess_step *step, tess_error *err)
{
    size_t d_model = (size_t)decoder->config->d_model;
    for (int i = 0, row = 0; i < step->n_span; row += step->span[i].n, i++) {
        const tess_span *span = &step->span[i];
        TESS_ASSERT(span->first >= 0 && span->n <= span->timeline->n_context - span->first);
        tess_status status = read_rows(decoder, span, decoder->work.residual + (size_t)row * d_model, err);
        if (status != TESS_OK) return status;
        set_places(decoder, span, row);
    }
    return tess_step_emit(step, TESS_TAP_INPUTS_EMBEDS, 0, decoder->work.residual, d_model, err);
}

/* ---- layers ---- */

/* work.residual -> work.normed */
static void norm_residual(tess_decoder *decoder, const uint16_t *weight, int n)
{
    const tess_decoder_config *c = decoder->config;
    tess_rms_norm_rows(&decoder->compute, decoder->work.normed, decoder->work.residual, weight,
                       (size_t)c->d_model, c->rms_norm_eps, n);
}

/* work.residual += values, from row `first` on */
static void add_rows(tess_decoder *decoder, const float *values, int first, int n)
{
    size_t d_model = (size_t)decoder->config->d_model;
    decoder->compute.kernels->add(decoder->work.residual + (size_t)first * d_model, values,
                                  (size_t)n * d_model, decoder->compute.rounding);
}

static void add_to_layer(tess_decoder *decoder, const tess_step *step, int layer)
{
    for (int i = 0; i < step->n_addition; i++) {
        const tess_addition *addition = &step->addition[i];
        if (addition->layer == layer) add_rows(decoder, addition->values, addition->row, addition->n);
    }
}

static tess_status run_layer(tess_decoder *decoder, int layer, const tess_matrix *weights, int n,
                             const tess_step *step, tess_error *err)
{
    tess_workspace *work = &decoder->work;
    size_t d_model = (size_t)decoder->config->d_model;
    norm_residual(decoder, tess_matrix_get_vector(&weights[TESS_LAYER_INPUT_NORM]), n);
    tess_attention_run(decoder, layer, weights, n);
    tess_status status = tess_step_emit(step, TESS_TAP_SELF_ATTN, layer, work->output, d_model, err);
    if (status != TESS_OK) return status;
    add_rows(decoder, work->output, 0, n);
    norm_residual(decoder, tess_matrix_get_vector(&weights[TESS_LAYER_POST_NORM]), n);
    tess_pack_rows(&decoder->compute, work->packed, work->normed, d_model, n);
    if (decoder->config->is_moe[layer])
        status = tess_moe_run(decoder, layer, weights, n, step, err);
    else
        tess_mlp_run(decoder, weights, decoder->config->d_ff, work->output, n);
    if (status == TESS_OK) status = tess_step_emit(step, TESS_TAP_MLP, layer, work->output, d_model, err);
    if (status != TESS_OK) return status;
    add_rows(decoder, work->output, 0, n);
    status = tess_step_emit(step, TESS_TAP_LAYER, layer, work->residual, d_model, err);
    if (status == TESS_OK && step->on_layer) status = step->on_layer(step->context, layer + 1, err);
    add_to_layer(decoder, step, layer);
    return status;
}

static tess_status run_layers(tess_decoder *decoder, int n, const tess_step *step, tess_error *err)
{
    for (int layer = 0; layer < decoder->config->n_layer; layer++) {
        const tess_matrix *weights;
        tess_status status = tess_bank_lease(&decoder->layers, layer, &weights, err);
        if (status != TESS_OK) return status;
        status = run_layer(decoder, layer, weights, n, step, err);
        tess_bank_release(&decoder->layers, layer);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

tess_status tess_decoder_run(tess_decoder *decoder, const tess_step *step, tess_error *err)
{
    int n = tess_step_count_rows(step);
    TESS_ASSERT(n >= 1 && n <= decoder->work.n_row);
    tess_status status = begin_step(decoder, step, err);
    if (status == TESS_OK && step->on_layer) status = step->on_layer(step->context, 0, err);
    if (status == TESS_OK) status = run_layers(decoder, n, step, err);
    if (status != TESS_OK) return status;
    norm_residual(decoder, decoder->norm, n);
    return tess_step_emit(step, TESS_TAP_NORM, 0, decoder->work.normed, (size_t)decoder->config->d_model,
                          err);
}
