#include "decoders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model.h"
#include "io/file.h"

enum { MAX_PIECES = 4, MAX_ADDITIONS = TEST_FEATURES * TEST_CONTEXT };

/* ---- a decoder ---- */

static int or_all(int n, int all)
{
    return n ? n : all;
}

static void lay_out(test_decoder *d, const test_decoder_options *options, tess_arena *arena)
{
    const tess_decoder_config *c = tess_decoder_config_of(&d->config, options->component);
    const tess_decoder_sizes sizes = {
        .n_context = TEST_CONTEXT,
        .n_row = TEST_CONTEXT,
        .n_thread = or_all(options->n_thread, 1),
        .n_lease = c->n_expert ? or_all(options->n_lease, c->n_expert) : 0,
        .n_layer_slot = or_all(options->n_layer_slot, c->n_layer),
        .n_expert_slot = c->n_expert ? or_all(options->n_expert_slot, c->n_layer * c->n_expert) : 0};
    d->decoder = (tess_decoder){.name = options->name, .config = c};
    d->decoder.compute =
        (tess_compute){.kernels = &d->kernels, .pool = d->pool, .rounding = options->rounding};
    for (int i = 0; i < TEST_TIMELINES; i++)
        tess_timeline_init(&d->timeline[i], c, TEST_CONTEXT - 3 * i,
                           tess_compute_is_narrow(&d->decoder.compute), arena);
    tess_decoder_init_workspace(&d->decoder, &sizes, arena);
    tess_decoder_init_layers(&d->decoder, d->store, &d->weights, &sizes, arena);
    tess_decoder_init_experts(&d->decoder, d->store, &d->weights, &sizes, arena);
    if (d->weights.embedding.n_block == 0) return;
    tess_row_table_init(&d->embedding, d->store, &d->weights.embedding, 1, (tess_bank_packing){0}, arena);
    d->decoder.embedding = &d->embedding;
}

static void read_norm(test_decoder *d)
{
    tess_error err;
    if (tess_store_read_weight(d->store, &d->weights.norm, d->decoder.norm, &err) != TESS_OK)
        fail_msg("%s", err.message);
}

void test_decoder_open(const test_decoder_options *options, test_decoder *out)
{
    const tess_block_sizes blocks = {4096, 4096};
    tess_error err;
    *out = (test_decoder){.saved = tess_fpenv_enter()};
    tess_status status = tess_kernels_choose(options->isa, &out->kernels, &err);
    if (status == TESS_OK) status = tess_config_load(options->model, &out->config, &err);
    if (status == TESS_OK) status = tess_store_open(options->model, TESS_DIRECT_AUTO, &out->store, &err);
    if (status == TESS_OK)
        status = tess_decoder_weights_find(out->store, &out->config, options->component, &blocks,
                                           &out->weights, &err);
    if (status == TESS_OK) status = tess_pool_new(or_all(options->n_thread, 1), &out->pool, &err);
    if (status != TESS_OK) fail_msg("%s", err.message);
    tess_arena measuring = tess_arena_measure();
    lay_out(out, options, &measuring);
    assert_int_equal(tess_arena_reserve(measuring.used, &out->arena, &err), TESS_OK);
    lay_out(out, options, &out->arena);
    assert_int_equal(out->arena.used, measuring.used);
    read_norm(out);
}

void test_decoder_close(test_decoder *d)
{
    tess_pool_free(d->pool);
    tess_arena_release(&d->arena);
    tess_decoder_weights_release(&d->weights);
    tess_store_close(d->store);
    tess_fpenv_leave(d->saved);
}

/* ---- rows ---- */

/* A step in the making. */
typedef struct step_builder {
    tess_span span[MAX_PIECES];
    tess_tap_sink sink[MAX_PIECES];
    tess_addition addition[MAX_ADDITIONS];
    int32_t ids[TEST_CONTEXT];
    const float *vectors[TEST_CONTEXT];
    int n_span, n_addition, n_row;
} step_builder;

static void set_positions(tess_timeline *timeline, const test_piece *piece)
{
    size_t n = (size_t)piece->n * sizeof(float);
    for (size_t s = 0; s < 3; s++)
        memcpy(timeline->positions + s * (size_t)timeline->n_context + piece->first,
               piece->rows->positions + s * (size_t)piece->rows->n + piece->first, n);
}

