/* No allocation while decoding: debug builds abort on one, on any thread, and only there. */
#include "base/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pool.h"
#include "engine/engine.h"

/* The signal that ended work() in a process of its own, 0 if it returned; what it said is in `said`. */
static char said[512];
static int run_apart(void (*work)(void))
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka would catch it */
        work();
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], said + used, sizeof said - 1 - used)) > 0;) used += (size_t)n;
    said[used] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* The library allocates to answer. */
static void open_something(void)
{
    tess_pool *pool;
    if (tess_pool_new(1, &pool, NULL) == TESS_OK) tess_pool_free(pool);
}

static void open_guarded(void)
{
    tess_guard_begin();
    open_something();
    tess_guard_end();
}

static void open_while_paused(void)
{
    tess_guard_begin();
    int paused = tess_guard_pause();
    open_something();
    tess_guard_resume(paused);
    tess_guard_end();
    open_something();
}

static void share(void *arg, int i, int n)
{
    (void)arg;
    if (i == n - 1) open_something();
}

static void open_on_another_thread(void)
{
    tess_pool *pool;
    if (tess_pool_new(3, &pool, NULL) != TESS_OK) return;
    tess_guard_begin();
    tess_pool_run(pool, share, NULL);
    tess_guard_end();
    tess_pool_free(pool);
}

static void test_allocation_aborts(void **state)
{
    (void)state;
#ifdef TESS_DEBUG
    assert_int_equal(run_apart(open_guarded), SIGABRT);
    assert_non_null(strstr(said, "src/base/pool.c:"));
    assert_non_null(strstr(said, "memory is allocated while decoding"));
    assert_int_equal(run_apart(open_on_another_thread), SIGABRT);
    assert_non_null(strstr(said, "memory is allocated while decoding"));
#else
    assert_int_equal(run_apart(open_guarded), 0);
    assert_int_equal(run_apart(open_on_another_thread), 0);
#endif
    assert_int_equal(run_apart(open_while_paused), 0);
}

/* A kernel that looks whether it is guarded. */
static atomic_int n_guarded, n_unguarded;
static void (*softmax)(float *values, size_t n);
static void watch_softmax(float *values, size_t n)
{
    atomic_fetch_add(tess_guard_is_on() ? &n_guarded : &n_unguarded, 1);
    softmax(values, n);
}

static bool wants(void *context, const tess_tap *tap)
{
    (void)tap;
    *(bool *)context |= tess_guard_is_on();
    return true;
}

static tess_status hear(void *context, const tess_tap_rows *rows, tess_error *err)
{
    (void)rows;
    (void)err;
    *(bool *)context |= tess_guard_is_on();
    return TESS_OK;
}

static bool tell(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)activity;
    (void)done;
    (void)total;
    *(bool *)context |= tess_guard_is_on();
    return true;
}

static void test_decoding_is_guarded_and_listeners_are_not(void **state)
{
    (void)state;
    const tess_engine_options options = {
        .model_dir = "tests/golden/c", .memory_bytes = 1u << 30, .n_thread = 3, .n_context = 64};
    tess_engine *engine;
    tess_session *session;
    tess_error err;
    if (tess_engine_open(&options, &engine, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(tess_session_new(engine, &session, &err), TESS_OK);
    softmax = engine->model.kernels.softmax;
    engine->model.kernels.softmax = watch_softmax;
    bool was_on = false;
    const tess_tap_listener listener = {&was_on, wants, hear, NULL};
    const tess_progress progress = {.tell = tell, .context = &was_on};
    const int32_t ids[] = {1, 2, 3, 4, 5};
    assert_int_equal(
        tess_session_feed(session,
                          &(tess_feed){.ids = ids, .n_tok = 5, .listener = &listener, .progress = &progress},
                          &err),
        TESS_OK);
    const tess_generation generation = {
        .sampling = TESS_SAMPLING_GREEDY, .max_new = 4, .listener = &listener, .progress = &progress};
    int32_t made[4];
    int n_made;
    tess_finish finish;
    assert_int_equal(tess_session_generate(session, &generation, made, &n_made, &finish, &err), TESS_OK);
    assert_false(was_on);
#ifdef TESS_DEBUG
    assert_true(n_guarded > 0 && n_unguarded == 0);
#else
    assert_true(n_guarded == 0 && n_unguarded > 0);
#endif
    assert_false(tess_guard_is_on());
    tess_session_free(session);
    tess_engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocation_aborts),
        cmocka_unit_test(test_decoding_is_guarded_and_listeners_are_not),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
