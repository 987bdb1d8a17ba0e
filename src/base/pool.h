/* A fixed set of threads that run one task at a time, each its own static part.
 *
 * Work is split by index, never by arrival, so which thread computes an element depends only on the
 * number of threads, and no element is computed by two. The calling thread takes part 0.
 */
#ifndef TESS_BASE_POOL_H
#define TESS_BASE_POOL_H

#include <stdint.h>

#include "base/error.h"

typedef struct tess_pool tess_pool;
typedef void tess_task(void *arg, int part, int n_part);

enum { TESS_POOL_MAX_THREADS = 256 };

/* Starts n_thread - 1 threads. TESS_EUSAGE unless 1 <= n_thread <= TESS_POOL_MAX_THREADS; TESS_ENOMEM or
 * TESS_EIO if the system refuses. */
tess_status tess_pool_new(int n_thread, tess_pool **out, tess_error *err);
void tess_pool_free(tess_pool *pool); /* NULL is fine */
int tess_pool_get_threads(const tess_pool *pool);

/* Runs task(arg, part, n_part) for every part and returns when all have returned. Not reentrant; one
 * caller at a time. What the caller wrote before is visible to the parts, and the reverse. */
void tess_pool_run(tess_pool *pool, tess_task *task, void *arg);

/* The half-open range of n items that belongs to one part; parts are contiguous and differ by at most one
 * multiple of `grain` (≥ 1). */
static inline void tess_part_range(int64_t n, int64_t grain, int part, int n_part, int64_t *begin,
                                   int64_t *end)
{
    int64_t n_grain = (n + grain - 1) / grain;
    int64_t first = n_grain * part / n_part * grain, last = n_grain * (part + 1) / n_part * grain;
    *begin = first < n ? first : n;
    *end = last < n ? last : n;
}

#endif
