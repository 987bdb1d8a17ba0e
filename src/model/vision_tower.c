#include "model/vision_tower.h"

#include "base/progress.h"
#include "kernels/angles.h"
#include "model/tower_input.h"
#include "model/vision_grid.h"

enum { TOKENS_AT_ONCE = 128 }; /* of a merger, whose weights are read anew for each such block */
static const double norm_eps = 1e-6, rope_theta = 10000.0;

static int patches_of_token(const tess_vision_config *c)
{
    return c->spatial_merge_size * c->spatial_merge_size;
}

int tess_vision_patch_width(const tess_vision_config *c)
{
    return c->n_channel * c->temporal_patch_size * c->patch_size * c->patch_size;
}

static size_t width_of_patch(const tess_vision_config *c)
{
    return (size_t)tess_vision_patch_width(c);
}

int64_t tess_vision_count_tokens(const tess_vision_config *config, const tess_features *item)
{
    int64_t merge = config->spatial_merge_size;
    return item->n_step * (item->n_high / merge) * (item->n_wide / merge);
}

static tess_encoder_config encoder_config(const tess_vision_config *config)
{
    return (tess_encoder_config){.n_layer = config->n_layer,
                                 .d_model = config->d_model,
                                 .n_head = config->n_head,
                                 .d_ff = config->d_ff,
                                 .norm_eps = norm_eps,
                                 .is_tanh = true};
}

double tess_vision_count_products(const tess_vision_config *config, const tess_features *item)
{
    const tess_encoder_config layers = encoder_config(config);
    double n_step_patch = (double)item->n_high * item->n_wide, n_patch = item->n_step * n_step_patch,
           d_merged = (double)patches_of_token(config) * config->d_model;
    return n_patch * (double)width_of_patch(config) * config->d_model +
           tess_encoder_count_products(&layers, n_patch, n_step_patch) +
           (1 + config->n_deepstack) * n_patch / patches_of_token(config) * d_merged *
               (d_merged + config->d_output);
}

/* ---- layout ---- */

tess_vision_tower tess_vision_tower_make(const tess_vision_config *config, const tess_compute *compute)
{
    return (tess_vision_tower){.config = config,
                               .encoder = {.config = encoder_config(config), .compute = *compute}};
}

/* Reading patches and merging them take turns with one room of packed rows; mergers use the keys' and values'
 * rooms besides, which are free between layers. */
static void take_packed(tess_vision_tower *tower, tess_arena *arena)
{
    const tess_vision_config *c = tower->config;
    size_t d_merged = (size_t)patches_of_token(c) * (size_t)c->d_model,
           read = (size_t)tower->n_read * tess_packed_floats(width_of_patch(c)),
           merged = (size_t)tower->merger.n_tok * tess_packed_floats(d_merged);
    tower->packed = TESS_TAKE_ROWS(arena, 1, read > merged ? read : merged);
    tower->merger.packed = tower->packed;
    tower->merger.normed = tower->encoder.keys;
    tower->merger.hidden = tower->encoder.values;
}

void tess_vision_tower_init_workspace(tess_vision_tower *tower, const tess_tower_sizes *sizes,
                                      tess_arena *arena)
{
    const tess_vision_config *c = tower->config;
    size_t d_head = (size_t)(c->d_model / c->n_head);
    int n_tok = sizes->n_row / patches_of_token(c);
    TESS_ASSERT(n_tok >= 1 && sizes->n_group_row <= sizes->n_row);
    tess_encoder_init_workspace(&tower->encoder, sizes, arena);
    tower->n_read = tower->encoder.n_block;
    tower->patches = TESS_TAKE_ROWS(arena, tower->n_read, width_of_patch(c));
    tower->merger.n_tok = n_tok < TOKENS_AT_ONCE ? n_tok : TOKENS_AT_ONCE;
    take_packed(tower, arena);
    tower->blend = TESS_TAKE_ROWS(arena, sizes->n_thread, 2 * c->d_model);
    tower->cosines = TESS_TAKE_ROWS(arena, sizes->n_row, d_head / 2);
    tower->sines = TESS_TAKE_ROWS(arena, sizes->n_row, d_head / 2);
    tower->group = TESS_TAKE(arena, int32_t, n_tok + 1);
    tower->inv_freq = TESS_TAKE(arena, float, d_head / 4);
    if (arena->base) tess_inverse_frequencies(tower->inv_freq, d_head / 2, rope_theta);
}

