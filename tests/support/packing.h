/* For tests: what banks lend, packed. */
#ifndef TESS_TESTS_PACKING_H
#define TESS_TESTS_PACKING_H

#include <stddef.h>

/* From here on every matrix that is lent is packed where it is lent, whatever its shape; vectors and weights
 * that a convolution takes channel by channel stay plain. One caller at a time, no other thread in a lease.
 */
void test_packing_begin(void);
/* Matrices lent from here on are as they are read; those that were packed must not be used any more. Returns
 * how many there were. */
size_t test_packing_end(void);

#endif
