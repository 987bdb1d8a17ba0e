/* For benchmarks of one component at the released dimensions: a hollow checkpoint, threads with memory, and
 * work in pairs with as much of a yardstick's right before it. The weights are holes, which cost the same as
 * others. The first argument names an instruction set; without one it is the strongest. */
#ifndef TESS_BENCH_RELEASED_H
#define TESS_BENCH_RELEASED_H

#include "measure.h"
#include "base/fpenv.h"
#include "engine/model.h"
#include "model/compute.h"

enum { RELEASED_RUNS = 5 };

typedef struct released {
    char folder[32];
    tess_fpenv saved;
    tess_config config;
    tess_store *store;
    tess_kernels kernels;
    tess_compute compute;
    tess_arena arena;
} released;

static inline void released_open(released *r, int argc, char **argv)
{
    *r = (released){.folder = "/tmp/tess-bench-XXXXXX"};
    r->compute = (tess_compute){.kernels = &r->kernels, .rounding = TESS_ROUND_NONE};
    bench_must(tess_kernels_choose(argc > 1 ? argv[1] : NULL, &r->kernels, NULL) == TESS_OK,
               "choosing an instruction set");
    bench_make_checkpoint(r->folder, "--hollow");
    r->saved = tess_fpenv_enter();
    bench_must(tess_config_load(r->folder, &r->config, NULL) == TESS_OK, "reading the configuration");
    bench_must(tess_store_open(r->folder, TESS_DIRECT_AUTO, &r->store, NULL) == TESS_OK, "opening");
    printf("%s\n", r->kernels.name);
}

static inline void released_close(released *r)
{
    tess_store_close(r->store);
    tess_fpenv_leave(r->saved);
    bench_remove_checkpoint(r->folder);
}

/* Threads, and an arena for what lay_out takes. */
static inline void released_begin(released *r, int n_thread,
                                  void (*lay_out)(void *context, tess_arena *arena), void *context)
{
    bench_must(tess_pool_new(n_thread, &r->compute.pool, NULL) == TESS_OK, "starting threads");
    tess_arena measuring = tess_arena_measure();
    lay_out(context, &measuring);
    bench_must(tess_arena_reserve(measuring.used, &r->arena, NULL) == TESS_OK, "reserving memory");
    lay_out(context, &r->arena);
}

static inline void released_end(released *r)
{
    tess_arena_release(&r->arena);
    tess_pool_free(r->compute.pool);
}

/* Lowest first: of the work its seconds and the processor's, and the share of them that the yardstick took.
 */
typedef struct released_pairs {
    double seconds[RELEASED_RUNS], processor[RELEASED_RUNS], share[RELEASED_RUNS];
} released_pairs;

static inline released_pairs released_time(void (*yardstick)(void *context), void (*work)(void *context),
                                           void *context, clockid_t clock)
{
    released_pairs p;
    work(context); /* the weights arrive */
    for (int i = 0; i < RELEASED_RUNS; i++) {
        const double start = bench_now(clock);
        yardstick(context);
        const double between = bench_now(clock), began = bench_now(CLOCK_PROCESS_CPUTIME_ID);
        work(context);
        p.processor[i] = bench_now(CLOCK_PROCESS_CPUTIME_ID) - began;
        p.seconds[i] = bench_now(clock) - between;
        p.share[i] = 100 * (between - start) / p.seconds[i];
    }
    bench_sort(p.seconds, RELEASED_RUNS);
    bench_sort(p.processor, RELEASED_RUNS);
    bench_sort(p.share, RELEASED_RUNS);
    return p;
}

/* "1.23 (1.20 … 1.30)": the median, the least and the most. */
static inline const char *released_spell(const double sorted[RELEASED_RUNS], double unit, int n_digit,
                                         char out[64])
{
    snprintf(out, 64, "%.*f (%.*f … %.*f)", n_digit, unit * sorted[RELEASED_RUNS / 2], n_digit,
             unit * sorted[0], n_digit, unit * sorted[RELEASED_RUNS - 1]);
    return out;
}

#endif
