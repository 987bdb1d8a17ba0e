/* A matrix view gives what the kernels give on its weights, whatever their form and the table, and single
 * rows exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/matrix.h"

enum { N_ROW = 37, N_COL = 173, N_TOK = 5, PACKED = (N_COL + 31) / 32 * 32, PACKED_BYTES = 40000 };

static const unsigned masks[] = {0, TESS_CPU_AVX2FMA, TESS_CPU_AVX2FMA | TESS_CPU_AVX512, TESS_CPU_NEON};

static void fill_weights(uint16_t *weights, uint64_t *random)
{
    for (int i = 0; i < N_ROW * N_COL; i++) /* exponents around one, any sign and mantissa */
        weights[i] =
            (uint16_t)((tess_random_next(random) & 0x807f) | (0x3e80 + (tess_random_next(random) & 0x180)));
}

/* The same weights in every form. */
typedef struct forms {
    uint16_t weights[N_ROW * N_COL];
    uint32_t packed[PACKED_BYTES / 4];
    tess_matrix matrix[2];
} forms;

static void make_forms(forms *f, uint64_t *random)
{
    fill_weights(f->weights, random);
    for (int i = 0; i < N_ROW * N_COL; i += 5) f->weights[i] = (uint16_t)tess_random_next(random) & 0xbfff;
    const size_t n = tess_weights_count_exceptions(f->weights, N_ROW, N_COL);
    assert_true(n > 0 && tess_packed_bytes(N_ROW, N_COL, n) <= PACKED_BYTES);
    tess_weights_pack(f->packed, f->weights, N_ROW, N_COL);
    f->matrix[0] = (tess_matrix){f->weights, N_ROW, N_COL, TESS_FORMAT_BF16};
    f->matrix[1] = (tess_matrix){f->packed, N_ROW, N_COL, TESS_FORMAT_PACKED};
}

static void test_products(void **state)
{
    (void)state;
    static forms f;
    float x[N_TOK][N_COL], expected[N_TOK][N_ROW], packed[N_TOK * PACKED], y[N_TOK][N_ROW];
    uint64_t random = 3;
    tess_kernels kernels;
    make_forms(&f, &random);
    for (int t = 0; t < N_TOK; t++)
        for (int k = 0; k < N_COL; k++) x[t][k] = (float)(tess_random_unit(&random) - 0.5);
    tess_kernels_init(&kernels, 0);
    for (int t = 0; t < N_TOK; t++)
        for (int r = 0; r < N_ROW; r++) { /* row by row, by the canonical dot */
            float row[N_COL];
            tess_matrix_read_row(&kernels, &f.matrix[0], (size_t)r, row);
            expected[t][r] = kernels.dot(row, x[t], N_COL);
        }
    for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        if (!tess_isa_available(masks[m])) continue;
        tess_kernels_init(&kernels, masks[m]);
        for (int t = 0; t < N_TOK; t++) kernels.pack(packed + t * PACKED, x[t], N_COL);
        for (size_t cut = 0; cut <= N_ROW; cut += 12)
            for (int form = 0; form < 2; form++) {
                memset(y, 0xff, sizeof y);
                tess_matrix_multiply(&kernels, &f.matrix[form], y[0], N_ROW, 0, cut, packed, N_TOK,
                                     TESS_ROUND_NONE);
                tess_matrix_multiply(&kernels, &f.matrix[form], y[0], N_ROW, cut, N_ROW, packed, N_TOK,
                                     TESS_ROUND_NONE);
                assert_memory_equal(y, expected, sizeof y);
            }
    }
}

/* Columns, as a transposed convolution takes them: of either form the same. */
static void test_columns(void **state)
{
    (void)state;
    enum { FIRST = 21, COLUMNS = 70 };
    static forms f;
    static float scratch[N_ROW * (8 + TESS_COLUMN_GRAIN)];
    float x[N_TOK * N_ROW], y[2][N_TOK * COLUMNS];
    uint64_t random = 5;
    make_forms(&f, &random);
    for (int i = 0; i < N_TOK * N_ROW; i++) x[i] = (float)(tess_random_unit(&random) - 0.5);
    for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        if (!tess_isa_available(masks[m])) continue;
        tess_kernels kernels;
        tess_kernels_init(&kernels, masks[m]);
        for (int form = 0; form < 2; form++)
            tess_matrix_multiply_columns(&kernels, &f.matrix[form], y[form], COLUMNS, FIRST, COLUMNS, x,
                                         N_TOK, 16, scratch);
        assert_memory_equal(y[0], y[1], sizeof y[0]);
    }
}

static void test_rows(void **state)
{
    (void)state;
    static forms f;
    float row[N_COL];
    uint64_t random = 4;
    make_forms(&f, &random);
    for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        if (!tess_isa_available(masks[m])) continue;
        tess_kernels kernels;
        tess_kernels_init(&kernels, masks[m]);
        for (size_t r = 0; r < 2 * N_ROW; r++) {
            tess_matrix_read_row(&kernels, &f.matrix[r % 2], r / 2, row);
            for (size_t k = 0; k < N_COL; k++) {
                uint32_t bits;
                memcpy(&bits, &row[k], sizeof bits);
                assert_int_equal(bits, (uint32_t)f.weights[r / 2 * N_COL + k] << 16);
            }
        }
    }
    const tess_matrix vector = {f.weights, 1, N_COL, TESS_FORMAT_BF16};
    assert_ptr_equal(tess_matrix_get_vector(&vector), f.weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_columns),
                                       cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
