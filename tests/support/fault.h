/* Failing allocations on purpose: the k-th one, for k = 1, 2, 3 …, until nothing fails any more.
 *
 * Tests are linked so that malloc, calloc, realloc, aligned_alloc and strdup of the library and of the test
 * pass through here; jansson's too after fault_init(). Allocations inside the C library do not.
 */
#ifndef TESS_TESTS_FAULT_H
#define TESS_TESTS_FAULT_H

#include <stdbool.h>

/* Routes jansson's allocations through here as well. Before the first use of jansson. */
void fault_init(void);
/* From now on the k-th allocation fails, once. 0: none. */
void fault_alloc_at(long k);
/* Ends it; whether the failing allocation has been reached. */
bool fault_alloc_end(void);

#endif
