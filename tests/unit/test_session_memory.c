/* Several sessions within the smallest budget and a larger one: the process's peak stays inside it while they
 * are fed and stepped in turn. Each case is a process of its own, since a peak never falls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tessera.h"

#define MODEL "demo/checkpoint"

/* Keys and values of 8 sessions are then more than what a plan allows a process besides. The last token that
 * is chosen is not fed. */
enum { MAX_SESSIONS = 8, PROMPT = 252, STEPS = 4 };

static int complain(const char *what, const tess_error *err)
{
    printf("# %s: %s\n", what, err ? err->message : "");
    return 1;
}

static int feed_all(tess_session **session, int n_session, tess_error *err)
{
    int32_t ids[PROMPT];
    for (int s = 0; s < n_session; s++) {
        for (int i = 0; i < PROMPT; i++) ids[i] = 5 + (i * 7 + s * 13) % 200;
        if (tess_session_feed(session[s], &(tess_feed){.ids = ids, .n_tok = PROMPT}, err) != TESS_OK)
            return 1;
    }
    return 0;
}

static int step_all(tess_session **session, int n_session, tess_error *err)
{
    const tess_sampling sampling = {.temperature = 1, .top_k = 20, .top_p = 0.9, .repetition_penalty = 1.1};
    for (int i = 0; i < STEPS; i++)
        for (int s = 0; s < n_session; s++) {
            int32_t id;
            if (tess_session_step(session[s], &sampling, NULL, NULL, &id, err) != TESS_OK) return 1;
        }
    return 0;
}

/* In a child: 0 if the peak is within the smallest budget and `more`. */
static int run_within(tess_engine_options options, uint64_t more)
{
    tess_error err;
    tess_plan plan;
    tess_engine *engine;
    tess_session *session[MAX_SESSIONS];
    options.memory_bytes = 1;
    if (tess_plan_make(&options, &plan, &err) != TESS_EBUDGET) return complain("no smallest budget", &err);
    options.memory_bytes = err.smallest_budget_bytes + more;
    if (tess_engine_open(&options, &engine, &err) != TESS_OK) return complain("open", &err);
    for (int s = 0; s < options.n_session; s++)
        if (tess_session_new(engine, &session[s], &err) != TESS_OK) return complain("session", &err);
    if (feed_all(session, options.n_session, &err)) return complain("feed", &err);
    if (step_all(session, options.n_session, &err)) return complain("step", &err);
    uint64_t peak = tess_peak_rss_bytes();
    printf("# %d sessions, %d threads, %d positions, %s: peak %llu of %llu\n", options.n_session,
           options.n_thread, options.n_context, options.precision == TESS_PRECISION_BF16 ? "bf16" : "f32",
           (unsigned long long)peak, (unsigned long long)options.memory_bytes);
    for (int s = 0; s < options.n_session; s++) tess_session_free(session[s]);
    tess_engine_close(engine);
    return peak > options.memory_bytes;
}

static int run_apart(const tess_engine_options *options, uint64_t more)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int code = run_within(*options, more);
        fflush(stdout);
        _exit(code);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void test_peak(void **state)
{
    (void)state;
    if (getenv("TESS_SANITIZED")) skip(); /* a sanitizer's memory is not the program's */
    const struct {
        int n_session, n_thread;
        tess_precision precision;
        uint64_t more;
    } cases[] = {{8, 2, TESS_PRECISION_BF16, 0},
                 {8, 1, TESS_PRECISION_F32, 2000000},
                 {2, 3, TESS_PRECISION_F32, 2000000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const tess_engine_options options = {.model_dir = MODEL,
                                             .n_session = cases[i].n_session,
                                             .n_context = PROMPT + STEPS - 1,
                                             .n_thread = cases[i].n_thread,
                                             .precision = cases[i].precision};
        assert_int_equal(run_apart(&options, cases[i].more), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_peak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
