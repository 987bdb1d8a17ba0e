#include "model/code2wav_layers.h"

#include <string.h>

#include "kernels/angles.h"

static size_t head_width(const tess_code2wav_config *config)
{
    return (size_t)(config->d_model / config->n_head);
}

static size_t key_width(const tess_code2wav_config *config)
{
    return (size_t)config->n_kv_head * head_width(config);
}

/* Positions before the present frames that they still see. */
static size_t n_before(const tess_code2wav_config *config)
{
    return (size_t)config->sliding_window - 1;
}

void tess_code2wav_layers_init(tess_code2wav *c, const tess_code2wav_sizes *sizes, tess_arena *arena)
{
    const tess_code2wav_config *config = c->config;
    tess_code2wav_scratch *w = &c->work;
    size_t n = (size_t)sizes->n_frame, d_model = (size_t)config->d_model, d_head = head_width(config);
    size_t n_shared = (size_t)(config->n_head / config->n_kv_head);
    uint64_t n_key = (uint64_t)config->n_layer * (n_before(config) + n);
    size_t d_ff = (size_t)config->d_ff, d_wide = 4 * d_model;
    c->inv_freq = TESS_TAKE(arena, float, d_head / 2);
    c->keys = TESS_TAKE_ROWS(arena, n_key, key_width(config));
    c->values = TESS_TAKE_ROWS(arena, n_key, key_width(config));
    w->normed = TESS_TAKE_ROWS(arena, n, d_model);
    w->query = TESS_TAKE_ROWS(arena, n, d_model);
    w->cosines = TESS_TAKE_ROWS(arena, n, d_head / 2);
    w->sines = TESS_TAKE_ROWS(arena, n, d_head / 2);
    w->scores = TESS_TAKE_ROWS(arena, (uint64_t)sizes->n_thread * n_shared, config->sliding_window);
    w->packed = TESS_TAKE_ROWS(arena, w->n_block, tess_packed_floats(d_model));
    w->hidden = TESS_TAKE_ROWS(arena, w->n_block, 2 * d_ff > d_wide ? 2 * d_ff : d_wide);
    w->hidden_packed = TESS_TAKE_ROWS(arena, w->n_block, tess_packed_floats(d_ff > d_wide ? d_ff : d_wide));
    if (arena->base) tess_inverse_frequencies(c->inv_freq, d_head, config->rope_theta);
}

/* ---- embedding ---- */

/* The mean of a frame's rows, summed by ascending quantizer in float32. */
static tess_status embed(tess_code2wav *c, const int32_t *codes, int64_t stride, int n, tess_error *err)
{
    const tess_code2wav_config *config = c->config;
    const tess_kernels *kernels = c->compute.kernels;
    size_t d_model = (size_t)config->d_model, n_value = (size_t)n * d_model;
    memset(c->current, 0, n_value * sizeof *c->current);
    for (int q = 0; q < config->n_quantizer; q++)
        for (int i = 0; i < n; i++) {
            tess_status status =
                tess_row_table_read(&c->embedding, kernels, q * config->codebook_size + codes[q * stride + i],
                                    c->work.normed, err);
            if (status != TESS_OK) return status;
            kernels->add(c->current + (size_t)i * d_model, c->work.normed, d_model, TESS_ROUND_NONE);
        }
    for (size_t i = 0; i < n_value; i++) c->current[i] /= (float)config->n_quantizer;
    if (c->compute.rounding == TESS_ROUND_BF16) kernels->round_bf16(c->current, n_value);
    return TESS_OK;
}

/* ---- attention ---- */

/* n rows from c->n_done on, in one layer; their keys and values stand behind those before them. */
typedef struct layer_task {
    const tess_code2wav *c;
    const tess_matrix *weights;
    float *keys, *values; /* [n_before + n, key width] */
    int n;
} layer_task;