void tess_vision_tower_init_weights(tess_vision_tower *tower, tess_store *store,
                                    const tess_tower_weights *weights, const tess_tower_sizes *sizes,
                                    tess_arena *arena)
{
    const tess_bank_layout parts = tess_tower_part_bank(weights, sizes->n_part_slot);
    tess_encoder_init_layers(&tower->encoder, store, weights, sizes, arena);
    tess_bank_init(&tower->parts, store, &parts, arena);
}

/* ---- taps ---- */

static bool is_merged(tess_vision_tap line)
{
    return line == TESS_VISION_TAP_DEEPSTACK || line == TESS_VISION_TAP_MERGER;
}

/* Of a run of n_patch patches in all. */
static void describe_tap(const tess_vision_config *config, int64_t n_patch, int run, tess_vision_tap line,
                         int number, char name[TESS_TAP_NAME], tess_tap *out)
{
    tess_tap_format_name(TESS_PART_VISION, (int)line, number, run, name);
    *out = (tess_tap){.name = name, .n_dim = 2, .dim = {n_patch, config->d_model}};
    if (!is_merged(line)) return;
    out->dim[0] = n_patch / patches_of_token(config);
    out->dim[1] = config->d_output;
}

static int count_taps(const tess_vision_config *config, tess_vision_tap line)
{
    if (line == TESS_VISION_TAP_BLOCK) return config->n_layer;
    return line == TESS_VISION_TAP_DEEPSTACK ? config->n_deepstack : 1;
}

static int patches_of_step(const tess_features *item)
{
    return item->n_high * item->n_wide;
}

static int64_t count_patches(const tess_features *const *item, int n_item)
{
    int64_t n = 0;
    for (int i = 0; i < n_item; i++) n += (int64_t)item[i]->n_step * patches_of_step(item[i]);
    return n;
}

void tess_vision_taps_visit(const tess_vision_config *config, const tess_features *const *item, int n_item,
                            int run, void (*visit)(void *context, const tess_tap *tap), void *context)
{
    int64_t n_patch = count_patches(item, n_item);
    char name[TESS_TAP_NAME];
    tess_tap tap;
    for (tess_vision_tap line = 0; line < TESS_VISION_TAPS; line++)
        for (int number = 0; number < count_taps(config, line); number++) {
            describe_tap(config, n_patch, run, line, number, name, &tap);
            visit(context, &tap);
        }
}

/* ---- pieces ---- */

/* Steps of all items, one after the other. */
typedef struct cursor {
    int item, step;
} cursor;

typedef struct piece {
    tess_vision_tower *tower;
    const tess_features *const *item;
    int n_item;
    const tess_tap_listener *listener;
    int run;
    const tess_progress *progress;
    float *out;
    float *const *deepstack;
    int64_t n_all;           /* patches of all items */
    int64_t first;           /* patches of the pieces before */
    cursor begin;            /* the step this piece begins with */
    int n_patch, n_group;    /* of this piece */
    const tess_matrix *stem; /* while it is leased */
} piece;

static tess_vision_grid grid_of(const piece *p, const tess_features *item)
{
    return (tess_vision_grid){
        .n_high = item->n_high, .n_wide = item->n_wide, .merge = p->tower->config->spatial_merge_size};
}

/* The step at `at`, or NULL behind the last; moves on. */
static const tess_features *next_step(const piece *p, cursor *at)
{
    if (at->item == p->n_item) return NULL;
    const tess_features *item = p->item[at->item];
    if (++at->step == item->n_step) *at = (cursor){at->item + 1, 0};
    return item;
}

/* As many steps as there is room for; at least one. */
static void measure_piece(piece *p)
{
    tess_vision_tower *tower = p->tower;
    cursor at = p->begin;
    p->n_patch = p->n_group = 0;
    tower->group[0] = 0;
    for (const tess_features *item; (item = next_step(p, &at));) {
        int n = patches_of_step(item);
        TESS_ASSERT(n >= 1 && n <= tower->encoder.n_group_row);
        TESS_ASSERT((size_t)item->width == width_of_patch(tower->config));
        if (n > tower->encoder.n_row - p->n_patch) break;
        p->n_patch += n;
        tower->group[++p->n_group] = p->n_patch;
    }
    if (p->n_group == 0) TESS_BUG("a step larger than a piece");
}

/* All rows of the piece. */
static tess_status emit(const piece *p, tess_vision_tap line, int number, float *values, tess_error *err)
{
    int per_row = is_merged(line) ? patches_of_token(p->tower->config) : 1;
    char name[TESS_TAP_NAME];
    tess_tap tap;
    describe_tap(p->tower->config, p->n_all, p->run, line, number, name, &tap);
    return tess_tap_emit_rows(p->listener, p->tower->encoder.compute.kernels, &tap, p->first / per_row,
                              p->n_patch / per_row, (size_t)tap.dim[1], values, err);
}

