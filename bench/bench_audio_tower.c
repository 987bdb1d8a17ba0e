/* How long the audio tower takes at the released dimensions for a window of 8 s, its weights resident, in
 * pairs with plain matrix products of as many multiplications on the same threads: what is lost is gathering,
 * norms, attention and waiting. The weights are holes, which cost the same as others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "base/fpenv.h"
#include "engine/model.h"
#include "model/audio_tower.h"

enum { N_RUN = 5, N_FRAME = 800, PRODUCT_TOKENS = 104 };

/* ---- the tower ---- */

typedef struct bench {
    tess_config config;
    tess_store *store;
    tess_tower_weights weights;
    tess_kernels kernels;
    tess_compute compute;
    tess_arena arena;
    tess_audio_tower tower;
    float *out;
    float *packed, *product; /* of the plain products */
} bench;

static tess_status read_frames(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const bench *b = context;
    for (int64_t i = 0; i < n * b->config.thinker.audio.n_mel; i++)
        out[i] = (float)((first + i) % 7) / 8.0f - 0.25f;
    return TESS_OK;
}

static void lay_out(bench *b, int n_thread, tess_arena *arena)
{
    const tess_audio_config *c = &b->config.thinker.audio;
    const tess_tower_sizes sizes = {.n_row = tess_audio_count_window_tokens(c),
                                    .n_group_row = tess_audio_count_window_tokens(c),
                                    .n_thread = n_thread,
                                    .n_layer_slot = c->n_layer,
                                    .n_part_slot = TESS_AUDIO_PARTS};
    b->tower = tess_audio_tower_make(c, &b->compute);
    tess_audio_tower_init_workspace(&b->tower, &sizes, arena);
    tess_audio_tower_init_weights(&b->tower, b->store, &b->weights, &sizes, arena);
    b->out = TESS_TAKE(arena, float, sizes.n_row * c->d_output);
    b->packed = TESS_TAKE(arena, float, (size_t)PRODUCT_TOKENS *tess_packed_floats((size_t)c->d_model));
    b->product = TESS_TAKE(arena, float, PRODUCT_TOKENS * c->d_ff);
}

static void run_tower(bench *b)
{
    const tess_features sound = {
        .kind = TESS_MEDIA_AUDIO, .n_frame = N_FRAME, .read = read_frames, .context = b};
    const tess_features *clip = &sound;
    bench_must(tess_audio_tower_run(&b->tower, &clip, 1, NULL, NULL, b->out, NULL) == TESS_OK, "the tower");
}

/* ---- as many multiplications ---- */

static void run_products(bench *b)
{
    const tess_audio_config *c = &b->config.thinker.audio;
    double each = (double)PRODUCT_TOKENS * c->d_model * c->d_ff;
    int n = (int)(tess_audio_count_products(c, N_FRAME) / each + 0.5);
    const tess_matrix *layer;
    for (int i = 0; i < n; i++) {
        int segment = i % c->n_layer;
        bench_must(tess_bank_lease(&b->tower.encoder.layers, segment, &layer, NULL) == TESS_OK, "leasing");
        const tess_linear linear = {.weight = &layer[TESS_ENCODER_UP],
                                    .packed = b->packed,
                                    .n_tok = PRODUCT_TOKENS,
                                    .out = b->product,
                                    .out_stride = (size_t)c->d_ff};
        tess_linear_run(&b->compute, &linear, 1);
        tess_bank_release(&b->tower.encoder.layers, segment);
    }
}

/* ---- measuring ---- */

static void time_threads(bench *b, int n_thread)
{
    double seconds[N_RUN], share[N_RUN];
    bench_must(tess_pool_new(n_thread, &b->compute.pool, NULL) == TESS_OK, "starting threads");
    tess_arena measuring = tess_arena_measure();
    lay_out(b, n_thread, &measuring);
    bench_must(tess_arena_reserve(measuring.used, &b->arena, NULL) == TESS_OK, "reserving memory");
    lay_out(b, n_thread, &b->arena);
    run_tower(b); /* the weights arrive */
    for (int i = 0; i < N_RUN; i++) {
        double start = bench_now(CLOCK_MONOTONIC);
        run_products(b);
        double between = bench_now(CLOCK_MONOTONIC);
        run_tower(b);
        seconds[i] = bench_now(CLOCK_MONOTONIC) - between;
        share[i] = (between - start) / seconds[i];
    }
    bench_sort(seconds, N_RUN);
    bench_sort(share, N_RUN);
    printf("%d thread%s  8 s of sound in %.3f s (%.3f … %.3f), %3.0f %% of plain products (%.0f … %.0f)\n",
           n_thread, n_thread > 1 ? "s" : " ", seconds[N_RUN / 2], seconds[0], seconds[N_RUN - 1],
           100 * share[N_RUN / 2], 100 * share[0], 100 * share[N_RUN - 1]);
    tess_arena_release(&b->arena);
    tess_pool_free(b->compute.pool);
}

int main(void)
{
    char folder[] = "/tmp/tess-bench-XXXXXX";
    bench b = {.compute = {.kernels = &b.kernels, .rounding = TESS_ROUND_NONE}};
    bench_make_checkpoint(folder);
    tess_fpenv saved = tess_fpenv_enter();
    bench_must(tess_kernels_choose(NULL, &b.kernels, NULL) == TESS_OK, "choosing kernels");
    bench_must(tess_config_load(folder, &b.config, NULL) == TESS_OK, "reading the configuration");
    bench_must(tess_store_open(folder, TESS_DIRECT_AUTO, &b.store, NULL) == TESS_OK, "opening");
    bench_must(tess_tower_weights_find(b.store, &b.config, TESS_COMPONENT_AUDIO, &b.weights, NULL) == TESS_OK,
               "finding weights");
    for (int n_thread = 1; n_thread <= 2; n_thread++) time_threads(&b, n_thread);
    tess_tower_weights_release(&b.weights);
    tess_store_close(b.store);
    tess_fpenv_leave(saved);
    bench_remove_checkpoint(folder);
    return 0;
}
