#include "base/arena.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/checked.h"

/* From this size on the kernel is asked for huge pages: streaming through weights then misses the TLB less.
 */
#define HUGE_PAGES_FROM (64ull << 20)

tess_arena tess_arena_measure(void)
{
    return (tess_arena){.capacity = UINT64_MAX};
}

tess_status tess_arena_reserve(uint64_t capacity, tess_arena *out, tess_error *err)
{
    uint64_t n_byte = capacity ? capacity : 1;
    void *base =
        mmap(NULL, n_byte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return tess_fail(err, TESS_ENOMEM, "cannot reserve %llu bytes of memory", (unsigned long long)n_byte);
    madvise(base, n_byte, n_byte >= HUGE_PAGES_FROM ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    *out = (tess_arena){.base = base, .capacity = n_byte};
    return TESS_OK;
}

void tess_arena_release(tess_arena *arena)
{
    if (arena->base) munmap(arena->base, arena->capacity);
    *arena = (tess_arena){0};
}

void *tess_arena_take(tess_arena *arena, uint64_t n, uint64_t size, uint64_t alignment)
{
    uint64_t n_byte, end, start;
    if (!tess_mul_u64(n, size, &n_byte) || !tess_add_u64(arena->used, alignment - 1, &start) ||
        !tess_add_u64(start & ~(alignment - 1), n_byte, &end)) {
        arena->overflowed = true;
        return NULL;
    }
    start &= ~(alignment - 1);
    if (end > arena->capacity) TESS_BUG("an arena is smaller than its layout");
    arena->used = end;
    return arena->base ? arena->base + start : NULL;
}

void tess_use_small_pages(void *begin, uint64_t n_byte)
{
    const uintptr_t page = 4096, start = ((uintptr_t)begin + page - 1) & ~(page - 1),
                    end = ((uintptr_t)begin + n_byte) & ~(page - 1);
    if (begin && end > start) madvise((void *)start, end - start, MADV_NOHUGEPAGE);
}
