/* Failing allocations on purpose: the k-th one, for k = 1, 2, 3 …, until nothing fails any more.
 *
 * Tests are linked so that malloc, calloc, realloc, aligned_alloc and strdup of the library and of the test
 * pass through here. Those within shared libraries do not.
 */
#ifndef TESS_TESTS_FAULT_H
#define TESS_TESTS_FAULT_H

#include <stdbool.h>

#include "tessera/error.h"

/* From now on the k-th allocation fails, once. 0: none. */
void fault_alloc_at(long k);
/* Ends it; whether the failing allocation has been reached. */
bool fault_alloc_end(void);

/* Calls work() with the k-th allocation failing, for every k, until none is left to fail; returns how many
 * times it ran out of memory. It may do without and then must be right, which work() checks; any other
 * failure, told in `err`, fails the test. */
int fault_alloc_each(tess_status (*work)(void), const tess_error *err);
/* The same for the first 100 and then every stride-th: for work that allocates the same for every tensor. */
int fault_alloc_some(tess_status (*work)(void), const tess_error *err, long stride);

#endif
