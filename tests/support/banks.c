#include "banks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

void test_bank_lay_out(tess_bank *bank, tess_store *store, const tess_bank_layout *layout, tess_arena *arena)
{
    tess_error err;
    tess_arena measuring = tess_arena_measure();
    tess_bank_init(bank, store, layout, &measuring);
    assert_int_equal(tess_arena_reserve(measuring.used, arena, &err), TESS_OK);
    tess_bank_init(bank, store, layout, arena);
    assert_int_equal(arena->used, measuring.used);
}

const tess_matrix *test_bank_lease(tess_bank *bank, int segment)
{
    tess_error err;
    const tess_matrix *matrix;
    if (tess_bank_lease(bank, segment, &matrix, &err) != TESS_OK) fail_msg("%s", err.message);
    return matrix;
}
