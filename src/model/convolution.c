#include "model/convolution.h"

#include <string.h>

enum {
    ROOM_FLOATS = 384 * 1024, /* of a thread: rows of a product stay in its L2 cache, or pass from the L3 */
    MOST_POSITIONS = 160,     /* that a product takes at once: no kernel makes use of more */
    LEAST_POSITIONS = 32,     /* that are worth a thread, for every thread reads all weights */
    TURNED_POSITIONS = 48     /* that a product with columns takes at once, the one it begins with included */
};

/* ---- room ---- */

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void plan_floats(tess_conv_room *room, size_t useful, size_t least)
{
    size_t n = least_of(useful, ROOM_FLOATS);
    if (n < least) n = least;
    if (n > room->n_float) room->n_float = n;
}

void tess_conv_room_plan(tess_conv_room *room, size_t n_in, int n_tap, int64_t n)
{
    size_t n_col = n_in * (size_t)n_tap, width = tess_packed_floats(n_col);
    if (width > room->widest) room->widest = width;
    plan_floats(room, width * least_of(MOST_POSITIONS, (size_t)n), width);
}

/* What a product with columns takes beside its results. */
static size_t columns_floats(size_t n_in)
{
    return tess_columns_floats(n_in, TURNED_POSITIONS);
}

void tess_conv_room_plan_transposed(tess_conv_room *room, size_t n_in, size_t n_out, int n_tap, int64_t n)
{
    size_t n_row = least_of(TURNED_POSITIONS, (size_t)n + 1), fixed = columns_floats(n_in);
    plan_floats(room, fixed + n_row * n_out * (size_t)n_tap, fixed + TURNED_POSITIONS * (size_t)n_tap);
}

void tess_conv_room_take(tess_conv_room *room, int n_thread, tess_arena *arena)
{
    room->scratch = TESS_TAKE_ROWS(arena, n_thread, room->n_float);
    room->order = TESS_TAKE_ROWS(arena, n_thread, room->widest);
    room->offset = TESS_TAKE(arena, uint32_t, (uint64_t)n_thread * room->widest);
}

/* ---- products of gathered rows ---- */

typedef struct conv_task {
    const tess_compute *compute;
    const tess_conv_room *room;
    const tess_convolution *c;
} conv_task;

/* Where the elements of a packed row lie in the input, seen from the position's first row: packing the
 * numbers 0, 1, 2, … tells in which order products read. Element k is of channel k / n_tap, tap k % n_tap. */
static const uint32_t *find_offsets(const conv_task *task, int share)
{
    const tess_convolution *c = task->c;
    const tess_conv_room *room = task->room;
    uint32_t n_tap = (uint32_t)c->n_tap, n_in = (uint32_t)c->weight->n_col / n_tap;
    float *numbers = room->scratch + (size_t)share * room->n_float;
    float *order = room->order + (size_t)share * room->widest;
    uint32_t *offset = room->offset + (size_t)share * room->widest;
    for (size_t k = 0; k < c->weight->n_col; k++) numbers[k] = (float)k;
    task->compute->kernels->pack(order, numbers, c->weight->n_col);
    for (size_t i = 0; i < tess_packed_floats(c->weight->n_col); i++) {
        uint32_t k = (uint32_t)order[i];
        offset[i] = k % n_tap * (uint32_t)c->dilation * n_in + k / n_tap;
    }
    return offset;
}

/* Positions [first, first + n) of the output, channels [begin, end) of it. */
static void convolve_panel(const conv_task *task, int share, const uint32_t *offset, size_t first, size_t n,
                           size_t begin, size_t end)
{
    const tess_convolution *c = task->c;
    const tess_kernels *kernels = task->compute->kernels;
    size_t n_col = c->weight->n_col, n_out = c->weight->n_row, n_in = n_col / (size_t)c->n_tap;
    size_t width = tess_packed_floats(n_col);
    float *packed = task->room->scratch + (size_t)share * task->room->n_float;
    for (size_t i = 0; i < n; i++) {
        const float *in = c->in + (first + i) * n_in;
        float *row = packed + i * width;
        if (c->n_tap == 1)
            kernels->pack(row, in, n_col);
        else
            for (size_t k = 0; k < width; k++) row[k] = in[offset[k]];
    }
    float *out = c->out + first * n_out;
    const uint16_t *bias = tess_matrix_get_vector(c->bias);
    tess_matrix_multiply(kernels, c->weight, out, n_out, begin, end, packed, n, TESS_ROUND_NONE);
    for (size_t i = 0; i < n; i++)
        kernels->add_bias(out + i * n_out + begin, bias + begin, end - begin, task->compute->rounding);
}

