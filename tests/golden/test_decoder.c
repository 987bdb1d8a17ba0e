/* One decoder for all: the talker's, the code predictor's and, with DeepStack, the thinker's text model
 * against the original's goldens, on rows that come as vectors; and that neither pieces, threads, slots,
 * instruction sets nor the company of other timelines changes a bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/agreement.h"
#include "../support/conditions.h"
#include "../support/decoders.h"

typedef struct subject {
    const char *title, *model, *f32, *bf16; /* bf16 may be NULL */
    const char *name;
    tess_component component;
    bool shared; /* in the folder of further goldens */
} subject;

#define OF_C(title)                                                                                          \
    title, "tests/golden/c", "tests/golden/decoders/f32/" title ".safetensors",                              \
        "tests/golden/decoders/bf16/" title ".safetensors"
#define OF_SHARED(title) title, "../shared/golden/a", "../shared/golden/a-f32/" title ".safetensors"
static const subject subjects[] = {
    {OF_C("talker"), "talker", TESS_COMPONENT_TALKER, false},
    {OF_C("code_predictor"), "talker.code_predictor", TESS_COMPONENT_CODE_PREDICTOR, false},
    {OF_C("deepstack"), "thinker", TESS_COMPONENT_TEXT, false},
    {OF_SHARED("speak"), NULL, "talker", TESS_COMPONENT_TALKER, true},
    {OF_SHARED("omni"), "../shared/golden/a-bf16/omni.safetensors", "talker", TESS_COMPONENT_TALKER, true},
    {OF_SHARED("image"), NULL, "thinker", TESS_COMPONENT_TEXT, true},
    {OF_SHARED("video"), NULL, "thinker", TESS_COMPONENT_TEXT, true},
};
enum { N_SUBJECTS = sizeof subjects / sizeof subjects[0], N_OWN = 3, TALKER = 0, DEEPSTACK = 2 };

static void open_decoder(const subject *s, test_decoder_options options, test_decoder *out)
{
    options.model = s->model;
    options.name = s->name;
    options.component = s->component;
    test_decoder_open(&options, out);
}

/* ---- rows of a golden ---- */

/* An input of our own goldens, or the tap that holds it in those of whole runs. */
static const test_tensor *find_input(const subject *s, const test_tensors *golden, const char *input)
{
    char name[96];
    snprintf(name, sizeof name, "in.%s", input);
    const test_tensor *found = s->shared ? NULL : test_tensors_find(golden, name);
    snprintf(name, sizeof name, "tap.%s.%s", s->name, input);
    return found ? found : test_tensors_find(golden, name);
}

static const test_tensor *find_feature(const subject *s, const test_tensors *golden, int k)
{
    char name[96];
    snprintf(name, sizeof name,
             s->shared ? "tap.thinker.visual.merger_list.%d" : "in.deepstack_visual_embeds.%d", k);
    return s->component == TESS_COMPONENT_TEXT ? test_tensors_find(golden, name) : NULL;
}

static bool is_visual_row(const subject *s, const test_tensors *golden, const tess_config *config, int row)
{
    if (!s->shared) return test_tensors_get(golden, "in.visual_pos_masks")->integers[row] != 0;
    int64_t id = test_tensors_get(golden, "in.input_ids")->integers[row];
    return id == config->thinker.image_token || id == config->thinker.video_token;
}

/* The rows point into the golden; what else they have is released with them. */
static void take_rows(const subject *s, const test_tensors *golden, const tess_config *config, test_rows *out)
{
    const test_tensor *embeds = find_input(s, golden, "inputs_embeds"),
                      *ids = find_input(s, golden, "row_ids");
    *out = (test_rows){.n = (int)embeds->dim[0],
                       .d_model = (size_t)embeds->dim[1],
                       .vectors = embeds->values,
                       .ids = ids ? ids->integers : NULL,
                       .positions = find_input(s, golden, "position_ids")->values};
    assert_true(out->n <= TEST_CONTEXT);
    if (!find_feature(s, golden, 0)) return;
    bool *is_visual = calloc((size_t)out->n, sizeof *is_visual);
    int n_visual = 0;
    for (int i = 0; i < out->n; i++) n_visual += is_visual[i] = is_visual_row(s, golden, config, i);
    out->is_visual = is_visual;
    for (const test_tensor *t; (t = find_feature(s, golden, out->n_feature));) {
        assert_true(n_visual > 0 && t->dim[0] == n_visual && out->n_feature < TEST_FEATURES);
        out->feature[out->n_feature++] = t->values;
    }
}

