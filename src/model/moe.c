/* The mixture of experts; spec section 8, "Router / MoE".
 *
 * Rows are sorted by expert, and experts run in waves: as many as may be leased at once and as many rows as
 * the workspace has. A wave leases its experts, computes their outputs, and adds them. Outputs may be
 * computed in any order; they are added in ascending id, which is the order in which the original adds them.
 * Every thread computes its own rows of each matrix and adds its own columns, so an element belongs to one
 * thread.
 */
#include "model/moe.h"

#include <string.h>

#include "kernels/elementary.h"
#include "model/mlp.h"

/* ---- router ---- */

typedef struct router_task {
    tess_decoder *decoder;
    int n;
} router_task;

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

static void route_share(void *arg, int share, int n_share)
{
    const router_task *task = arg;
    const tess_decoder *decoder = task->decoder;
    const tess_workspace *work = &decoder->work;
    size_t n_expert = (size_t)decoder->config->n_expert, n_used = (size_t)decoder->config->n_expert_used;
    int64_t begin, end;
    tess_share_range(task->n, 1, share, n_share, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        float *probs = work->router_probs + i * n_expert, *weights = work->router_weights + i * n_used;
        memcpy(probs, work->router_logits + i * n_expert, n_expert * sizeof(float));
        decoder->compute.kernels->softmax(probs, n_expert);
        choose_experts(decoder->config, probs, work->candidates + i * n_expert,
                       work->router_indices + i * n_used, weights);
        if (decoder->compute.rounding == TESS_ROUND_BF16)
            decoder->compute.kernels->round_bf16(weights, n_used);
    }
}

/* work.packed -> the chosen experts and their weights. */
static tess_status run_router(tess_decoder *decoder, int layer, const tess_matrix *weights, int n,
                              const tess_step *step, tess_error *err)
{
    const tess_decoder_config *c = decoder->config;
    tess_workspace *work = &decoder->work;
    size_t n_expert = (size_t)c->n_expert, n_used = (size_t)c->n_expert_used;
    const tess_linear logits =
        tess_linear_make(&weights[TESS_LAYER_ROUTER], NULL, work->packed, n, work->router_logits);
    tess_linear_run(&decoder->compute, &logits, 1);
    tess_status status =
        tess_step_emit(step, TESS_TAP_GATE_LOGITS, layer, work->router_logits, n_expert, err);
    if (status != TESS_OK) return status;
    tess_pool_run(decoder->compute.pool, route_share, &(router_task){decoder, n});
    status = tess_step_emit_integers(step, TESS_TAP_GATE_INDICES, layer, work->router_indices, n_used, err);
    if (status != TESS_OK) return status;
    return tess_step_emit(step, TESS_TAP_GATE_WEIGHTS, layer, work->router_weights, n_used, err);
}

/* Sorts the assignments by expert, keeping the order of rows (a counting sort). */
static void group_by_expert(tess_workspace *work, int n, int n_expert, int n_used)
{
    int32_t *begin = work->expert_begin;
    memset(begin, 0, ((size_t)n_expert + 1) * sizeof *begin);
    for (int i = 0; i < n * n_used; i++) begin[work->router_indices[i] + 1]++;
    for (int e = 0; e < n_expert; e++) begin[e + 1] += begin[e];
    for (int i = 0; i < n * n_used; i++) {
        int32_t place = begin[work->router_indices[i]]++;
        work->assigned_row[place] = i / n_used;
        work->assigned_weight[place] = work->router_weights[i];
    }
    for (int e = n_expert; e > 0; e--) begin[e] = begin[e - 1];
    begin[0] = 0;
}

/* ---- experts ---- */

typedef struct wave {
    tess_decoder *decoder;
    int layer;
    tess_wave_expert *expert; /* [n_expert], ascending ids */
    int n_expert;
    int first, n_row; /* its assignments */
} wave;

/* The wave that begins with expert `*next`: the longest run of experts that leases and rows allow. *next
 * moves on to the first expert behind it. */
