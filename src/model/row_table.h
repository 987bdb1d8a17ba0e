/* A tall matrix in blocks of rows that a bank lends one at a time: an embedding, of which a token reads a
 * row, or a head, of which it multiplies all. A resident one is a bank with a slot for every block. */
#ifndef TESS_MODEL_ROW_TABLE_H
#define TESS_MODEL_ROW_TABLE_H

#include "model/compute.h"
#include "model/weights.h"

typedef struct tess_row_table {
    tess_bank bank;
    int n_row, block_rows; /* rows in all, and of a block but the last */
} tess_row_table;

/* Lays the table out for n_slot blocks at a time; only one that stays whole is packed. */
void tess_row_table_init(tess_row_table *table, tess_store *store, const tess_row_blocks *blocks, int n_slot,
                         tess_bank_packing packing, tess_arena *arena);

/* out[n_col] = the elements of one row. Errors: those of tess_bank_lease. */
tess_status tess_row_table_read(tess_row_table *table, const tess_kernels *kernels, int row, float *out,
                                tess_error *err);

/* out[n_tok, n_row] = the product of packed rows with the whole table. Errors: those of tess_bank_lease. */
tess_status tess_row_table_multiply(tess_row_table *table, const tess_compute *compute, const float *packed,
                                    int n_tok, float *out, tess_error *err);

#endif
