#include "verify/compare/code_sums.h"

#include <stdlib.h>

static int count_columns(uint64_t n_frame)
{
    return n_frame < TESS_CODES_COLUMNS ? (int)n_frame : TESS_CODES_COLUMNS;
}

tess_status tess_code_sums_new(int64_t n_codebook, int64_t n_frame, tess_code_sums **out, tess_error *err)
{
    *out = NULL;
    if (n_codebook > TESS_CODES_MOST_CODEBOOKS) return TESS_OK;
    tess_code_sums *codes = calloc(1, sizeof *codes);
    if (codes) {
        *codes = (tess_code_sums){
            .n_frame = n_frame, .n_codebook = (int)n_codebook, .n_column = count_columns((uint64_t)n_frame)};
        codes->cell = calloc((size_t)codes->n_codebook * (size_t)codes->n_column + 1, sizeof *codes->cell);
    }
    if (!codes || !codes->cell) {
        tess_code_sums_free(codes);
        return tess_fail(err, TESS_ENOMEM, "no memory to compare the codes of %lld frames",
                         (long long)n_frame);
    }
    *out = codes;
    return TESS_OK;
}

void tess_code_sums_free(tess_code_sums *codes)
{
    if (!codes) return;
    free(codes->cell);
    free(codes);
}

void tess_code_sums_add(tess_code_sums *codes, int64_t codebook, int64_t frame, int64_t expected,
                        int64_t found)
{
    int64_t column = frame * codes->n_column / codes->n_frame;
    tess_code_cell *cell = &codes->cell[codebook * codes->n_column + column];
    if (!cell->n_different++) {
        cell->frame = frame;
        cell->expected = expected;
        cell->found = found;
    }
}

uint64_t tess_code_sums_bytes(uint64_t n_codebook, uint64_t n_frame)
{
    if (n_codebook > TESS_CODES_MOST_CODEBOOKS) return 0;
    return sizeof(tess_code_sums) +
           (n_codebook * (uint64_t)count_columns(n_frame) + 1) * sizeof(tess_code_cell);
}
