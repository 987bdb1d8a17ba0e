#include "model/thinker.h"

#include <string.h>

#include "model/attention.h"
#include "model/moe.h"

typedef struct token_task {
    tess_decoder *decoder;
    const float *in;
    const uint16_t *weight;
    size_t n_col;
    int n;
} token_task;

static void norm_part(void *arg, int part, int n_part)
{
    token_task *task = arg;
    tess_decoder *t = task->decoder;
    int64_t begin, end;
    tess_part_range(task->n, 1, part, n_part, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++)
        t->kernels->rms_norm(t->work.normed + i * task->n_col, task->in + i * task->n_col, task->weight,
                             task->n_col, (float)t->config->rms_norm_eps, t->rounding);
}

/* work.residual -> work.normed */
static void norm_residual(tess_decoder *t, const uint16_t *weight, int n)
{
    token_task task = {
        .decoder = t, .in = t->work.residual, .weight = weight, .n_col = (size_t)t->config->d_model, .n = n};
    if (n == 1)
        norm_part(&task, 0, 1);
    else
        tess_pool_run(t->pool, norm_part, &task);
}

/* work.residual += work.output */
static void add_output(tess_decoder *t, int n)
{
    t->kernels->add(t->work.residual, t->work.output, (size_t)n * (size_t)t->config->d_model, t->rounding);
}

/* ---- embedding, layers, head ---- */

static tess_status embed(tess_decoder *t, const tess_chunk *chunk, tess_error *err)
{
    size_t d_model = (size_t)t->config->d_model;
    for (int i = 0; i < chunk->n; i++) {
        int block = chunk->ids[i] / t->embedding_rows, row = chunk->ids[i] % t->embedding_rows;
        const void *const *part;
        tess_status status = tess_bank_lease(&t->embedding, block, &part, err);
        if (status != TESS_OK) return status;
        const uint16_t *rows = part[0];
        t->kernels->widen(t->work.residual + (size_t)i * d_model, rows + (size_t)row * d_model, d_model);
        tess_bank_release(&t->embedding, block);
    }
    return TESS_OK;
}

static void set_angles(tess_decoder *t, const tess_chunk *chunk)
{
    size_t n_pair = (size_t)t->rope.n_pair;
    for (int i = 0; i < chunk->n; i++) {
        float position[3];
        for (size_t s = 0; s < 3; s++) position[s] = chunk->positions[s * chunk->position_stride + (size_t)i];
        tess_rope_angles(&t->rope, t->kernels, position, t->rounding, t->work.cosines + (size_t)i * n_pair,
                         t->work.sines + (size_t)i * n_pair);
    }
}

static tess_status run_layer(tess_decoder *t, int layer, const void *const *weights, const tess_chunk *chunk,
                             const tess_tap_sink *sink, tess_error *err)
{
    int n = chunk->n;
    norm_residual(t, weights[TESS_LAYER_INPUT_NORM], n);
    tess_attention_run(t, layer, weights, chunk->first, n);
    tess_status status = tess_tap_emit(sink, TESS_TAP_SELF_ATTN, layer, chunk->row, n, t->work.output, err);
    if (status != TESS_OK) return status;
    add_output(t, n);
    norm_residual(t, weights[TESS_LAYER_POST_NORM], n);
    if (t->config->is_moe[layer])
        status = tess_moe_run(t, layer, weights, chunk, sink, err);
    else
        tess_mlp_run(t, weights, n);
    if (status == TESS_OK)
        status = tess_tap_emit(sink, TESS_TAP_MLP, layer, chunk->row, n, t->work.output, err);
    if (status != TESS_OK) return status;
    add_output(t, n);
    return tess_tap_emit(sink, TESS_TAP_LAYER, layer, chunk->row, n, t->work.residual, err);
}

