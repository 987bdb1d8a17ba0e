#include "model/encoder.h"

#include <string.h>

enum { BLOCK_ROWS = 128 };

void tess_encoder_init_workspace(tess_encoder *encoder, const tess_tower_sizes *sizes, tess_arena *arena)
{
    const tess_encoder_config *c = &encoder->config;
    size_t d_model = (size_t)c->d_model, d_ff = (size_t)c->d_ff, d_head = d_model / (size_t)c->n_head;
    int n_block = sizes->n_row < BLOCK_ROWS ? sizes->n_row : BLOCK_ROWS;
    encoder->n_row = sizes->n_row;
    encoder->n_group_row = sizes->n_group_row;
    encoder->n_block = n_block;
    encoder->residual = TESS_TAKE_ROWS(arena, sizes->n_row, d_model);
    encoder->keys = TESS_TAKE_ROWS(arena, sizes->n_row, d_model);
    encoder->values = TESS_TAKE_ROWS(arena, sizes->n_row, d_model);
    encoder->normed = TESS_TAKE_ROWS(arena, n_block, d_model);
    encoder->query = TESS_TAKE_ROWS(arena, n_block, d_model);
    encoder->packed = TESS_TAKE_ROWS(arena, n_block, tess_packed_floats(d_model));
    encoder->hidden = TESS_TAKE_ROWS(arena, n_block, d_ff);
    encoder->hidden_packed = TESS_TAKE_ROWS(arena, n_block, tess_packed_floats(d_ff));
    encoder->scores = TESS_TAKE_ROWS(arena, sizes->n_thread * TESS_ENCODER_QUERIES, sizes->n_group_row);
    encoder->near = TESS_TAKE_ROWS(arena, sizes->n_thread * TESS_ENCODER_QUERIES, 2 * d_head);
}

void tess_encoder_init_layers(tess_encoder *encoder, tess_store *store, const tess_tower_weights *weights,
                              const tess_tower_sizes *sizes, tess_arena *arena)
{
    const tess_bank_layout layers = tess_tower_layer_bank(weights, sizes->n_layer_slot);
    tess_bank_init(&encoder->layers, store, &layers, arena);
}

double tess_encoder_count_products(const tess_encoder_config *c, double n_row, double n_key)
{
    double d_model = c->d_model;
    return c->n_layer * n_row * d_model * (4 * d_model + 2.0 * c->d_ff + 2 * n_key);
}

/* ---- a block of rows ---- */

/* Rows [first, first + n) of a pass in one layer; `group` is the one that the first row belongs to. */
typedef struct block_task {
    const tess_encoder *encoder;
    const tess_encoder_pass *pass;
    const tess_matrix *weights;
    int first, n, group;
} block_task;

static float *residual_of(const block_task *task)
{
    return task->encoder->residual + (size_t)task->first * (size_t)task->encoder->config.d_model;
}

/* packed = norm(residual), and normed likewise */
static void norm_block(const block_task *task, tess_encoder_weight norm)
{
    const tess_encoder *e = task->encoder;
    size_t d_model = (size_t)e->config.d_model;
    tess_layer_norm_rows(
        &e->compute, e->normed, residual_of(task), tess_matrix_get_vector(&task->weights[norm]),
        tess_matrix_get_vector(&task->weights[norm + 1]), d_model, e->config.norm_eps, task->n);
    tess_pack_rows(&e->compute, e->packed, e->normed, d_model, task->n);
}

/* A product with its bias, of packed rows of the block. */
static tess_linear linear_of(const block_task *task, tess_encoder_weight weight, const float *packed,
                             float *out)
{
    const tess_matrix *w = &task->weights[weight];
    return tess_linear_make(w, w + 1, packed, task->n, out);
}

static void multiply_block(const block_task *task, tess_encoder_weight weight, const float *packed,
                           float *out)
{
    const tess_linear linear = linear_of(task, weight, packed, out);
    tess_linear_run(&task->encoder->compute, &linear, 1);
}

/* ---- attention ---- */

