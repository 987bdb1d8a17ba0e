/* The mixture of experts: router, experts in waves, and the dense MLP of layers without experts; spec section
 * 8, "Router / MoE".
 *
 * Tokens are sorted by expert, and experts run in ascending id, which is the order in which the original adds
 * their outputs. A wave is as many experts as may be leased at once and as many rows as the workspace has.
 * Every thread computes its own rows of each matrix, so an output element belongs to one thread.
 */
#include "model/moe.h"

#include <string.h>

/* ---- router ---- */

typedef struct router_task {
    tess_decoder *decoder;
    const void *const *weights;
    int n;
} router_task;

static void project_router(void *arg, int part, int n_part)
{
    router_task *task = arg;
    tess_decoder *t = task->decoder;
    int64_t begin, end;
    tess_part_range(t->config->n_expert, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    t->kernels->matmul(t->work.router_logits, (size_t)t->config->n_expert, task->weights[TESS_LAYER_ROUTER],
                       (size_t)t->config->d_model, (size_t)begin, (size_t)end, t->work.packed,
                       (size_t)task->n, t->rounding);
}

/* The k likeliest experts by descending probability, and their weights. */
static void choose_experts(const tess_decoder_config *config, const float *probs, tess_candidate *candidates,
                           int64_t *indices, float *weights)
{
    for (int e = 0; e < config->n_expert; e++) candidates[e] = (tess_candidate){.value = probs[e], .id = e};
    tess_select_top(candidates, config->n_expert, config->n_expert_used);
    float sum = 0.0f;
    for (int j = 0; j < config->n_expert_used; j++) {
        indices[j] = candidates[j].id;
        weights[j] = candidates[j].value;
        sum += weights[j];
    }
    if (!config->norm_topk_prob) return;
    for (int j = 0; j < config->n_expert_used; j++) weights[j] /= sum;
}

static void route(void *arg, int part, int n_part)
{
    router_task *task = arg;
    tess_decoder *t = task->decoder;
    size_t n_expert = (size_t)t->config->n_expert, n_used = (size_t)t->config->n_expert_used;
    int64_t begin, end;
    tess_part_range(task->n, 1, part, n_part, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        float *probs = t->work.router_probs + i * n_expert, *weights = t->work.router_weights + i * n_used;
        memcpy(probs, t->work.router_logits + i * n_expert, n_expert * sizeof(float));
        t->kernels->softmax(probs, n_expert);
        choose_experts(t->config, probs, t->work.candidates + i * n_expert,
                       t->work.router_indices + i * n_used, weights);
        if (t->rounding == TESS_ROUND_BF16) t->kernels->round_bf16(weights, n_used);
    }
}

/* Sorts the assignments by expert, keeping the order of tokens (a counting sort). */
static void group_by_expert(tess_workspace *work, int n, int n_expert, int n_used)
{
    int32_t *begin = work->expert_begin;
    memset(begin, 0, ((size_t)n_expert + 1) * sizeof *begin);
    for (int i = 0; i < n * n_used; i++) begin[work->router_indices[i] + 1]++;
    for (int e = 0; e < n_expert; e++) begin[e + 1] += begin[e];
    for (int i = 0; i < n * n_used; i++) {
        int32_t place = begin[work->router_indices[i]]++;
        work->assigned_token[place] = i / n_used;
        work->assigned_weight[place] = work->router_weights[i];
    }
    for (int e = n_expert; e > 0; e--) begin[e] = begin[e - 1];
    begin[0] = 0;
}

/* ---- experts ---- */

typedef struct wave {
    tess_decoder *decoder;
    int first_expert, end_expert; /* experts without tokens in between are skipped */
    int first_row, n_row;         /* assignments of the wave */
} wave;

/* Calls once per expert of the wave that has tokens: index counts the leases. */
#define FOR_EXPERTS(w, e, index)                                                                             \
    for (int e = (w)->first_expert, index = 0; e < (w)->end_expert;                                          \
         index += has_tokens((w)->decoder, e), e++)                                                          \
        if (has_tokens((w)->decoder, e))

static bool has_tokens(const tess_decoder *t, int expert)
{
    return t->work.expert_begin[expert + 1] > t->work.expert_begin[expert];
}

static void multiply_gate_up(void *arg, int part, int n_part)
{
    const wave *w = arg;
    tess_decoder *t = w->decoder;
    size_t d_model = (size_t)t->config->d_model, d_ff = (size_t)t->config->d_expert;
    size_t packed_width = tess_packed_floats(d_model);
    int64_t begin, end;
    tess_part_range(t->config->d_expert, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    FOR_EXPERTS(w, e, index)
    {
        const void *const *expert = t->work.leased[index];
        size_t row = (size_t)(t->work.expert_begin[e] - w->first_row);
        size_t n = (size_t)(t->work.expert_begin[e + 1] - t->work.expert_begin[e]);
        const float *x = t->work.expert_packed + row * packed_width;
        t->kernels->matmul(t->work.gate + row * d_ff, d_ff, expert[TESS_EXPERT_GATE], d_model, (size_t)begin,
                           (size_t)end, x, n, t->rounding);
        t->kernels->matmul(t->work.up + row * d_ff, d_ff, expert[TESS_EXPERT_UP], d_model, (size_t)begin,
                           (size_t)end, x, n, t->rounding);
    }
}

static void activate(void *arg, int part, int n_part)
{
    const wave *w = arg;
    tess_decoder *t = w->decoder;
    size_t d_ff = (size_t)t->config->d_expert, packed_width = tess_packed_floats(d_ff);
    int64_t begin, end;
    tess_part_range(w->n_row, 1, part, n_part, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        float *gate = t->work.gate + i * d_ff;
        t->kernels->swiglu(gate, gate, t->work.up + i * d_ff, d_ff, t->rounding);
        t->kernels->pack(t->work.hidden_packed + i * packed_width, gate, d_ff);
    }
}

/* Down projection and weighted sum of this part's columns; experts ascend, so each sum has one order. */
static void multiply_down(void *arg, int part, int n_part)
{
    const wave *w = arg;
    tess_decoder *t = w->decoder;
    size_t d_model = (size_t)t->config->d_model, d_ff = (size_t)t->config->d_expert;
    int64_t begin, end;
    tess_part_range(t->config->d_model, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    if (begin == end) return;
    FOR_EXPERTS(w, e, index)
    {
        int first = t->work.expert_begin[e];
        size_t row = (size_t)(first - w->first_row), n = (size_t)(t->work.expert_begin[e + 1] - first);
        float *y = t->work.expert_output + row * d_model;
        t->kernels->matmul(y, d_model, t->work.leased[index][TESS_EXPERT_DOWN], d_ff, (size_t)begin,
                           (size_t)end, t->work.hidden_packed + row * tess_packed_floats(d_ff), n,
                           t->rounding);
        for (size_t i = 0; i < n; i++) {
            float *sum = t->work.output + (size_t)t->work.assigned_token[(size_t)first + i] * d_model;
            t->kernels->add_scaled(sum + begin, y + i * d_model + begin,
                                   t->work.assigned_weight[(size_t)first + i], (size_t)(end - begin),
                                   t->rounding);
        }
    }
}

/* The longest run of experts from `first` that the leases and rows allow. */
static wave next_wave(tess_decoder *t, int first)
{
    const int32_t *begin = t->work.expert_begin;
    wave w = {.decoder = t, .first_expert = first, .end_expert = first, .first_row = begin[first]};
    int n_lease = 0;
    while (w.end_expert < t->config->n_expert) {
        int e = w.end_expert;
        if (begin[e + 1] - w.first_row > t->work.n_expert_rows) break;
        if (has_tokens(t, e) && n_lease++ == t->work.n_lease) break;
        w.n_row = begin[e + 1] - w.first_row;
        w.end_expert++;
    }
    return w;
}

static void release_experts(const wave *w, int layer, int n_leased)
{
    FOR_EXPERTS(w, e, index)
    {
        if (index < n_leased)
            tess_bank_release(&w->decoder->experts, layer * w->decoder->config->n_expert + e);
    }
}

static tess_status lease_experts(const wave *w, int layer, tess_error *err)
{
    tess_decoder *t = w->decoder;
    FOR_EXPERTS(w, e, index)
    {
        tess_status status =
            tess_bank_lease(&t->experts, layer * t->config->n_expert + e, &t->work.leased[index], err);
        if (status == TESS_OK) continue;
        release_experts(w, layer, index);
        return status;
    }
    return TESS_OK;
}

/* Rows of every expert of the wave, as they are before weighting. */
static tess_status emit_experts(const wave *w, int layer, const tess_tap_sink *sink, tess_error *err)
{
    const tess_decoder *t = w->decoder;
    tess_status status = TESS_OK;
    for (int e = w->first_expert; e < w->end_expert && status == TESS_OK; e++) {
        if (!has_tokens(t, e)) continue;
        int first = t->work.expert_begin[e], n = t->work.expert_begin[e + 1] - first;
        const float *y = t->work.expert_output + (size_t)(first - w->first_row) * (size_t)t->config->d_model;
        status = tess_tap_emit_expert(sink, layer, e, n, y, err);
    }
    return status;
}

static tess_status run_wave(const wave *w, int layer, const tess_tap_sink *sink, tess_error *err)
{
    tess_decoder *t = w->decoder;
    tess_status status = lease_experts(w, layer, err);
    if (status != TESS_OK) return status;
    size_t width = tess_packed_floats((size_t)t->config->d_model);
    for (int i = 0; i < w->n_row; i++)
        memcpy(t->work.expert_packed + (size_t)i * width,
               t->work.packed + (size_t)t->work.assigned_token[w->first_row + i] * width,
               width * sizeof(float));
    tess_pool_run(t->pool, multiply_gate_up, (void *)w);
    tess_pool_run(t->pool, activate, (void *)w);
    tess_pool_run(t->pool, multiply_down, (void *)w);
    release_experts(w, layer, t->work.n_lease);
    return sink->listener ? emit_experts(w, layer, sink, err) : TESS_OK;
}

static tess_status emit_router(tess_decoder *t, int layer, const tess_chunk *chunk, const tess_tap_sink *sink,
                               tess_error *err)
{
    tess_status status = tess_tap_emit_integers(sink, TESS_TAP_GATE_INDICES, layer, chunk->row, chunk->n,
                                                t->work.router_indices, err);
    if (status == TESS_OK)
        status = tess_tap_emit(sink, TESS_TAP_GATE_WEIGHTS, layer, chunk->row, chunk->n,
                               t->work.router_weights, err);
    return status;
}

tess_status tess_moe_run(tess_decoder *decoder, int layer, const void *const *weights,
                         const tess_chunk *chunk, const tess_tap_sink *sink, tess_error *err)
{
    const tess_decoder_config *c = decoder->config;
    router_task task = {.decoder = decoder, .weights = weights, .n = chunk->n};
    tess_decoder_pack(decoder, decoder->work.normed, (size_t)c->d_model, chunk->n);
    tess_pool_run(decoder->pool, project_router, &task);
    tess_status status = tess_tap_emit(sink, TESS_TAP_GATE_LOGITS, layer, chunk->row, chunk->n,
                                       decoder->work.router_logits, err);
    if (status != TESS_OK) return status;
    tess_pool_run(decoder->pool, route, &task);
    status = emit_router(decoder, layer, chunk, sink, err);
    if (status != TESS_OK) return status;
    group_by_expert(&decoder->work, chunk->n, c->n_expert, c->n_expert_used);
    memset(decoder->work.output, 0, (size_t)chunk->n * (size_t)c->d_model * sizeof(float));
    for (int e = 0; e < c->n_expert;) {
        wave w = next_wave(decoder, e);
        if (w.n_row > 0) status = run_wave(&w, layer, sink, err);
        if (status != TESS_OK) return status;
        e = w.end_expert;
    }
    return TESS_OK;
}

/* ---- dense layers ---- */

typedef struct mlp_task {
    tess_decoder *decoder;
    const void *const *weights;
    int n;
} mlp_task;

static void mlp_gate_up(void *arg, int part, int n_part)
{
    mlp_task *task = arg;
    tess_decoder *t = task->decoder;
    size_t d_model = (size_t)t->config->d_model, d_ff = (size_t)t->config->d_ff;
    int64_t begin, end;
    tess_part_range(t->config->d_ff, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    t->kernels->matmul(t->work.gate, d_ff, task->weights[TESS_LAYER_GATE], d_model, (size_t)begin,
                       (size_t)end, t->work.packed, (size_t)task->n, t->rounding);
    t->kernels->matmul(t->work.up, d_ff, task->weights[TESS_LAYER_UP], d_model, (size_t)begin, (size_t)end,
                       t->work.packed, (size_t)task->n, t->rounding);
}

static void mlp_activate(void *arg, int part, int n_part)
{
    mlp_task *task = arg;
    tess_decoder *t = task->decoder;
    size_t d_ff = (size_t)t->config->d_ff;
    int64_t begin, end;
    tess_part_range(task->n, 1, part, n_part, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        float *gate = t->work.gate + i * d_ff;
        t->kernels->swiglu(gate, gate, t->work.up + i * d_ff, d_ff, t->rounding);
        t->kernels->pack(t->work.hidden_packed + i * tess_packed_floats(d_ff), gate, d_ff);
    }
}

static void mlp_down(void *arg, int part, int n_part)
{
    mlp_task *task = arg;
    tess_decoder *t = task->decoder;
    int64_t begin, end;
    tess_part_range(t->config->d_model, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    t->kernels->matmul(t->work.output, (size_t)t->config->d_model, task->weights[TESS_LAYER_DOWN],
                       (size_t)t->config->d_ff, (size_t)begin, (size_t)end, t->work.hidden_packed,
                       (size_t)task->n, t->rounding);
}

void tess_mlp_run(tess_decoder *decoder, const void *const *weights, int n)
{
    mlp_task task = {.decoder = decoder, .weights = weights, .n = n};
    tess_decoder_pack(decoder, decoder->work.normed, (size_t)decoder->config->d_model, n);
    tess_pool_run(decoder->pool, mlp_gate_up, &task);
    tess_pool_run(decoder->pool, mlp_activate, &task);
    tess_pool_run(decoder->pool, mlp_down, &task);
}
