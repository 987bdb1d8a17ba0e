/* Grouped-query attention over timelines: query/key/value projections, norm of each query and key head,
 * rotation, masked softmax, output projection; spec section 8, steps 2 to 6.
 *
 * Keys and values are made for all rows at once, then put at the rows' places in their timelines. Causality
 * needs no mask: the query at place p is shown the keys 0 … p of its own timeline and no others. Rows that
 * follow each other are shown a head's keys together, as many as the kernel takes at once: keys of a long
 * prompt come from memory.
 */
#include "model/attention.h"

#include <string.h>

#include "kernels/elementary.h"
#include "model/config_keys.h"

typedef struct attention_task {
    tess_decoder *decoder;
    const tess_matrix *weights;
    int layer, n;
} attention_task;

static void project_rows(const attention_task *task)
{
    const tess_decoder *decoder = task->decoder;
    const tess_workspace *work = &decoder->work;
    const tess_layer_weight weight[] = {TESS_LAYER_QUERY, TESS_LAYER_KEY, TESS_LAYER_VALUE};
    float *const out[] = {work->query, work->keys, work->values};
    tess_linear linear[3];
    for (int i = 0; i < 3; i++)
        linear[i] = tess_linear_make(&task->weights[weight[i]], NULL, work->packed, task->n, out[i]);
    tess_pack_rows(&decoder->compute, work->packed, work->normed, (size_t)decoder->config->d_model, task->n);
    tess_linear_run(&decoder->compute, linear, 3);
}

static void norm_and_rotate(const attention_task *task, float *head, tess_layer_weight norm, size_t row)
{
    const tess_decoder *decoder = task->decoder;
    const tess_decoder_config *c = decoder->config;
    const tess_kernels *kernels = decoder->compute.kernels;
    size_t d_head = (size_t)c->d_head, angle = row * d_head / 2;
    kernels->rms_norm(head, head, tess_matrix_get_vector(&task->weights[norm]), d_head,
                      (float)c->rms_norm_eps, decoder->compute.rounding);
    kernels->rope(head, decoder->work.cosines + angle, decoder->work.sines + angle, d_head,
                  decoder->compute.rounding);
}

_Static_assert(TESS_MAX_HEAD_WIDTH <= TESS_NARROW_MAX_HEAD, "any head may be narrow");

/* out = x, whose elements have been rounded to bf16. */
static void narrow(uint16_t *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (uint16_t)(tess_bits_of_float(x[i]) >> 16);
}

static void store_head(tess_timeline *timeline, size_t to, const float *key, const float *value,
                       size_t d_head)
{
    if (timeline->narrow_keys) {
        narrow(timeline->narrow_keys + to, key, d_head);
        narrow(timeline->narrow_values + to, value, d_head);
        return;
    }
    memcpy(timeline->keys + to, key, d_head * sizeof *key);
    memcpy(timeline->values + to, value, d_head * sizeof *value);
}

/* One item is a row and a key-value head. */
static void store_keys_share(void *arg, int share, int n_share)
{
    const attention_task *task = arg;
    const tess_decoder_config *c = task->decoder->config;
    const tess_workspace *work = &task->decoder->work;
    size_t d_head = (size_t)c->d_head, n_kv_head = (size_t)c->n_kv_head;
    int64_t begin, end;
    tess_share_range((int64_t)task->n * c->n_kv_head, 1, share, n_share, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        const tess_row_place *at = &work->place[i / n_kv_head];
        size_t to = tess_timeline_key(at->timeline, task->layer, i % n_kv_head, at->place);
        float *key = work->keys + i * d_head;
        norm_and_rotate(task, key, TESS_LAYER_KEY_NORM, i / n_kv_head);
        store_head(at->timeline, to, key, work->values + i * d_head, d_head);
    }
}

/* A key-value head and rows at places that follow each other in one timeline. */
typedef struct attention_item {
    size_t row, n_row, kv_head;
    float *query, *mixed, *scores; /* scratch of the thread */
} attention_item;

