/* The vision tower against the original's goldens, whole and module by module, and that neither pieces,
 * threads, slots nor instruction sets change a bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/agreement.h"
#include "../support/conditions.h"
#include "base/fpenv.h"
#include "base/guard.h"
#include "base/json.h"
#include "engine/model.h"
#include "model/vision_tower.h"

typedef struct subject {
    const char *title, *model, *f32, *bf16; /* bf16 may be NULL */
    bool is_video;                          /* the golden's taps are of its videos */
    bool shared;                            /* in the folder of further goldens */
} subject;

#define OF_OWN(model, title)                                                                                 \
    model "/" title, "tests/golden/vision_tower/" model,                                                     \
        "tests/golden/vision_tower/" model "/f32/" title ".safetensors",                                     \
        "tests/golden/vision_tower/" model "/bf16/" title ".safetensors"
#define OF_SHARED(title) "a/" title, "../shared/golden/a", "../shared/golden/a-f32/" title ".safetensors"
static const subject subjects[] = {
    {OF_OWN("odd", "block"), false, false},
    {OF_OWN("odd", "image"), false, false},
    {OF_OWN("odd", "strip"), false, false},
    {OF_OWN("odd", "column"), false, false},
    {OF_OWN("odd", "images"), false, false},
    {OF_OWN("odd", "video"), false, false},
    {OF_OWN("odd", "videos"), false, false},
    {OF_OWN("thirds", "images"), false, false},
    {OF_OWN("least", "images"), false, false},
    {OF_SHARED("image"), NULL, false, true},
    {OF_SHARED("video"), NULL, true, true},
    {OF_SHARED("av"), NULL, true, true},
    {OF_SHARED("omni"), "../shared/golden/a-bf16/omni.safetensors", false, true},
};
enum { N_SUBJECTS = sizeof subjects / sizeof subjects[0], N_OWN = 9, IMAGES = 4, VIDEOS = 6, THIRDS = 7 };

/* ---- media of a golden ---- */

enum { MAX_ITEMS = 8 };

typedef struct media {
    int n;
    tess_features item[MAX_ITEMS];
    const tess_features *pointer[MAX_ITEMS];
    const float *values[MAX_ITEMS]; /* of the item's first patch */
    size_t width;
    int n_patch, n_step_patch; /* of all, and of the largest step */
    int n_read;                /* calls of read; -1 in turn: the next fails */
} media;

/* What an item reads from. */
typedef struct reader {
    media *media;
    const float *values;
} reader;

static reader readers[2 * MAX_ITEMS];

static tess_status read_rows(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    const reader *r = context;
    if (r->media->n_read < 0) return tess_fail(err, TESS_EIO, "no patches today");
    r->media->n_read++;
    memcpy(out, r->values + (size_t)first * r->media->width, (size_t)n * r->media->width * sizeof *out);
    return TESS_OK;
}

/* The values stay the golden's. */
static void take_media(const test_tensors *golden, bool is_video, media *out)
{
    const test_tensor *grids = test_tensors_get(golden, is_video ? "in.video_grid_thw" : "in.image_grid_thw"),
                      *pixels =
                          test_tensors_get(golden, is_video ? "in.pixel_values_videos" : "in.pixel_values");
    *out = (media){.n = (int)grids->dim[0], .width = (size_t)pixels->dim[1]};
    assert_true(out->n <= MAX_ITEMS);
    for (int i = 0; i < out->n; i++) {
        const int64_t *grid = grids->integers + 3 * i;
        reader *r = &readers[i + (is_video ? MAX_ITEMS : 0)];
        *r = (reader){out, pixels->values + (size_t)out->n_patch * out->width};
        out->item[i] = (tess_features){.kind = is_video ? TESS_MEDIA_VIDEO : TESS_MEDIA_IMAGE,
                                       .width = (int32_t)out->width,
                                       .n_step = (int32_t)grid[0],
                                       .n_high = (int32_t)grid[1],
                                       .n_wide = (int32_t)grid[2],
                                       .read = read_rows,
                                       .context = r};
        out->pointer[i] = &out->item[i];
        out->n_patch += (int)(grid[0] * grid[1] * grid[2]);
        if (grid[1] * grid[2] > out->n_step_patch) out->n_step_patch = (int)(grid[1] * grid[2]);
    }
    assert_int_equal(out->n_patch, pixels->dim[0]);
}