/* Threads form a grid over positions and channels; those that it leaves over have nothing to do. */
static void convolve_share(void *arg, int share, int n_share)
{
    const conv_task *task = arg;
    int n_slice = task->c->n / LEAST_POSITIONS;
    if (n_slice > n_share) n_slice = n_share;
    if (n_slice < 1) n_slice = 1;
    int n_band = n_share / n_slice;
    if (share >= n_slice * n_band) return;
    int64_t first, last, begin, end;
    tess_share_range(task->c->n, 1, share / n_band, n_slice, &first, &last);
    tess_share_range((int64_t)task->c->weight->n_row, TESS_ROW_GRAIN, share % n_band, n_band, &begin, &end);
    if (begin == end) return;
    size_t most = task->room->n_float / tess_packed_floats(task->c->weight->n_col);
    if (most > MOST_POSITIONS) most = MOST_POSITIONS;
    const uint32_t *offset = task->c->n_tap > 1 ? find_offsets(task, share) : NULL;
    for (size_t at = (size_t)first, n; at < (size_t)last; at += n) {
        n = least_of(most, (size_t)last - at);
        convolve_panel(task, share, offset, at, n, (size_t)begin, (size_t)end);
    }
}

void tess_convolve(const tess_compute *compute, const tess_conv_room *room, const tess_convolution *c)
{
    tess_pool_run(compute->pool, convolve_share, &(conv_task){compute, room, c});
}

/* ---- products with columns ---- */

typedef struct transposed_task {
    const tess_compute *compute;
    const tess_conv_room *room;
    const tess_transposed *c;
} transposed_task;

/* Products of some positions with the taps of channels [begin, begin + n): products[position][n, n_tap]. */
typedef struct band {
    float *products;
    size_t begin, n;
} band;

/* One output: what the position makes, and where taps overlap what the next one does. */
static void add_taps(const transposed_task *task, const band *b, const float *products, size_t phase,
                     float *out)
{
    size_t n_tap = (size_t)task->c->n_tap, rate = (size_t)task->c->rate;
    const float *own = products + phase + (n_tap - rate), *next = products + b->n * n_tap + phase;
    for (size_t i = 0; i < b->n; i++)
        out[i] = n_tap > rate ? own[i * n_tap] + next[i * n_tap] : own[i * n_tap];
    task->compute->kernels->add_bias(out, tess_matrix_get_vector(task->c->bias) + b->begin, b->n,
                                     task->compute->rounding);
}

/* All outputs of a band of channels. Where taps overlap, the last products of a panel are the first of the
 * next. */
static void convolve_band(const transposed_task *task, const band *b, float *scratch)
{
    const tess_transposed *c = task->c;
    size_t n_in = c->weight->n_row, n_tap = (size_t)c->n_tap, rate = (size_t)c->rate, n_out = c->bias->n_col;
    size_t n_col = b->n * n_tap, overlap = n_tap > rate,
           n_lane = overlap ? TESS_DOT_LANES / 2 : TESS_DOT_LANES;
    size_t held = 0, n_row = (size_t)c->n + overlap;
    for (size_t first = 0, n; first < n_row; first += n) {
        n = least_of(TURNED_POSITIONS - held, n_row - first);
        tess_matrix_multiply_columns(task->compute->kernels, c->weight, b->products + held * n_col, n_col,
                                     b->begin * n_tap, n_col, c->in + first * n_in, n, n_lane, scratch);
        size_t whole = held + n - overlap, at = first - held;
        for (size_t i = 0; i < whole; i++)
            for (size_t phase = 0; phase < rate; phase++)
                add_taps(task, b, b->products + i * n_col, phase,
                         c->out + ((at + i) * rate + phase) * n_out + b->begin);
        if (overlap) memmove(b->products, b->products + whole * n_col, n_col * sizeof *b->products);
        held = overlap;
    }
}