static void attend_item(const attention_task *task, const attention_item *item)
{
    const tess_decoder *decoder = task->decoder;
    const tess_decoder_config *c = decoder->config;
    const tess_row_place *at = &decoder->work.place[item->row];
    size_t d_head = (size_t)c->d_head, n_shared = (size_t)(c->n_head / c->n_kv_head),
           width = n_shared * d_head, row_width = (size_t)c->n_head * d_head,
           first = item->row * row_width + item->kv_head * width,
           past = tess_timeline_key(at->timeline, task->layer, item->kv_head, 0);
    float scale = (float)(1.0 / __builtin_sqrt((double)c->d_head));
    for (size_t i = 0; i < item->n_row; i++) {
        float *query = decoder->work.query + first + i * row_width;
        for (size_t h = 0; h < n_shared; h++)
            norm_and_rotate(task, query + h * d_head, TESS_LAYER_QUERY_NORM, item->row + i);
        memcpy(item->query + i * width, query, width * sizeof *query);
    }
    const tess_timeline *timeline = at->timeline;
    const tess_kernels *kernels = decoder->compute.kernels;
    const size_t n_query = item->n_row * n_shared, n_key = (size_t)at->place + 1;
    if (timeline->narrow_keys)
        kernels->attend_narrow(item->mixed, item->query, n_query, n_shared, timeline->narrow_keys + past,
                               timeline->narrow_values + past, d_head, n_key, d_head, scale, item->scores,
                               decoder->compute.rounding);
    else
        kernels->attend(item->mixed, item->query, n_query, n_shared, timeline->keys + past,
                        timeline->values + past, d_head, n_key, d_head, scale, item->scores,
                        decoder->compute.rounding);
    for (size_t i = 0; i < item->n_row; i++)
        memcpy(decoder->work.mixed + first + i * row_width, item->mixed + i * width,
               width * sizeof *item->mixed);
}

/* How many of the rows [row, end) follow each other in the timeline of the first. */
static size_t count_following(const tess_row_place *place, size_t row, size_t end)
{
    size_t n = 1;
    while (row + n < end && place[row + n].timeline == place[row].timeline &&
           place[row + n].place == place[row].place + (int)n)
        n++;
    return n;
}

/* Head by head, whose keys then stay near; of each, blocks of rows. Later rows see more keys, so blocks are
 * dealt out in turn. */
static void attend_share(void *arg, int share, int n_share)
{
    const attention_task *task = arg;
    const tess_decoder_config *c = task->decoder->config;
    const tess_workspace *work = &task->decoder->work;
    size_t n_query = (size_t)work->n_together * (size_t)(c->n_head / c->n_kv_head),
           n_near = n_query * (size_t)c->d_head, n_context = (size_t)work->n_context;
    attention_item item = {.query = work->near + (size_t)share * 2 * n_near,
                           .mixed = work->near + ((size_t)share * 2 + 1) * n_near,
                           .scores = work->scores + (size_t)share * n_query * n_context};
    int n_block = (task->n + work->n_together - 1) / work->n_together;
    for (int i = share; i < n_block * c->n_kv_head; i += n_share) {
        size_t row = (size_t)(i % n_block) * (size_t)work->n_together, end = row + (size_t)work->n_together;
        if (end > (size_t)task->n) end = (size_t)task->n;
        item.kv_head = (size_t)(i / n_block);
        for (item.row = row; item.row < end; item.row += item.n_row) {
            item.n_row = count_following(work->place, item.row, end);
            attend_item(task, &item);
        }
    }
}

static void project_output(const attention_task *task)
{
    const tess_decoder *decoder = task->decoder;
    const tess_workspace *work = &decoder->work;
    const tess_matrix *weight = &task->weights[TESS_LAYER_OUTPUT];
    const tess_linear linear = tess_linear_make(weight, NULL, work->packed, task->n, work->output);
    tess_pack_rows(&decoder->compute, work->packed, work->mixed, weight->n_col, task->n);
    tess_linear_run(&decoder->compute, &linear, 1);
}

void tess_attention_run(tess_decoder *decoder, int layer, const tess_matrix *weights, int n)
{
    attention_task task = {.decoder = decoder, .weights = weights, .layer = layer, .n = n};
    project_rows(&task);
    tess_pool_run(decoder->compute.pool, store_keys_share, &task);
    tess_pool_run(decoder->compute.pool, attend_share, &task);
    project_output(&task);
}
