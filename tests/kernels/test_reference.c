/* The plain reference against the same formulas in double precision, within bounds derived from the number of
 * roundings; and the exact operations against an independent definition. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/elementary.h"
#include "kernels/kernels.h"

enum { MAX = 2048 };

static const double u = 0x1p-24;      /* half a unit in the last place of 1, float32 */
static const double u_bf16 = 0x1p-8;  /* the same for bf16 */
static const double exp_error = 3e-7; /* relative, of tess_exp with its argument exact */

static tess_kernels k;
static float a[MAX], b[MAX], c[MAX], packed[MAX * 4], out[MAX];
static uint16_t w[MAX * 4];

static uint32_t state = 1;

static float draw(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 4194304.0f - 2.0f;
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = draw();
}

static void fill_bf16(uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (uint16_t)(tess_bits_of_float(tess_round_bf16(draw())) >> 16);
}

static double of_bf16(uint16_t x)
{
    return (double)tess_float_of_bits((uint32_t)x << 16);
}

static bool is_bf16(float x)
{
    return (tess_bits_of_float(x) & 0xffffu) == 0;
}

/* Keeps the largest share of its bound that any error reached. */
typedef struct worst {
    double share, error;
    size_t n;
} worst;

static void note(worst *m, double got, double want, double bound)
{
    const double error = fabs(got - want);
    if (error / bound > m->share) m->share = error / bound;
    if (error > m->error) m->error = error;
    m->n++;
}

static void finish(const worst *m, const char *what)
{
    printf("# %s: %zu values, largest error %.3g, at most %.3f of the bound\n", what, m->n, m->error,
           m->share);
    assert_true(m->n > 0);
    assert_true(m->share <= 1.0);
    assert_true(m->share > 0.0 || m->error == 0.0);
}

/* Fused multiply-adds in 32 lanes, then five additions. */
static double dot_bound(double magnitude, size_t n)
{
    return ((double)(n / 32) + 7) * u * magnitude + 1e-45;
}

static void test_dot(void **unused)
{
    (void)unused;
    worst m = {0, 0, 0};
    for (size_t n = 1; n <= MAX; n = n * 5 / 4 + 1) {
        fill(a, n);
        fill(b, n);
        double sum = 0, magnitude = 0;
        for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i], magnitude += fabs((double)a[i] * b[i]);
        note(&m, k.dot(a, b, n), sum, dot_bound(magnitude, n));
    }
    finish(&m, "dot");
    assert_true(k.dot(a, b, 0) == 0.0f);
}

static void matmul(size_t n_col, tess_rounding rounding, worst *m)
{
    enum { ROWS = 4, TOKENS = 3 };
    const size_t stride = tess_packed_floats(n_col);
    fill_bf16(w, ROWS * n_col);
    fill(a, TOKENS * n_col);
    for (size_t t = 0; t < TOKENS; t++) k.pack(packed + t * stride, a + t * n_col, n_col);
    k.matmul(out, 5, w, n_col, 0, ROWS, packed, TOKENS, rounding);
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t r = 0; r < ROWS; r++) {
            double sum = 0, magnitude = 0;
            for (size_t i = 0; i < n_col; i++) {
                const double product = of_bf16(w[r * n_col + i]) * a[t * n_col + i];
                sum += product, magnitude += fabs(product);
            }
            const double bound = dot_bound(magnitude, n_col);
            note(m, out[t * 5 + r], sum, rounding ? bound + 1.01 * u_bf16 * (fabs(sum) + bound) : bound);
            if (rounding) assert_true(is_bf16(out[t * 5 + r]));
        }
}

static void test_matmul(void **unused)
{
    (void)unused;
    worst m = {0, 0, 0}, m_bf16 = {0, 0, 0};
    for (size_t n_col = 1; n_col <= 600; n_col = n_col * 5 / 4 + 1) {
        matmul(n_col, TESS_ROUND_NONE, &m);
        matmul(n_col, TESS_ROUND_BF16, &m_bf16);
    }
    finish(&m, "matmul");
    finish(&m_bf16, "matmul, bf16");
}