static void set_angles(const tess_code2wav *c, int n)
{
    size_t n_pair = head_width(c->config) / 2;
    const tess_code2wav_scratch *w = &c->work;
    for (size_t i = 0; i < (size_t)n; i++)
        tess_rotary_table(w->cosines + i * n_pair, w->sines + i * n_pair, c->inv_freq, n_pair,
                          (float)(c->n_done + (int64_t)i));
    if (c->compute.rounding == TESS_ROUND_NONE) return;
    c->compute.kernels->round_bf16(w->cosines, (size_t)n * n_pair);
    c->compute.kernels->round_bf16(w->sines, (size_t)n * n_pair);
}

static void rotate(const layer_task *task, float *head, size_t row)
{
    const tess_code2wav *c = task->c;
    size_t d_head = head_width(c->config), angle = row * (d_head / 2);
    c->compute.kernels->rope(head, c->work.cosines + angle, c->work.sines + angle, d_head,
                             c->compute.rounding);
}

static void rotate_keys_share(void *arg, int share, int n_share)
{
    const layer_task *task = arg;
    const tess_code2wav_config *config = task->c->config;
    int64_t begin, end;
    tess_share_range(task->n, 1, share, n_share, &begin, &end);
    for (size_t row = (size_t)begin; row < (size_t)end; row++)
        for (size_t head = 0; head < (size_t)config->n_kv_head; head++)
            rotate(task,
                   task->keys + (n_before(config) + row) * key_width(config) + head * head_width(config),
                   row);
}

/* A row and a key-value head with the query heads that share it: query -> normed. The sum of the softmax goes
 * by a key's place in the window; by its absolute position it would have the same bits, for the tree over the
 * lanes is the same wherever it begins. */
static void attend_item(const layer_task *task, size_t row, size_t kv_head, float *scores)
{
    const tess_code2wav *c = task->c;
    const tess_code2wav_config *config = c->config;
    size_t d_head = head_width(config), n_shared = (size_t)(config->n_head / config->n_kv_head);
    int64_t position = c->n_done + (int64_t)row;
    size_t n_key = position < config->sliding_window ? (size_t)position + 1 : (size_t)config->sliding_window;
    size_t first = (n_before(config) + row + 1 - n_key) * key_width(config) + kv_head * d_head;
    size_t at = row * (size_t)config->d_model + kv_head * n_shared * d_head;
    float scale = (float)(1.0 / __builtin_sqrt((double)d_head));
    for (size_t h = 0; h < n_shared; h++) rotate(task, c->work.query + at + h * d_head, row);
    c->compute.kernels->attend(c->work.normed + at, c->work.query + at, n_shared, n_shared,
                               task->keys + first, task->values + first, key_width(config), n_key, d_head,
                               scale, scores, c->compute.rounding);
}

static void attend_share(void *arg, int share, int n_share)
{
    const layer_task *task = arg;
    const tess_code2wav_config *config = task->c->config;
    size_t n_kv_head = (size_t)config->n_kv_head;
    size_t n_score = (size_t)(config->n_head / config->n_kv_head) * (size_t)config->sliding_window;
    int64_t begin, end;
    tess_share_range((int64_t)task->n * config->n_kv_head, 1, share, n_share, &begin, &end);
    for (size_t item = (size_t)begin; item < (size_t)end; item++)
        attend_item(task, item / n_kv_head, item % n_kv_head, task->c->work.scores + (size_t)share * n_score);
}

/* normed -> query */
static void run_attention(const layer_task *task)
{
    const tess_code2wav *c = task->c;
    const tess_code2wav_scratch *w = &c->work;
    size_t d_model = (size_t)c->config->d_model, at = n_before(c->config) * key_width(c->config);
    const tess_linear linear[] = {
        tess_linear_make(&task->weights[TESS_LAYER_QUERY], NULL, w->packed, task->n, w->query),
        tess_linear_make(&task->weights[TESS_LAYER_KEY], NULL, w->packed, task->n, task->keys + at),
        tess_linear_make(&task->weights[TESS_LAYER_VALUE], NULL, w->packed, task->n, task->values + at)};
    tess_pack_rows(&c->compute, w->packed, w->normed, d_model, task->n);
    tess_linear_run(&c->compute, linear, 3);
    tess_pool_run(c->compute.pool, rotate_keys_share, (void *)(uintptr_t)task);
    tess_pool_run(c->compute.pool, attend_share, (void *)(uintptr_t)task);
    const tess_linear output =
        tess_linear_make(&task->weights[TESS_LAYER_OUTPUT], NULL, w->packed, task->n, w->query);
    tess_pack_rows(&c->compute, w->packed, w->normed, d_model, task->n);
    tess_linear_run(&c->compute, &output, 1);
}

