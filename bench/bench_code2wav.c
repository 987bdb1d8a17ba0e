/* How long code2wav takes at the released dimensions, its weights resident, by frames at a time, in pairs
 * with plain matrix products of as many multiplications on the same threads: what is lost is gathering,
 * snakes, what stands between products, and waiting. Processor time on one thread, elapsed time on more. */
#include "released.h"
#include "model/code2wav.h"

enum { PRODUCT_TOKENS = 104 };

typedef struct bench {
    released model;
    tess_code2wav_weights weights;
    tess_code2wav code2wav;
    int n_frame, n_thread, n_time; /* frames at a time, how many times */
    int32_t *codes;
    float *packed, *product; /* of the plain products */
} bench;

static tess_status hear(void *context, const float *samples, int64_t n, tess_error *err)
{
    (void)context, (void)samples, (void)n, (void)err;
    return TESS_OK;
}

static void lay_out(void *context, tess_arena *arena)
{
    bench *b = context;
    const tess_code2wav_config *c = &b->model.config.code2wav;
    const tess_code2wav_sizes sizes = {.n_frame = b->n_frame,
                                       .n_thread = b->n_thread,
                                       .n_embedding_slot = b->weights.embedding.n_block,
                                       .n_layer_slot = b->weights.n_layer,
                                       .n_part_slot = b->weights.n_part};
    b->code2wav = tess_code2wav_make(c, &b->model.compute);
    tess_code2wav_init_workspace(&b->code2wav, &sizes, arena);
    tess_code2wav_init_weights(&b->code2wav, b->model.store, &b->weights, &sizes, arena);
    b->codes = TESS_TAKE(arena, int32_t, b->n_frame * c->n_quantizer);
    b->packed = TESS_TAKE_ROWS(arena, PRODUCT_TOKENS, tess_packed_floats((size_t)c->d_model));
    b->product = TESS_TAKE_ROWS(arena, PRODUCT_TOKENS, 4 * c->d_model);
}

static void run_frames(void *context)
{
    bench *b = context;
    for (int i = 0; i < b->n_time; i++)
        bench_must(tess_code2wav_push(&b->code2wav, b->codes, b->n_frame, b->n_frame, NULL) == TESS_OK,
                   "decoding");
}

static void run_products(void *context)
{
    bench *b = context;
    const tess_code2wav_config *c = &b->model.config.code2wav;
    const tess_matrix *part;
    double each = PRODUCT_TOKENS * 4.0 * c->d_model * c->d_model;
    int n = (int)(tess_code2wav_count_products(c) * b->n_frame * b->n_time / each + 0.5);
    bench_must(tess_bank_lease(&b->code2wav.parts, TESS_CODE2WAV_UPSAMPLE, &part, NULL) == TESS_OK,
               "leasing");
    const tess_linear linear =
        tess_linear_make(&part[TESS_UPSAMPLE_FIRST], NULL, b->packed, PRODUCT_TOKENS, b->product);
    for (int i = 0; i < n; i++) tess_linear_run(&b->model.compute, &linear, 1);
    tess_bank_release(&b->code2wav.parts, TESS_CODE2WAV_UPSAMPLE);
}

static void time_frames(bench *b, int n_frame, int n_thread)
{
    char seconds[64], share[64];
    b->n_frame = n_frame;
    b->n_thread = n_thread;
    b->n_time = n_frame < 8 ? 8 / n_frame : 1;
    released_begin(&b->model, n_thread, lay_out, b);
    tess_code2wav_begin(&b->code2wav, &(tess_code2wav_stream){.hear = hear});
    run_frames(b); /* the stream is under way */
    const released_pairs p =
        released_time(run_products, run_frames, b, n_thread == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
    const double n = n_frame * b->n_time;
    printf("%d thread%s %2d frames at a time  %s ms a frame, %5.1f G multiplications a second, "
           "%s %% of plain products\n",
           n_thread, n_thread > 1 ? "s" : " ", n_frame, released_spell(p.seconds, 1e3 / n, 1, seconds),
           1e-9 * n * tess_code2wav_count_products(&b->model.config.code2wav) / p.seconds[RELEASED_RUNS / 2],
           released_spell(p.share, 1, 0, share));
    fflush(stdout);
    released_end(&b->model);
}

int main(int argc, char **argv)
{
    static const int frames[] = {1, 4, 8, 25};
    bench b = {0};
    released_open(&b.model, argc, argv);
    bench_must(tess_code2wav_weights_find(b.model.store, &b.model.config, 4 << 20, &b.weights, NULL) ==
                   TESS_OK,
               "finding weights");
    for (int n_thread = 1; n_thread <= 2; n_thread++)
        for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) time_frames(&b, frames[i], n_thread);
    tess_code2wav_weights_release(&b.weights);
    released_close(&b.model);
    return 0;
}