/* ---- a tower ---- */

/* Numbers of 0 mean: as many as there are, or one thread. */
typedef struct tower_options {
    const char *isa; /* NULL: the best */
    tess_rounding rounding;
    int n_patch, n_thread, n_layer_slot, n_part_slot;
} tower_options;

typedef struct tower {
    tess_config config;
    tess_store *store;
    tess_tower_weights weights;
    tess_kernels kernels;
    tess_pool *pool;
    tess_arena arena;
    tess_fpenv saved;
    tess_vision_tower tower;
    float *out, *deepstack[TESS_MAX_DEEPSTACK];
    size_t n_out;
} tower;

static int or_all(int n, int all)
{
    return n ? n : all;
}

static void lay_out(tower *t, const tower_options *options, const media *m, tess_arena *arena)
{
    const tess_tower_sizes sizes = {.n_row = or_all(options->n_patch, m->n_patch),
                                    .n_group_row = m->n_step_patch,
                                    .n_thread = or_all(options->n_thread, 1),
                                    .n_layer_slot = or_all(options->n_layer_slot, t->weights.n_layer),
                                    .n_part_slot = or_all(options->n_part_slot, t->weights.n_part)};
    const tess_compute compute = {.kernels = &t->kernels, .pool = t->pool, .rounding = options->rounding};
    t->tower = tess_vision_tower_make(&t->config.thinker.vision, &compute);
    tess_vision_tower_init_workspace(&t->tower, &sizes, arena);
    tess_vision_tower_init_weights(&t->tower, t->store, &t->weights, &sizes, arena);
}

static void take_results(tower *t, const media *m)
{
    const tess_vision_config *c = &t->config.thinker.vision;
    int64_t n_tok = 0;
    for (int i = 0; i < m->n; i++) n_tok += tess_vision_count_tokens(c, &m->item[i]);
    assert_int_equal(n_tok * c->spatial_merge_size * c->spatial_merge_size, m->n_patch);
    t->n_out = (size_t)n_tok * (size_t)c->d_output;
    t->out = calloc(t->n_out, sizeof *t->out);
    assert_non_null(t->out);
    for (int k = 0; k < c->n_deepstack; k++) {
        t->deepstack[k] = calloc(t->n_out, sizeof *t->out);
        assert_non_null(t->deepstack[k]);
    }
}

static void open_tower(const subject *s, const media *m, tower_options options, tower *out)
{
    tess_error err;
    *out = (tower){.saved = tess_fpenv_enter()};
    tess_status status = tess_kernels_choose(options.isa, &out->kernels, &err);
    if (status == TESS_OK) status = tess_config_load(s->model, &out->config, &err);
    if (status == TESS_OK) status = tess_store_open(s->model, TESS_DIRECT_AUTO, &out->store, &err);
    if (status == TESS_OK)
        status =
            tess_tower_weights_find(out->store, &out->config, TESS_COMPONENT_VISION, &out->weights, &err);
    if (status == TESS_OK) status = tess_pool_new(or_all(options.n_thread, 1), &out->pool, &err);
    if (status != TESS_OK) fail_msg("%s", err.message);
    tess_arena measuring = tess_arena_measure();
    lay_out(out, &options, m, &measuring);
    assert_int_equal(tess_arena_reserve(measuring.used, &out->arena, &err), TESS_OK);
    lay_out(out, &options, m, &out->arena);
    assert_int_equal(out->arena.used, measuring.used);
    take_results(out, m);
}

static void close_tower(tower *t)
{
    free(t->out);
    for (int k = 0; k < TESS_MAX_DEEPSTACK; k++) free(t->deepstack[k]);
    tess_pool_free(t->pool);
    tess_arena_release(&t->arena);
    tess_tower_weights_release(&t->weights);
    tess_store_close(t->store);
    tess_fpenv_leave(t->saved);
}