static void test_softmax(void **unused)
{
    (void)unused;
    worst m = {0, 0, 0};
    for (size_t n = 1; n <= MAX; n = n * 3 / 2 + 1) {
        fill(a, n);
        for (size_t i = 0; i < n; i++) a[i] *= 20.0f;
        memcpy(out, a, n * sizeof *a);
        k.softmax(out, n);
        double max = a[0], sum = 0;
        for (size_t i = 1; i < n; i++) max = a[i] > max ? a[i] : max;
        for (size_t i = 0; i < n; i++) sum += exp(a[i] - max);
        for (size_t i = 0; i < n; i++) {
            const double p = exp(a[i] - max) / sum;
            const double relative = 2 * exp_error + (2 * (max - a[i]) + (double)(n / 16) + 8) * u;
            note(&m, out[i], p, p * relative + 1e-38);
        }
    }
    finish(&m, "softmax");
}

static void test_rms_norm(void **unused)
{
    (void)unused;
    worst m = {0, 0, 0}, m_bf16 = {0, 0, 0};
    const float eps = 1e-6f;
    for (size_t n = 1; n <= MAX; n = n * 3 / 2 + 1) {
        fill(a, n);
        fill_bf16(w, n);
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += (double)a[i] * a[i];
        const double inverse = 1 / sqrt(sum / (double)n + (double)eps);
        const double relative = ((double)(n / 16) + 7) / 2 * u + 6 * u;
        for (int rounding = 0; rounding < 2; rounding++) {
            k.rms_norm(out, a, w, n, eps, (tess_rounding)rounding);
            for (size_t i = 0; i < n; i++) {
                const double y = a[i] * inverse * of_bf16(w[i]);
                note(rounding ? &m_bf16 : &m, out[i], y,
                     fabs(y) * (relative + rounding * 2.01 * u_bf16) + 1e-45);
                if (rounding) assert_true(is_bf16(out[i]));
            }
        }
    }
    finish(&m, "rms_norm");
    finish(&m_bf16, "rms_norm, bf16");
}

/* The bound of one row: the mean's error shifts every deviation, and moves the variance by its square. With
 * an offset of 1,000 the squares of the elements themselves would leave no digit of the variance. */
static void layer_norm(size_t n, double offset, float eps, worst m[2])
{
    fill(a, n);
    for (size_t i = 0; i < n; i++) a[i] += (float)offset;
    fill_bf16(w, n);
    fill_bf16(w + MAX, n);
    double mean = 0, magnitude = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += a[i] / (double)n, magnitude += fabs(a[i]) / (double)n;
    for (size_t i = 0; i < n; i++) variance += (a[i] - mean) * (a[i] - mean) / (double)n;
    const double shift = ((double)(n / 16) + 7) * u * magnitude;
    const double inverse = 1 / sqrt(variance + (double)eps);
    const double relative = (((double)(n / 16) + 11) * u + shift * shift * inverse * inverse) / 2 + 5 * u;
    for (int rounding = 0; rounding < 2; rounding++) {
        k.layer_norm(out, a, w, w + MAX, n, eps, (tess_rounding)rounding);
        for (size_t i = 0; i < n; i++) {
            const double scaled = (a[i] - mean) * inverse * of_bf16(w[i]), y = scaled + of_bf16(w[MAX + i]);
            const double error =
                fabs(scaled) * relative + fabs(inverse * of_bf16(w[i])) * shift + fabs(y) * u;
            note(&m[rounding], out[i], y, error + rounding * 1.01 * u_bf16 * (fabs(y) + error) + 1e-45);
            if (rounding) assert_true(is_bf16(out[i]));
        }
    }
}

static void test_layer_norm(void **unused)
{
    (void)unused;
    worst m[2] = {{0, 0, 0}, {0, 0, 0}};
    for (size_t n = 1; n <= MAX; n = n * 3 / 2 + 1) {
        layer_norm(n, 0, 1e-5f, m);
        layer_norm(n, 3, 1e-6f, m);
        layer_norm(n, 1000, 1e-6f, m);
    }
    finish(&m[0], "layer_norm");
    finish(&m[1], "layer_norm, bf16");
}

/* erf or tanh within `unit` of its own size, an argument within `argument` of its own, then three roundings.
 */
