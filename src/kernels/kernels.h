/* The arithmetic of Tessera: a table of pure functions over rows of numbers.
 *
 * Every operation has one plain reference and faster variants per instruction set; all of them give the
 * same bits for finite operands, whatever the blocking, so results do not depend on the machine.
 *
 * The canonical order of a dot product over n elements: lane i of TESS_DOT_LANES = 32 accumulates the
 * elements k = i (mod 32) in ascending k with a fused multiply-add, starting from +0; then lane i adds
 * lane i+16, then i+8, i+4, i+2, i+1. In a tail shorter than 32 the idle lanes keep what they hold.
 * Sums in norms and softmax are ordered likewise with 16 lanes.
 *
 * Conventions of every operation:
 *   - activations are float; in mode bf16 they hold values that bf16 can represent; weights are bf16 as
 *     uint16_t, aligned to 2 bytes only; float rows are aligned to 4 bytes only;
 *   - `rounding` says whether results are rounded to bf16 where the original rounds in that mode;
 *   - counts and strides are in elements; a count may be 0; operands overlap only where said;
 *   - nothing is allocated, printed or kept; no function fails; any thread may call any of them; up to
 *     96 KiB of stack are used;
 *   - the caller has set round-to-nearest with subnormals on (base/fpenv.h);
 *   - infinities and NaN are promised only in widen, round_bf16 and find_non_finite.
 */
#ifndef TESS_KERNELS_KERNELS_H
#define TESS_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/packed_weights.h"

#define TESS_DOT_LANES 32
#define TESS_SUM_LANES 16

/* Rows of a matrix product split among threads in multiples of this fill the tiles of every variant.
 * Packed rows that begin on 64 bytes are read faster; results do not depend on it. */
#define TESS_ROW_GRAIN 12

/* Queries that attention takes at once. */
#define TESS_QUERY_GRAIN 16

typedef enum tess_rounding {
    TESS_ROUND_NONE, /* mode f32: results stay float32 */
    TESS_ROUND_BF16  /* mode bf16: results are rounded to bf16, nearest even */
} tess_rounding;

/* Floats that one packed row of n_col elements takes: n_col rounded up to whole groups of 32. */
static inline size_t tess_packed_floats(size_t n_col)
{
    return (n_col + 31) / 32 * 32;
}

/* Prepares one activation row for tess_matmul_fn: packed[tess_packed_floats(n_col)] = x[n_col] in the
 * order the matmul of the same table reads; rows packed by another table are not understood. */
typedef void tess_pack_fn(float *packed, const float *x, size_t n_col);

/* Matrix product with bf16 weights, rows row_begin <= r < row_end of it:
 *
 *   y[t*y_stride + r] = round(dot(w[r, :], x_t))      0 <= t < n_tok
 *
 *   w       [n_row, n_col] bf16, row-major, the whole matrix
 *   packed  [n_tok, tess_packed_floats(n_col)], rows packed one after another
 *
 * n_tok = 1 is the matrix-vector product of decoding. The bits of an element depend on neither n_tok nor
 * the rows asked for, so rows may be split among threads at will. */
typedef void tess_matmul_fn(float *y, size_t y_stride, const uint16_t *w, size_t n_col, size_t row_begin,
                            size_t row_end, const float *packed, size_t n_tok, tess_rounding rounding);

/* The same with packed weights, and the same bits. */
typedef void tess_matmul_packed_fn(float *y, size_t y_stride, const tess_packed_weights *w, size_t n_col,
                                   size_t row_begin, size_t row_end, const float *packed, size_t n_tok,
                                   tess_rounding rounding);

/* Tokens that tess_matmul_columns_fn takes at once; more are taken in groups of about so many. */
#define TESS_COLUMN_GRAIN 12

/* Floats of scratch that tess_matmul_columns_fn needs. */
static inline size_t tess_columns_floats(size_t n_row, size_t n_tok)
{
    return n_row * (8 + (n_tok + TESS_COLUMN_GRAIN - 1) / TESS_COLUMN_GRAIN * TESS_COLUMN_GRAIN);
}

/* Matrix product with the first n_col columns of bf16 weights:
 *
 *   y[t*y_stride + c] = dot(w[:, c], x_t)                 0 <= t < n_tok, 0 <= c < n_col
 *
 *   w        [n_row, w_stride] bf16, row-major
 *   x        [n_tok, n_row]
 *   n_lane   32, the canonical dot product, or 16: the same with lanes k = i (mod 16), whose tree begins with
 *            lane i+8. A canonical dot whose elements alternate between two sums, as those of a transposed
 *            convolution with two taps do, is the sum of two of 16 lanes.
 *   scratch  [tess_columns_floats(n_row, n_tok)]
 *
 * Nothing is rounded. The bits of an element depend on neither n_tok nor n_col. */
