/* The library's own header holds the code: nothing is linked. */
#define XXH_INLINE_ALL
#include "base/xxh3.h"

#include <xxhash.h>

uint64_t tess_xxh3(const void *bytes, size_t n_byte)
{
    return XXH3_64bits(bytes, n_byte);
}

_Static_assert(sizeof(XXH3_state_t) <= sizeof(tess_xxh3_pieces), "the state is too small");

void tess_xxh3_begin(tess_xxh3_pieces *pieces)
{
    XXH3_64bits_reset((XXH3_state_t *)(void *)pieces);
}

void tess_xxh3_add(tess_xxh3_pieces *pieces, const void *bytes, size_t n_byte)
{
    XXH3_64bits_update((XXH3_state_t *)(void *)pieces, bytes, n_byte);
}

uint64_t tess_xxh3_end(const tess_xxh3_pieces *pieces)
{
    return XXH3_64bits_digest((const XXH3_state_t *)(const void *)pieces);
}
