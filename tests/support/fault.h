/* Failing allocations on purpose: the k-th one, for k = 1, 2, 3 …, until nothing fails any more.
 *
 * Tests are linked so that malloc, calloc, realloc, aligned_alloc and strdup of the library and of the test
 * pass through here. Those within shared libraries do not.
 */
#ifndef TESS_TESTS_FAULT_H
#define TESS_TESTS_FAULT_H

#include <stdbool.h>

/* From now on the k-th allocation fails, once. 0: none. */
void fault_alloc_at(long k);
/* Ends it; whether the failing allocation has been reached. */
bool fault_alloc_end(void);

#endif