static void gelu(tess_gelu_erf_fn *function, bool is_tanh, const char *what)
{
    worst m[2] = {{0, 0, 0}, {0, 0, 0}};
    fill(a, MAX);
    for (size_t i = 0; i < MAX; i++) a[i] *= i % 2 ? 3.5f : 0.5f;
    for (int rounding = 0; rounding < 2; rounding++) {
        function(out, a, MAX, (tess_rounding)rounding);
        for (size_t i = 0; i < MAX; i++) {
            const double x = a[i], inner = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x), t = tanh(inner);
            const double e = is_tanh ? t : erf(x * M_SQRT1_2);
            const double slope = is_tanh ? (1 - t * t) * fabs(inner) * 6 * u
                                         : M_2_SQRTPI * exp(-x * x / 2) * fabs(x * M_SQRT1_2) * 2 * u;
            const double y = x / 2 * (1 + e);
            const double error = fabs(x / 2) * (2.6 * u * fabs(e) + slope + u * (1 + e)) + 2 * u * fabs(y);
            note(&m[rounding], out[i], y, error + rounding * 1.01 * u_bf16 * (fabs(y) + error) + 1e-45);
            if (rounding) assert_true(is_bf16(out[i]));
        }
    }
    finish(&m[0], what);
    finish(&m[1], "the same, bf16");
}

static void test_gelu(void **unused)
{
    (void)unused;
    gelu(k.gelu_erf, false, "gelu_erf");
    gelu(k.gelu_tanh, true, "gelu_tanh");
    assert_true(k.gelu_erf != k.gelu_tanh);
    const float ends[] = {0.0f, -0.0f, 40.0f, -40.0f, 1e30f, -1e30f};
    const float expected[] = {0.0f, -0.0f, 40.0f, -0.0f, 1e30f, -0.0f};
    k.gelu_erf(out, ends, 6, TESS_ROUND_NONE);
    assert_memory_equal(out, expected, sizeof expected);
    k.gelu_tanh(out, ends, 6, TESS_ROUND_NONE);
    assert_memory_equal(out, expected, sizeof expected);
}

static void test_swiglu(void **unused)
{
    (void)unused;
    worst m = {0, 0, 0}, m_bf16 = {0, 0, 0};
    fill(a, MAX);
    fill(b, MAX);
    for (size_t i = 0; i < MAX; i++) a[i] *= 30.0f;
    for (int rounding = 0; rounding < 2; rounding++) {
        k.swiglu(out, a, b, MAX, (tess_rounding)rounding);
        for (size_t i = 0; i < MAX; i++) {
            const double y = a[i] / (1 + exp(-(double)a[i])) * b[i];
            note(rounding ? &m_bf16 : &m, out[i], y,
                 fabs(y) * (exp_error + 4 * u + rounding * 2.01 * u_bf16) + 1e-45);
            if (rounding) assert_true(is_bf16(out[i]));
        }
    }
    finish(&m, "swiglu");
    finish(&m_bf16, "swiglu, bf16");
}

static void test_rope(void **unused)
{
    (void)unused;
    enum { HEAD = 128, HALF = HEAD / 2 };
    worst m = {0, 0, 0}, m_bf16 = {0, 0, 0};
    for (int rounding = 0; rounding < 2; rounding++) {
        fill(a, HEAD);
        for (size_t i = 0; i < HALF; i++) b[i] = cosf(0.1f * (float)i), c[i] = sinf(0.1f * (float)i);
        memcpy(out, a, HEAD * sizeof *a);
        k.rope(out, b, c, HEAD, (tess_rounding)rounding);
        for (size_t i = 0; i < HALF; i++) {
            const double p = (double)a[i] * b[i], q = (double)a[i + HALF] * c[i];
            const double r = (double)a[i + HALF] * b[i], s = (double)a[i] * c[i];
            const double unit = rounding ? 2.1 * u_bf16 : 2.1 * u;
            note(rounding ? &m_bf16 : &m, out[i], p - q, unit * (fabs(p) + fabs(q)));
            note(rounding ? &m_bf16 : &m, out[i + HALF], r + s, unit * (fabs(r) + fabs(s)));
            if (rounding) assert_true(is_bf16(out[i]) && is_bf16(out[i + HALF]));
        }
    }
    finish(&m, "rope");
    finish(&m_bf16, "rope, bf16");
}

