/* How long the audio tower takes at the released dimensions for a window of 8 s, its weights resident, in
 * pairs with plain matrix products of as many multiplications on the same threads: what is lost is gathering,
 * norms, attention and waiting. */
#include "released.h"
#include "model/audio_tower.h"

enum { N_FRAME = 800, PRODUCT_TOKENS = 104 };

/* ---- the tower ---- */

typedef struct bench {
    released model;
    tess_tower_weights weights;
    tess_audio_tower tower;
    int n_thread;
    float *out;
    float *packed, *product; /* of the plain products */
} bench;

static tess_status read_frames(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const bench *b = context;
    for (int64_t i = 0; i < n * b->model.config.thinker.audio.n_mel; i++)
        out[i] = (float)((first + i) % 7) / 8.0f - 0.25f;
    return TESS_OK;
}

static void lay_out(void *context, tess_arena *arena)
{
    bench *b = context;
    const tess_audio_config *c = &b->model.config.thinker.audio;
    const tess_tower_sizes sizes = {.n_row = tess_audio_count_window_tokens(c),
                                    .n_group_row = tess_audio_count_window_tokens(c),
                                    .n_thread = b->n_thread,
                                    .n_layer_slot = c->n_layer,
                                    .n_part_slot = TESS_AUDIO_PARTS};
    b->tower = tess_audio_tower_make(c, &b->model.compute);
    tess_audio_tower_init_workspace(&b->tower, &sizes, arena);
    tess_audio_tower_init_weights(&b->tower, b->model.store, &b->weights, &sizes, arena);
    b->out = TESS_TAKE(arena, float, sizes.n_row * c->d_output);
    b->packed = TESS_TAKE(arena, float, (size_t)PRODUCT_TOKENS *tess_packed_floats((size_t)c->d_model));
    b->product = TESS_TAKE(arena, float, PRODUCT_TOKENS * c->d_ff);
}

static void run_tower(void *context)
{
    bench *b = context;
    const tess_features sound = {
        .kind = TESS_MEDIA_AUDIO, .n_frame = N_FRAME, .read = read_frames, .context = b};
    const tess_features *clip = &sound;
    bench_must(tess_audio_tower_run(&b->tower, &clip, 1, NULL, NULL, b->out, NULL) == TESS_OK, "the tower");
}

/* ---- as many multiplications ---- */

static void run_products(void *context)
{
    bench *b = context;
    const tess_audio_config *c = &b->model.config.thinker.audio;
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
        tess_linear_run(&b->model.compute, &linear, 1);
        tess_bank_release(&b->tower.encoder.layers, segment);
    }
}

/* ---- measuring ---- */

static void time_threads(bench *b, int n_thread)
{
    char seconds[64], share[64];
    b->n_thread = n_thread;
    released_begin(&b->model, n_thread, lay_out, b);
    const released_pairs p = released_time(run_products, run_tower, b, CLOCK_MONOTONIC);
    printf("%d thread%s  8 s of sound in %s s, %s %% of plain products\n", n_thread, n_thread > 1 ? "s" : " ",
           released_spell(p.seconds, 1, 3, seconds), released_spell(p.share, 1, 0, share));
    fflush(stdout);
    released_end(&b->model);
}

int main(int argc, char **argv)
{
    bench b = {0};
    released_open(&b.model, argc, argv);
    bench_must(tess_tower_weights_find(b.model.store, &b.model.config, TESS_COMPONENT_AUDIO, &b.weights,
                                       NULL) == TESS_OK,
               "finding weights");
    for (int n_thread = 1; n_thread <= 2; n_thread++) time_threads(&b, n_thread);
    tess_tower_weights_release(&b.weights);
    released_close(&b.model);
    return 0;
}