static void release_rows(test_rows *rows)
{
    free((void *)rows->is_visual);
}

/* ---- agreement with the original ---- */

static void run_subject(const void *what, const test_tensors *golden, tess_rounding rounding,
                        const test_tensors *replacement, test_recording *recording)
{
    const subject *s = what;
    test_decoder d;
    test_rows rows;
    open_decoder(s, (test_decoder_options){.rounding = rounding, .n_thread = 2}, &d);
    take_rows(s, golden, &d.config, &rows);
    test_recording_init(recording, replacement);
    recording->with_experts = !replacement;
    test_decoder_run(&d, &rows, 0, 0, false, recording);
    release_rows(&rows);
    test_decoder_close(&d);
}

/* `taps` gets what its name begins with. */
static test_subject compared(const subject *s, char taps[96])
{
    snprintf(taps, 96, "tap.%s.model.", s->name);
    return (test_subject){.f32 = s->f32,
                          .bf16 = s->bf16,
                          .taps = taps,
                          .n_beside = 1, /* its input */
                          .with_experts = s == &subjects[TALKER],
                          .has_other_input = s->shared,
                          .run = run_subject,
                          .what = s};
}

static void test_float32(void **state)
{
    (void)state;
    char taps[96];
    for (int i = 0; i < N_SUBJECTS; i++) {
        const test_subject checked = compared(&subjects[i], taps);
        if (!subjects[i].shared || test_shared_folder()) test_check_float32(&checked);
    }
}

static void test_bf16(void **state)
{
    (void)state;
    char taps[96];
    for (int i = 0; i < N_SUBJECTS; i++) {
        const test_subject checked = compared(&subjects[i], taps);
        if (checked.bf16 && (!subjects[i].shared || test_shared_folder())) test_check_bf16(&checked);
    }
}

/* ---- bits do not depend on how ---- */

static const struct {
    const char *title;
    int step;
    test_decoder_options options;
} variants[] = {
    {"pieces of 1", 1, {.n_thread = 1}},
    {"pieces of 3", 3, {.n_thread = 1}},
    {"pieces of 7", 7, {.n_thread = 1}},
    {"three threads", 0, {.n_thread = 3}},
    {"one slot", 0, {.n_lease = 1, .n_expert_slot = 1, .n_layer_slot = 1}},
    {"few slots, pieces of 7, three threads", 7, {.n_thread = 3, .n_lease = 2, .n_expert_slot = 3}},
    {"reference", 0, {.isa = "reference"}},
    {"avx2", 0, {.isa = "avx2", .n_thread = 3}},
    {"avx512", 3, {.isa = "avx512", .n_thread = 1}},
    {"neon", 3, {.isa = "neon", .n_thread = 1}},
};

/* A golden's rows, run on a timeline of a decoder and recorded. */
typedef struct run {
    test_decoder decoder;
    test_recording recording;
} run;

static void open_run(const subject *s, test_decoder_options options, run *out)
{
    open_decoder(s, options, &out->decoder);
    test_recording_init(&out->recording, NULL);
    out->recording.with_experts = true;
}

static void close_run(run *r)
{
    test_recording_release(&r->recording);
    test_decoder_close(&r->decoder);
}

static void check_variants(const subject *s, const test_rows *rows, tess_rounding rounding)
{
    run one, other;
    open_run(s, (test_decoder_options){.rounding = rounding}, &one);
    test_decoder_run(&one.decoder, rows, 0, 0, false, &one.recording);
    for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
        test_decoder_options options = variants[v].options;
        if (!test_has_isa(options.isa)) continue;
        options.rounding = rounding;
        open_run(s, options, &other);
        test_decoder_run(&other.decoder, rows, 0, variants[v].step, false, &other.recording);
        test_tensors_assert_equal(&one.recording.taps, &other.recording.taps, variants[v].title);
        test_decoder_assert_timeline(&one.decoder, &other.decoder, 0, variants[v].title);
        if (options.n_expert_slot && other.decoder.decoder.config->n_expert)
            assert_true(other.decoder.decoder.experts.n_miss > (uint64_t)options.n_expert_slot);
        close_run(&other);
    }
    close_run(&one);
}