/* ---- patches and positions ---- */

/* Patches [first, first + n) of an item -> packed */
static tess_status read_patches(const tess_vision_tower *tower, const tess_features *item, int64_t first,
                                int n, tess_error *err)
{
    const tess_compute *compute = &tower->encoder.compute;
    size_t width = width_of_patch(tower->config);
    tess_status status = tess_tower_read(compute, item, first, n, width, tower->patches, err);
    if (status == TESS_OK) tess_pack_rows(compute, tower->packed, tower->patches, width, n);
    return status;
}

/* The patches of one step -> residual, from `row` on */
static tess_status embed_step(const piece *p, const tess_features *item, int step, int row, tess_error *err)
{
    const tess_vision_tower *tower = p->tower;
    size_t d_model = (size_t)tower->config->d_model;
    int n_patch = patches_of_step(item);
    for (int i = 0, n; i < n_patch; i += n) {
        n = n_patch - i < tower->n_read ? n_patch - i : tower->n_read;
        tess_status status = read_patches(tower, item, (int64_t)step * n_patch + i, n, err);
        if (status != TESS_OK) return status;
        const tess_linear linear =
            tess_linear_make(&p->stem[TESS_VISION_PATCHES], &p->stem[TESS_VISION_PATCHES_BIAS], tower->packed,
                             n, tower->encoder.residual + (size_t)(row + i) * d_model);
        tess_linear_run(&tower->encoder.compute, &linear, 1);
    }
    return TESS_OK;
}

static tess_status embed_patches(const piece *p, tess_error *err)
{
    cursor at = p->begin;
    tess_status status = TESS_OK;
    for (int i = 0; i < p->n_group && status == TESS_OK; i++) {
        int step = at.step;
        const tess_features *item = next_step(p, &at);
        status = embed_step(p, item, step, p->tower->group[i], err);
    }
    return status;
}

/* One step's share of the threads. */
typedef struct place_task {
    const piece *piece;
    tess_vision_grid grid;
    int row, n; /* rows of the piece */
} place_task;

/* residual += round(the blend of four learned rows), whose weights stay float32 */
static void add_position(const piece *p, const tess_vision_blend *blend, float *scratch, float *residual)
{
    const tess_compute *compute = &p->tower->encoder.compute;
    size_t d_model = (size_t)p->tower->config->d_model;
    float *sum = scratch, *learned = scratch + d_model;
    for (size_t i = 0; i < d_model; i++) sum[i] = 0.0f;
    for (int i = 0; i < 4; i++) {
        tess_matrix_read_row(compute->kernels, &p->stem[TESS_VISION_POSITIONS], (size_t)blend->row[i],
                             learned);
        compute->kernels->add_scaled(sum, learned, blend->weight[i], d_model, TESS_ROUND_NONE);
    }
    if (compute->rounding == TESS_ROUND_BF16) compute->kernels->round_bf16(sum, d_model);
    compute->kernels->add(residual, sum, d_model, compute->rounding);
}

static void place_share(void *arg, int share, int n_share)
{
    const place_task *task = arg;
    const tess_vision_tower *tower = task->piece->tower;
    const tess_vision_config *c = tower->config;
    size_t d_model = (size_t)c->d_model, n_freq = d_model / (size_t)c->n_head / 4;
    float *scratch = tower->blend + (size_t)share * 2 * d_model;
    int side = tess_vision_table_side(c->n_position);
    int64_t begin, end;
    tess_share_range(task->n, 1, share, n_share, &begin, &end);
    for (int i = (int)begin; i < (int)end; i++) {
        size_t at = (size_t)task->row + (size_t)i;
        int row, column;
        tess_vision_locate(&task->grid, i, &row, &column);
        const tess_vision_blend blend = tess_vision_blend_at(&task->grid, side, row, column);
        add_position(task->piece, &blend, scratch, tower->encoder.residual + at * d_model);
        tess_vision_angles(tower->inv_freq, n_freq, row, column, tower->cosines + at * 2 * n_freq,
                           tower->sines + at * 2 * n_freq);
    }
}

static void place_patches(const piece *p)
{
    cursor at = p->begin;
    for (int i = 0; i < p->n_group; i++) {
        place_task task = {.piece = p, .grid = grid_of(p, next_step(p, &at)), .row = p->tower->group[i]};
        task.n = p->tower->group[i + 1] - task.row;
        tess_pool_run(p->tower->encoder.compute.pool, place_share, &task);
    }
}