typedef void tess_matmul_columns_fn(float *y, size_t y_stride, const uint16_t *w, size_t w_stride,
                                    size_t n_row, size_t n_col, const float *x, size_t n_tok, size_t n_lane,
                                    float *scratch);

/* The same with columns first .. first+n_col-1 of packed weights, and the same bits. */
typedef void tess_matmul_columns_packed_fn(float *y, size_t y_stride, const tess_packed_weights *w,
                                           size_t n_row, size_t first, size_t n_col, const float *x,
                                           size_t n_tok, size_t n_lane, float *scratch);

/* The canonical dot product of a[n] and b[n]. */
typedef float tess_dot_fn(const float *a, const float *b, size_t n);

/* Attention of n_query queries that share one key-value head. Each n_together >= 1 of them are a row: the
 * first row sees n_key >= 1 keys, every other one more than the row before it. (n_together = n_query: all see
 * the same keys.) Each query by itself, n the keys that it sees:
 *
 *   s[j]   = round(round(dot(q, key_j)) * scale)          0 <= j < n
 *   p      = round(softmax(s))
 *   out[e] = round(sum over ascending j of p[j] * value_j[e]), fused multiply-add from +0
 *
 *   out, q  [n_query, d_head]
 *   keys, values  key_j = keys + j*kv_stride, value_j likewise; key 0 is absolute position 0
 *   scores  scratch [n_query, the keys that the last query sees]
 *
 * Keys and values that lie next to each other (kv_stride = d_head) are read twice as fast as those of a head
 * among the others. The bits of a query do not depend on n_query. TESS_QUERY_GRAIN queries at once are the
 * fastest: more are taken in groups of that many, and their scores should stay in the L2 cache. */
typedef void tess_attend_fn(float *out, const float *q, size_t n_query, size_t n_together, const float *keys,
                            const float *values, size_t kv_stride, size_t n_key, size_t d_head, float scale,
                            float *scores, tess_rounding rounding);

/* The same with keys and values in bf16, and the bits that they give widened; d_head <= TESS_NARROW_MAX_HEAD.
 */
#define TESS_NARROW_MAX_HEAD 4096
typedef void tess_attend_narrow_fn(float *out, const float *q, size_t n_query, size_t n_together,
                                   const uint16_t *keys, const uint16_t *values, size_t kv_stride,
                                   size_t n_key, size_t d_head, float scale, float *scores,
                                   tess_rounding rounding);

/* x[n] = softmax(x), float32: maximum, exp, 16-lane sum, division. */
typedef void tess_softmax_fn(float *x, size_t n);

/* y[i] = round(round(x[i] * (1 / sqrt(sum(x*x)/n + eps))) * weight[i]), n >= 1. y may be x. */
typedef void tess_rms_norm_fn(float *y, const float *x, const uint16_t *weight, size_t n, float eps,
                              tess_rounding rounding);

/* y[i] = round((x[i] - mean) * (1 / sqrt(sum((x - mean)^2)/n + eps)) * weight[i] + bias[i]), mean = sum(x)/n,
 * the last product and sum fused, n >= 1. y may be x. */
typedef void tess_layer_norm_fn(float *y, const float *x, const uint16_t *weight, const uint16_t *bias,
                                size_t n, float eps, tess_rounding rounding);

/* y[i] = round(y[i] + bias[i]). */
typedef void tess_add_bias_fn(float *y, const uint16_t *bias, size_t n, tess_rounding rounding);

/* y[i] = round(x[i]/2 * (1 + erf(x[i] / sqrt(2)))). y may be x. */
typedef void tess_gelu_erf_fn(float *y, const float *x, size_t n, tess_rounding rounding);

/* y[i] = round(x[i]/2 * (1 + tanh(sqrt(2/pi) * (x[i] + 0.044715 x[i]^3)))). y may be x. */
typedef void tess_gelu_tanh_fn(float *y, const float *x, size_t n, tess_rounding rounding);

/* h[i] = round(round(silu(gate[i])) * up[i]), silu(x) = x / (1 + exp(-x)). h may be gate or up. */
typedef void tess_swiglu_fn(float *h, const float *gate, const float *up, size_t n, tess_rounding rounding);

/* Rotates one head in place, pairing element i with i + d_head/2 (d_head even):
 *
 *   x[i]            = round(round(x[i]*cos[i]) - round(x[i+d_head/2]*sin[i]))
 *   x[i+d_head/2]   = round(round(x[i+d_head/2]*cos[i]) + round(x[i]*sin[i]))
 *
 * cos, sin [d_head/2]. The products are rounded (to float32 or bf16) before they are added. */
typedef void tess_rope_fn(float *x, const float *cosines, const float *sines, size_t d_head,
                          tess_rounding rounding);