/* One product, one sum: the rounding points are the C expressions themselves. */
static void test_add(void **unused)
{
    (void)unused;
    for (int rounding = 0; rounding < 2; rounding++) {
        fill(a, MAX);
        fill(b, MAX);
        memcpy(out, a, sizeof out);
        k.add(out, b, MAX, (tess_rounding)rounding);
        for (size_t i = 0; i < MAX; i++) {
            const volatile float sum = a[i] + b[i];
            assert_true(out[i] == (rounding ? tess_round_bf16(sum) : sum));
        }
        fill_bf16(w, MAX);
        memcpy(out, a, sizeof out);
        k.add_bias(out, w, MAX, (tess_rounding)rounding);
        for (size_t i = 0; i < MAX; i++) {
            const volatile float sum = a[i] + (float)of_bf16(w[i]);
            assert_true(out[i] == (rounding ? tess_round_bf16(sum) : sum));
        }
        memcpy(out, a, sizeof out);
        k.add_scaled(out, b, 0.3f, MAX, (tess_rounding)rounding);
        for (size_t i = 0; i < MAX; i++) {
            const volatile float product = b[i] * 0.3f, kept = rounding ? tess_round_bf16(product) : product;
            const volatile float sum = a[i] + kept;
            assert_true(out[i] == (rounding ? tess_round_bf16(sum) : sum));
        }
        memcpy(out, a, sizeof out);
        k.add_layer_scale(out, b, w, MAX, (tess_rounding)rounding);
        for (size_t i = 0; i < MAX; i++) {
            const volatile float product = b[i] * (float)of_bf16(w[i]);
            const volatile float sum = a[i] + (rounding ? tess_round_bf16(product) : product);
            assert_true(out[i] == (rounding ? tess_round_bf16(sum) : sum));
        }
    }
}

/* A column's dot of 32 lanes is the canonical one; with 16 it is another order of the same sum. */
static void test_matmul_columns(void **unused)
{
    (void)unused;
    enum { COLUMNS = 3, TOKENS = 2 };
    worst m = {0, 0, 0};
    for (size_t n = 1; n <= 600; n = n * 5 / 4 + 1) {
        fill_bf16(w, n * COLUMNS);
        fill(a, n * TOKENS);
        k.matmul_columns(out, COLUMNS, w, COLUMNS, n, COLUMNS, a, TOKENS, 32, NULL);
        k.matmul_columns(out + COLUMNS * TOKENS, COLUMNS, w, COLUMNS, n, COLUMNS, a, TOKENS, 16, NULL);
        for (size_t t = 0; t < TOKENS; t++)
            for (size_t col = 0; col < COLUMNS; col++) {
                double sum = 0, magnitude = 0;
                for (size_t i = 0; i < n; i++) {
                    b[i] = (float)of_bf16(w[i * COLUMNS + col]);
                    sum += (double)a[t * n + i] * b[i], magnitude += fabs((double)a[t * n + i] * b[i]);
                }
                assert_true(out[t * COLUMNS + col] == k.dot(b, a + t * n, n));
                note(&m, out[(TOKENS + t) * COLUMNS + col], sum, dot_bound(magnitude, 2 * n));
            }
    }
    finish(&m, "matmul_columns, 16 lanes");
}

/* Channel by channel the canonical dot, and a bias. */
static void test_depthwise(void **unused)
{
    (void)unused;
    enum { CHANNELS = 5, ROWS = 4 };
    uint16_t bias[CHANNELS];
    for (size_t n_tap = 1; n_tap <= TESS_DEPTHWISE_TAPS; n_tap++)
        for (int rounding = 0; rounding < 2; rounding++) {
            fill(a, CHANNELS * (ROWS + n_tap - 1));
            fill_bf16(w, CHANNELS * n_tap);
            fill_bf16(bias, CHANNELS);
            k.depthwise(out, a, w, bias, CHANNELS, n_tap, ROWS, (tess_rounding)rounding);
            for (size_t i = 0; i < CHANNELS * ROWS; i++) {
                const size_t channel = i % CHANNELS;
                for (size_t tap = 0; tap < n_tap; tap++) {
                    b[tap] = (float)of_bf16(w[channel * n_tap + tap]);
                    c[tap] = a[i + tap * CHANNELS];
                }
                const volatile float sum = k.dot(b, c, n_tap) + (float)of_bf16(bias[channel]);
                assert_true(out[i] == (rounding ? tess_round_bf16(sum) : sum));
            }
        }
}

