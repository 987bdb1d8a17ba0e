#include "model/row_table.h"

void tess_row_table_init(tess_row_table *table, tess_store *store, const tess_row_blocks *blocks, int n_slot,
                         tess_bank_packing packing, tess_arena *arena)
{
    tess_bank_layout layout = {.weight = blocks->block,
                               .n_segment = blocks->n_block,
                               .n_weight = 1,
                               .group_size = blocks->n_block,
                               .n_slot = n_slot,
                               .n_lease = 1,
                               .packing = {packing.is_on && n_slot == blocks->n_block, packing.pool}};
    *table = (tess_row_table){.n_row = blocks->n_row, .block_rows = blocks->block_rows};
    tess_bank_init(&table->bank, store, &layout, arena);
}

tess_status tess_row_table_read(tess_row_table *table, const tess_kernels *kernels, int row, float *out,
                                tess_error *err)
{
    TESS_ASSERT(row >= 0 && row < table->n_row);
    const tess_matrix *block;
    tess_status status = tess_bank_lease(&table->bank, row / table->block_rows, &block, err);
    if (status != TESS_OK) return status;
    tess_matrix_read_row(kernels, block, (size_t)(row % table->block_rows), out);
    tess_bank_release(&table->bank, row / table->block_rows);
    return TESS_OK;
}

tess_status tess_row_table_multiply(tess_row_table *table, const tess_compute *compute, const float *packed,
                                    int n_tok, float *out, tess_error *err)
{
    for (int i = 0; i < table->bank.layout.n_segment; i++) {
        const tess_matrix *block;
        tess_status status = tess_bank_lease(&table->bank, i, &block, err);
        if (status != TESS_OK) return status;
        tess_linear product = {.weight = block,
                               .packed = packed,
                               .n_tok = n_tok,
                               .out = out + (size_t)i * (size_t)table->block_rows,
                               .out_stride = (size_t)table->n_row};
        tess_linear_run(compute, &product, 1);
        tess_bank_release(&table->bank, i);
    }
    return TESS_OK;
}
