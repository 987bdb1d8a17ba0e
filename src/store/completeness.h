/* Compares a store with a list of what it must hold: missing, misshapen, of another dtype, extra. */
#ifndef TESS_STORE_COMPLETENESS_H
#define TESS_STORE_COMPLETENESS_H

#include "store/store.h"

typedef struct tess_completeness tess_completeness;

/* Problems go to `sink`, or the first one is the failure (problem.h). The store must stay open. */
tess_status tess_completeness_begin(const tess_store *store, const tess_problem_sink *sink,
                                    tess_completeness **out, tess_error *err);
/* One tensor that must be there. A name that the store's opening has reported as absent is passed over. */
tess_status tess_completeness_expect(tess_completeness *c, const char *name, tess_dtype dtype, int n_dim,
                                     const uint64_t *dim, tess_error *err);
/* After the last: what is there and was not expected is extra. */
tess_status tess_completeness_end(tess_completeness *c, tess_error *err);
void tess_completeness_free(tess_completeness *c); /* NULL is fine */

#endif