/* One addition for each run of visual rows and each feature. */
static void add_features(step_builder *b, const test_piece *piece)
{
    const test_rows *rows = piece->rows;
    size_t n_before = 0;
    for (int i = 0; i < piece->first; i++) n_before += rows->is_visual[i];
    for (int i = 0, n; i < piece->n; i += n + 1, n_before += (size_t)n) {
        for (n = 0; i + n < piece->n && rows->is_visual[piece->first + i + n];) n++;
        for (int k = 0; n > 0 && k < rows->n_feature; k++) {
            assert_true(b->n_addition < MAX_ADDITIONS);
            b->addition[b->n_addition++] =
                (tess_addition){.layer = rows->first_layer + k,
                                .row = b->n_row + i,
                                .n = n,
                                .values = rows->feature[k] + n_before * rows->d_model};
        }
    }
}

static void add_piece(step_builder *b, test_decoder *d, const test_piece *piece)
{
    const test_rows *rows = piece->rows;
    int32_t *ids = b->ids + b->n_row;
    const float **vectors = b->vectors + b->n_row;
    int n_id = 0;
    assert_true(b->n_span < MAX_PIECES && b->n_row + piece->n <= TEST_CONTEXT);
    for (int i = 0; i < piece->n; i++) {
        int row = piece->first + i;
        bool by_id = piece->by_id && rows->ids && rows->ids[row] >= 0;
        ids[i] = by_id ? (int32_t)rows->ids[row] : -1;
        vectors[i] = by_id ? NULL : rows->vectors + (size_t)row * rows->d_model;
        n_id += by_id;
    }
    b->sink[b->n_span] = (tess_tap_sink){.listener = piece->recording ? &piece->recording->listener : NULL,
                                         .decoder = d->decoder.name,
                                         .config = d->decoder.config,
                                         .kernels = &d->kernels,
                                         .n_tok = rows->n};
    b->span[b->n_span] = (tess_span){.timeline = &d->timeline[piece->timeline],
                                     .first = piece->first,
                                     .n = piece->n,
                                     .ids = n_id > 0 ? ids : NULL,
                                     .vectors = n_id < piece->n ? vectors : NULL,
                                     .sink = &b->sink[b->n_span],
                                     .tap_row = piece->first};
    set_positions(&d->timeline[piece->timeline], piece);
    if (rows->n_feature > 0) add_features(b, piece);
    b->n_span++;
    b->n_row += piece->n;
}

void test_decoder_step(test_decoder *d, const test_piece *piece, int n_piece)
{
    static step_builder builder;
    tess_error err;
    builder.n_span = builder.n_addition = builder.n_row = 0;
    for (int i = 0; i < n_piece; i++) add_piece(&builder, d, &piece[i]);
    const tess_step step = {.span = builder.span,
                            .n_span = builder.n_span,
                            .addition = builder.addition,
                            .n_addition = builder.n_addition};
    if (tess_decoder_run(&d->decoder, &step, &err) != TESS_OK) fail_msg("%s", err.message);
}

void test_decoder_run(test_decoder *d, const test_rows *rows, int timeline, int step, bool by_id,
                      test_recording *recording)
{
    int n = step > 0 ? step : rows->n;
    for (int first = 0; first < rows->n; first += n) {
        const test_piece piece = {.rows = rows,
                                  .timeline = timeline,
                                  .first = first,
                                  .n = rows->n - first < n ? rows->n - first : n,
                                  .recording = recording,
                                  .by_id = by_id};
        test_decoder_step(d, &piece, 1);
    }
}

void test_decoder_assert_timeline(const test_decoder *a, const test_decoder *b, int timeline,
                                  const char *what)
{
    const tess_timeline *x = &a->timeline[timeline], *y = &b->timeline[timeline];
    size_t n = tess_timeline_key(x, a->decoder.config->n_layer, 0, 0);
    assert_int_equal(x->n_context, y->n_context);
    assert_true(!x->narrow_keys == !y->narrow_keys);
    const void *keys[] = {x->narrow_keys ? (void *)x->narrow_keys : x->keys,
                          y->narrow_keys ? (void *)y->narrow_keys : y->keys},
               *values[] = {x->narrow_values ? (void *)x->narrow_values : x->values,
                            y->narrow_values ? (void *)y->narrow_values : y->values};
    n *= x->narrow_keys ? sizeof(uint16_t) : sizeof(float);
    if (memcmp(keys[0], keys[1], n)) fail_msg("%s: other keys", what);
    if (memcmp(values[0], values[1], n)) fail_msg("%s: other values", what);
}
