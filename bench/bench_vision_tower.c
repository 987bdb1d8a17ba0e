/* How long one block of the vision tower and its merger take at the released dimensions for a picture of
 * 1664 × 1248 pixels, weights resident, in pairs with a loop of as many fused multiply-adds on the same
 * threads: what is lost is what stands between products, attention, reading and waiting. The weights are
 * holes, which cost the same as others. bench/peers/towers.py is the original's side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "yardstick.h"
#include "base/fpenv.h"
#include "engine/model.h"
#include "model/vision_tower.h"

enum { N_RUN = 5, HIGH = 78, WIDE = 104 };

typedef struct bench {
    tess_config config;
    tess_store *store;
    tess_tower_weights weights;
    tess_kernels kernels;
    tess_compute compute;
    tess_arena arena;
    tess_vision_tower tower;
    float *out;
    const yardstick *stick;
    size_t n_round; /* of multiply-adds, on each thread */
} bench;

static tess_status read_patches(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const bench *b = context;
    for (int64_t i = 0; i < n * tess_vision_patch_width(&b->config.thinker.vision); i++)
        out[i] = (float)((first + i) % 7) / 8.0f - 0.25f;
    return TESS_OK;
}

static tess_features picture_of(bench *b)
{
    return (tess_features){.kind = TESS_MEDIA_IMAGE,
                           .n_step = 1,
                           .n_high = HIGH,
                           .n_wide = WIDE,
                           .read = read_patches,
                           .context = b};
}

static void lay_out(bench *b, int n_thread, tess_arena *arena)
{
    const tess_vision_config *c = &b->config.thinker.vision;
    const tess_features picture = picture_of(b);
    const tess_tower_sizes sizes = {.n_row = HIGH * WIDE,
                                    .n_group_row = HIGH * WIDE,
                                    .n_thread = n_thread,
                                    .n_layer_slot = c->n_layer,
                                    .n_part_slot = b->weights.n_part};
    b->tower = tess_vision_tower_make(c, &b->compute);
    tess_vision_tower_init_workspace(&b->tower, &sizes, arena);
    tess_vision_tower_init_weights(&b->tower, b->store, &b->weights, &sizes, arena);
    b->out = TESS_TAKE_ROWS(arena, tess_vision_count_tokens(c, &picture), c->d_output);
}

static void run_tower(bench *b)
{
    const tess_features picture = picture_of(b), *item = &picture;
    bench_must(tess_vision_tower_run(&b->tower, &item, 1, NULL, 0, NULL, b->out, NULL, NULL) == TESS_OK,
               "the tower");
}

static void multiply_share(void *arg, int share, int n_share)
{
    (void)share, (void)n_share;
    const bench *b = arg;
    b->stick->peak(b->n_round);
}

/* Processor time of all threads beside elapsed time: the peer is compared by either. */
static void time_threads(bench *b, int n_thread)
{
    double seconds[N_RUN], processor[N_RUN], share[N_RUN];
    const tess_features picture = picture_of(b);
    double products = tess_vision_count_products(&b->config.thinker.vision, &picture);
    b->n_round = (size_t)(products / (double)(b->stick->lanes * CHAINS) / n_thread);
    bench_must(tess_pool_new(n_thread, &b->compute.pool, NULL) == TESS_OK, "starting threads");
    tess_arena measuring = tess_arena_measure();
    lay_out(b, n_thread, &measuring);
    bench_must(tess_arena_reserve(measuring.used, &b->arena, NULL) == TESS_OK, "reserving memory");
    lay_out(b, n_thread, &b->arena);
    run_tower(b); /* the weights arrive */
    for (int i = 0; i < N_RUN; i++) {
        double start = bench_now(CLOCK_MONOTONIC);
        tess_pool_run(b->compute.pool, multiply_share, b);
        double between = bench_now(CLOCK_MONOTONIC), began = bench_now(CLOCK_PROCESS_CPUTIME_ID);
        run_tower(b);
        processor[i] = bench_now(CLOCK_PROCESS_CPUTIME_ID) - began;
        seconds[i] = bench_now(CLOCK_MONOTONIC) - between;
        share[i] = (between - start) / seconds[i];
    }
    bench_sort(seconds, N_RUN);
    bench_sort(processor, N_RUN);
    bench_sort(share, N_RUN);
    printf("%d thread%s  %.2f s (%.2f … %.2f), %.2f s of processor time (%.2f … %.2f), %3.0f %% of the loop "
           "(%.0f … "
           "%.0f)\n",
           n_thread, n_thread > 1 ? "s" : " ", seconds[N_RUN / 2], seconds[0], seconds[N_RUN - 1],
           processor[N_RUN / 2], processor[0], processor[N_RUN - 1], 100 * share[N_RUN / 2], 100 * share[0],
           100 * share[N_RUN - 1]);
    fflush(stdout);
    tess_arena_release(&b->arena);
    tess_pool_free(b->compute.pool);
}

int main(void)
{
    char folder[] = "/tmp/tess-bench-XXXXXX";
    bench b = {.compute = {.kernels = &b.kernels, .rounding = TESS_ROUND_NONE},
               .stick = strongest_yardstick()};
    bench_make_checkpoint(folder);
    tess_fpenv saved = tess_fpenv_enter();
    bench_must(tess_kernels_choose(NULL, &b.kernels, NULL) == TESS_OK, "choosing kernels");
    bench_must(tess_config_load(folder, &b.config, NULL) == TESS_OK, "reading the configuration");
    b.config.thinker.vision.n_layer = 1;
    b.config.thinker.vision.n_deepstack = 0;
    bench_must(tess_store_open(folder, TESS_DIRECT_AUTO, &b.store, NULL) == TESS_OK, "opening");
    bench_must(tess_tower_weights_find(b.store, &b.config, TESS_COMPONENT_VISION, &b.weights, NULL) ==
                   TESS_OK,
               "finding weights");
    for (int n_thread = 1; n_thread <= 2; n_thread++) time_threads(&b, n_thread);
    tess_tower_weights_release(&b.weights);
    tess_store_close(b.store);
    tess_fpenv_leave(saved);
    bench_remove_checkpoint(folder);
    return 0;
}
