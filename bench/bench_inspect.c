/* How long it takes to open the published checkpoint's 28,010 tensors and compare them with what its
 * configuration implies, on a hollow copy; in pairs with parsing the same headers and index as JSON trees
 * only, which is what a reader on a JSON library would do first. And the rate of checksums, on holes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "base/json.h"
#include "tessera/checkpoint.h"

enum { N_RUN = 9 };
static const uint64_t CHECKSUM_BYTES = (uint64_t)2 << 30;

static void print_times(const char *what, double *seconds)
{
    bench_sort(seconds, N_RUN);
    printf("%-48s %7.1f ms median (%.1f … %.1f, %d runs)\n", what, 1e3 * seconds[N_RUN / 2], 1e3 * seconds[0],
           1e3 * seconds[N_RUN - 1], N_RUN);
}

static void ignore(void *context, const tess_problem *problem)
{
    (void)context;
    (void)problem;
}

static void open_and_check(const char *folder)
{
    tess_checkpoint *c;
    size_t n_problem = 1;
    bench_must(tess_checkpoint_open(folder, TESS_DIRECT_AUTO, &c, NULL) == TESS_OK, "opening");
    bench_must(tess_checkpoint_check(c, ignore, NULL, &n_problem, NULL) == TESS_OK && n_problem == 0,
               "checking");
    bench_must(tess_checkpoint_get_tensor_count(c) == 28010, "counting");
    tess_checkpoint_close(c);
}

static void parse_trees(const char *folder)
{
    char path[256];
    json_t *root;
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    bench_must(tess_json_load(path, 1 << 28, &root, NULL) == TESS_OK, "parsing the index");
    json_decref(root);
    for (int i = 1; i <= 15; i++) {
        snprintf(path, sizeof path, "%s/model-%05d-of-00015.safetensors", folder, i);
        FILE *f = fopen(path, "rb");
        unsigned char raw[8];
        bench_must(f && fread(raw, 1, 8, f) == 8, "reading a header");
        size_t n = (size_t)raw[0] | (size_t)raw[1] << 8 | (size_t)raw[2] << 16 | (size_t)raw[3] << 24;
        char *text = malloc(n);
        bench_must(text && fread(text, 1, n, f) == n, "reading a header");
        fclose(f);
        root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
        bench_must(root != NULL, "parsing a header");
        json_decref(root);
        free(text);
    }
}

static bool stop_when_enough(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)activity;
    (void)total;
    *(uint64_t *)context = done;
    return done < CHECKSUM_BYTES;
}

static void time_checksums(const char *folder)
{
    tess_checkpoint *c;
    char sha256[65];
    uint64_t done = 0;
    const tess_progress progress = {stop_when_enough, &done};
    const tess_checksum_listener listener = {.progress = &progress};
    bench_must(tess_checkpoint_open(folder, TESS_DIRECT_AUTO, &c, NULL) == TESS_OK, "opening");
    double start = bench_now(CLOCK_MONOTONIC);
    bench_must(tess_checkpoint_checksum(c, &listener, sha256, NULL) == TESS_EINTERRUPTED, "checksums");
    printf("%-48s %7.2f GB/s (by file and by tensor, %.1f GB)\n", "checksums, three threads",
           (double)done / (bench_now(CLOCK_MONOTONIC) - start) * 1e-9, (double)done * 1e-9);
    tess_checkpoint_close(c);
}

int main(void)
{
    char folder[] = "/tmp/tess-bench-XXXXXX";
    bench_make_checkpoint(folder, "--hollow");
    double check[N_RUN], trees[N_RUN];
    for (int i = 0; i < N_RUN; i++) {
        double t0 = bench_now(CLOCK_MONOTONIC);
        open_and_check(folder);
        double t1 = bench_now(CLOCK_MONOTONIC);
        parse_trees(folder);
        trees[i] = bench_now(CLOCK_MONOTONIC) - t1;
        check[i] = t1 - t0;
    }
    print_times("open and check 28,010 tensors in 15 shards", check);
    print_times("the same headers and index as JSON trees only", trees);
    printf("goal: under 1000 ms: %s\n", check[N_RUN / 2] < 1 ? "met" : "MISSED");
    time_checksums(folder);
    bench_remove_checkpoint(folder);
    return 0;
}
