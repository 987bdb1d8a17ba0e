/* A fixed set of threads that run one task at a time, each its own static share.
 *
 * Work is split by index, never by arrival, so which thread computes an element depends only on the
 * number of threads, and no element is computed by two. The calling thread takes share 0. The other threads
 * block signals.
 */
#ifndef TESS_BASE_POOL_H
#define TESS_BASE_POOL_H

#include <stdint.h>

#include "base/error.h"

typedef struct tess_pool tess_pool;
typedef void tess_task(void *arg, int share, int n_share);

enum { TESS_POOL_MAX_THREADS = 256 };

/* Starts n_thread - 1 threads. TESS_EUSAGE unless 1 <= n_thread <= TESS_POOL_MAX_THREADS; TESS_ENOMEM or
 * TESS_EIO if the system refuses. */
tess_status tess_pool_new(int n_thread, tess_pool **out, tess_error *err);
void tess_pool_free(tess_pool *pool); /* NULL is fine */
int tess_pool_get_threads(const tess_pool *pool);

/* Runs task(arg, share, n_share) for every share and returns when all have returned. Not reentrant; one
 * caller at a time. What the caller wrote before is visible to the parts, and the reverse. */
void tess_pool_run(tess_pool *pool, tess_task *task, void *arg);

/* The half-open range of n items that belongs to one share; shares are contiguous and differ by at most one
 * multiple of `grain` (≥ 1). */
static inline void tess_share_range(int64_t n, int64_t grain, int share, int n_share, int64_t *begin,
                                    int64_t *end)
{
    int64_t n_grain = (n + grain - 1) / grain;
    int64_t first = n_grain * share / n_share * grain, last = n_grain * (share + 1) / n_share * grain;
    *begin = first < n ? first : n;
    *end = last < n ? last : n;
}

#endif
