/* Every operation in plain C, written to be obviously what kernels.h says. It judges the other variants
 * and runs on any machine; speed is no concern here. */
#include <math.h>

#include "kernels/elementary.h"
#include "kernels/kernel_list.h"

static float rounded(float x, tess_rounding rounding)
{
    return rounding == TESS_ROUND_BF16 ? tess_round_bf16(x) : x;
}

static float widened(uint16_t x)
{
    return tess_float_of_bits((uint32_t)x << 16);
}

static float unpacked(const tess_packed_weights *w, size_t row, size_t k)
{
    uint16_t weight;
    tess_packed_read(&weight, w, row, k, 1);
    return widened(weight);
}

/* Adds lane i+n/2 to lane i, then i+n/4, ... i+1. */
static float add_lanes(float *lane, size_t n_lane)
{
    for (size_t half = n_lane / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

void tess_pack_f32_reference(float *packed, const float *x, size_t n_col)
{
    for (size_t k = 0; k < tess_packed_floats(n_col); k++) packed[k] = k < n_col ? x[k] : 0.0f;
}

static float dot_bf16(const uint16_t *w, const float *x, size_t n)
{
    float lane[TESS_DOT_LANES] = {0};
    for (size_t k = 0; k < n; k++)
        lane[k % TESS_DOT_LANES] = fmaf(widened(w[k]), x[k], lane[k % TESS_DOT_LANES]);
    return add_lanes(lane, TESS_DOT_LANES);
}

void tess_matmul_bf16_reference(float *y, size_t y_stride, const uint16_t *w, size_t n_col, size_t row_begin,
                                size_t row_end, const float *packed, size_t n_tok, tess_rounding rounding)
{
    for (size_t t = 0; t < n_tok; t++)
        for (size_t r = row_begin; r < row_end; r++)
            y[t * y_stride + r] =
                rounded(dot_bf16(w + r * n_col, packed + t * tess_packed_floats(n_col), n_col), rounding);
}

void tess_matmul_packed_bf16_reference(float *y, size_t y_stride, const tess_packed_weights *w, size_t n_col,
                                       size_t row_begin, size_t row_end, const float *packed, size_t n_tok,
                                       tess_rounding rounding)
{
    for (size_t t = 0; t < n_tok; t++)
        for (size_t r = row_begin; r < row_end; r++) {
            const float *x = packed + t * tess_packed_floats(n_col);
            float lane[TESS_DOT_LANES] = {0};
            for (size_t k = 0; k < n_col; k++)
                lane[k % TESS_DOT_LANES] = fmaf(unpacked(w, r, k), x[k], lane[k % TESS_DOT_LANES]);
            y[t * y_stride + r] = rounded(add_lanes(lane, TESS_DOT_LANES), rounding);
        }
}

void tess_matmul_columns_bf16_reference(float *y, size_t y_stride, const uint16_t *w, size_t w_stride,
                                        size_t n_row, size_t n_col, const float *x, size_t n_tok,
                                        size_t n_lane, float *scratch)
{
    (void)scratch;
    for (size_t t = 0; t < n_tok; t++)
        for (size_t c = 0; c < n_col; c++) {
            float lane[TESS_DOT_LANES] = {0};
            for (size_t k = 0; k < n_row; k++)
                lane[k % n_lane] = fmaf(widened(w[k * w_stride + c]), x[t * n_row + k], lane[k % n_lane]);
            y[t * y_stride + c] = add_lanes(lane, n_lane);
        }
}

void tess_matmul_columns_packed_bf16_reference(float *y, size_t y_stride, const tess_packed_weights *w,
                                               size_t n_row, size_t first, size_t n_col, const float *x,
                                               size_t n_tok, size_t n_lane, float *scratch)
{
    (void)scratch;
    for (size_t t = 0; t < n_tok; t++)
        for (size_t c = 0; c < n_col; c++) {
            float lane[TESS_DOT_LANES] = {0};
            for (size_t k = 0; k < n_row; k++)
                lane[k % n_lane] = fmaf(unpacked(w, k, first + c), x[t * n_row + k], lane[k % n_lane]);
            y[t * y_stride + c] = add_lanes(lane, n_lane);
        }
}

float tess_dot_f32_reference(const float *a, const float *b, size_t n)
{
    float lane[TESS_DOT_LANES] = {0};
    for (size_t k = 0; k < n; k++) lane[k % TESS_DOT_LANES] = fmaf(a[k], b[k], lane[k % TESS_DOT_LANES]);
    return add_lanes(lane, TESS_DOT_LANES);
}

void tess_softmax_f32_reference(float *x, size_t n)
{
    if (n == 0) return;
    float max = x[0];
    for (size_t i = 1; i < n; i++)
        if (x[i] > max) max = x[i];
    float lane[TESS_SUM_LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        x[i] = tess_exp(x[i] - max);
        lane[i % TESS_SUM_LANES] += x[i];
    }
    const float sum = add_lanes(lane, TESS_SUM_LANES);
    for (size_t i = 0; i < n; i++) x[i] = x[i] / sum;
}

/* Keys or values, in one of two forms. */
typedef struct attended {
    const float *wide; /* NULL: */
    const uint16_t *narrow;
} attended;

static float element_of(const attended *rows, size_t i)
{
    return rows->wide ? rows->wide[i] : widened(rows->narrow[i]);
}

static float dot_attended(const float *q, const attended *keys, size_t first, size_t n)
{
    float lane[TESS_DOT_LANES] = {0};
    for (size_t k = 0; k < n; k++)
        lane[k % TESS_DOT_LANES] = fmaf(q[k], element_of(keys, first + k), lane[k % TESS_DOT_LANES]);
    return add_lanes(lane, TESS_DOT_LANES);
}

static void attend_one(float *out, const float *q, const attended *keys, const attended *values,
                       size_t kv_stride, size_t n_key, size_t d_head, float scale, float *scores,
                       tess_rounding rounding)
{
    for (size_t j = 0; j < n_key; j++) {
        const float s = rounded(dot_attended(q, keys, j * kv_stride, d_head), rounding);
        scores[j] = rounded(s * scale, rounding);
    }
    tess_softmax_f32_reference(scores, n_key);
    for (size_t j = 0; j < n_key; j++) scores[j] = rounded(scores[j], rounding);
    for (size_t e = 0; e < d_head; e++) {
        float sum = 0.0f;
        for (size_t j = 0; j < n_key; j++) sum = fmaf(scores[j], element_of(values, j * kv_stride + e), sum);
        out[e] = rounded(sum, rounding);
    }
}

void tess_attend_f32_reference(float *out, const float *q, size_t n_query, size_t n_together,
                               const float *keys, const float *values, size_t kv_stride, size_t n_key,
                               size_t d_head, float scale, float *scores, tess_rounding rounding)
{
    for (size_t h = 0; h < n_query; h++)
        attend_one(out + h * d_head, q + h * d_head, &(attended){.wide = keys}, &(attended){.wide = values},
                   kv_stride, n_key + h / n_together, d_head, scale, scores, rounding);
}

void tess_attend_narrow_bf16_reference(float *out, const float *q, size_t n_query, size_t n_together,
                                       const uint16_t *keys, const uint16_t *values, size_t kv_stride,
                                       size_t n_key, size_t d_head, float scale, float *scores,
                                       tess_rounding rounding)
{
    for (size_t h = 0; h < n_query; h++)
        attend_one(out + h * d_head, q + h * d_head, &(attended){.narrow = keys},
                   &(attended){.narrow = values}, kv_stride, n_key + h / n_together, d_head, scale, scores,
                   rounding);
}

void tess_rms_norm_bf16_reference(float *y, const float *x, const uint16_t *weight, size_t n, float eps,
                                  tess_rounding rounding)
{
    float lane[TESS_SUM_LANES] = {0};
    for (size_t i = 0; i < n; i++) lane[i % TESS_SUM_LANES] = fmaf(x[i], x[i], lane[i % TESS_SUM_LANES]);
    const float mean = add_lanes(lane, TESS_SUM_LANES) / (float)n;
    const float inverse = 1.0f / sqrtf(mean + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = rounded(rounded(x[i] * inverse, rounding) * widened(weight[i]), rounding);
}

void tess_layer_norm_bf16_reference(float *y, const float *x, const uint16_t *weight, const uint16_t *bias,
                                    size_t n, float eps, tess_rounding rounding)
{
    float lane[TESS_SUM_LANES] = {0}, square[TESS_SUM_LANES] = {0};
    for (size_t i = 0; i < n; i++) lane[i % TESS_SUM_LANES] += x[i];
    const float mean = add_lanes(lane, TESS_SUM_LANES) / (float)n;
    for (size_t i = 0; i < n; i++) {
        const float deviation = x[i] - mean;
        square[i % TESS_SUM_LANES] = fmaf(deviation, deviation, square[i % TESS_SUM_LANES]);
    }
    const float variance = add_lanes(square, TESS_SUM_LANES) / (float)n;
    const float inverse = 1.0f / sqrtf(variance + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = rounded(fmaf((x[i] - mean) * inverse, widened(weight[i]), widened(bias[i])), rounding);
}

void tess_add_bias_bf16_reference(float *y, const uint16_t *bias, size_t n, tess_rounding rounding)
{
    for (size_t i = 0; i < n; i++) y[i] = rounded(y[i] + widened(bias[i]), rounding);
}

void tess_gelu_erf_f32_reference(float *y, const float *x, size_t n, tess_rounding rounding)
{
    for (size_t i = 0; i < n; i++) y[i] = rounded(tess_gelu_erf(x[i]), rounding);
}

void tess_gelu_tanh_f32_reference(float *y, const float *x, size_t n, tess_rounding rounding)
{
    for (size_t i = 0; i < n; i++) y[i] = rounded(tess_gelu_tanh(x[i]), rounding);
}

void tess_swiglu_f32_reference(float *h, const float *gate, const float *up, size_t n, tess_rounding rounding)
{
    for (size_t i = 0; i < n; i++) h[i] = rounded(rounded(tess_silu(gate[i]), rounding) * up[i], rounding);
}

void tess_rope_f32_reference(float *x, const float *cosines, const float *sines, size_t d_head,
                             tess_rounding rounding)
{
    const size_t half = d_head / 2;
    for (size_t i = 0; i < half; i++) {
        const float a = x[i], b = x[i + half];
        x[i] = rounded(rounded(a * cosines[i], rounding) - rounded(b * sines[i], rounding), rounding);
        x[i + half] = rounded(rounded(b * cosines[i], rounding) + rounded(a * sines[i], rounding), rounding);
    }
}

void tess_add_f32_reference(float *y, const float *x, size_t n, tess_rounding rounding)
{
    for (size_t i = 0; i < n; i++) y[i] = rounded(y[i] + x[i], rounding);
}

void tess_add_scaled_f32_reference(float *acc, const float *x, float weight, size_t n, tess_rounding rounding)
{
    for (size_t i = 0; i < n; i++) acc[i] = rounded(acc[i] + rounded(x[i] * weight, rounding), rounding);
}

void tess_add_layer_scale_bf16_reference(float *acc, const float *x, const uint16_t *scale, size_t n,
                                         tess_rounding rounding)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = rounded(acc[i] + rounded(x[i] * widened(scale[i]), rounding), rounding);
}

void tess_depthwise_bf16_reference(float *y, const float *x, const uint16_t *w, const uint16_t *bias,
                                   size_t n_channel, size_t n_tap, size_t n_row, tess_rounding rounding)
{
    for (size_t row = 0; row < n_row; row++)
        for (size_t c = 0; c < n_channel; c++) {
            float lane[TESS_DOT_LANES] = {0};
            for (size_t k = 0; k < n_tap; k++)
                lane[k] = fmaf(widened(w[c * n_tap + k]), x[(row + k) * n_channel + c], lane[k]);
            y[row * n_channel + c] = rounded(add_lanes(lane, TESS_DOT_LANES) + widened(bias[c]), rounding);
        }
}

void tess_snake_bf16_reference(float *y, const float *x, const uint16_t *alpha, const uint16_t *beta,
                               size_t n_channel, size_t n_row, tess_rounding rounding)
{
    for (size_t c = 0; c < n_channel; c++) {
        const float a = rounded(tess_exp(widened(alpha[c])), rounding);
        const float b = rounded(tess_exp(widened(beta[c])), rounding);
        const float inverse = rounded(1.0f / rounded(b + TESS_SNAKE_LEAST, rounding), rounding);
        for (size_t row = 0; row < n_row; row++) {
            const float from = x[row * n_channel + c];
            const float sine = rounded(tess_sin(rounded(from * a, rounding)), rounding);
            y[row * n_channel + c] =
                rounded(from + rounded(inverse * rounded(sine * sine, rounding), rounding), rounding);
        }
    }
}

void tess_widen_bf16_reference(float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = widened(x[i]);
}

void tess_round_bf16_f32_reference(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = tess_round_bf16(x[i]);
}

size_t tess_find_non_finite_f32_reference(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((tess_bits_of_float(x[i]) & 0x7f800000u) == 0x7f800000u) return i;
    return n;
}