/* Rotates one head of a row of the pass: in float32, rounded once. */
static void rotate_head(const block_task *task, float *head, int row)
{
    const tess_encoder *e = task->encoder;
    size_t d_head = (size_t)(e->config.d_model / e->config.n_head), angle = (size_t)row * (d_head / 2);
    e->compute.kernels->rope(head, task->pass->cosines + angle, task->pass->sines + angle, d_head,
                             TESS_ROUND_NONE);
    if (e->compute.rounding == TESS_ROUND_BF16) e->compute.kernels->round_bf16(head, d_head);
}

/* Where a head's key and value of a row of the pass begin. */
static size_t key_of(const tess_encoder *e, int head, int row)
{
    return ((size_t)head * (size_t)e->n_row + (size_t)row) * (size_t)(e->config.d_model / e->config.n_head);
}

/* Rows of query (keys) and normed (values) -> their heads. */
static void put_keys_share(void *arg, int share, int n_share)
{
    const block_task *task = arg;
    const tess_encoder *e = task->encoder;
    size_t d_model = (size_t)e->config.d_model, d_head = d_model / (size_t)e->config.n_head;
    int64_t begin, end;
    tess_share_range(task->n, 1, share, n_share, &begin, &end);
    for (int i = (int)begin; i < (int)end; i++)
        for (int head = 0; head < e->config.n_head; head++) {
            size_t from = (size_t)i * d_model + (size_t)head * d_head, to = key_of(e, head, task->first + i);
            if (task->pass->cosines) rotate_head(task, e->query + from, task->first + i);
            memcpy(e->keys + to, e->query + from, d_head * sizeof *e->keys);
            memcpy(e->values + to, e->normed + from, d_head * sizeof *e->values);
        }
}

static void make_keys(block_task *task)
{
    const tess_encoder *e = task->encoder;
    norm_block(task, TESS_ENCODER_NORM);
    const tess_linear linear[] = {linear_of(task, TESS_ENCODER_KEY, e->packed, e->query),
                                  linear_of(task, TESS_ENCODER_VALUE, e->packed, e->normed)};
    tess_linear_run(&e->compute, linear, 2);
    tess_pool_run(e->compute.pool, put_keys_share, task);
}

/* One head of at most TESS_ENCODER_QUERIES rows of one group. */
typedef struct attention_item {
    int head, row, n;              /* rows [row, row + n) of the block */
    int first_key, n_key;          /* their group */
    float *query, *mixed, *scores; /* scratch of the thread */
} attention_item;

static void attend_item(const block_task *task, const attention_item *item)
{
    const tess_encoder *e = task->encoder;
    size_t d_model = (size_t)e->config.d_model, d_head = d_model / (size_t)e->config.n_head,
           at = (size_t)item->head * d_head, keys = key_of(e, item->head, item->first_key);
    float *rows = e->query + (size_t)item->row * d_model + at;
    float scale = (float)(1.0 / __builtin_sqrt((double)d_head));
    for (size_t i = 0; i < (size_t)item->n; i++) {
        memcpy(item->query + i * d_head, rows + i * d_model, d_head * sizeof *rows);
        if (task->pass->cosines)
            rotate_head(task, item->query + i * d_head, task->first + item->row + (int)i);
    }
    e->compute.kernels->attend(item->mixed, item->query, (size_t)item->n, (size_t)item->n, e->keys + keys,
                               e->values + keys, d_head, (size_t)item->n_key, d_head, scale, item->scores,
                               e->compute.rounding);
    for (size_t i = 0; i < (size_t)item->n; i++)
        memcpy(rows + i * d_model, item->mixed + i * d_head, d_head * sizeof *rows);
}

