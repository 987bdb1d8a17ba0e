/* XXH3 of 64 bits: tells bytes that a disk or a cable has changed, at the speed of memory. It is no proof
 * against somebody who changes them on purpose; SHA-256 (digest.h) is. */
#ifndef TESS_BASE_XXH3_H
#define TESS_BASE_XXH3_H

#include <stddef.h>
#include <stdint.h>

uint64_t tess_xxh3(const void *bytes, size_t n_byte);

/* The same of bytes that come in pieces. Plain memory, nothing to release. */
typedef struct tess_xxh3_pieces {
    _Alignas(64) unsigned char state[640];
} tess_xxh3_pieces;

void tess_xxh3_begin(tess_xxh3_pieces *pieces);
void tess_xxh3_add(tess_xxh3_pieces *pieces, const void *bytes, size_t n_byte);
uint64_t tess_xxh3_end(const tess_xxh3_pieces *pieces);

#endif