/* y[i] = round(y[i] + x[i]). */
typedef void tess_add_fn(float *y, const float *x, size_t n, tess_rounding rounding);

/* acc[i] = round(acc[i] + round(x[i] * weight)), the product rounded before the sum in mode f32 too. */
typedef void tess_add_scaled_fn(float *acc, const float *x, float weight, size_t n, tess_rounding rounding);

/* acc[i] = round(acc[i] + round(x[i] * scale[i])). */
typedef void tess_add_layer_scale_fn(float *acc, const float *x, const uint16_t *scale, size_t n,
                                     tess_rounding rounding);

/* Most taps of a depthwise convolution. */
#define TESS_DEPTHWISE_TAPS 16

/* A convolution channel by channel, 1 <= n_tap <= TESS_DEPTHWISE_TAPS:
 *
 *   y[t, c] = round(dot(w[c, :], x[t .. t+n_tap-1, c]) + bias[c])
 *
 * y [n_row, n_channel], x [n_row + n_tap - 1, n_channel], w [n_channel, n_tap]. */
typedef void tess_depthwise_fn(float *y, const float *x, const uint16_t *w, const uint16_t *bias,
                               size_t n_channel, size_t n_tap, size_t n_row, tess_rounding rounding);

/* SnakeBeta, row by row, [n_row, n_channel], every step rounded:
 *
 *   y = x + 1/(exp(beta[c]) + 1e-9) * sin(x * exp(alpha[c]))^2
 *
 * The product with x may be of any size: sin is as elementary.h says. y may be x. */
typedef void tess_snake_fn(float *y, const float *x, const uint16_t *alpha, const uint16_t *beta,
                           size_t n_channel, size_t n_row, tess_rounding rounding);

/* y[i] = x[i] widened from bf16 to float32, exactly: any pattern. */
typedef void tess_widen_fn(float *y, const uint16_t *x, size_t n);

/* Rounds x[n] in place to the nearest bf16, ties to even; subnormals and signed zeros are kept, what
 * overflows becomes an infinity, a NaN stays a NaN. */
typedef void tess_round_bf16_fn(float *x, size_t n);

/* The index of the first infinity or NaN in x[n]; n if there is none. */
typedef size_t tess_find_non_finite_fn(const float *x, size_t n);

/* One function per operation, the fastest of those allowed. Plain data: copy it, keep as many as wanted. */
typedef struct tess_kernels {
    const char *name; /* the strongest instruction set in use: "reference", "avx2", "avx512", "neon" */
    tess_pack_fn *pack;
    tess_matmul_fn *matmul;
    tess_matmul_packed_fn *matmul_packed;
    tess_matmul_columns_fn *matmul_columns;
    tess_matmul_columns_packed_fn *matmul_columns_packed;
    tess_dot_fn *dot;
    tess_attend_fn *attend;
    tess_attend_narrow_fn *attend_narrow;
    tess_softmax_fn *softmax;
    tess_rms_norm_fn *rms_norm;
    tess_layer_norm_fn *layer_norm;
    tess_add_bias_fn *add_bias;
    tess_gelu_erf_fn *gelu_erf;
    tess_gelu_tanh_fn *gelu_tanh;
    tess_swiglu_fn *swiglu;
    tess_rope_fn *rope;
    tess_add_fn *add;
    tess_add_scaled_fn *add_scaled;
    tess_add_layer_scale_fn *add_layer_scale;
    tess_depthwise_fn *depthwise;
    tess_snake_fn *snake;
    tess_widen_fn *widen;
    tess_round_bf16_fn *round_bf16;
    tess_find_non_finite_fn *find_non_finite;
} tess_kernels;

/* Instruction sets, as bits of a mask; the empty mask is the reference. */
enum {
    TESS_CPU_AVX2FMA = 1u << 0, /* AVX2 and FMA */
    TESS_CPU_AVX512 = 1u << 1,  /* AVX-512 F, BW, DQ, VL */
    TESS_CPU_NEON = 1u << 2     /* Advanced SIMD of AArch64 */
};

/* What this processor and its operating system can run. */
unsigned tess_cpu_mask(void);

/* Fills the table from the weakest to the strongest instruction set in cpu_mask. The mask can only take
 * away: bits that tess_cpu_mask() does not have are ignored. */
void tess_kernels_init(tess_kernels *k, unsigned cpu_mask);

/* Translates a name ("reference", "avx2", "avx512", "neon", "auto") to the mask for tess_kernels_init.
 * False if the name is unknown; *mask is then untouched. */
bool tess_isa_from_name(const char *name, unsigned *mask);

/* Whether this build and this processor can run everything in mask. */
bool tess_isa_available(unsigned mask);

#endif
