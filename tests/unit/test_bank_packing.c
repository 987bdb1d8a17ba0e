/* The bank that packs: weights as in the file in every bit, what does not pack lent as it was read, slots for
 * what is used again, leases that hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/banks.h"
#include "io/file.h"
#include "store/bank.h"

#define MODEL "tests/golden/c"
enum {
    SHARD = 1,
    N_ROW = 8,
    N_COL = 256,
    N_VECTOR = 100,
    N_WEIGHT = 3,
    N_SEGMENT = 7,
    HEADER = 6, /* the segment that is text: too many different bytes in a row */
    ONE_BYTES = 2 * N_ROW * N_COL,
    SEGMENT_BYTES = 2 * ONE_BYTES + 2 * N_VECTOR
};

typedef struct fixture {
    tess_store *store;
    tess_pool *pool;
    tess_weight weight[N_SEGMENT * N_WEIGHT];
    tess_arena arena;
    tess_bank bank;
} fixture;

/* Made-up segments over a shard's bytes: two matrices, the second behind a gap, and a vector. */
static void make_weights(fixture *f, uint64_t first)
{
    for (int s = 0; s < N_SEGMENT; s++) {
        const uint64_t begin = s == HEADER ? 8 : first + (uint64_t)s * (SEGMENT_BYTES + 64);
        tess_weight *w = f->weight + s * N_WEIGHT;
        w[0] = (tess_weight){begin, ONE_BYTES, SHARD, N_ROW, N_COL, TESS_FORMAT_BF16, -1};
        w[1] = (tess_weight){begin + ONE_BYTES + 64, ONE_BYTES, SHARD, N_ROW, N_COL, TESS_FORMAT_BF16, -1};
        w[2] =
            (tess_weight){begin + 2 * ONE_BYTES + 64, 2 * N_VECTOR, SHARD, 1, N_VECTOR, TESS_FORMAT_BF16, -1};
    }
}

static void open_bank(fixture *f, int n_slot, int n_lease)
{
    tess_error err;
    *f = (fixture){0};
    assert_int_equal(tess_store_open(MODEL, TESS_DIRECT_AUTO, &f->store, &err), TESS_OK);
    assert_int_equal(tess_pool_new(3, &f->pool, &err), TESS_OK);
    const tess_tensor *head = tess_store_find(f->store, "talker.codec_head.weight");
    assert_int_equal(head->shard, SHARD); /* behind it stands an embedding, of as many random weights */
    make_weights(f, head->offset);
    const tess_bank_layout layout = {.weight = f->weight,
                                     .n_segment = N_SEGMENT,
                                     .n_weight = N_WEIGHT,
                                     .group_size = N_SEGMENT,
                                     .n_slot = n_slot,
                                     .n_lease = n_lease,
                                     .packing = {true, f->pool}};
    test_bank_lay_out(&f->bank, f->store, &layout, &f->arena);
}

static void close_bank(fixture *f)
{
    tess_arena_release(&f->arena);
    tess_pool_free(f->pool);
    tess_store_close(f->store);
}

static const tess_matrix *lease(fixture *f, int segment)
{
    return test_bank_lease(&f->bank, segment);
}

static void use(fixture *f, int segment)
{
    lease(f, segment);
    tess_bank_release(&f->bank, segment);
}

static void assert_matrix(fixture *f, const tess_weight *w, const tess_matrix *m)
{
    tess_error err;
    uint16_t file[N_ROW * N_COL], row[N_COL];
    assert_int_equal(m->n_row, w->n_row);
    assert_int_equal(m->n_col, w->n_col);
    assert_int_equal(tess_file_read(tess_store_get_file(f->store, SHARD), w->offset, file, w->n_byte, &err),
                     TESS_OK);
    if (m->format == TESS_FORMAT_BF16) {
        assert_memory_equal(m->bytes, file, w->n_byte);
        return;
    }
    const tess_packed_weights packed = tess_packed_weights_at(m->bytes, m->n_row, m->n_col);
    for (size_t r = 0; r < m->n_row; r++) {
        tess_packed_read(row, &packed, r, 0, m->n_col);
        assert_memory_equal(row, file + r * m->n_col, m->n_col * sizeof *row);
    }
}