static wave make_wave(tess_decoder *decoder, int layer, int *next)
{
    const tess_workspace *work = &decoder->work;
    const int32_t *begin = work->expert_begin;
    wave w = {.decoder = decoder, .layer = layer, .expert = work->wave, .first = begin[*next]};
    for (; *next < decoder->config->n_expert; (*next)++) {
        int n = begin[*next + 1] - begin[*next];
        if (n == 0) continue;
        if (w.n_expert == work->n_lease || w.n_row + n > work->n_expert_rows) break;
        w.expert[w.n_expert++] = (tess_wave_expert){.expert = *next, .row = w.n_row, .n = n};
        w.n_row += n;
    }
    return w;
}

static int segment_of(const wave *w, const tess_wave_expert *expert)
{
    return w->layer * w->decoder->config->n_expert + expert->expert;
}

static void release_experts(const wave *w, int n)
{
    for (int i = 0; i < n; i++) tess_bank_release(&w->decoder->experts, segment_of(w, &w->expert[i]));
}

static tess_status lease_experts(const wave *w, tess_error *err)
{
    for (int i = 0; i < w->n_expert; i++) {
        tess_status status =
            tess_bank_lease(&w->decoder->experts, segment_of(w, &w->expert[i]), &w->expert[i].weights, err);
        if (status == TESS_OK) continue;
        release_experts(w, i);
        return status;
    }
    return TESS_OK;
}

/* Brings the rows of the wave together, as the products read them. */
static void gather_rows(const wave *w)
{
    const tess_workspace *work = &w->decoder->work;
    size_t width = tess_packed_floats((size_t)w->decoder->config->d_model);
    for (int i = 0; i < w->n_row; i++)
        memcpy(work->expert_packed + (size_t)i * width,
               work->packed + (size_t)work->assigned_row[w->first + i] * width, width * sizeof(float));
}

/* The outputs of experts [from, to) of the wave, which are leased. */
static void compute_experts(const wave *w, int from, int to)
{
    const tess_workspace *work = &w->decoder->work;
    const tess_compute *compute = &w->decoder->compute;
    size_t d_model = (size_t)w->decoder->config->d_model, d_ff = (size_t)w->decoder->config->d_expert;
    size_t model_width = tess_packed_floats(d_model), hidden_width = tess_packed_floats(d_ff);
    int n = 0;
    for (int i = from; i < to; i++) {
        const tess_wave_expert *e = &w->expert[i];
        size_t row = (size_t)e->row;
        const float *x = work->expert_packed + row * model_width;
        work->linear[n++] =
            tess_linear_make(&e->weights[TESS_EXPERT_GATE], NULL, x, e->n, work->gate + row * d_ff);
        work->linear[n++] =
            tess_linear_make(&e->weights[TESS_EXPERT_UP], NULL, x, e->n, work->up + row * d_ff);
    }
    tess_linear_run(compute, work->linear, n);
    size_t first = (size_t)w->expert[from].row;
    int n_row = w->expert[to - 1].row + w->expert[to - 1].n - w->expert[from].row;
    tess_swiglu_rows(compute, work->hidden_packed + first * hidden_width, work->gate + first * d_ff,
                     work->up + first * d_ff, d_ff, n_row);
    n = 0;
    for (int i = from; i < to; i++) {
        const tess_wave_expert *e = &w->expert[i];
        size_t row = (size_t)e->row;
        work->linear[n++] =
            tess_linear_make(&e->weights[TESS_EXPERT_DOWN], NULL, work->hidden_packed + row * hidden_width,
                             e->n, work->expert_output + row * d_model);
    }
    tess_linear_run(compute, work->linear, n);
}