/* Groups, of each its heads, of each its rows; an item reads and writes what no other does. */
static void attend_share(void *arg, int share, int n_share)
{
    const block_task *task = arg;
    const tess_encoder *e = task->encoder;
    size_t d_head = (size_t)(e->config.d_model / e->config.n_head), near = TESS_ENCODER_QUERIES * d_head;
    attention_item item = {.query = e->near + (size_t)share * 2 * near, .scores = e->scores};
    item.mixed = item.query + near;
    item.scores += (size_t)share * TESS_ENCODER_QUERIES * (size_t)e->n_group_row;
    int end = task->first + task->n, n_item = 0;
    for (int group = task->group, row = task->first; row < end; group++) {
        int group_end = task->pass->group[group + 1], last = group_end < end ? group_end : end;
        item.first_key = task->pass->group[group];
        item.n_key = group_end - item.first_key;
        for (item.head = 0; item.head < e->config.n_head; item.head++)
            for (int i = row; i < last; i += TESS_ENCODER_QUERIES) {
                item.row = i - task->first;
                item.n = last - i < TESS_ENCODER_QUERIES ? last - i : TESS_ENCODER_QUERIES;
                if (n_item++ % n_share == share) attend_item(task, &item);
            }
        row = last;
    }
}

/* ---- layers ---- */

static void add_to_residual(const block_task *task, const float *values)
{
    tess_add_rows(&task->encoder->compute, residual_of(task), values, (size_t)task->encoder->config.d_model,
                  task->n);
}

static void run_block(block_task *task)
{
    const tess_encoder *e = task->encoder;
    size_t d_model = (size_t)e->config.d_model, d_ff = (size_t)e->config.d_ff;
    norm_block(task, TESS_ENCODER_NORM);
    multiply_block(task, TESS_ENCODER_QUERY, e->packed, e->query);
    tess_pool_run(e->compute.pool, attend_share, task);
    tess_pack_rows(&e->compute, e->packed, e->query, d_model, task->n);
    multiply_block(task, TESS_ENCODER_OUTPUT, e->packed, e->normed);
    add_to_residual(task, e->normed);
    norm_block(task, TESS_ENCODER_MLP_NORM);
    multiply_block(task, TESS_ENCODER_UP, e->packed, e->hidden);
    tess_gelu_rows(&e->compute, e->hidden_packed, e->hidden, d_ff, task->n, e->config.is_tanh);
    multiply_block(task, TESS_ENCODER_DOWN, e->hidden_packed, e->normed);
    add_to_residual(task, e->normed);
}

/* Keys and values of all rows come first: a block changes the stream they are made from. They are told as no
 * row done, to be heard. */
static tess_status run_layer(const tess_encoder *encoder, const tess_encoder_pass *pass, int layer,
                             const tess_matrix *weights, tess_error *err)
{
    int n_row = pass->group[pass->n_group];
    block_task task = {.encoder = encoder, .pass = pass, .weights = weights};
    for (int round = 0; round < 2; round++)
        for (task.first = 0, task.group = 0; task.first < n_row; task.first += task.n) {
            int left = n_row - task.first;
            task.n = left < encoder->n_block ? left : encoder->n_block;
            while (pass->group[task.group + 1] <= task.first) task.group++;
            if (round == 0)
                make_keys(&task);
            else
                run_block(&task);
            tess_status status = pass->on_rows(pass->context, layer, round * (task.first + task.n), err);
            if (status != TESS_OK) return status;
        }
    return TESS_OK;
}

static void check_pass(const tess_encoder *encoder, const tess_encoder_pass *pass)
{
    TESS_ASSERT(pass->n_group >= 1 && pass->group[0] == 0 && pass->group[pass->n_group] <= encoder->n_row);
    for (int i = 0; i < pass->n_group; i++) {
        int n = pass->group[i + 1] - pass->group[i];
        TESS_ASSERT(n >= 1 && n <= encoder->n_group_row);
        (void)n;
    }
}

tess_status tess_encoder_run(tess_encoder *encoder, const tess_encoder_pass *pass, tess_error *err)
{
    check_pass(encoder, pass);
    for (int layer = 0; layer < encoder->config.n_layer; layer++) {
        const tess_matrix *weights;
        tess_status status = tess_bank_lease(&encoder->layers, layer, &weights, err);
        if (status != TESS_OK) return status;
        status = run_layer(encoder, pass, layer, weights, err);
        tess_bank_release(&encoder->layers, layer);
        if (status == TESS_OK) status = pass->on_layer(pass->context, layer, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}
