/* For benchmarks: clocks, medians, and a checkpoint of the released dimensions. */
#ifndef TESS_BENCH_MEASURE_H
#define TESS_BENCH_MEASURE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* Seconds. */
static inline double bench_now(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Lowest first: the median is in the middle. */
static inline void bench_sort(double *values, size_t n)
{
    qsort(values, n, sizeof *values, bench_compare);
}

static inline void bench_must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

/* Zeros in huge pages, as the engine's weights lie. */
static inline void *bench_reserve(size_t bytes)
{
    const size_t page = 2 << 20;
    void *p = aligned_alloc(page, (bytes + page - 1) / page * page);
    bench_must(p != NULL, "memory");
    madvise(p, bytes, MADV_HUGEPAGE);
    memset(p, 0, bytes);
    return p;
}

/* A checkpoint in a folder of its own, "/tmp/tess-bench-XXXXXX" at first, by options of the synthetic tool.
 */
static inline void bench_make_checkpoint(char *folder, const char *options)
{
    char command[512];
    const char *build = getenv("TESS_BUILD");
    bench_must(mkdtemp(folder) != NULL, "making a folder");
    snprintf(command, sizeof command, "%s/synthetic --out %s %s >/dev/null",
             build ? build : "build/release-gcc", folder, options);
    bench_must(system(command) == 0, "the synthetic tool");
}

static inline void bench_remove_checkpoint(const char *folder)
{
    char command[512];
    snprintf(command, sizeof command, "rm -r %s", folder);
    bench_must(system(command) == 0, "removing the folder");
}

#endif