/* ---- layers ---- */

static void norm_rows(const layer_task *task, const tess_matrix *weight, float *out)
{
    const tess_code2wav *c = task->c;
    tess_rms_norm_rows(&c->compute, out, c->current, tess_matrix_get_vector(weight),
                       (size_t)c->config->d_model, c->config->rms_norm_eps, task->n);
}

/* normed -> query */
static void run_mlp(const layer_task *task)
{
    const tess_code2wav *c = task->c;
    const tess_code2wav_scratch *w = &c->work;
    size_t d_ff = (size_t)c->config->d_ff;
    float *gate = w->hidden, *up = gate + (size_t)task->n * d_ff;
    const tess_linear linear[] = {
        tess_linear_make(&task->weights[TESS_LAYER_GATE], NULL, w->packed, task->n, gate),
        tess_linear_make(&task->weights[TESS_LAYER_UP], NULL, w->packed, task->n, up)};
    const tess_linear down =
        tess_linear_make(&task->weights[TESS_LAYER_DOWN], NULL, w->hidden_packed, task->n, w->query);
    tess_pack_rows(&c->compute, w->packed, w->normed, (size_t)c->config->d_model, task->n);
    tess_linear_run(&c->compute, linear, 2);
    tess_swiglu_rows(&c->compute, w->hidden_packed, gate, up, d_ff, task->n);
    tess_linear_run(&c->compute, &down, 1);
}

static void run_layer(const layer_task *task)
{
    const tess_code2wav *c = task->c;
    norm_rows(task, &task->weights[TESS_LAYER_INPUT_NORM], c->work.normed);
    run_attention(task);
    tess_add_layer_scale_rows(&c->compute, c->current, c->work.query,
                              &task->weights[TESS_CODE2WAV_ATTENTION_SCALE], task->n);
    norm_rows(task, &task->weights[TESS_LAYER_POST_NORM], c->work.normed);
    run_mlp(task);
    tess_add_layer_scale_rows(&c->compute, c->current, c->work.query, &task->weights[TESS_CODE2WAV_MLP_SCALE],
                              task->n);
    /* What the next frames see comes first again. */
    size_t shift = (size_t)task->n * key_width(c->config),
           n_byte = n_before(c->config) * key_width(c->config) * sizeof *task->keys;
    memmove(task->keys, task->keys + shift, n_byte);
    memmove(task->values, task->values + shift, n_byte);
}

tess_status tess_code2wav_layers_run(tess_code2wav *c, const int32_t *codes, int64_t stride, int n,
                                     tess_error *err)
{
    layer_task task = {.c = c, .n = n};
    size_t layer_floats = (n_before(c->config) + (size_t)c->n_frame) * key_width(c->config);
    tess_status status = embed(c, codes, stride, n, err);
    set_angles(c, n);
    for (int layer = 0; layer < c->config->n_layer && status == TESS_OK; layer++) {
        status = tess_bank_lease(&c->layers, layer, &task.weights, err);
        if (status != TESS_OK) return status;
        task.keys = c->keys + (size_t)layer * layer_floats;
        task.values = c->values + (size_t)layer * layer_floats;
        run_layer(&task);
        tess_bank_release(&c->layers, layer);
    }
    if (status == TESS_OK) status = tess_bank_lease(&c->parts, TESS_CODE2WAV_NORM, &task.weights, err);
    if (status != TESS_OK) return status;
    norm_rows(&task, task.weights, c->current);
    tess_bank_release(&c->parts, TESS_CODE2WAV_NORM);
    return TESS_OK;
}
