#include "fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static atomic_long countdown; /* 1: the next one fails; 0 or less: nothing */
static atomic_bool was_reached;

static bool must_fail(void)
{
    if (atomic_load(&countdown) <= 0 || atomic_fetch_sub(&countdown, 1) != 1) return false;
    atomic_store(&was_reached, true);
    errno = ENOMEM;
    return true;
}

void fault_alloc_at(long k)
{
    atomic_store(&was_reached, false);
    atomic_store(&countdown, k);
}

bool fault_alloc_end(void)
{
    atomic_store(&countdown, 0);
    return atomic_load(&was_reached);
}

int fault_alloc_each(tess_status (*work)(void), const tess_error *err)
{
    return fault_alloc_some(work, err, 1);
}

int fault_alloc_some(tess_status (*work)(void), const tess_error *err, long stride)
{
    int n = 0;
    bool reached = true;
    for (long k = 1; reached; k += k < 100 ? 1 : stride) {
        fault_alloc_at(k);
        tess_status status = work();
        reached = fault_alloc_end();
        if (status != TESS_OK && !(reached && status == TESS_ENOMEM))
            fail_msg("allocation %ld: %s %s", k, tess_status_name(status), err->message);
        n += status == TESS_ENOMEM;
    }
    print_message("# %d allocations failed in turn\n", n);
    return n;
}

/* The linker sends calls of malloc() to __wrap_malloc(), and __real_malloc() is the original. */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__wrap_realloc(void *old, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t n)
{
    return must_fail() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
    return must_fail() ? NULL : __real_realloc(old, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return must_fail() ? NULL : __real_aligned_alloc(alignment, n);
}

char *__wrap_strdup(const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}
