#include "model/compute.h"

typedef struct linear_task {
    const tess_compute *compute;
    const tess_linear *linear;
    int n;
} linear_task;

/* A thread computes its share of rows of every product of the list. */
static void multiply_share(void *arg, int share, int n_share)
{
    const linear_task *task = arg;
    for (int i = 0; i < task->n; i++) {
        const tess_linear *l = &task->linear[i];
        int64_t begin, end;
        tess_share_range((int64_t)l->weight->n_row, TESS_ROW_GRAIN, share, n_share, &begin, &end);
        if (begin == end) continue;
        tess_matrix_multiply(task->compute->kernels, l->weight, l->out, l->out_stride, (size_t)begin,
                             (size_t)end, l->packed, (size_t)l->n_tok, task->compute->rounding);
    }
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
    const uint16_t *weight;
    size_t n_col;
    float eps;
    int n_row;
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
