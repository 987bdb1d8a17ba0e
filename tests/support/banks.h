/* For tests: a bank in memory of its own. */
#ifndef TESS_TESTS_BANKS_H
#define TESS_TESTS_BANKS_H

#include "store/bank.h"

/* Lays a bank out in an arena that is reserved for it; the caller releases the arena. */
void test_bank_lay_out(tess_bank *bank, tess_store *store, const tess_bank_layout *layout, tess_arena *arena);

/* A lease that must succeed. */
const tess_matrix *test_bank_lease(tess_bank *bank, int segment);

#endif
