/* Where the codes of two speeches differ, while they are heard: codebooks × frames, of many frames several to
 * a cell.
 *
 * Of a cell the first frame that differs is kept with both codes, so that memory does not grow with the
 * speech.
 */
#ifndef TESS_VERIFY_COMPARE_CODE_SUMS_H
#define TESS_VERIFY_COMPARE_CODE_SUMS_H

#include "base/error.h"
#include "tessera/compare.h"

typedef struct tess_code_sums {
    int64_t n_frame; /* of the reference */
    int n_codebook, n_column;
    tess_code_cell *cell; /* [n_codebook, n_column] */
} tess_code_sums;

/* More codebooks than TESS_CODES_MOST_CODEBOOKS are not kept: *out is NULL then. TESS_ENOMEM. */
tess_status tess_code_sums_new(int64_t n_codebook, int64_t n_frame, tess_code_sums **out, tess_error *err);
void tess_code_sums_free(tess_code_sums *codes); /* NULL is fine */

/* A code of the reference that the trace has otherwise. */
void tess_code_sums_add(tess_code_sums *codes, int64_t codebook, int64_t frame, int64_t expected,
                        int64_t found);

/* What the cells take. */
uint64_t tess_code_sums_bytes(uint64_t n_codebook, uint64_t n_frame);

#endif
