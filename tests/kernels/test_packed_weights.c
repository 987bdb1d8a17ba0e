/* Packing loses nothing: every bit pattern, many exceptions and none, any number of columns; what is counted
 * is what is written, and nothing beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/kernels.h"

enum { CANARY = 0xa5, CANARY_BYTES = 64 };

/* Packs, and reads every weight again. Returns the number of exceptions. */
static size_t check(const uint16_t *w, size_t n_row, size_t n_col)
{
    const size_t n_exception = tess_weights_count_exceptions(w, n_row, n_col);
    const size_t n_byte = tess_packed_bytes(n_row, n_col, n_exception);
    unsigned char *packed = aligned_alloc(64, n_byte + CANARY_BYTES);
    assert_non_null(packed);
    assert_int_equal(n_byte % 64, 0);
    memset(packed, CANARY, n_byte + CANARY_BYTES);
    tess_weights_pack(packed, w, n_row, n_col);
    for (size_t i = 0; i < CANARY_BYTES; i++) assert_int_equal(packed[n_byte + i], CANARY);
    const tess_packed_weights view = tess_packed_weights_at(packed, n_row, n_col);
    assert_int_equal(view.first[0], 0);
    assert_int_equal(view.first[n_row], n_exception);
    uint16_t *row = malloc(n_col * sizeof *row);
    assert_non_null(row);
    for (size_t r = 0; r < n_row; r++)
        for (size_t k = 0, n; k < n_col; k += n) { /* in parts of any length */
            n = 1 + (r + k) % 37;
            if (n > n_col - k) n = n_col - k;
            tess_packed_read(row, &view, r, k, n);
            for (size_t i = 0; i < n; i++)
                if (row[i] != w[r * n_col + k + i])
                    fail_msg("row %zu of %zu, column %zu of %zu: found %04x, expected %04x", r, n_row, k + i,
                             n_col, row[i], w[r * n_col + k + i]);
        }
    free(row);
    free(packed);
    return n_exception;
}

static void test_every_pattern(void **state)
{
    (void)state;
    static uint16_t w[65536];
    for (size_t i = 0; i < 65536; i++) w[i] = (uint16_t)i;
    assert_int_equal(check(w, 32, 2048), 0);                          /* eight high bytes in a row */
    assert_int_equal(check(w, 1, 65536), 0);                          /* one in a chunk */
    for (size_t i = 0; i < 65536; i++) w[i] = (uint16_t)(i * 40503u); /* in another order, all in every row */
    assert_true(check(w, 16, 4096) > 65536 / 2);
    assert_true(check(w, 4, 16384) > 65536 / 2);
}

static void test_shapes(void **state)
{
    (void)state;
    static uint16_t w[40 * 400];
    uint64_t random = 5;
    for (size_t n_col = 1; n_col <= 400; n_col += n_col < 140 ? 1 : 13)
        for (int spread = 0; spread < 3; spread++) { /* one, few and many high bytes */
            const size_t n_row = 1 + tess_random_next(&random) % 40;
            for (size_t i = 0; i < n_row * n_col; i++) {
                const uint64_t drawn = tess_random_next(&random);
                w[i] = (uint16_t)((drawn & 0xff) |
                                  (0x3c + (spread ? drawn >> 8 & (spread == 1 ? 0x81 : 0xff) : 0)) << 8);
            }
            const size_t n = check(w, n_row, n_col);
            if (spread < 2 || n_col <= 16) assert_int_equal(n, 0);
        }
}