/* Adds this share's columns of the weighted outputs; experts ascend, so each sum has one order. */
static void sum_share(void *arg, int share, int n_share)
{
    const wave *w = arg;
    const tess_workspace *work = &w->decoder->work;
    const tess_compute *compute = &w->decoder->compute;
    size_t d_model = (size_t)w->decoder->config->d_model;
    int64_t begin, end;
    tess_share_range((int64_t)d_model, TESS_ROW_GRAIN, share, n_share, &begin, &end);
    for (size_t i = 0; i < (size_t)w->n_row; i++) {
        size_t assignment = (size_t)w->first + i;
        float *sum = work->output + (size_t)work->assigned_row[assignment] * d_model;
        compute->kernels->add_scaled(sum + begin, work->expert_output + i * d_model + begin,
                                     work->assigned_weight[assignment], (size_t)(end - begin),
                                     compute->rounding);
    }
}

/* Rows of every expert of the wave, as they are before weighting, to whom they belong. */
static tess_status emit_experts(const wave *w, const tess_step *step, tess_error *err)
{
    const tess_workspace *work = &w->decoder->work;
    size_t d_model = (size_t)w->decoder->config->d_model;
    tess_status status = TESS_OK;
    for (int i = 0; i < w->n_expert; i++) {
        const tess_wave_expert *e = &w->expert[i];
        int done = 0, end_of_span = 0;
        for (int s = 0; s < step->n_span && status == TESS_OK; s++) {
            int from = done;
            end_of_span += step->span[s].n;
            while (done < e->n && work->assigned_row[w->first + e->row + done] < end_of_span) done++;
            if (done == from || !step->span[s].sink->listener) continue;
            status = tess_tap_emit_expert(step->span[s].sink, w->layer, e->expert, done - from,
                                          work->expert_output + (size_t)(e->row + from) * d_model, err);
        }
    }
    return status;
}

static tess_status run_wave(const wave *w, const tess_step *step, tess_error *err)
{
    tess_status status = lease_experts(w, err);
    if (status != TESS_OK) return status;
    gather_rows(w);
    compute_experts(w, 0, w->n_expert);
    release_experts(w, w->n_expert);
    tess_pool_run(w->decoder->compute.pool, sum_share, (void *)w);
    return emit_experts(w, step, err);
}

/* ---- shared expert ---- */

/* work.output += sigmoid(gate) * the shared expert's output, gate a product of the row with one row of
 * weights. */
static void add_shared_expert(tess_decoder *decoder, const tess_matrix *weights, int n)
{
    const tess_workspace *work = &decoder->work;
    const tess_compute *compute = &decoder->compute;
    size_t d_model = (size_t)decoder->config->d_model;
    const tess_linear gate =
        tess_linear_make(&weights[TESS_LAYER_SHARED_GATE], NULL, work->packed, n, work->shared_gate);
    tess_mlp_run(decoder, weights, decoder->config->d_shared_expert, work->expert_output, n);
    tess_linear_run(compute, &gate, 1);
    for (size_t i = 0; i < (size_t)n; i++) {
        float weight = tess_sigmoid(work->shared_gate[i]);
        if (compute->rounding == TESS_ROUND_BF16) compute->kernels->round_bf16(&weight, 1);
        compute->kernels->add_scaled(work->output + i * d_model, work->expert_output + i * d_model, weight,
                                     d_model, compute->rounding);
    }
}

tess_status tess_moe_run(tess_decoder *decoder, int layer, const tess_matrix *weights, int n,
                         const tess_step *step, tess_error *err)
{
    const tess_decoder_config *c = decoder->config;
    tess_status status = run_router(decoder, layer, weights, n, step, err);
    if (status != TESS_OK) return status;
    group_by_expert(&decoder->work, n, c->n_expert, c->n_expert_used);
    memset(decoder->work.output, 0, (size_t)n * (size_t)c->d_model * sizeof(float));
    for (int next = 0; next < c->n_expert;) {
        wave w = make_wave(decoder, layer, &next);
        if (w.n_expert > 0) status = run_wave(&w, step, err);
        if (status != TESS_OK) return status;
    }
    if (c->d_shared_expert) add_shared_expert(decoder, weights, n);
    return TESS_OK;
}