static void assert_segment(fixture *f, int segment, const tess_matrix *matrix)
{
    for (int i = 0; i < N_WEIGHT; i++) assert_matrix(f, &f->weight[segment * N_WEIGHT + i], &matrix[i]);
}

static void assert_formats(const tess_matrix *matrix, tess_weight_format expected)
{
    assert_int_equal(matrix[0].format, expected);
    assert_int_equal(matrix[1].format, expected);
    assert_int_equal(matrix[2].format, TESS_FORMAT_BF16); /* a vector */
}

/* With a slot for each, all at once or in turn: packed, but for text. */
static void test_bytes(void **state)
{
    (void)state;
    for (int n_slot = 0; n_slot <= N_SEGMENT; n_slot += N_SEGMENT) {
        fixture f;
        open_bank(&f, n_slot, 1);
        for (int round = 0; round < 2; round++)
            for (int s = 0; s < N_SEGMENT; s++) {
                const tess_matrix *matrix = lease(&f, s);
                assert_segment(&f, s, matrix);
                assert_formats(matrix, s == HEADER ? TESS_FORMAT_BF16 : TESS_FORMAT_PACKED);
                tess_bank_release(&f.bank, s);
            }
        assert_int_equal(f.bank.n_packed, N_SEGMENT - 1);
        assert_int_equal(f.bank.n_miss, N_SEGMENT); /* text stays as well, in the spare slot */
        use(&f, 0);
        assert_true(f.bank.n_hit > 0);
        close_bank(&f);
    }
}

static void test_slots_are_smaller(void **state)
{
    (void)state;
    fixture f;
    open_bank(&f, N_SEGMENT, 1);
    assert_true(100 * f.bank.slot_bytes < 84 * SEGMENT_BYTES);
    close_bank(&f);
}

/* What comes in a cycle longer than the slots is not packed again and again: the first ones stay. What is
 * used twice while another is not takes its place. */
static void test_worth(void **state)
{
    (void)state;
    fixture f;
    open_bank(&f, 2, 1);
    for (int round = 0; round < 5; round++)
        for (int s = 0; s < HEADER; s++) use(&f, s);
    assert_int_equal(f.bank.n_packed, 2);
    assert_true(tess_bank_is_resident(&f.bank, 0) && tess_bank_is_resident(&f.bank, 1));
    for (int round = 0; round < 2; round++)
        for (int s = 0; s < 3; s++) use(&f, 3 + s); /* by turns, so that none stays in the spare slot */
    assert_int_equal(f.bank.n_packed, 4);
    assert_false(tess_bank_is_resident(&f.bank, 0) || tess_bank_is_resident(&f.bank, 1));
    for (int s = 0; s < N_SEGMENT; s++) {
        assert_segment(&f, s, lease(&f, s));
        tess_bank_release(&f.bank, s);
    }
    close_bank(&f);
}

/* As many as may be leased at a time, in any state of the slots, with fewer slots than leases too. */
static void test_leases_hold(void **state)
{
    (void)state;
    for (int n_slot = 1; n_slot <= 4; n_slot++) {
        fixture f;
        open_bank(&f, n_slot, 3);
        for (int first = 0; first < 40; first++) {
            const int segment[3] = {first % N_SEGMENT, first * 3 % N_SEGMENT, first * 5 % N_SEGMENT};
            const tess_matrix *matrix[3];
            for (int i = 0; i < 3; i++) matrix[i] = lease(&f, segment[i]);
            for (int i = 0; i < 3; i++) assert_segment(&f, segment[i], matrix[i]);
            for (int i = 0; i < 3; i++) tess_bank_release(&f.bank, segment[i]);
        }
        close_bank(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_slots_are_smaller),
        cmocka_unit_test(test_worth),
        cmocka_unit_test(test_leases_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