static tess_status run_layers(tess_decoder *t, const tess_chunk *chunk, const tess_tap_sink *sink,
                              tess_error *err)
{
    for (int layer = 0; layer < t->config->n_layer; layer++) {
        const void *const *weights;
        tess_status status = tess_bank_lease(&t->layers, layer, &weights, err);
        if (status != TESS_OK) return status;
        status = run_layer(t, layer, weights, chunk, sink, err);
        tess_bank_release(&t->layers, layer);
        if (status == TESS_OK && chunk->on_layer) status = chunk->on_layer(chunk->context, layer + 1, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

typedef struct head_task {
    tess_decoder *decoder;
    const uint16_t *rows;
    int first_row, n_row, n;
} head_task;

static void multiply_head(void *arg, int part, int n_part)
{
    head_task *task = arg;
    tess_decoder *t = task->decoder;
    int64_t begin, end;
    tess_part_range(task->n_row, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    t->kernels->matmul(t->work.logits + task->first_row, (size_t)t->config->n_vocab, task->rows,
                       (size_t)t->config->d_model, (size_t)begin, (size_t)end, t->work.packed,
                       (size_t)task->n, t->rounding);
}

/* work.logits of n tokens from row `first` of work.normed. */
static tess_status run_head(tess_decoder *t, int first, int n, tess_error *err)
{
    size_t d_model = (size_t)t->config->d_model;
    tess_decoder_pack(t, t->work.normed + (size_t)first * d_model, d_model, n);
    for (int row = 0, block = 0; row < t->config->n_vocab; row += t->head_rows, block++) {
        const void *const *part;
        tess_status status = tess_bank_lease(&t->head, block, &part, err);
        if (status != TESS_OK) return status;
        int left = t->config->n_vocab - row;
        head_task task = {t, part[0], row, left < t->head_rows ? left : t->head_rows, n};
        tess_pool_run(t->pool, multiply_head, &task);
        tess_bank_release(&t->head, block);
    }
    return TESS_OK;
}

static tess_status run_logits(tess_decoder *t, const tess_chunk *chunk, const tess_tap_sink *sink,
                              tess_error *err)
{
    if (chunk->logits == TESS_LOGITS_NONE) return TESS_OK;
    tess_status status = TESS_OK;
    int n = 1, first = chunk->logits == TESS_LOGITS_ALL ? 0 : chunk->n - 1;
    for (; first < chunk->n && status == TESS_OK; first += n) {
        n = chunk->n - first < t->work.n_logit_rows ? chunk->n - first : t->work.n_logit_rows;
        status = run_head(t, first, n, err);
        int64_t row = sink->last_logits ? 0 : chunk->row + first;
        if (status == TESS_OK) status = tess_tap_emit(sink, TESS_TAP_LM_HEAD, 0, row, n, t->work.logits, err);
    }
    size_t n_vocab = (size_t)t->config->n_vocab;
    if (status == TESS_OK && n > 1)
        memmove(t->work.logits, t->work.logits + (size_t)(n - 1) * n_vocab, n_vocab * sizeof(float));
    return status;
}

tess_status tess_thinker_run(tess_decoder *decoder, const tess_chunk *chunk, const tess_tap_sink *sink,
                             tess_error *err)
{
    TESS_ASSERT(chunk->n >= 1 && chunk->n <= decoder->work.n_chunk);
    tess_status status = embed(decoder, chunk, err);
    if (status == TESS_OK)
        status =
            tess_tap_emit(sink, TESS_TAP_INPUTS_EMBEDS, 0, chunk->row, chunk->n, decoder->work.residual, err);
    if (status != TESS_OK) return status;
    set_angles(decoder, chunk);
    status = run_layers(decoder, chunk, sink, err);
    if (status != TESS_OK) return status;
    norm_residual(decoder, decoder->work.norm, chunk->n);
    status = tess_tap_emit(sink, TESS_TAP_NORM, 0, chunk->row, chunk->n, decoder->work.normed, err);
    return status == TESS_OK ? run_logits(decoder, chunk, sink, err) : status;
}