/* In float32 within a bound of the formula; in mode bf16 rounded at every step. */
static void test_snake(void **unused)
{
    (void)unused;
    enum { CHANNELS = 64, ROWS = MAX / CHANNELS };
    worst m = {0, 0, 0};
    uint16_t *beta = w + CHANNELS;
    fill(a, MAX);
    fill_bf16(w, 2 * CHANNELS);
    k.snake(out, a, w, beta, CHANNELS, ROWS, TESS_ROUND_NONE);
    for (size_t i = 0; i < MAX; i++) {
        const double angle = a[i] * exp(of_bf16(w[i % CHANNELS]));
        const double square = sin(angle) * sin(angle),
                     inverse = 1 / (exp(of_bf16(beta[i % CHANNELS])) + 1e-9);
        const double sine_error = fabs(angle) * (exp_error + u) + 4 * u;
        note(&m, out[i], a[i] + inverse * square,
             inverse * (2 * sine_error * fabs(sin(angle)) + sine_error * sine_error +
                        square * (exp_error + 5 * u)) +
                 u * (fabs((double)a[i]) + inverse));
    }
    finish(&m, "snake");
    k.round_bf16(a, MAX);
    k.snake(out, a, w, beta, CHANNELS, ROWS, TESS_ROUND_BF16);
    for (size_t i = 0; i < MAX; i++) {
        const float alpha = tess_round_bf16(tess_exp((float)of_bf16(w[i % CHANNELS])));
        const float divisor = tess_round_bf16(tess_exp((float)of_bf16(beta[i % CHANNELS])));
        const float inverse = tess_round_bf16(1.0f / tess_round_bf16(divisor + 1e-9f));
        const float sine = tess_round_bf16(tess_sin(tess_round_bf16(a[i] * alpha)));
        const float scaled = tess_round_bf16(inverse * tess_round_bf16(sine * sine));
        assert_true(out[i] == tess_round_bf16(a[i] + scaled));
    }
}

/* Attention of one head, whose weights the plain reference leaves in its scratch: the bound of the weights
 * from that of the scores, then that of the weighted sum. */
static void attend(size_t n_key, size_t d_head, worst *m)
{
    static float keys[MAX * 8], values[MAX * 8], scores[MAX];
    const double scale = 0.25;
    fill(a, d_head);
    fill(keys, n_key * d_head);
    fill(values, n_key * d_head);
    k.attend(out, a, 1, 1, keys, values, d_head, n_key, d_head, (float)scale, scores, TESS_ROUND_NONE);
    double s[MAX], max = -1e30, sum = 0, score_bound = 0, total = 0;
    for (size_t j = 0; j < n_key; j++) {
        double magnitude = 0;
        s[j] = 0;
        for (size_t e = 0; e < d_head; e++) {
            const double product = (double)a[e] * keys[j * d_head + e];
            s[j] += product, magnitude += fabs(product);
        }
        s[j] *= scale;
        const double bound = scale * dot_bound(magnitude, d_head) + fabs(s[j]) * u;
        score_bound = bound > score_bound ? bound : score_bound;
        max = s[j] > max ? s[j] : max;
    }
    for (size_t j = 0; j < n_key; j++) sum += exp(s[j] - max);
    for (size_t j = 0; j < n_key; j++) {
        const double p = exp(s[j] - max) / sum;
        const double relative =
            4 * score_bound + 2 * exp_error + (2 * (max - s[j]) + (double)(n_key / 16) + 8) * u;
        note(m, scores[j], p, p * relative + 1e-38);
        total += p * relative;
    }
    for (size_t e = 0; e < d_head; e++) {
        double y = 0, magnitude = 0, largest = 0;
        for (size_t j = 0; j < n_key; j++) {
            const double v = values[j * d_head + e], p = exp(s[j] - max) / sum;
            y += p * v, magnitude += fabs(p * v);
            largest = fabs(v) > largest ? fabs(v) : largest;
        }
        note(m, out[e], y, total * largest + ((double)n_key + 1) * u * magnitude + 1e-45);
    }
}

static void test_attend(void **unused)
{
    (void)unused;
    worst m = {0, 0, 0};
    attend(1, 8, &m);
    attend(7, 24, &m);
    attend(100, 128, &m);
    attend(1000, 16, &m);
    attend(MAX, 8, &m);
    finish(&m, "attend");
}

