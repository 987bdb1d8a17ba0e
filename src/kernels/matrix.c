#include "kernels/matrix.h"

enum { PART_OF_ROW = 512 /* elements unpacked at once */ };

static tess_packed_weights packed_view(const tess_matrix *w)
{
    return tess_packed_weights_at(w->bytes, w->n_row, w->n_col);
}

void tess_matrix_multiply(const tess_kernels *kernels, const tess_matrix *w, float *y, size_t y_stride,
                          size_t row_begin, size_t row_end, const float *packed, size_t n_tok,
                          tess_rounding rounding)
{
    switch (w->format) {
    case TESS_FORMAT_BF16:
        kernels->matmul(y, y_stride, w->bytes, w->n_col, row_begin, row_end, packed, n_tok, rounding);
        return;
    case TESS_FORMAT_PACKED: {
        const tess_packed_weights view = packed_view(w);
        kernels->matmul_packed(y, y_stride, &view, w->n_col, row_begin, row_end, packed, n_tok, rounding);
        return;
    }
    }
}

void tess_matrix_multiply_columns(const tess_kernels *kernels, const tess_matrix *w, float *y,
                                  size_t y_stride, size_t first, size_t n_col, const float *x, size_t n_tok,
                                  size_t n_lane, float *scratch)
{
    switch (w->format) {
    case TESS_FORMAT_BF16:
        kernels->matmul_columns(y, y_stride, (const uint16_t *)w->bytes + first, w->n_col, w->n_row, n_col, x,
                                n_tok, n_lane, scratch);
        return;
    case TESS_FORMAT_PACKED: {
        const tess_packed_weights view = packed_view(w);
        kernels->matmul_columns_packed(y, y_stride, &view, w->n_row, first, n_col, x, n_tok, n_lane, scratch);
        return;
    }
    }
}

void tess_matrix_read_row(const tess_kernels *kernels, const tess_matrix *w, size_t row, float *out)
{
    switch (w->format) {
    case TESS_FORMAT_BF16:
        kernels->widen(out, (const uint16_t *)w->bytes + row * w->n_col, w->n_col);
        return;
    case TESS_FORMAT_PACKED: {
        const tess_packed_weights view = packed_view(w);
        uint16_t part[PART_OF_ROW];
        for (size_t k = 0; k < w->n_col; k += PART_OF_ROW) {
            const size_t n = w->n_col - k < PART_OF_ROW ? w->n_col - k : PART_OF_ROW;
            tess_packed_read(part, &view, row, k, n);
            kernels->widen(out + k, part, n);
        }
        return;
    }
    }
}

const uint16_t *tess_matrix_get_vector(const tess_matrix *w)
{
    return w->bytes;
}