static tess_status try_tower(tower *t, const media *m, int run, const tess_tap_listener *listener,
                             const tess_progress *progress, tess_error *err)
{
    tess_guard_begin();
    tess_status status = tess_vision_tower_run(&t->tower, m->pointer, m->n, listener, run, progress, t->out,
                                               t->deepstack, err);
    tess_guard_end();
    return status;
}

static void run_tower(tower *t, const media *m, int run, test_recording *recording)
{
    tess_error err;
    if (try_tower(t, m, run, recording ? &recording->listener : NULL, NULL, &err) != TESS_OK)
        fail_msg("%s", err.message);
}

/* ---- agreement with the original ---- */

/* What is handed on is what the taps say. */
static void assert_handed_on(const tower *t, const test_recording *recording)
{
    char name[96];
    const test_tensor *merger = test_tensors_get(&recording->taps, "tap.thinker.visual.merger");
    assert_int_equal(merger->count, t->n_out);
    assert_memory_equal(merger->values, t->out, t->n_out * sizeof *t->out);
    for (int k = 0; k < t->config.thinker.vision.n_deepstack; k++) {
        snprintf(name, sizeof name, "tap.thinker.visual.merger_list.%d", k);
        assert_memory_equal(test_tensors_get(&recording->taps, name)->values, t->deepstack[k],
                            t->n_out * sizeof *t->out);
    }
}

static void run_subject(const void *what, const test_tensors *golden, tess_rounding rounding,
                        const test_tensors *replacement, test_recording *recording)
{
    const subject *s = what;
    media m;
    tower t;
    take_media(golden, s->is_video, &m);
    open_tower(s, &m, (tower_options){.rounding = rounding, .n_thread = 2}, &t);
    test_recording_init(recording, replacement);
    run_tower(&t, &m, 0, recording);
    if (!replacement) assert_handed_on(&t, recording);
    close_tower(&t);
}

/* Between the two correct implementations that were compared, modules differ by less than this. */
static const double float32_bar = 5e-6;

static test_subject compared(const subject *s)
{
    return (test_subject){
        .f32 = s->f32, .bf16 = s->bf16, .taps = "tap.thinker.visual.", .run = run_subject, .what = s};
}

static void test_float32(void **state)
{
    (void)state;
    for (int i = 0; i < N_SUBJECTS; i++) {
        const test_subject checked = compared(&subjects[i]);
        if (!subjects[i].shared || test_shared_folder())
            assert_true(test_check_float32(&checked) <= float32_bar);
    }
}

static void test_bf16(void **state)
{
    (void)state;
    for (int i = 0; i < N_SUBJECTS; i++) {
        const test_subject checked = compared(&subjects[i]);
        if (checked.bf16 && (!subjects[i].shared || test_shared_folder())) test_check_bf16(&checked);
    }
}

/* A prompt's videos after its images: the golden has no taps of them, but their result among the thinker's
 * rows.
 */
static void test_second_run(void **state)
{
    (void)state;
    if (!test_shared_folder()) return;
    const subject *s = &subjects[N_SUBJECTS - 1];
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        test_tensors golden;
        test_recording recording;
        media m;
        tower t;
        test_tensors_read(is_bf16 ? s->bf16 : s->f32, &golden);
        take_media(&golden, true, &m);
        open_tower(s, &m, (tower_options){.rounding = is_bf16 ? TESS_ROUND_BF16 : TESS_ROUND_NONE}, &t);
        test_recording_init(&recording, NULL);
        run_tower(&t, &m, 1, &recording);
        assert_int_equal(recording.taps.count, 1 + 3 + 2 + 1);
        test_tensors_get(&recording.taps, "tap.thinker.visual.blocks.2#1");
        test_tensor rows = *test_tensors_get(&recording.taps, "tap.thinker.visual.merger#1"), theirs = rows;
        const test_tensor *embeds = test_tensors_get(&golden, "tap.thinker.inputs_embeds"),
                          *ids = test_tensors_get(&golden, "in.input_ids");
        size_t width = (size_t)embeds->dim[1], n = 0;
        theirs.values = calloc(rows.count, sizeof *theirs.values);
        for (size_t i = 0; i < ids->count; i++)
            if (ids->integers[i] == t.config.thinker.video_token)
                memcpy(theirs.values + n++ * width, embeds->values + i * width, width * sizeof(float));
        assert_int_equal(n, rows.dim[0]);
        double error = test_relative_l2(&rows, &theirs);
        print_message("# %s, videos: relative L2 %.3g\n", is_bf16 ? s->bf16 : s->f32, error);
        assert_true(error <= (is_bf16 ? 5e-3 : float32_bar));
        free(theirs.values);
        test_recording_release(&recording);
        close_tower(&t);
        test_tensors_release(&golden);
    }
}

