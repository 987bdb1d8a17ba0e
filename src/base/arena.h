/* One mapping, handed out front to back and given back whole.
 *
 * Every size is planned before memory is reserved, so the code that lays out an arena runs twice: once over
 * an arena that only measures (tess_arena_measure: takes return NULL and count), once over the real one. Both
 * runs take the same steps, so the plan cannot drift from what is used.
 */
#ifndef TESS_BASE_ARENA_H
#define TESS_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct tess_arena {
    unsigned char *base; /* NULL while measuring */
    uint64_t capacity, used;
    bool overflowed; /* a size did not fit 64 bits: the layout is impossible */
} tess_arena;

/* An arena that measures. */
tess_arena tess_arena_measure(void);
/* Reserves `capacity` bytes of zeroed memory; pages count as resident when they are first touched. */
tess_status tess_arena_reserve(uint64_t capacity, tess_arena *out, tess_error *err);
void tess_arena_release(tess_arena *arena);

/* n items of `size` bytes on a multiple of `alignment` (a power of two, at most 4096). Returns NULL from an
 * arena that measures; taking more than was reserved is a broken invariant. */
void *tess_arena_take(tess_arena *arena, uint64_t n, uint64_t size, uint64_t alignment);

/* Of memory that was taken and not touched yet: less of it becomes resident where it is touched here and
 * there, and reading a lot of it is a little slower. NULL is left alone. */
void tess_use_small_pages(void *begin, uint64_t n_byte);

/* Arrays of a type, on cache lines. */
#define TESS_TAKE(arena, type, n) ((type *)tess_arena_take((arena), (uint64_t)(n), sizeof(type), 64))
/* [n_row, width] floats. */
#define TESS_TAKE_ROWS(arena, n_row, width)                                                                  \
    ((float *)tess_arena_take((arena), (uint64_t)(n_row), (uint64_t)(width) * sizeof(float), 64))

#endif
