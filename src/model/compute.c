#include "model/compute.h"

#include "kernels/elementary.h"

typedef struct linear_task {
    const tess_compute *compute;
    const tess_linear *linear;
    int n;
} linear_task;

/* Rows begin <= r < end of a product. */
static void multiply_rows(const tess_compute *compute, const tess_linear *l, size_t begin, size_t end)
{
    const tess_kernels *kernels = compute->kernels;
    tess_matrix_multiply(kernels, l->weight, l->out, l->out_stride, begin, end, l->packed, (size_t)l->n_tok,
                         l->bias ? TESS_ROUND_NONE : compute->rounding);
    if (!l->bias) return;
    for (size_t t = 0; t < (size_t)l->n_tok; t++)
        kernels->add_bias(l->out + t * l->out_stride + begin, l->bias + begin, end - begin,
                          compute->rounding);
}

/* A thread computes its share of rows of every product of the list. */
static void multiply_share(void *arg, int share, int n_share)
{
    const linear_task *task = arg;
    for (int i = 0; i < task->n; i++) {
        const tess_linear *l = &task->linear[i];
        int64_t begin, end;
        tess_share_range((int64_t)l->weight->n_row, TESS_ROW_GRAIN, share, n_share, &begin, &end);
        if (begin == end) continue;
        multiply_rows(task->compute, l, (size_t)begin, (size_t)end);
    }
}

tess_linear tess_linear_make(const tess_matrix *weight, const tess_matrix *bias, const float *packed,
                             int n_tok, float *out)
{
    return (tess_linear){.weight = weight,
                         .packed = packed,
                         .n_tok = n_tok,
                         .out = out,
                         .out_stride = weight->n_row,
                         .bias = bias ? tess_matrix_get_vector(bias) : NULL};
}

void tess_linear_run(const tess_compute *compute, const tess_linear *linear, int n)
{
    tess_pool_run(compute->pool, multiply_share, &(linear_task){compute, linear, n});
}

/* What is done row by row; which members it uses depends on the operation. */
typedef struct row_task {
    const tess_compute *compute;
    void (*do_row)(const struct row_task *task, size_t row);
    float *packed, *y;
    const float *x;
    const uint16_t *weight, *bias;
    size_t n_col;
    float eps;
    int n_row;
    bool is_tanh;
} row_task;

static void rows_share(void *arg, int share, int n_share)
{
    const row_task *task = arg;
    int64_t begin, end;
    tess_share_range(task->n_row, 1, share, n_share, &begin, &end);
    for (size_t row = (size_t)begin; row < (size_t)end; row++) task->do_row(task, row);
}

/* A single row is not worth waking the threads for. */
static void run_rows(row_task task)
{
    if (task.n_row == 1)
        task.do_row(&task, 0);
    else
        tess_pool_run(task.compute->pool, rows_share, &task);
}

static float *packed_of(const row_task *task, size_t row)
{
    return task->packed + row * tess_packed_floats(task->n_col);
}

static void pack_row(const row_task *task, size_t row)
{
    task->compute->kernels->pack(packed_of(task, row), task->x + row * task->n_col, task->n_col);
}

void tess_pack_rows(const tess_compute *compute, float *packed, const float *x, size_t n_col, int n_row)
{
    run_rows((row_task){
        .compute = compute, .do_row = pack_row, .packed = packed, .x = x, .n_col = n_col, .n_row = n_row});
}

static void rms_norm_row(const row_task *task, size_t row)
{
    size_t at = row * task->n_col;
    task->compute->kernels->rms_norm(task->y + at, task->x + at, task->weight, task->n_col, task->eps,
                                     task->compute->rounding);
}

void tess_rms_norm_rows(const tess_compute *compute, float *y, const float *x, const uint16_t *weight,
                        size_t n_col, double eps, int n_row)
{
    run_rows((row_task){.compute = compute,
                        .do_row = rms_norm_row,
                        .y = y,
                        .x = x,
                        .weight = weight,
                        .n_col = n_col,
                        .eps = (float)eps,
                        .n_row = n_row});
}

static void layer_norm_row(const row_task *task, size_t row)
{
    size_t at = row * task->n_col;
    task->compute->kernels->layer_norm(task->y + at, task->x + at, task->weight, task->bias, task->n_col,
                                       task->eps, task->compute->rounding);
}

void tess_layer_norm_rows(const tess_compute *compute, float *y, const float *x, const uint16_t *weight,
                          const uint16_t *bias, size_t n_col, double eps, int n_row)
{
    run_rows((row_task){.compute = compute,
                        .do_row = layer_norm_row,
                        .y = y,
                        .x = x,
                        .weight = weight,
                        .bias = bias,
                        .n_col = n_col,
                        .eps = (float)eps,
                        .n_row = n_row});
}

static void add_row(const row_task *task, size_t row)
{
    size_t at = row * task->n_col;
    task->compute->kernels->add(task->y + at, task->x + at, task->n_col, task->compute->rounding);
}

void tess_add_rows(const tess_compute *compute, float *y, const float *x, size_t n_col, int n_row)
{
    run_rows(
        (row_task){.compute = compute, .do_row = add_row, .y = y, .x = x, .n_col = n_col, .n_row = n_row});
}

static void gelu_row(const row_task *task, size_t row)
{
    const tess_kernels *kernels = task->compute->kernels;
    tess_gelu_erf_fn *gelu = task->is_tanh ? kernels->gelu_tanh : kernels->gelu_erf;
    float *x = task->y + row * task->n_col;
    gelu(x, x, task->n_col, task->compute->rounding);
    if (task->packed) kernels->pack(packed_of(task, row), x, task->n_col);
}

void tess_gelu_rows(const tess_compute *compute, float *packed, float *x, size_t n_col, int n_row,
                    bool is_tanh)
{
    run_rows((row_task){.compute = compute,
                        .do_row = gelu_row,
                        .packed = packed,
                        .y = x,
                        .n_col = n_col,
                        .n_row = n_row,
                        .is_tanh = is_tanh});
}

static void silu_row(const row_task *task, size_t row)
{
    float *x = task->y + row * task->n_col;
    for (size_t i = 0; i < task->n_col; i++) x[i] = tess_silu(x[i]);
    if (task->compute->rounding == TESS_ROUND_BF16) task->compute->kernels->round_bf16(x, task->n_col);
    task->compute->kernels->pack(packed_of(task, row), x, task->n_col);
}

void tess_silu_rows(const tess_compute *compute, float *packed, float *x, size_t n_col, int n_row)
{
    run_rows((row_task){
        .compute = compute, .do_row = silu_row, .packed = packed, .y = x, .n_col = n_col, .n_row = n_row});
}

static void swiglu_row(const row_task *task, size_t row)
{
    const tess_kernels *kernels = task->compute->kernels;
    size_t at = row * task->n_col;
    float *gate = task->y + at;
    kernels->swiglu(gate, gate, task->x + at, task->n_col, task->compute->rounding);
    kernels->pack(packed_of(task, row), gate, task->n_col);
}

void tess_swiglu_rows(const tess_compute *compute, float *packed, float *gate, const float *up, size_t n_col,
                      int n_row)
{
    run_rows((row_task){.compute = compute,
                        .do_row = swiglu_row,
                        .packed = packed,
                        .y = gate,
                        .x = up,
                        .n_col = n_col,
                        .n_row = n_row});
}