/* ---- bits do not depend on how ---- */

static const struct {
    const char *title;
    int n_more_patch; /* room of a piece beyond that of the largest step; -1: for all */
    tower_options options;
} variants[] = {
    {"a piece per step or so", 0, {.n_thread = 1}},
    {"pieces of a step and some", 30, {.n_thread = 2}},
    {"three threads", -1, {.n_thread = 3}},
    {"one slot", -1, {.n_layer_slot = 1, .n_part_slot = 1}},
    {"small pieces, few slots, three threads", 0, {.n_thread = 3, .n_layer_slot = 2, .n_part_slot = 2}},
    {"reference", -1, {.isa = "reference"}},
    {"avx2", 0, {.isa = "avx2", .n_thread = 3}},
    {"avx512", 0, {.isa = "avx512"}},
    {"neon", 0, {.isa = "neon"}},
};

static void check_variants(const subject *s, const test_tensors *golden, tess_rounding rounding)
{
    media m;
    tower one, other;
    test_recording first, second;
    take_media(golden, s->is_video, &m);
    open_tower(s, &m, (tower_options){.rounding = rounding}, &one);
    test_recording_init(&first, NULL);
    run_tower(&one, &m, 0, &first);
    for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
        tower_options options = variants[v].options;
        if (!test_has_isa(options.isa)) continue;
        options.rounding = rounding;
        options.n_patch = variants[v].n_more_patch < 0 ? 0 : m.n_step_patch + variants[v].n_more_patch;
        open_tower(s, &m, options, &other);
        for (int again = 0; again < 2; again++) {
            test_recording_init(&second, NULL);
            run_tower(&other, &m, 0, &second);
            test_tensors_assert_equal(&first.taps, &second.taps, variants[v].title);
            assert_handed_on(&other, &second);
            test_recording_release(&second);
        }
        run_tower(&other, &m, 0, NULL);
        assert_memory_equal(one.out, other.out, one.n_out * sizeof *one.out);
        if (options.n_layer_slot)
            assert_true(other.tower.encoder.layers.n_miss > (uint64_t)one.weights.n_layer);
        close_tower(&other);
    }
    test_recording_release(&first);
    close_tower(&one);
}

static void test_invariance(void **state)
{
    (void)state;
    for (int i = 0; i < N_OWN; i++)
        for (int rounding = 0; rounding < 2; rounding++) {
            test_tensors golden;
            test_tensors_read(subjects[i].f32, &golden);
            check_variants(&subjects[i], &golden, rounding ? TESS_ROUND_BF16 : TESS_ROUND_NONE);
            test_tensors_release(&golden);
        }
}

/* Company does not matter: images of a call have the bits that each has alone, and those of a step of a video
 * are those of an image. */
