#include "packing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/bank.h"

enum { ROOM_BYTES = 64 << 20, LEAST_COLUMNS = 17 /* more than a convolution channel by channel has taps */ };

static struct {
    unsigned char *room; /* NULL: nothing is packed */
    size_t n_used, n_packed;
} packing;

tess_status __real_tess_bank_lease(tess_bank *bank, int segment, const tess_matrix **matrix, tess_error *err);
tess_status __wrap_tess_bank_lease(tess_bank *bank, int segment, const tess_matrix **matrix, tess_error *err);

/* Room is set aside before: nothing may be allocated while the engine computes. */
static void pack(tess_matrix *m)
{
    const size_t n = tess_weights_count_exceptions(m->bytes, m->n_row, m->n_col);
    const size_t n_byte = tess_packed_bytes(m->n_row, m->n_col, n);
    if (n_byte > ROOM_BYTES - packing.n_used) fail_msg("no room for more packed matrices");
    void *packed = packing.room + packing.n_used;
    tess_weights_pack(packed, m->bytes, m->n_row, m->n_col);
    packing.n_used += n_byte;
    packing.n_packed++;
    m->bytes = packed;
    m->format = TESS_FORMAT_PACKED;
}

tess_status __wrap_tess_bank_lease(tess_bank *bank, int segment, const tess_matrix **matrix, tess_error *err)
{
    const tess_status status = __real_tess_bank_lease(bank, segment, matrix, err);
    if (status != TESS_OK || !packing.room) return status;
    for (int i = 0; i < bank->layout.n_weight; i++) {
        tess_matrix *m = (tess_matrix *)(uintptr_t) & (*matrix)[i];
        if (m->bytes && m->format == TESS_FORMAT_BF16 && m->n_row > 1 && m->n_col >= LEAST_COLUMNS) pack(m);
    }
    return status;
}

void test_packing_begin(void)
{
    packing.room = aligned_alloc(64, ROOM_BYTES);
    assert_non_null(packing.room);
    packing.n_used = packing.n_packed = 0;
}

size_t test_packing_end(void)
{
    free(packing.room);
    packing.room = NULL;
    return packing.n_packed;
}
