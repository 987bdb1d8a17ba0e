/* Parts wait on a futex-backed condition variable after a short spin: a decoded token has several hundred
 * parallel phases, some only microseconds long, and a sleep and wake costs more than such a phase. Where what
 * is waited for has no processor, spinning takes one from it: whoever has spun in vain spins for half as long
 * the next time, until it helps again. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fpenv.h"
#include "base/guard.h"
#include "base/signals.h"

enum { MOST_SPINS = 2000, LEAST_SPINS = 30, STACK_BYTES = 256 * 1024 };

typedef struct worker {
    tess_pool *pool;
    pthread_t thread;
    int share;
} worker;

struct tess_pool {
    int n_thread;
    tess_task *task; /* NULL asks the workers to end */
    void *arg;
    bool is_guarded;    /* the caller must not allocate, so neither may its task */
    atomic_uint round;  /* grows by one for every task */
    atomic_int running; /* parts of the current round that have not returned */
    int n_spin;         /* of the caller */
    pthread_mutex_t lock;
    pthread_cond_t started, finished;
    worker workers[];
};

static inline void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* How long to spin the next time. */
static void learn(int *n_spin, bool was_in_vain)
{
    *n_spin = was_in_vain ? *n_spin / 2 : MOST_SPINS;
    if (*n_spin < LEAST_SPINS) *n_spin = LEAST_SPINS;
    if (*n_spin > MOST_SPINS) *n_spin = MOST_SPINS;
}

static unsigned wait_for_round(tess_pool *pool, unsigned seen, int *n_spin)
{
    for (int i = 0; i < *n_spin; i++) {
        unsigned round = atomic_load_explicit(&pool->round, memory_order_acquire);
        if (round != seen) {
            learn(n_spin, false);
            return round;
        }
        pause_briefly();
    }
    learn(n_spin, true);
    pthread_mutex_lock(&pool->lock);
    unsigned round;
    while ((round = atomic_load_explicit(&pool->round, memory_order_acquire)) == seen)
        pthread_cond_wait(&pool->started, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return round;
}

static void *serve_tasks(void *arg)
{
    worker *self = arg;
    tess_pool *pool = self->pool;
    tess_fpenv saved = tess_fpenv_enter();
    unsigned seen = 0;
    int n_spin = MOST_SPINS;
    for (;;) {
        seen = wait_for_round(pool, seen, &n_spin);
        if (!pool->task) break;
        if (pool->is_guarded) tess_guard_begin();
        pool->task(pool->arg, self->share, pool->n_thread);
        if (pool->is_guarded) tess_guard_end();
        if (atomic_fetch_sub_explicit(&pool->running, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
    }
    tess_fpenv_leave(saved);
    return NULL;
}

static void start_round(tess_pool *pool, tess_task *task, void *arg)
{
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->arg = arg;
    pool->is_guarded = tess_guard_is_on();
    atomic_store_explicit(&pool->running, pool->n_thread - 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    pthread_cond_broadcast(&pool->started);
    pthread_mutex_unlock(&pool->lock);
}

tess_status tess_pool_new(int n_thread, tess_pool **out, tess_error *err)
{
    if (n_thread < 1 || n_thread > TESS_POOL_MAX_THREADS) {
        char expected[32];
        snprintf(expected, sizeof expected, "1 to %d", TESS_POOL_MAX_THREADS);
        return tess_refuse_option(err, "n_thread", expected, "%d", n_thread);
    }
    tess_pool *pool = calloc(1, sizeof *pool + (size_t)n_thread * sizeof pool->workers[0]);
    if (!pool) return tess_fail(err, TESS_ENOMEM, "no memory for a pool of %d threads", n_thread);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->started, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->n_thread = 1;
    pool->n_spin = MOST_SPINS;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigset_t saved;
    tess_signals_block(&saved);
    int failed = 0;
    for (int i = 1; i < n_thread && !failed; i++) {
        pool->workers[i] = (worker){.pool = pool, .share = i};
        failed = pthread_create(&pool->workers[i].thread, &attributes, serve_tasks, &pool->workers[i]);
        if (!failed) pool->n_thread++;
    }
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    pthread_attr_destroy(&attributes);
    if (failed) {
        tess_pool_free(pool);
        return tess_fail_system(err, failed, "thread", -1, "start");
    }
    *out = pool;
    return TESS_OK;
}

void tess_pool_free(tess_pool *pool)
{
    if (!pool) return;
    start_round(pool, NULL, NULL);
    for (int i = 1; i < pool->n_thread; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->started);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int tess_pool_get_threads(const tess_pool *pool)
{
    return pool->n_thread;
}

void tess_pool_run(tess_pool *pool, tess_task *task, void *arg)
{
    if (pool->n_thread == 1) {
        task(arg, 0, 1);
        return;
    }
    start_round(pool, task, arg);
    task(arg, 0, pool->n_thread);
    for (int i = 0; i < pool->n_spin; i++) {
        if (atomic_load_explicit(&pool->running, memory_order_acquire) == 0) {
            learn(&pool->n_spin, false);
            return;
        }
        pause_briefly();
    }
    learn(&pool->n_spin, true);
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->running, memory_order_acquire) != 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