static void test_company(void **state)
{
    (void)state;
    const int of[] = {IMAGES, VIDEOS, THIRDS};
    for (int i = 0; i < 3; i++) {
        const subject *s = &subjects[of[i]];
        test_tensors golden;
        media m;
        tower together, alone;
        test_tensors_read(s->f32, &golden);
        take_media(&golden, false, &m);
        open_tower(s, &m, (tower_options){.rounding = TESS_ROUND_NONE}, &together);
        run_tower(&together, &m, 0, NULL);
        size_t done = 0;
        for (int k = 0; k < m.n; k++)
            for (int step = 0; step < m.item[k].n_step; step++) {
                int n_patch = m.item[k].n_high * m.item[k].n_wide;
                media single = {.n = 1, .width = m.width, .n_patch = n_patch, .n_step_patch = n_patch};
                reader r = *(const reader *)m.item[k].context;
                r.values += (size_t)step * (size_t)n_patch * m.width;
                single.item[0] = m.item[k];
                single.item[0].n_step = 1;
                single.item[0].context = &r;
                single.pointer[0] = &single.item[0];
                open_tower(s, &single, (tower_options){.rounding = TESS_ROUND_NONE}, &alone);
                run_tower(&alone, &single, 0, NULL);
                assert_memory_equal(alone.out, together.out + done, alone.n_out * sizeof *alone.out);
                assert_memory_equal(alone.deepstack[0], together.deepstack[0] + done,
                                    alone.n_out * sizeof *alone.out);
                done += alone.n_out;
                close_tower(&alone);
            }
        assert_int_equal(done, together.n_out);
        close_tower(&together);
        test_tensors_release(&golden);
    }
}

/* ---- taps, progress, faults ---- */

/* Names and shapes in the order they are visited and first heard. */
typedef struct listed {
    int n;
    char name[16][TESS_TAP_NAME];
    int64_t rows[16], width[16];
} listed;

static void list_tap(void *context, const tess_tap *tap)
{
    listed *l = context;
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->name[i], tap->name)) return;
    assert_true(l->n < 16 && tap->n_dim == 2 && !tap->is_integer);
    l->rows[l->n] = tap->dim[0];
    l->width[l->n] = tap->dim[1];
    snprintf(l->name[l->n++], TESS_TAP_NAME, "%s", tap->name);
}

static bool wants_all(void *context, const tess_tap *tap)
{
    (void)context;
    (void)tap;
    return true;
}

static tess_status hear(void *context, const tess_tap_rows *rows, tess_error *err)
{
    (void)err;
    list_tap(context, &rows->tap);
    return TESS_OK;
}

typedef struct watcher {
    uint64_t done, total;
    int n_told, stop_after;
} watcher;

static bool watch(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    watcher *w = context;
    assert_int_equal(activity, TESS_ACTIVITY_ENCODING);
    assert_true(done >= w->done && done <= total);
    w->done = done;
    w->total = total;
    return ++w->n_told != w->stop_after;
}

static void test_taps_and_progress(void **state)
{
    (void)state;
    const subject *s = &subjects[IMAGES];
    test_tensors golden;
    media m;
    tower t;
    test_tensors_read(s->f32, &golden);
    take_media(&golden, false, &m);
    open_tower(s, &m, (tower_options){.rounding = TESS_ROUND_NONE, .n_patch = m.n_step_patch}, &t);
    for (int run = 0; run < 2; run++) {
        listed visited = {0}, heard = {0};
        tess_tap_listener listener = {.context = &heard, .wants = wants_all, .hear = hear};
        watcher w = {0};
        tess_progress progress = {watch, &w};
        tess_error err;
        tess_vision_taps_visit(&t.config.thinker.vision, m.pointer, m.n, run, list_tap, &visited);
        assert_int_equal(try_tower(&t, &m, run, &listener, &progress, &err), TESS_OK);
        assert_int_equal(visited.n, 1 + 4 + 2 + 1);
        assert_memory_equal(&visited, &heard, sizeof heard);
        assert_true(w.done == w.total && w.total * 4 == (uint64_t)m.n_patch);
        /* Within layers as well, of which each goes over its rows twice. */
        assert_true(w.n_told >= 2 * t.config.thinker.vision.n_layer * (m.n_patch / m.n_step_patch));
        for (int n = 1, n_told = w.n_told; n <= n_told; n++) {
            w = (watcher){.stop_after = n};
            assert_int_equal(try_tower(&t, &m, run, NULL, &progress, &err), TESS_EINTERRUPTED);
            assert_int_equal(w.n_told, n);
        }
    }
    close_tower(&t);
    test_tensors_release(&golden);
}

