/* XXH3 of 64 bits: tells bytes that a disk or a cable has changed, at the speed of memory. It is no proof
 * against somebody who changes them on purpose; SHA-256 (digest.h) is. */
#ifndef TESS_BASE_XXH3_H
#define TESS_BASE_XXH3_H

#include <stddef.h>
#include <stdint.h>

uint64_t tess_xxh3(const void *bytes, size_t n_byte);

#endif
