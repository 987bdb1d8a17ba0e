/* The table of a packed store before its weights are packed: all that is known then. */
#ifndef TESS_STORE_PACKING_TABLE_H
#define TESS_STORE_PACKING_TABLE_H

#include "store/packing.h"

/* Pieces have no bytes yet, tensors no digests. free(out->counts) after success. Errors: TESS_EINPUT  a
 * tensor that is not BF16; TESS_EIO, TESS_ENOMEM. */
tess_status tess_packing_table_make(const tess_packing_order *order, tess_packed_table *out, tess_error *err);

#endif