/* Rows by id are the embedding's: whole spans of ids, spans of vectors and mixed ones give the same bits. */
static void check_ids(const subject *s, const test_rows *rows, tess_rounding rounding)
{
    run by_vector, by_id;
    open_run(s, (test_decoder_options){.rounding = rounding}, &by_vector);
    open_run(s, (test_decoder_options){.rounding = rounding}, &by_id);
    assert_true(rows->ids[0] >= 0 && rows->ids[1] >= 0 && rows->ids[2] >= 0);
    test_decoder_run(&by_vector.decoder, rows, 0, 0, false, &by_vector.recording);
    for (int step = 0; step <= 3; step += 3) {
        test_decoder_run(&by_id.decoder, rows, 0, step, true, &by_id.recording);
        test_tensors_assert_equal(&by_vector.recording.taps, &by_id.recording.taps, "rows by id");
        test_decoder_assert_timeline(&by_vector.decoder, &by_id.decoder, 0, "rows by id");
        test_recording_release(&by_id.recording);
    }
    assert_true(by_id.decoder.embedding.bank.n_miss > 0 && by_vector.decoder.embedding.bank.n_miss == 0);
    close_run(&by_vector);
    close_run(&by_id);
}

/* ---- several timelines ---- */

/* The same rows, last first, on the same positions. */
typedef struct reversed {
    test_rows rows;
    float *vectors, *feature;
    bool *is_visual;
} reversed;

static void reverse(float *out, const float *values, size_t n, size_t width)
{
    for (size_t i = 0; i < n; i++) memcpy(out + i * width, values + (n - 1 - i) * width, width * sizeof *out);
}

static void reverse_rows(const test_rows *rows, reversed *out)
{
    size_t n = (size_t)rows->n, width = rows->d_model, n_visual = 0;
    *out = (reversed){*rows, calloc(n * width, sizeof(float)), NULL, NULL};
    reverse(out->vectors, rows->vectors, n, width);
    out->rows.vectors = out->vectors;
    out->rows.ids = NULL;
    if (!rows->is_visual) return;
    out->is_visual = calloc(n, sizeof *out->is_visual);
    for (size_t i = 0; i < n; i++) n_visual += out->is_visual[n - 1 - i] = rows->is_visual[i];
    out->rows.is_visual = out->is_visual;
    out->feature = calloc((size_t)rows->n_feature * n_visual * width, sizeof(float));
    for (int k = 0; k < rows->n_feature; k++) {
        float *feature = out->feature + (size_t)k * n_visual * width;
        reverse(feature, rows->feature[k], n_visual, width);
        out->rows.feature[k] = feature;
    }
}

static void release_reversed(reversed *r)
{
    free(r->vectors);
    free(r->feature);
    free(r->is_visual);
}

/* Steps that all share, whose order turns. Listeners may be NULL. */
static void run_together(test_decoder *d, const test_rows *const *rows, test_recording *const *recording)
{
    static const int shares[][TEST_TIMELINES] = {{4, 1, 2}, {1, 6, 3}, {9, 3, 1}, {0, 0, 0}};
    int at[TEST_TIMELINES] = {0};
    for (int step = 0; step < 4; step++) {
        test_piece piece[TEST_TIMELINES];
        for (int i = 0; i < TEST_TIMELINES; i++) {
            int who = (i + step) % TEST_TIMELINES, n = shares[step][who];
            if (n == 0) n = rows[who]->n - at[who]; /* the rest */
            piece[i] = (test_piece){rows[who], who, at[who], n, recording[who], true};
            at[who] += n;
        }
        test_decoder_step(d, piece, TEST_TIMELINES);
    }
    for (int i = 0; i < TEST_TIMELINES; i++) assert_int_equal(at[i], rows[i]->n);
}

/* Rows of three timelines, the first and the last with the same ones, run together while those listen whose
 * bit is in `listening`. */
static void check_together(const subject *s, const test_rows *const *rows, const run *alone, run *together,
                           int listening)
{
    test_recording recording[TEST_TIMELINES], *heard[TEST_TIMELINES];
    for (int i = 0; i < TEST_TIMELINES; i++) {
        test_recording_init(&recording[i], NULL);
        recording[i].with_experts = true;
        heard[i] = listening & 1 << i ? &recording[i] : NULL;
    }
    run_together(&together->decoder, rows, heard);
    for (int i = 0; i < TEST_TIMELINES; i++) {
        if (heard[i]) test_tensors_assert_equal(&alone[i].recording.taps, &recording[i].taps, s->title);
        test_decoder_assert_timeline(&alone[i].decoder, &together->decoder, i, s->title);
        test_recording_release(&recording[i]);
    }
}