static tess_status begin_piece(piece *p, tess_error *err)
{
    tess_bank *parts = &p->tower->parts;
    tess_status status = tess_bank_lease(parts, TESS_VISION_STEM, &p->stem, err);
    if (status != TESS_OK) return status;
    status = embed_patches(p, err);
    if (status == TESS_OK) status = emit(p, TESS_VISION_TAP_PATCH_EMBED, 0, p->tower->encoder.residual, err);
    if (status == TESS_OK) place_patches(p);
    tess_bank_release(parts, TESS_VISION_STEM);
    return status;
}

/* ---- layers and mergers ---- */

/* Where the piece's tokens stand in an array of all. */
static float *tokens_of(const piece *p, float *all)
{
    return all + (size_t)(p->first / patches_of_token(p->tower->config)) * (size_t)p->tower->config->d_output;
}

/* The piece's rows in residual -> its tokens in `all`. */
static tess_status merge(const piece *p, int part, float *all, tess_error *err)
{
    tess_vision_tower *tower = p->tower;
    const tess_matrix *weights;
    tess_status status = tess_bank_lease(&tower->parts, part, &weights, err);
    if (status != TESS_OK) return status;
    tess_merger_run(&tower->encoder.compute, weights, &tower->merger, tower->encoder.residual,
                    p->n_patch / patches_of_token(tower->config), tokens_of(p, all));
    tess_bank_release(&tower->parts, part);
    return TESS_OK;
}

/* So many rows of a layer are done. */
static tess_status tell_rows(void *context, int layer, int n_row, tess_error *err)
{
    const piece *p = context;
    int64_t per_token = patches_of_token(p->tower->config), n_layer = p->tower->config->n_layer,
            done = ((int64_t)p->n_patch * layer + n_row) / (per_token * n_layer);
    return tess_progress_tell(p->progress, TESS_ACTIVITY_ENCODING, (uint64_t)(p->first / per_token + done),
                              (uint64_t)(p->n_all / per_token), err);
}

static tess_status end_layer(void *context, int layer, tess_error *err)
{
    const piece *p = context;
    const tess_vision_config *c = p->tower->config;
    tess_status status = emit(p, TESS_VISION_TAP_BLOCK, layer, p->tower->encoder.residual, err);
    for (int k = 0; k < c->n_deepstack && status == TESS_OK; k++)
        if (c->deepstack_layer[k] == layer)
            status = merge(p, TESS_VISION_DEEPSTACK + k, p->deepstack[k], err);
    return status;
}

/* DeepStack's taps come behind those of all blocks, as in the table of taps. */
static tess_status end_piece(const piece *p, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int k = 0; k < p->tower->config->n_deepstack && status == TESS_OK; k++)
        status = emit(p, TESS_VISION_TAP_DEEPSTACK, k, tokens_of(p, p->deepstack[k]), err);
    if (status == TESS_OK) status = merge(p, TESS_VISION_MERGER, p->out, err);
    return status == TESS_OK ? emit(p, TESS_VISION_TAP_MERGER, 0, tokens_of(p, p->out), err) : status;
}

static tess_status run_piece(piece *p, tess_error *err)
{
    measure_piece(p);
    const tess_encoder_pass pass = {.n_group = p->n_group,
                                    .group = p->tower->group,
                                    .cosines = p->tower->cosines,
                                    .sines = p->tower->sines,
                                    .on_layer = end_layer,
                                    .on_rows = tell_rows,
                                    .context = p};
    tess_status status = begin_piece(p, err);
    if (status == TESS_OK) status = tess_encoder_run(&p->tower->encoder, &pass, err);
    return status == TESS_OK ? end_piece(p, err) : status;
}

tess_status tess_vision_tower_run(tess_vision_tower *tower, const tess_features *const *item, int n_item,
                                  const tess_tap_listener *listener, int run, const tess_progress *progress,
                                  float *out, float *const *deepstack, tess_error *err)
{
    piece p = {.tower = tower,
               .item = item,
               .n_item = n_item,
               .listener = listener,
               .run = run,
               .progress = progress,
               .out = out,
               .deepstack = deepstack,
               .n_all = count_patches(item, n_item)};
    tess_status status = TESS_OK;
    while (p.first < p.n_all && status == TESS_OK) {
        status = run_piece(&p, err);
        p.first += p.n_patch;
        for (int i = 0; i < p.n_group; i++) next_step(&p, &p.begin);
    }
    return status;
}