/* Twelve high bytes have codes in all of a row, and four more in each chunk. */
static void test_exceptions(void **state)
{
    (void)state;
    enum { N_COL = 400 };
    static const size_t first[] = {7, 20, 21, 127}, second[] = {128, 190, 200, 255};
    uint16_t w[2][N_COL];
    for (size_t k = 0; k < N_COL; k++) {
        w[0][k] = (uint16_t)((0x30 + k % 12) << 8 | (k & 0xff));
        w[1][k] = (uint16_t)((0xb0 + k % 12) << 8 | (k & 0xff));
    }
    assert_int_equal(check(w[0], 2, N_COL), 0);
    for (size_t i = 0; i < 4; i++) {
        w[0][first[i]] = (uint16_t)((0x7c + i) << 8 | 0x80);
        w[0][second[i]] = (uint16_t)(i << 8 | 1); /* others than those of the chunk before */
    }
    w[0][100] = 0x7c12; /* one that the chunk has a code for */
    assert_int_equal(check(w[0], 2, N_COL), 0);
    w[0][101] = 0xff80; /* a fifth */
    w[0][254] = w[0][256] = 0xffff;
    w[0][399] = 0x0001;
    assert_int_equal(check(w[0], 2, N_COL), 2);
    assert_true(tess_packing_pays(3, 200, 2048));
    assert_false(tess_packing_pays(200 * 2048 / 10, 200, 2048));
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t some[][2] = {{2048, 2048}, {768, 2048},  {2048, 768}, {384, 1024},
                                     {4304, 1152}, {1152, 4304}, {3072, 1024}};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const size_t n_row = some[i][0], n_col = some[i][1];
        assert_true(tess_weights_can_pack(n_row, n_col));
        const double bits = 8.0 * (double)tess_packed_bytes(n_row, n_col, 0) / (double)(n_row * n_col);
        assert_true(bits > 12 && bits < 12.5);
    }
    assert_false(tess_weights_can_pack(480, 9));
    assert_false(tess_weights_can_pack(64, 129)); /* half of the last chunk is padding */
    assert_false(tess_weights_can_pack(2, 65537));
    assert_false(tess_weights_can_pack(0, 2048));
    assert_false(tess_weights_can_pack(1, 2048)); /* a vector */
}

/* Bytes from elsewhere: nothing that would be read outside of them is taken for a packed matrix. */
static void test_soundness(void **state)
{
    (void)state;
    enum { N_ROW = 6, N_COL = 256 };
    static uint16_t w[N_ROW * N_COL];
    for (size_t i = 0; i < N_ROW * N_COL; i++) w[i] = 0x3c00;
    for (size_t k = 0; k < 40; k++) w[2 * N_COL + k] = (uint16_t)(k << 8); /* more than there are codes */
    const size_t n = tess_weights_count_exceptions(w, N_ROW, N_COL);
    const size_t n_byte = tess_packed_bytes(N_ROW, N_COL, n);
    assert_true(n > 2);
    uint32_t *packed = aligned_alloc(64, n_byte);
    tess_weights_pack(packed, w, N_ROW, N_COL);
    const tess_packed_weights view = tess_packed_weights_at(packed, N_ROW, N_COL);
    uint32_t *first = packed + (view.first - packed), *list = packed + (view.exceptions - packed);
    assert_true(tess_packed_is_sound(packed, N_ROW, N_COL, n_byte));
    assert_true(tess_packed_is_sound(packed, N_ROW, N_COL, n_byte + 4096)); /* what follows is not asked */
    assert_false(tess_packed_is_sound(packed, N_ROW, N_COL, n_byte - 64));
    assert_false(tess_packed_is_sound(packed, N_ROW, N_COL, 0));
    assert_false(tess_packed_is_sound(packed, N_ROW, 9, n_byte)); /* no such matrix is packed */
    const struct {
        uint32_t *at, value;
    } broken[] = {
        {&first[0], 1},
        {&first[1], 1},
        {&first[3], (uint32_t)n + 1},
        {&first[N_ROW], 0},
        {&first[N_ROW], 999999},
        {&list[0], list[1]},
        {&first[N_ROW], UINT32_MAX},
        {&list[1], list[0]},
        {&list[0], N_COL << 16},
        {&list[n - 1], 0xffffffff},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const uint32_t before = *broken[i].at;
        *broken[i].at = broken[i].value;
        assert_false(tess_packed_is_sound(packed, N_ROW, N_COL, n_byte));
        *broken[i].at = before;
    }
    assert_true(tess_packed_is_sound(packed, N_ROW, N_COL, n_byte));
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_pattern), cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_exceptions), cmocka_unit_test(test_sizes),
                                       cmocka_unit_test(test_soundness)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
