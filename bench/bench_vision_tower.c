/* How long one block of the vision tower and its merger take at the released dimensions for a picture of
 * 1664 × 1248 pixels, weights resident, in pairs with a loop of as many fused multiply-adds on the same
 * threads: what is lost is what stands between products, attention, reading and waiting.
 * bench/peers/towers.py is the original's side. */
#include "released.h"
#include "yardstick.h"
#include "model/vision_tower.h"

enum { HIGH = 78, WIDE = 104 };

typedef struct bench {
    released model;
    tess_tower_weights weights;
    tess_vision_tower tower;
    int n_thread;
    float *out;
    yardstick_work limit;
} bench;

static tess_status read_patches(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const bench *b = context;
    for (int64_t i = 0; i < n * tess_vision_patch_width(&b->model.config.thinker.vision); i++)
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

static void lay_out(void *context, tess_arena *arena)
{
    bench *b = context;
    const tess_vision_config *c = &b->model.config.thinker.vision;
    const tess_features picture = picture_of(b);
    const tess_tower_sizes sizes = {.n_row = HIGH * WIDE,
                                    .n_group_row = HIGH * WIDE,
                                    .n_thread = b->n_thread,
                                    .n_layer_slot = c->n_layer,
                                    .n_part_slot = b->weights.n_part};
    b->tower = tess_vision_tower_make(c, &b->model.compute);
    tess_vision_tower_init_workspace(&b->tower, &sizes, arena);
    tess_vision_tower_init_weights(&b->tower, b->model.store, &b->weights, &sizes, arena);
    b->out = TESS_TAKE_ROWS(arena, tess_vision_count_tokens(c, &picture), c->d_output);
}

static void run_tower(void *context)
{
    bench *b = context;
    const tess_features picture = picture_of(b), *item = &picture;
    bench_must(tess_vision_tower_run(&b->tower, &item, 1, NULL, 0, NULL, b->out, NULL, NULL) == TESS_OK,
               "the tower");
}

static void multiply(void *context)
{
    bench *b = context;
    const tess_features picture = picture_of(b);
    yardstick_multiply(&b->limit, b->model.compute.pool, b->n_thread,
                       tess_vision_count_products(&b->model.config.thinker.vision, &picture));
}

/* Processor time of all threads beside elapsed time: the peer is compared by either. */
static void time_threads(bench *b, int n_thread)
{
    char seconds[64], processor[64], share[64];
    b->n_thread = n_thread;
    released_begin(&b->model, n_thread, lay_out, b);
    const released_pairs p = released_time(multiply, run_tower, b, CLOCK_MONOTONIC);
    printf("%d thread%s  %s s, of processor time %s s, %s %% of the loop\n", n_thread,
           n_thread > 1 ? "s" : " ", released_spell(p.seconds, 1, 2, seconds),
           released_spell(p.processor, 1, 2, processor), released_spell(p.share, 1, 0, share));
    fflush(stdout);
    released_end(&b->model);
}

int main(int argc, char **argv)
{
    bench b = {0};
    released_open(&b.model, argc, argv);
    b.limit.stick = yardstick_of(b.model.kernels.name);
    b.model.config.thinker.vision.n_layer = 1;
    b.model.config.thinker.vision.n_deepstack = 0;
    bench_must(tess_tower_weights_find(b.model.store, &b.model.config, TESS_COMPONENT_VISION, &b.weights,
                                       NULL) == TESS_OK,
               "finding weights");
    for (int n_thread = 1; n_thread <= 2; n_thread++) time_threads(&b, n_thread);
    tess_tower_weights_release(&b.weights);
    released_close(&b.model);
    return 0;
}