static void check_timelines(const subject *s, const test_rows *rows, tess_rounding rounding)
{
    const test_decoder_options few = {.rounding = rounding, .n_thread = 2, .n_lease = 2, .n_expert_slot = 3};
    reversed back;
    reverse_rows(rows, &back);
    const test_rows *const of[TEST_TIMELINES] = {rows, &back.rows, rows};
    run alone[TEST_TIMELINES], together;
    for (int i = 0; i < TEST_TIMELINES; i++) {
        open_run(s, (test_decoder_options){.rounding = rounding}, &alone[i]);
        test_decoder_run(&alone[i].decoder, of[i], i, 0, false, &alone[i].recording);
    }
    open_run(s, few, &together);
    for (int listening = 1; listening < 1 << TEST_TIMELINES; listening++)
        check_together(s, of, alone, &together, listening);
    for (int i = 0; i < TEST_TIMELINES; i++) close_run(&alone[i]);
    close_run(&together);
    release_reversed(&back);
}

static void test_invariance(void **state)
{
    (void)state;
    for (int i = 0; i < N_OWN * 2; i++) {
        const subject *s = &subjects[i / 2];
        tess_rounding rounding = i % 2 ? TESS_ROUND_BF16 : TESS_ROUND_NONE;
        test_tensors golden;
        test_rows rows;
        test_tensors_read(s->f32, &golden);
        take_rows(s, &golden, NULL, &rows);
        check_variants(s, &rows, rounding);
        check_timelines(s, &rows, rounding);
        if (s->component != TESS_COMPONENT_CODE_PREDICTOR) check_ids(s, &rows, rounding);
        release_rows(&rows);
        test_tensors_release(&golden);
    }
}

/* ---- additions ---- */

static const test_tensor *tap_of_layer(const run *r, int layer)
{
    char name[96];
    snprintf(name, sizeof name, "tap.thinker.model.layers.%d", layer);
    return test_tensors_get(&r->recording.taps, layer < 0 ? "tap.thinker.model.norm" : name);
}

/* Rows of a tap that are not the same bits in both runs. */
static int count_moved(const test_tensor *a, const test_tensor *b)
{
    size_t width = (size_t)a->dim[1];
    int n = 0;
    for (size_t row = 0; row < (size_t)a->dim[0]; row++)
        n += memcmp(a->values + row * width, b->values + row * width, width * sizeof(float)) != 0;
    return n;
}

/* An addition comes after its layer's tap: that one is as without, the next moves. One after the last layer
 * moves the visual rows of the final norm and nothing else. */
static void test_additions(void **state)
{
    (void)state;
    const subject *s = &subjects[DEEPSTACK];
    test_tensors golden;
    test_rows rows, plain;
    test_tensors_read(s->f32, &golden);
    take_rows(s, &golden, NULL, &rows);
    int n_visual = 0, first = 0;
    for (int i = 0; i < rows.n; i++) n_visual += rows.is_visual[i];
    while (!rows.is_visual[first]) first++;
    plain = rows;
    plain.n_feature = 0;
    run without, with;
    open_run(s, (test_decoder_options){.n_thread = 1}, &without);
    test_decoder_run(&without.decoder, &plain, 0, 0, false, &without.recording);
    int n_layer = without.decoder.decoder.config->n_layer;
    rows.n_feature = 1;
    for (int layer = 0; layer < n_layer; layer++) {
        rows.first_layer = layer;
        open_run(s, (test_decoder_options){.n_thread = 1}, &with);
        test_decoder_run(&with.decoder, &rows, 0, 0, false, &with.recording);
        for (int before = 0; before <= layer; before++)
            assert_int_equal(count_moved(tap_of_layer(&with, before), tap_of_layer(&without, before)), 0);
        /* rows before the first visual one cannot know, all from it on do */
        for (int after = layer + 1; after < n_layer; after++) {
            const test_tensor *moved = tap_of_layer(&with, after), *was = tap_of_layer(&without, after);
            assert_int_equal(count_moved(moved, was), rows.n - first);
            assert_true(test_relative_l2(moved, was) > 0.05);
        }
        int n_moved = count_moved(tap_of_layer(&with, -1), tap_of_layer(&without, -1));
        assert_int_equal(n_moved, layer == n_layer - 1 ? n_visual : rows.n - first);
        close_run(&with);
    }
    close_run(&without);
    release_rows(&rows);
    test_tensors_release(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_invariance),
        cmocka_unit_test(test_additions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
