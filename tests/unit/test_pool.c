/* The pool: every share once per round, shares that cover without overlap, and many short rounds. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/pool.h"

enum { N = 1000 };

static void count_up(void *arg, int share, int n_share)
{
    int *counts = arg;
    int64_t begin, end;
    tess_share_range(N, 1, share, n_share, &begin, &end);
    for (int64_t i = begin; i < end; i++) counts[i]++;
}

static void test_rounds(void **state)
{
    (void)state;
    tess_error err;
    for (int n_thread = 1; n_thread <= 5; n_thread++) {
        tess_pool *pool;
        int counts[N] = {0};
        assert_int_equal(tess_pool_new(n_thread, &pool, &err), TESS_OK);
        assert_int_equal(tess_pool_get_threads(pool), n_thread);
        for (int round = 0; round < 2000; round++) {
            tess_pool_run(pool, count_up, counts);
            if (round % 500 == 0) { /* long enough that the workers sleep */
                struct timespec pause = {.tv_nsec = 2000000};
                nanosleep(&pause, NULL);
            }
        }
        for (int i = 0; i < N; i++) assert_int_equal(counts[i], 2000);
        tess_pool_free(pool);
    }
}

static void note_mask(void *arg, int share, int n_share)
{
    (void)n_share;
    pthread_sigmask(SIG_BLOCK, NULL, &((sigset_t *)arg)[share]);
}

static void test_workers_block_signals(void **state)
{
    (void)state;
    enum { N_THREAD = 3 };
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGALRM};
    tess_error err;
    tess_pool *pool;
    sigset_t mask[N_THREAD];
    assert_int_equal(tess_pool_new(N_THREAD, &pool, &err), TESS_OK);
    tess_pool_run(pool, note_mask, mask);
    tess_pool_free(pool);
    for (int share = 0; share < N_THREAD; share++) {
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
            assert_int_equal(sigismember(&mask[share], signals[i]), share > 0);
        assert_int_equal(sigismember(&mask[share], SIGSEGV), 0);
    }
}

static void test_ranges(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 70; n++)
        for (int grain = 1; grain < 20; grain += 6)
            for (int n_share = 1; n_share < 9; n_share++) {
                int64_t at = 0;
                for (int share = 0; share < n_share; share++) {
                    int64_t begin, end;
                    tess_share_range(n, grain, share, n_share, &begin, &end);
                    assert_int_equal(begin, at);
                    assert_true(end >= begin && (end == n || end % grain == 0));
                    at = end;
                }
                assert_int_equal(at, n);
            }
}

static void test_refusals(void **state)
{
    (void)state;
    tess_error err;
    tess_pool *pool = NULL;
    assert_int_equal(tess_pool_new(0, &pool, &err), TESS_EUSAGE);
    assert_int_equal(tess_pool_new(257, &pool, &err), TESS_EUSAGE);
    assert_non_null(strstr(err.message, "257"));
    assert_null(pool);
    tess_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounds),
                                       cmocka_unit_test(test_workers_block_signals),
                                       cmocka_unit_test(test_ranges), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
