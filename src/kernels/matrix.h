/* One view of a weight matrix, whatever form its bytes have, and the one place that dispatches on the form.
 *
 * Products, row reads and norms take a matrix and never its bytes; a further form costs a kernel file and a
 * line in matrix.c. A view is plain data and owns nothing: its bytes live as long as whoever lent it says.
 */
#ifndef TESS_KERNELS_MATRIX_H
#define TESS_KERNELS_MATRIX_H

#include "kernels/kernels.h"

typedef enum tess_weight_format {
    TESS_FORMAT_BF16,   /* two bytes an element, row-major, rows dense, aligned to 2 bytes only */
    TESS_FORMAT_PACKED, /* packed_weights.h */
} tess_weight_format;

typedef struct tess_matrix {
    const void *bytes; /* NULL: there is no such matrix */
    size_t n_row, n_col;
    tess_weight_format format;
} tess_matrix;

/* y[t*y_stride + r] = round(dot(w[r, :], x_t)) for row_begin <= r < row_end, as tess_matmul_fn says. */
void tess_matrix_multiply(const tess_kernels *kernels, const tess_matrix *w, float *y, size_t y_stride,
                          size_t row_begin, size_t row_end, const float *packed, size_t n_tok,
                          tess_rounding rounding);

/* y[t*y_stride + c] = dot(w[:, first + c], x_t) for 0 <= c < n_col, as tess_matmul_columns_fn says. */
void tess_matrix_multiply_columns(const tess_kernels *kernels, const tess_matrix *w, float *y,
                                  size_t y_stride, size_t first, size_t n_col, const float *x, size_t n_tok,
                                  size_t n_lane, float *scratch);

/* out[n_col] = the elements of one row, exactly. */
void tess_matrix_read_row(const tess_kernels *kernels, const tess_matrix *w, size_t row, float *out);

/* The elements of a vector (one row), which is always plain bf16: norms, which are small. */
const uint16_t *tess_matrix_get_vector(const tess_matrix *w);

#endif