/* A run that failed leaves a tower that works: nothing stays leased. */
static void test_faults(void **state)
{
    (void)state;
    const subject *s = &subjects[IMAGES];
    test_tensors golden;
    media m;
    tower t;
    tess_error err;
    test_tensors_read(s->f32, &golden);
    take_media(&golden, false, &m);
    open_tower(s, &m, (tower_options){.rounding = TESS_ROUND_NONE, .n_layer_slot = 1, .n_part_slot = 1}, &t);
    run_tower(&t, &m, 0, NULL);
    float *right = malloc(t.n_out * sizeof *right);
    assert_non_null(right);
    memcpy(right, t.out, t.n_out * sizeof *right);
    m.n_read = -1;
    assert_int_equal(try_tower(&t, &m, 0, NULL, NULL, &err), TESS_EIO);
    m.n_read = 0;
    float *pixels = test_tensors_get(&golden, "in.pixel_values")->values, was = pixels[27 * m.width + 5];
    pixels[27 * m.width + 5] = NAN;
    assert_int_equal(try_tower(&t, &m, 0, NULL, NULL, &err), TESS_EINPUT);
    assert_string_equal(err.field, "pixel_values");
    assert_non_null(strstr(err.message, "patch 3, column 5")); /* 24 patches are the first image's */
    pixels[27 * m.width + 5] = 1e38f;
    assert_int_equal(try_tower(&t, &m, 0, NULL, NULL, &err),
                     TESS_OK); /* still finite behind the first norm */
    pixels[27 * m.width + 5] = was;
    run_tower(&t, &m, 0, NULL);
    assert_memory_equal(right, t.out, t.n_out * sizeof *right);
    free(right);
    close_tower(&t);
    test_tensors_release(&golden);
}

/* ---- memory ---- */

static uint64_t measure_workspace(const tess_vision_config *config, int n_patch, int n_step_patch,
                                  int n_thread)
{
    const tess_tower_sizes sizes = {.n_row = n_patch, .n_group_row = n_step_patch, .n_thread = n_thread};
    tess_arena measuring = tess_arena_measure();
    tess_vision_tower laid_out = tess_vision_tower_make(config, &(tess_compute){0});
    tess_vision_tower_init_workspace(&laid_out, &sizes, &measuring);
    return measuring.used;
}

/* What a patch takes is what the header says, and nothing grows with the square of an image. */
static void test_memory(void **state)
{
    (void)state;
    json_t *root;
    tess_error err;
    static tess_config config;
    assert_int_equal(tess_json_load("tests/data/published_config.json", 1 << 20, &root, &err), TESS_OK);
    assert_int_equal(tess_config_parse("", root, &config, &err), TESS_OK);
    json_decref(root);
    const tess_vision_config *c = &config.thinker.vision;
    const uint64_t few = 10000, many = 50000, n = many - few, per_patch = (3 * 1152 + 72) * sizeof(float) + 1,
                   per_thread = 32 * sizeof(float);
    uint64_t base = measure_workspace(c, (int)few, (int)few, 1),
             wider = measure_workspace(c, (int)many, (int)few, 1),
             larger = measure_workspace(c, (int)many, (int)many, 1),
             threads = measure_workspace(c, (int)many, (int)many, 4);
    assert_true(wider - base >= n * per_patch && wider - base < n * per_patch + 4096);
    assert_true(larger - wider >= n * per_thread && larger - wider < n * per_thread + 4096);
    assert_true(threads - larger >= 3 * many * per_thread &&
                threads - larger < 3 * (many * per_thread + 65536));
    print_message("# 50,000 patches of one image, 4 threads: %.1f MB\n", (double)threads / 1e6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),    cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_second_run), cmocka_unit_test(test_invariance),
        cmocka_unit_test(test_company),    cmocka_unit_test(test_taps_and_progress),
        cmocka_unit_test(test_faults),     cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
