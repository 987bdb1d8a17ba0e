/* The operations over rows of tokens against the plain kernels row by row: the same bits for every number of
 * threads and instruction set, in both roundings, and nothing touched beyond what an operation says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/elementary.h"
#include "model/compute.h"

enum { N_OUT = 41, N_IN = 45, STRIDE = N_OUT + 3, N_TOK = 7, PACKED = (N_IN + 31) / 32 * 32 };

static const unsigned masks[] = {0, TESS_CPU_AVX2FMA, TESS_CPU_AVX2FMA | TESS_CPU_AVX512, TESS_CPU_NEON};

static tess_kernels plain;
static uint16_t matrix[N_OUT * N_IN], weight[N_IN], bias[N_OUT > N_IN ? N_OUT : N_IN];
static float x[N_TOK * N_IN], other[N_TOK * N_IN];

static float draw(uint64_t *random)
{
    return (float)(4 * tess_random_unit(random) - 2);
}

static void draw_bf16(uint16_t *out, size_t n, uint64_t *random)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint16_t)(tess_bits_of_float(tess_round_bf16(draw(random))) >> 16);
}

static void draw_operands(void)
{
    uint64_t random = 5;
    tess_kernels_init(&plain, 0);
    draw_bf16(matrix, sizeof matrix / sizeof *matrix, &random);
    draw_bf16(weight, N_IN, &random);
    draw_bf16(bias, sizeof bias / sizeof *bias, &random);
    for (size_t i = 0; i < N_TOK * N_IN; i++) x[i] = draw(&random), other[i] = draw(&random);
}

typedef void check_fn(const tess_compute *compute, int n_row);

/* Runs the check in every setting that this processor has. */
static void everywhere(check_fn *check)
{
    tess_error err;
    draw_operands();
    for (int n_thread = 1; n_thread <= 3; n_thread++) {
        tess_pool *pool;
        assert_int_equal(tess_pool_new(n_thread, &pool, &err), TESS_OK);
        for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
            if (!tess_isa_available(masks[m])) continue;
            tess_kernels kernels;
            tess_kernels_init(&kernels, masks[m]);
            for (int rounding = 0; rounding < 2; rounding++) {
                const tess_compute compute = {&kernels, pool, (tess_rounding)rounding};
                for (int n_row = 1; n_row <= N_TOK; n_row++) check(&compute, n_row);
            }
        }
        tess_pool_free(pool);
    }
}

/* The product of one token, its bias added before the only rounding. */
static void multiply_plainly(float *y, const float *token, const uint16_t *add, tess_rounding rounding)
{
    float row[PACKED];
    plain.pack(row, token, N_IN);
    plain.matmul(y, N_OUT, matrix, N_IN, 0, N_OUT, row, 1, TESS_ROUND_NONE);
    for (int r = 0; r < N_OUT; r++) {
        if (add) y[r] += tess_float_of_bits((uint32_t)add[r] << 16);
        if (rounding == TESS_ROUND_BF16) y[r] = tess_round_bf16(y[r]);
    }
}

static void check_linear(const tess_compute *compute, int n_row)
{
    float packed[N_TOK * PACKED], with[N_TOK * STRIDE], without[N_TOK * STRIDE], expected[N_OUT];
    const tess_matrix w = {matrix, N_OUT, N_IN, TESS_FORMAT_BF16};
    const tess_linear products[] = {{&w, packed, n_row, with, STRIDE, bias},
                                    {&w, packed, n_row, without, STRIDE, NULL}};
    const float untouched = 123.0f;
    for (size_t i = 0; i < N_TOK * STRIDE; i++) with[i] = without[i] = untouched;
    tess_pack_rows(compute, packed, x, N_IN, n_row);
    tess_linear_run(compute, products, 2);
    for (size_t t = 0; t < N_TOK; t++)
        for (int biased = 0; biased < 2; biased++) {
            const float *got = (biased ? with : without) + t * STRIDE;
            size_t first_untouched = 0;
            if (t < (size_t)n_row) {
                multiply_plainly(expected, x + t * N_IN, biased ? bias : NULL, compute->rounding);
                assert_memory_equal(got, expected, sizeof expected);
                first_untouched = N_OUT;
            }
            for (size_t r = first_untouched; r < STRIDE; r++) assert_true(got[r] == untouched);
        }
}

static void test_linear(void **state)
{
    (void)state;
    everywhere(check_linear);
}

static void check_layer_norm(const tess_compute *compute, int n_row)
{
    float apart[N_TOK * N_IN], in_place[N_TOK * N_IN], expected[N_IN];
    memcpy(in_place, x, sizeof x);
    tess_layer_norm_rows(compute, apart, x, weight, bias, N_IN, 1e-5, n_row);
    tess_layer_norm_rows(compute, in_place, in_place, weight, bias, N_IN, 1e-5, n_row);
    for (size_t t = 0; t < (size_t)n_row; t++) {
        plain.layer_norm(expected, x + t * N_IN, weight, bias, N_IN, 1e-5f, compute->rounding);
        assert_memory_equal(apart + t * N_IN, expected, sizeof expected);
        assert_memory_equal(in_place + t * N_IN, expected, sizeof expected);
    }
    assert_memory_equal(in_place + n_row * N_IN, x + n_row * N_IN,
                        sizeof *x * N_IN * (size_t)(N_TOK - n_row));
}

static void test_layer_norm(void **state)
{
    (void)state;
    everywhere(check_layer_norm);
}

static void check_add(const tess_compute *compute, int n_row)
{
    float y[N_TOK * N_IN], expected[N_TOK * N_IN];
    memcpy(y, x, sizeof x);
    memcpy(expected, x, sizeof x);
    tess_add_rows(compute, y, other, N_IN, n_row);
    plain.add(expected, other, N_IN * (size_t)n_row, compute->rounding);
    assert_memory_equal(y, expected, sizeof expected);
}

static void test_add(void **state)
{
    (void)state;
    everywhere(check_add);
}

static void check_gelu(const tess_compute *compute, int n_row)
{
    for (int is_tanh = 0; is_tanh < 2; is_tanh++) {
        float y[N_TOK * N_IN], alone[N_TOK * N_IN], expected[N_TOK * N_IN];
        float packed[N_TOK * PACKED], packed_after[N_TOK * PACKED];
        memcpy(y, x, sizeof x);
        memcpy(alone, x, sizeof x);
        memcpy(expected, x, sizeof x);
        tess_gelu_rows(compute, packed, y, N_IN, n_row, is_tanh);
        tess_gelu_rows(compute, NULL, alone, N_IN, n_row, is_tanh);
        (is_tanh ? plain.gelu_tanh : plain.gelu_erf)(expected, x, N_IN * (size_t)n_row, compute->rounding);
        assert_memory_equal(y, expected, sizeof expected);
        assert_memory_equal(alone, expected, sizeof expected);
        tess_pack_rows(compute, packed_after, expected, N_IN, n_row);
        assert_memory_equal(packed, packed_after, sizeof *packed * PACKED * (size_t)n_row);
    }
}

static void test_gelu(void **state)
{
    (void)state;
    everywhere(check_gelu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_linear), cmocka_unit_test(test_layer_norm),
                                       cmocka_unit_test(test_add), cmocka_unit_test(test_gelu)};
    return cmocka_run_group_tests_name("compute", tests, NULL, NULL);
}