static void transposed_share(void *arg, int share, int n_share)
{
    const transposed_task *task = arg;
    const tess_transposed *c = task->c;
    int64_t begin, end;
    tess_share_range((int64_t)c->bias->n_col, 1, share, n_share, &begin, &end);
    float *scratch = task->room->scratch + (size_t)share * task->room->n_float;
    size_t fixed = columns_floats(c->weight->n_row);
    size_t most = (task->room->n_float - fixed) / (TURNED_POSITIONS * (size_t)c->n_tap);
    for (size_t at = (size_t)begin, n; at < (size_t)end; at += n) {
        n = least_of(most, (size_t)end - at);
        convolve_band(task, &(band){scratch + fixed, at, n}, scratch);
    }
}

void tess_convolve_transposed(const tess_compute *compute, const tess_conv_room *room,
                              const tess_transposed *c)
{
    if (c->n > 0) tess_pool_run(compute->pool, transposed_share, &(transposed_task){compute, room, c});
}

/* ---- row by row ---- */

/* What is done with rows; which members it uses depends on the operation. */
typedef struct rows_task {
    const tess_compute *compute;
    void (*do_rows)(const struct rows_task *task, size_t first, size_t n);
    float *y;
    const float *x;
    const tess_matrix *weight; /* followed by the second one */
    size_t n_col, n_tap;
    int n;
} rows_task;

static void rows_share(void *arg, int share, int n_share)
{
    const rows_task *task = arg;
    int64_t begin, end;
    tess_share_range(task->n, 1, share, n_share, &begin, &end);
    if (begin < end) task->do_rows(task, (size_t)begin, (size_t)(end - begin));
}

static void run_rows(rows_task task)
{
    tess_pool_run(task.compute->pool, rows_share, &task);
}

static void channelwise_rows(const rows_task *task, size_t first, size_t n)
{
    task->compute->kernels->depthwise(
        task->y + first * task->n_col, task->x + first * task->n_col, tess_matrix_get_vector(task->weight),
        tess_matrix_get_vector(task->weight + 1), task->n_col, task->n_tap, n, task->compute->rounding);
}

void tess_convolve_channelwise(const tess_compute *compute, const tess_channelwise *c)
{
    TESS_ASSERT(c->bias == c->weight + 1);
    run_rows((rows_task){.compute = compute,
                         .do_rows = channelwise_rows,
                         .y = c->out,
                         .x = c->in,
                         .weight = c->weight,
                         .n_col = c->weight->n_row,
                         .n_tap = c->weight->n_col,
                         .n = c->n});
}

static void snake_rows(const rows_task *task, size_t first, size_t n)
{
    task->compute->kernels->snake(
        task->y + first * task->n_col, task->x + first * task->n_col, tess_matrix_get_vector(task->weight),
        tess_matrix_get_vector(task->weight + 1), task->n_col, n, task->compute->rounding);
}

void tess_snake_rows(const tess_compute *compute, float *y, const float *x, const tess_matrix *alpha, int n)
{
    run_rows((rows_task){.compute = compute,
                         .do_rows = snake_rows,
                         .y = y,
                         .x = x,
                         .weight = alpha,
                         .n_col = alpha->n_col,
                         .n = n});
}

static void layer_scale_rows(const rows_task *task, size_t first, size_t n)
{
    for (size_t row = first; row < first + n; row++)
        task->compute->kernels->add_layer_scale(task->y + row * task->n_col, task->x + row * task->n_col,
                                                tess_matrix_get_vector(task->weight), task->n_col,
                                                task->compute->rounding);
}

void tess_add_layer_scale_rows(const tess_compute *compute, float *y, const float *x,
                               const tess_matrix *scale, int n)
{
    run_rows((rows_task){.compute = compute,
                         .do_rows = layer_scale_rows,
                         .y = y,
                         .x = x,
                         .weight = scale,
                         .n_col = scale->n_col,
                         .n = n});
}

/* ---- tails ---- */

void tess_tail_take(tess_tail *tail, size_t n_row, size_t width, tess_arena *arena)
{
    *tail = (tess_tail){.rows = TESS_TAKE_ROWS(arena, n_row, width), .n_row = n_row, .width = width};
}

void tess_tail_clear(tess_tail *tail)
{
    memset(tail->rows, 0, tail->n_row * tail->width * sizeof *tail->rows);
}

void tess_tail_recall(const tess_tail *tail, float *in)
{
    memcpy(in, tail->rows, tail->n_row * tail->width * sizeof *in);
}

void tess_tail_keep(tess_tail *tail, const float *in, int n)
{
    memcpy(tail->rows, in + (size_t)n * tail->width, tail->n_row * tail->width * sizeof *in);
}
