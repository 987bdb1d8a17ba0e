/* With what a model computes, and the operations over rows of tokens that every box of it is made of.
 *
 * Work is split among the pool's threads by rows of weights or by tokens, never inside a sum, so the bits do
 * not depend on the number of threads. Nothing is allocated and nothing fails. One caller at a time.
 */
#ifndef TESS_MODEL_COMPUTE_H
#define TESS_MODEL_COMPUTE_H

#include "base/pool.h"
#include "kernels/matrix.h"

typedef struct tess_compute {
    const tess_kernels *kernels;
    tess_pool *pool;
    tess_rounding rounding;
} tess_compute;

/* Whether what a step keeps of its rows is rounded to bf16, so that half the bytes hold it. */
static inline bool tess_compute_is_narrow(const tess_compute *compute)
{
    return compute->rounding == TESS_ROUND_BF16;
}

/* A product of packed rows with a matrix: out[t*out_stride + r] = round(dot(w[r, :], x_t) + bias[r]). With a
 * bias the product itself is not rounded. */
typedef struct tess_linear {
    const tess_matrix *weight; /* [n_out, n_in] */
    const float *packed;       /* [n_tok, tess_packed_floats(n_in)] */
    int n_tok;
    float *out;
    size_t out_stride;
    const uint16_t *bias; /* [n_out] bf16; NULL: none */
} tess_linear;

/* The product with all rows of a matrix, dense in out[n_tok, n_out]; bias may be NULL. */
tess_linear tess_linear_make(const tess_matrix *weight, const tess_matrix *bias, const float *packed,
                             int n_tok, float *out);

/* Runs n products that do not read each other's results. */
void tess_linear_run(const tess_compute *compute, const tess_linear *linear, int n);

/* packed[n_row, tess_packed_floats(n_col)] = x[n_row, n_col] in the order that products read. */
void tess_pack_rows(const tess_compute *compute, float *packed, const float *x, size_t n_col, int n_row);

/* y = rms_norm(x) row by row, [n_row, n_col]. */
void tess_rms_norm_rows(const tess_compute *compute, float *y, const float *x, const uint16_t *weight,
                        size_t n_col, double eps, int n_row);

/* y = layer_norm(x) row by row, [n_row, n_col]. y may be x. */
void tess_layer_norm_rows(const tess_compute *compute, float *y, const float *x, const uint16_t *weight,
                          const uint16_t *bias, size_t n_col, double eps, int n_row);

/* y += x, [n_row, n_col]. */
void tess_add_rows(const tess_compute *compute, float *y, const float *x, size_t n_col, int n_row);

/* x = gelu(x), [n_row, n_col], by tanh or by erf, and packed likewise in the order that products read; packed
 * may be NULL. */
void tess_gelu_rows(const tess_compute *compute, float *packed, float *x, size_t n_col, int n_row,
                    bool is_tanh);

/* x = silu(x), [n_row, n_col], and packed likewise in the order that products read. */
void tess_silu_rows(const tess_compute *compute, float *packed, float *x, size_t n_col, int n_row);

/* gate = silu(gate) * up, [n_row, n_col], and packed likewise in the order that products read. */
void tess_swiglu_rows(const tess_compute *compute, float *packed, float *gate, const float *up, size_t n_col,
                      int n_row);

#endif
