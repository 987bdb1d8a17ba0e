/* Grouped-query attention over the KV cache: query/key/value projections, norm of each query and key head,
 * rotation, masked softmax, output projection; spec section 8, steps 2 to 6.
 *
 * The output of the key and value projections goes straight to its row of the cache. Causality needs no mask:
 * the query at position p is shown the keys 0 … p and no others.
 */
#include "model/attention.h"

typedef struct attention_task {
    tess_decoder *decoder;
    const void *const *weights;
    float *keys, *values;                 /* rows of the chunk's first token */
    const float *past_keys, *past_values; /* rows of position 0 */
    int first, n;
} attention_task;

static void project_part(attention_task *task, int part, int n_part, tess_layer_part weight, int n_row,
                         float *y, size_t y_stride)
{
    tess_decoder *t = task->decoder;
    int64_t begin, end;
    tess_part_range(n_row, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    t->kernels->matmul(y, y_stride, task->weights[weight], (size_t)t->config->d_model, (size_t)begin,
                       (size_t)end, t->work.packed, (size_t)task->n, t->rounding);
}

static void project(void *arg, int part, int n_part)
{
    attention_task *task = arg;
    const tess_decoder_config *c = task->decoder->config;
    int n_q = c->n_head * c->d_head, n_kv = c->n_kv_head * c->d_head;
    project_part(task, part, n_part, TESS_LAYER_QUERY, n_q, task->decoder->work.query, (size_t)n_q);
    project_part(task, part, n_part, TESS_LAYER_KEY, n_kv, task->keys, (size_t)n_kv);
    project_part(task, part, n_part, TESS_LAYER_VALUE, n_kv, task->values, (size_t)n_kv);
}

static void norm_and_rotate(const attention_task *task, float *head, tess_layer_part norm, int token)
{
    const tess_decoder *t = task->decoder;
    const tess_decoder_config *c = t->config;
    size_t d_head = (size_t)c->d_head, angle = (size_t)token * d_head / 2;
    t->kernels->rms_norm(head, head, task->weights[norm], d_head, (float)c->rms_norm_eps, t->rounding);
    t->kernels->rope(head, t->work.cosines + angle, t->work.sines + angle, d_head, t->rounding);
}

static void prepare_keys(void *arg, int part, int n_part)
{
    attention_task *task = arg;
    const tess_decoder_config *c = task->decoder->config;
    int64_t begin, end, n_kv_head = c->n_kv_head;
    tess_part_range(task->n * n_kv_head, 1, part, n_part, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        norm_and_rotate(task, task->keys + i * c->d_head, TESS_LAYER_KEY_NORM, (int)(i / n_kv_head));
}

/* One item is a token and a key-value head with the query heads that share it. Later tokens see more keys, so
 * items are dealt out in turn. */
static void attend(void *arg, int part, int n_part)
{
    attention_task *task = arg;
    tess_decoder *t = task->decoder;
    const tess_decoder_config *c = t->config;
    int n_shared = c->n_head / c->n_kv_head, n_item = task->n * c->n_kv_head;
    size_t d_head = (size_t)c->d_head, n_q = (size_t)c->n_head * d_head;
    float *scores = t->work.scores + (size_t)part * (size_t)n_shared * (size_t)t->kv.n_context;
    float scale = (float)(1.0 / __builtin_sqrt((double)c->d_head));
    for (int item = part; item < n_item; item += n_part) {
        int token = item / c->n_kv_head, kv_head = item % c->n_kv_head;
        size_t offset = (size_t)token * n_q + (size_t)kv_head * (size_t)n_shared * d_head;
        float *query = t->work.query + offset;
        for (int h = 0; h < n_shared; h++)
            norm_and_rotate(task, query + (size_t)h * d_head, TESS_LAYER_QUERY_NORM, token);
        t->kernels->attend(t->work.mixed + offset, query, (size_t)n_shared,
                           task->past_keys + (size_t)kv_head * d_head,
                           task->past_values + (size_t)kv_head * d_head, t->kv.width,
                           (size_t)task->first + (size_t)token + 1, d_head, scale, scores, t->rounding);
    }
}

static void project_output(void *arg, int part, int n_part)
{
    attention_task *task = arg;
    tess_decoder *t = task->decoder;
    const tess_decoder_config *c = t->config;
    int64_t begin, end;
    tess_part_range(c->d_model, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    t->kernels->matmul(t->work.output, (size_t)c->d_model, task->weights[TESS_LAYER_OUTPUT],
                       (size_t)c->n_head * (size_t)c->d_head, (size_t)begin, (size_t)end, t->work.packed,
                       (size_t)task->n, t->rounding);
}

void tess_attention_run(tess_decoder *decoder, int layer, const void *const *weights, int first, int n)
{
    size_t here = tess_kv_cache_row(&decoder->kv, layer, first),
           start = tess_kv_cache_row(&decoder->kv, layer, 0);
    attention_task task = {.decoder = decoder,
                           .weights = weights,
                           .keys = decoder->kv.keys + here,
                           .values = decoder->kv.values + here,
                           .past_keys = decoder->kv.keys + start,
                           .past_values = decoder->kv.values + start,
                           .first = first,
                           .n = n};
    const tess_decoder_config *c = decoder->config;
    tess_decoder_pack(decoder, decoder->work.normed, (size_t)c->d_model, n);
    tess_pool_run(decoder->pool, project, &task);
    tess_pool_run(decoder->pool, prepare_keys, &task);
    tess_pool_run(decoder->pool, attend, &task);
    tess_decoder_pack(decoder, decoder->work.mixed, (size_t)c->n_head * (size_t)c->d_head, n);
    tess_pool_run(decoder->pool, project_output, &task);
}
