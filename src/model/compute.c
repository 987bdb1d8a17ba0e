#include "model/compute.h"

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
    float *packed, *y;
    const float *x;
    const uint16_t *weight, *bias;
    size_t n_col;
    float eps;
    int n_row;
    bool is_tanh;
} row_task;

/* A single row is not worth waking the threads for. */
static void run_rows(const tess_compute *compute, tess_task *do_share, row_task *task)
{
    if (task->n_row == 1)
        do_share(task, 0, 1);
    else
        tess_pool_run(compute->pool, do_share, task);
}

static void pack_share(void *arg, int share, int n_share)
{
    const row_task *task = arg;
    size_t width = tess_packed_floats(task->n_col);
    int64_t begin, end;
    tess_share_range(task->n_row, 1, share, n_share, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++)
        task->compute->kernels->pack(task->packed + i * width, task->x + i * task->n_col, task->n_col);
}

void tess_pack_rows(const tess_compute *compute, float *packed, const float *x, size_t n_col, int n_row)
{
    row_task task = {.compute = compute, .packed = packed, .x = x, .n_col = n_col, .n_row = n_row};
    run_rows(compute, pack_share, &task);
}

static void rms_norm_share(void *arg, int share, int n_share)
{
    const row_task *task = arg;
    int64_t begin, end;
    tess_share_range(task->n_row, 1, share, n_share, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++)
        task->compute->kernels->rms_norm(task->y + i * task->n_col, task->x + i * task->n_col, task->weight,
                                         task->n_col, task->eps, task->compute->rounding);
}

void tess_rms_norm_rows(const tess_compute *compute, float *y, const float *x, const uint16_t *weight,
                        size_t n_col, double eps, int n_row)
{
    row_task task = {.compute = compute,
                     .y = y,
                     .x = x,
                     .weight = weight,
                     .n_col = n_col,
                     .eps = (float)eps,
                     .n_row = n_row};
    run_rows(compute, rms_norm_share, &task);
}

static void layer_norm_share(void *arg, int share, int n_share)
{
    const row_task *task = arg;
    int64_t begin, end;
    tess_share_range(task->n_row, 1, share, n_share, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++)
        task->compute->kernels->layer_norm(task->y + i * task->n_col, task->x + i * task->n_col, task->weight,
                                           task->bias, task->n_col, task->eps, task->compute->rounding);
}

void tess_layer_norm_rows(const tess_compute *compute, float *y, const float *x, const uint16_t *weight,
                          const uint16_t *bias, size_t n_col, double eps, int n_row)
{
    row_task task = {.compute = compute,
                     .y = y,
                     .x = x,
                     .weight = weight,
                     .bias = bias,
                     .n_col = n_col,
                     .eps = (float)eps,
                     .n_row = n_row};
    run_rows(compute, layer_norm_share, &task);
}

static void add_share(void *arg, int share, int n_share)
{
    const row_task *task = arg;
    int64_t begin, end;
    tess_share_range(task->n_row, 1, share, n_share, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++)
        task->compute->kernels->add(task->y + i * task->n_col, task->x + i * task->n_col, task->n_col,
                                    task->compute->rounding);
}

void tess_add_rows(const tess_compute *compute, float *y, const float *x, size_t n_col, int n_row)
{
    row_task task = {.compute = compute, .y = y, .x = x, .n_col = n_col, .n_row = n_row};
    run_rows(compute, add_share, &task);
}

static void gelu_share(void *arg, int share, int n_share)
{
    const row_task *task = arg;
    const tess_kernels *kernels = task->compute->kernels;
    tess_gelu_erf_fn *gelu = task->is_tanh ? kernels->gelu_tanh : kernels->gelu_erf;
    size_t width = tess_packed_floats(task->n_col);
    int64_t begin, end;
    tess_share_range(task->n_row, 1, share, n_share, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        float *row = task->y + i * task->n_col;
        gelu(row, row, task->n_col, task->compute->rounding);
        if (task->packed) kernels->pack(task->packed + i * width, row, task->n_col);
    }
}

void tess_gelu_rows(const tess_compute *compute, float *packed, float *x, size_t n_col, int n_row,
                    bool is_tanh)
{
    row_task task = {
        .compute = compute, .packed = packed, .y = x, .n_col = n_col, .n_row = n_row, .is_tanh = is_tanh};
    run_rows(compute, gelu_share, &task);
}

static void swiglu_share(void *arg, int share, int n_share)
{
    const row_task *task = arg;
    size_t width = tess_packed_floats(task->n_col);
    int64_t begin, end;
    tess_share_range(task->n_row, 1, share, n_share, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        float *gate = task->y + i * task->n_col;
        task->compute->kernels->swiglu(gate, gate, task->x + i * task->n_col, task->n_col,
                                       task->compute->rounding);
        task->compute->kernels->pack(task->packed + i * width, gate, task->n_col);
    }
}

void tess_swiglu_rows(const tess_compute *compute, float *packed, float *gate, const float *up, size_t n_col,
                      int n_row)
{
    row_task task = {
        .compute = compute, .packed = packed, .y = gate, .x = up, .n_col = n_col, .n_row = n_row};
    run_rows(compute, swiglu_share, &task);
}