/* In mode bf16 the original rounds the dot, the scaled dot, the weight and the result. */
static void test_attend_bf16(void **unused)
{
    (void)unused;
    enum { KEYS = 37, HEAD = 16 };
    float keys[KEYS * HEAD], values[KEYS * HEAD], scores[KEYS], want[KEYS];
    fill(a, HEAD);
    fill(keys, KEYS * HEAD);
    fill(values, KEYS * HEAD);
    k.attend(out, a, 1, 1, keys, values, HEAD, KEYS, HEAD, 0.3f, scores, TESS_ROUND_BF16);
    for (size_t j = 0; j < KEYS; j++) {
        const volatile float scaled = tess_round_bf16(k.dot(a, keys + j * HEAD, HEAD)) * 0.3f;
        want[j] = tess_round_bf16(scaled);
    }
    k.softmax(want, KEYS);
    for (size_t j = 0; j < KEYS; j++) assert_true(scores[j] == tess_round_bf16(want[j]));
    for (size_t e = 0; e < HEAD; e++) {
        float sum = 0.0f;
        for (size_t j = 0; j < KEYS; j++) sum = fmaf(scores[j], values[j * HEAD + e], sum);
        assert_true(out[e] == tess_round_bf16(sum));
    }
}

/* Every upper half with ties, their neighbours and strided lower halves: the nearer of the two bf16 around
 * the float, the even one of two equally near. */
static void test_round_bf16(void **unused)
{
    (void)unused;
    static const uint32_t special[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    enum { SPECIAL = sizeof special / sizeof special[0], LOWER = 70 };
    size_t n = 0, n_tie = 0;
    for (uint64_t i = 0; i < (uint64_t)LOWER << 16; i++) {
        const uint64_t lower = i % LOWER < SPECIAL ? special[i % LOWER] : i * 1021 % 0x10000;
        const uint64_t bits = i / LOWER << 16 | lower;
        const float x = tess_float_of_bits((uint32_t)bits);
        float rounded = x;
        k.round_bf16(&rounded, 1);
        n++;
        assert_true(is_bf16(rounded));
        if (isnan(x)) {
            assert_true(isnan(rounded));
            continue;
        }
        const uint32_t down = (uint32_t)bits & 0xffff0000u, up = down + 0x10000u; /* by magnitude */
        const double low = (double)tess_float_of_bits(down);
        const bool beyond = (up & 0x7fffffffu) == 0x7f800000u; /* an infinity takes the place of 2^128 */
        const double high = beyond ? copysign(0x1p128, low) : (double)tess_float_of_bits(up);
        const double below = fabs((double)x - low), above = fabs(high - (double)x);
        const bool to_up = isinf(x) ? false : above < below || (above == below && (down & 0x10000u));
        n_tie += above == below;
        assert_int_equal(tess_bits_of_float(rounded), to_up ? up : down);
    }
    printf("# round_bf16: %zu floats, %zu ties\n", n, n_tie);
    assert_true(n > 4000000 && n_tie > 65000);
}

/* All 65536 bf16: sign, exponent and fraction by definition; then back. */
static void test_widen(void **unused)
{
    (void)unused;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const uint16_t x = (uint16_t)bits;
        float y;
        k.widen(&y, &x, 1);
        const int exponent = (int)(bits >> 7 & 0xff), fraction = (int)(bits & 0x7f);
        if (exponent == 255) {
            assert_true(fraction ? isnan(y) : isinf(y));
            continue;
        }
        const double magnitude =
            exponent ? ldexp(128 + fraction, exponent - 127 - 7) : ldexp(fraction, 1 - 127 - 7);
        assert_true((double)y == (bits & 0x8000u ? -magnitude : magnitude));
        assert_true(!!signbit(y) == !!(bits & 0x8000u));
        k.round_bf16(&y, 1);
        assert_int_equal(tess_bits_of_float(y) >> 16, bits);
    }
}

static void test_find_non_finite(void **unused)
{
    (void)unused;
    fill(a, MAX);
    a[3] = FLT_MAX, a[4] = -0.0f, a[5] = tess_float_of_bits(1);
    assert_int_equal(k.find_non_finite(a, MAX), MAX);
    a[1000] = NAN, a[1001] = -INFINITY;
    assert_int_equal(k.find_non_finite(a, MAX), 1000);
    a[7] = INFINITY;
    assert_int_equal(k.find_non_finite(a, MAX), 7);
    assert_int_equal(k.find_non_finite(a, 7), 7);
}

int main(void)
{
    tess_kernels_init(&k, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_rms_norm),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_matmul_columns),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_snake),
        cmocka_unit_test(test_attend),
        cmocka_unit_test(test_attend_bf16),
        cmocka_unit_test(test_round_bf16),
        cmocka_unit_test(test_widen),
        cmocka_unit_test(test_find_non_finite),
    };
    return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
