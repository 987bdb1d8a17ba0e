/* No allocation while decoding: a debug build aborts on one.
 *
 * Debug builds include this file in front of every source, so that each call of an allocating function in the
 * library asks first whether a guarded section is running on its thread. Other builds know nothing of it.
 * What libraries allocate on their own is not seen.
 */
#ifndef TESS_BASE_GUARD_H
#define TESS_BASE_GUARD_H

#include <stdbool.h>

#ifdef TESS_DEBUG

/* Before the names below become macros. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* A section in which this thread must not allocate; sections nest. */
void tess_guard_begin(void);
void tess_guard_end(void);
bool tess_guard_is_on(void);
/* Suspends this thread's sections while a caller's own code runs; returns what resuming needs. */
int tess_guard_pause(void);
void tess_guard_resume(int paused);
void tess_guard_check(const char *file, int line);

#define TESS_GUARDED(call) (tess_guard_check(__FILE__, __LINE__), call)
#define malloc(...) TESS_GUARDED(malloc(__VA_ARGS__))
#define calloc(...) TESS_GUARDED(calloc(__VA_ARGS__))
#define realloc(...) TESS_GUARDED(realloc(__VA_ARGS__))
#define aligned_alloc(...) TESS_GUARDED(aligned_alloc(__VA_ARGS__))
#define strdup(...) TESS_GUARDED(strdup(__VA_ARGS__))

#else

static inline void tess_guard_begin(void) {}
static inline void tess_guard_end(void) {}
static inline bool tess_guard_is_on(void)
{
    return false;
}
static inline int tess_guard_pause(void)
{
    return 0;
}
static inline void tess_guard_resume(int paused)
{
    (void)paused;
}

#endif
#endif
