/* How long code2wav takes at the released dimensions, its weights resident, by frames at a time, in pairs
 * with plain matrix products of as many multiplications on the same threads: what is lost is gathering,
 * snakes, what stands between products, and waiting. Processor time on one thread, elapsed time on more. The
 * weights are holes, which cost the same as others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "base/fpenv.h"
#include "engine/model.h"
#include "model/code2wav.h"

enum { N_RUN = 5, PRODUCT_TOKENS = 104 };

typedef struct bench {
    tess_config config;
    tess_store *store;
    tess_code2wav_weights weights;
    tess_kernels kernels;
    tess_compute compute;
    tess_arena arena;
    tess_code2wav code2wav;
    int32_t *codes;
    float *packed, *product; /* of the plain products */
} bench;

static tess_status hear(void *context, const float *samples, int64_t n, tess_error *err)
{
    (void)context, (void)samples, (void)n, (void)err;
    return TESS_OK;
}

static void lay_out(bench *b, int n_frame, int n_thread, tess_arena *arena)
{
    const tess_code2wav_config *c = &b->config.code2wav;
    const tess_code2wav_sizes sizes = {.n_frame = n_frame,
                                       .n_thread = n_thread,
                                       .n_embedding_slot = b->weights.embedding.n_block,
                                       .n_layer_slot = b->weights.n_layer,
                                       .n_part_slot = b->weights.n_part};
    b->code2wav = tess_code2wav_make(c, &b->compute);
    tess_code2wav_init_workspace(&b->code2wav, &sizes, arena);
    tess_code2wav_init_weights(&b->code2wav, b->store, &b->weights, &sizes, arena);
    b->codes = TESS_TAKE(arena, int32_t, n_frame * c->n_quantizer);
    b->packed = TESS_TAKE_ROWS(arena, PRODUCT_TOKENS, tess_packed_floats((size_t)c->d_model));
    b->product = TESS_TAKE_ROWS(arena, PRODUCT_TOKENS, 4 * c->d_model);
}

static void run_frames(bench *b, int n_frame, int times)
{
    for (int i = 0; i < times; i++)
        bench_must(tess_code2wav_push(&b->code2wav, b->codes, n_frame, n_frame, NULL) == TESS_OK, "decoding");
}

static void run_products(bench *b, int n_frame, int times)
{
    const tess_code2wav_config *c = &b->config.code2wav;
    const tess_matrix *part;
    double each = PRODUCT_TOKENS * 4.0 * c->d_model * c->d_model;
    int n = (int)(tess_code2wav_count_products(c) * n_frame * times / each + 0.5);
    bench_must(tess_bank_lease(&b->code2wav.parts, TESS_CODE2WAV_UPSAMPLE, &part, NULL) == TESS_OK,
               "leasing");
    const tess_linear linear =
        tess_linear_make(&part[TESS_UPSAMPLE_FIRST], NULL, b->packed, PRODUCT_TOKENS, b->product);
    for (int i = 0; i < n; i++) tess_linear_run(&b->compute, &linear, 1);
    tess_bank_release(&b->code2wav.parts, TESS_CODE2WAV_UPSAMPLE);
}

static void time_frames(bench *b, int n_frame, int n_thread)
{
    double seconds[N_RUN], share[N_RUN];
    int times = n_frame < 8 ? 8 / n_frame : 1;
    clockid_t clock = n_thread == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    bench_must(tess_pool_new(n_thread, &b->compute.pool, NULL) == TESS_OK, "starting threads");
    tess_arena measuring = tess_arena_measure();
    lay_out(b, n_frame, n_thread, &measuring);
    bench_must(tess_arena_reserve(measuring.used, &b->arena, NULL) == TESS_OK, "reserving memory");
    lay_out(b, n_frame, n_thread, &b->arena);
    tess_code2wav_begin(&b->code2wav, &(tess_code2wav_stream){.hear = hear});
    run_frames(b, n_frame, 2); /* the weights arrive, and the stream is under way */
    for (int i = 0; i < N_RUN; i++) {
        double start = bench_now(clock);
        run_products(b, n_frame, times);
        double between = bench_now(clock);
        run_frames(b, n_frame, times);
        double end = bench_now(clock);
        seconds[i] = (end - between) / (n_frame * times);
        share[i] = (between - start) / (end - between);
    }
    bench_sort(seconds, N_RUN);
    bench_sort(share, N_RUN);
    double rate = tess_code2wav_count_products(&b->config.code2wav) / seconds[N_RUN / 2];
    printf(
        "%d thread%s %2d frames at a time  %5.1f ms a frame (%.1f … %.1f), %5.1f G multiplications a second, "
        "%3.0f %% of plain products (%.0f … %.0f)\n",
        n_thread, n_thread > 1 ? "s" : " ", n_frame, 1e3 * seconds[N_RUN / 2], 1e3 * seconds[0],
        1e3 * seconds[N_RUN - 1], rate / 1e9, 100 * share[N_RUN / 2], 100 * share[0], 100 * share[N_RUN - 1]);
    fflush(stdout);
    tess_arena_release(&b->arena);
    tess_pool_free(b->compute.pool);
}

int main(void)
{
    static const int frames[] = {1, 4, 8, 25};
    char folder[] = "/tmp/tess-bench-XXXXXX";
    bench b = {.compute = {.kernels = &b.kernels, .rounding = TESS_ROUND_NONE}};
    bench_make_checkpoint(folder);
    tess_fpenv saved = tess_fpenv_enter();
    bench_must(tess_kernels_choose(NULL, &b.kernels, NULL) == TESS_OK, "choosing kernels");
    bench_must(tess_config_load(folder, &b.config, NULL) == TESS_OK, "reading the configuration");
    bench_must(tess_store_open(folder, TESS_DIRECT_AUTO, &b.store, NULL) == TESS_OK, "opening");
    bench_must(tess_code2wav_weights_find(b.store, &b.config, 4 << 20, &b.weights, NULL) == TESS_OK,
               "finding weights");
    for (int n_thread = 1; n_thread <= 2; n_thread++)
        for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) time_frames(&b, frames[i], n_thread);
    tess_code2wav_weights_release(&b.weights);
    tess_store_close(b.store);
    tess_fpenv_leave(saved);
    bench_remove_checkpoint(folder);
    return 0;
}
