/* The library's own header holds the code: nothing is linked. */
#define XXH_INLINE_ALL
#include "base/xxh3.h"

#include <xxhash.h>

uint64_t tess_xxh3(const void *bytes, size_t n_byte)
{
    return XXH3_64bits(bytes, n_byte);
}
