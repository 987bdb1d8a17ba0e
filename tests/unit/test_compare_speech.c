/* Codes and waveforms of a comparison: where they differ first, other lengths, and what is kept to be drawn
 * and heard, against what is worked out here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"
#include "verify/compare/comparison.h"
#include "verify/compare/sound_sums.h"

#define WAVEFORM "tap.code2wav.waveform"
#define CHUNKED "tap.code2wav.waveform_chunked"
#define CODES "tap.talker.codes"

/* The decoder of tests/golden/f: ratio 2, rates 4 and 3. */
enum {
    SPEECH_FRAMES = 25,
    BOOKS = 16,
    PER_FRAME = 24,
    LOST = 15,
    SAMPLES = PER_FRAME * SPEECH_FRAMES - LOST
};

static test_trace *const both[] = {&fx.reference, &fx.trace};

static float sample_of(int64_t i)
{
    return (float)(0.4 * sin(0.31 * (double)i) * sin(0.003 * (double)i) + 0.001);
}

static test_tensor *add_waveform(test_trace *trace, const char *name, int64_t n)
{
    test_tensor *t = test_trace_add(trace, name, false, 1, &n);
    for (int64_t i = 0; i < n; i++) t->values[i] = sample_of(i);
    return t;
}

/* Taps whose shapes tell how many samples a frame becomes. */
static void add_blocks(test_trace *trace)
{
    static const int length[] = {2 * SPEECH_FRAMES, 8 * SPEECH_FRAMES - 4, SAMPLES, SAMPLES, SAMPLES};
    test_trace_add(trace, "tap.code2wav.pre_transformer", false, 2, (int64_t[]){SPEECH_FRAMES, 3});
    for (int i = 0; i < 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "tap.code2wav.decoder.%d", i);
        test_trace_add(trace, name, false, 2, (int64_t[]){2, length[i]});
    }
}

static test_tensor *add_codes(test_trace *trace, int64_t n_frame)
{
    test_tensor *t = test_trace_add(trace, CODES, true, 2, (int64_t[]){BOOKS, n_frame});
    for (int64_t k = 0; k < BOOKS; k++)
        for (int64_t i = 0; i < n_frame; i++) t->integers[k * n_frame + i] = (k * 31 + i * 7) % 80;
    return t;
}

static const tess_sound_report *sound(const char *name)
{
    for (int i = 0; i < fx.result->n_sound; i++)
        if (!strcmp(fx.result->tap[fx.result->sound[i].tap].name, name)) return &fx.result->sound[i];
    fail_msg("no sound of %s", name);
    return NULL;
}

/* ---- where they differ ---- */

static void test_first_sample_beyond_the_bar(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        add_waveform(both[k], WAVEFORM, SAMPLES);
        add_blocks(both[k]);
    }
    test_trace_blur(&fx.trace, WAVEFORM, 2e-6);
    expect(TESS_VERDICT_AGREE, 0);
    assert_int_equal(sound(WAVEFORM)->first, -1);
    assert_true(sound(WAVEFORM)->bar > 2e-6 && sound(WAVEFORM)->bar <= 8.1e-6);
    of(&fx.trace, WAVEFORM)->values[300] += 0.01f;
    of(&fx.trace, WAVEFORM)->values[200] += 0.001f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(WAVEFORM, "code2wav", -1, -1);
    /* (200 + 15) / 24 */
    assert_non_null(strstr(report(WAVEFORM)->why, ", from sample 200 on (0.008 s, frame 8)"));
    assert_true(sound(WAVEFORM)->first == 200 && sound(WAVEFORM)->first_frame == 8);
    of(&fx.trace, WAVEFORM)->values[500] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_non_null(strstr(report(WAVEFORM)->why, "from sample 500 on (0.021 s, frame 21)"));
}

/* Errors of which none reaches what the bar allows the loudest sample. */
static void test_first_sample_of_small_errors(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        test_tensor *t = add_waveform(both[k], WAVEFORM, SAMPLES);
        for (int i = 0; i < SAMPLES; i++) t->values[i] = i == 7 ? 1 : 0.01f;
        for (int i = 0; k && i < SAMPLES; i++) t->values[i] += i < 100 ? 1e-8f : 2e-6f;
    }
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(sound(WAVEFORM)->first, 100);
    assert_true(sound(WAVEFORM)->bar < 2e-5 * 0.05);
    assert_non_null(
        strstr(report(WAVEFORM)->why, "from sample 100 on (0.004 s)")); /* no shapes tell a frame */
}

static void test_waveform_of_silence(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) test_trace_add(both[k], WAVEFORM, false, 1, (int64_t[]){50});
    expect(TESS_VERDICT_EQUAL, 0);
    of(&fx.trace, WAVEFORM)->values[20] = 1e-20f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(sound(WAVEFORM)->first, 20);
}

/* The windows of the original: 300 frames each, which lose what one pass loses. */
static void test_frames_of_windows(void **state)
{
    (void)state;
    enum { N = 310, WINDOW = 300 * PER_FRAME - LOST, CHUNKED_SAMPLES = WINDOW + 10 * PER_FRAME - LOST };
    for (int k = 0; k < 2; k++) {
        add_codes(both[k], N);
        add_waveform(both[k], CHUNKED, CHUNKED_SAMPLES);
        const int64_t length[] = {2 * N, 8 * N - 4, PER_FRAME * N - LOST};
        for (int i = 0; i < 3; i++) {
            char name[40];
            snprintf(name, sizeof name, "tap.code2wav.decoder.%d", i);
            test_trace_add(both[k], name, false, 2, (int64_t[]){1, length[i]});
        }
    }
    static const struct {
        int sample, frame;
    } cases[] = {
        {8, 0}, {9, 1}, {WINDOW - 1, 299}, {WINDOW, 300}, {WINDOW + 9, 301}, {CHUNKED_SAMPLES - 1, 309}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float *value = &of(&fx.trace, CHUNKED)->values[cases[i].sample];
        *value += 1;
        expect(TESS_VERDICT_DIFFERENT, 1);
        assert_int_equal(sound(CHUNKED)->first, cases[i].sample);
        assert_int_equal(sound(CHUNKED)->first_frame, cases[i].frame);
        assert_null(sound(CHUNKED)->kept[0]);
        *value = sample_of(cases[i].sample);
    }
}

/* ---- other lengths ---- */

static void test_waveforms_of_other_lengths(void **state)
{
    (void)state;
    add_waveform(&fx.reference, WAVEFORM, 600);
    add_waveform(&fx.trace, WAVEFORM, 400);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(report(WAVEFORM)->outcome, TESS_OUTCOME_SHAPE);
    assert_string_equal(report(WAVEFORM)->why,
                        "found 400 samples, expected 600, from sample 400 on (0.017 s)");
    const tess_sound_report *s = sound(WAVEFORM);
    assert_true(s->n_sample == 600 && s->n_sample_trace == 400 && s->n_kept[0] == 600 && s->n_kept[1] == 400);
    assert_true(s->column[510].low[TESS_SOUND_TRACE] > s->column[510].high[TESS_SOUND_TRACE]);
    assert_true(s->column[510].low[TESS_SOUND_REFERENCE] <= s->column[510].high[TESS_SOUND_REFERENCE]);
    of(&fx.trace, WAVEFORM)->values[30] = 2;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_true(report(WAVEFORM)->rel_l2 > 0.1);
    assert_int_equal(sound(WAVEFORM)->first, 30);

    test_trace_remove(&fx.trace, WAVEFORM);
    add_waveform(&fx.trace, WAVEFORM, 700);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_string_equal(report(WAVEFORM)->why,
                        "found 700 samples, expected 600, from sample 600 on (0.025 s)");
    assert_true(sound(WAVEFORM)->n_kept[1] == 600);
    fx.options.metrics_only = true;
    expect(TESS_VERDICT_NONE, 0);
    assert_int_equal(report(WAVEFORM)->outcome, TESS_OUTCOME_NOT_JUDGED);
    assert_int_equal(sound(WAVEFORM)->first, -1);
}

static void test_codes_of_other_lengths(void **state)
{
    (void)state;
    add_codes(&fx.reference, 9);
    add_codes(&fx.trace, 6);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(CODES, "talker.codec_head", -1, -1);
    assert_string_equal(report(CODES)->why, "ends after 6 frames, expected 9");
    assert_int_equal(report(CODES)->n_different, 0);
    const tess_codes_report *r = fx.result->codes;
    assert_true(fx.result->n_codes == 1 && r->n_frame == 9 && r->n_frame_trace == 6);
    assert_true(r->first_frame == 6 && r->first_codebook == -1);
    of(&fx.trace, CODES)->integers[11 * 6 + 5] += 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(CODES, "code_predictor", -1, -1);
    assert_string_equal(
        report(CODES)->why,
        "from frame 5 on, codebook 11: found 57, expected 56; ends after 6 frames, expected 9");

    test_trace_remove(&fx.trace, CODES);
    add_codes(&fx.trace, 14)->integers[2 * 14 + 8] = 99;
    of(&fx.trace, CODES)->integers[3 * 14 + 9] = 99; /* of a frame that the reference does not have */
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_string_equal(
        report(CODES)->why,
        "from frame 8 on, codebook 2: found 99, expected 38; ends after 14 frames, expected 9");
    assert_int_equal(report(CODES)->n_different, 1);
}

/* Of the talker's bfloat16 codes nothing is asked, nor of the lengths of what they become. */
static void test_speech_in_bfloat16(void **state)
{
    (void)state;
    strcpy(fx.reference.dtype, "bfloat16");
    strcpy(fx.trace.dtype, "bfloat16");
    fx.options.truth = fx.truth_path;
    add_codes(&fx.reference, 9);
    add_codes(&fx.trace, 6);
    add_waveform(&fx.reference, WAVEFORM, 500);
    add_waveform(&fx.trace, WAVEFORM, 350);
    test_trace_add(&fx.reference, "tap.code2wav.decoder.0", false, 2, (int64_t[]){3, 18});
    test_trace_add(&fx.trace, "tap.code2wav.decoder.0", false, 2, (int64_t[]){3, 12});
    expect(TESS_VERDICT_AGREE, 0);
    static const char *const names[] = {CODES, WAVEFORM, "tap.code2wav.decoder.0"};
    for (int i = 0; i < 3; i++) assert_int_equal(report(names[i])->outcome, TESS_OUTCOME_NOT_JUDGED);
    assert_string_equal(report(CODES)->why, "ends after 6 frames, expected 9");
    /* Of the same codes another length is a fault. */
    test_trace_remove(&fx.trace, CODES);
    add_codes(&fx.trace, 9);
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    assert_int_equal(report("tap.code2wav.decoder.0")->outcome, TESS_OUTCOME_SHAPE);
}

/* ---- what is kept ---- */

static void test_cells_of_codes(void **state)
{
    (void)state;
    enum { N = 1000 };
    for (int k = 0; k < 2; k++) add_codes(both[k], N);
    int64_t *codes = of(&fx.trace, CODES)->integers;
    codes[4 * N + 501] = 90;
    codes[4 * N + 502] = 91;
    codes[4 * N + 999] = 92;
    codes[15 * N + 0] = 93;
    expect(TESS_VERDICT_DIFFERENT, 1);
    const tess_codes_report *r = fx.result->codes;
    assert_true(r->n_column == TESS_CODES_COLUMNS && r->n_codebook == BOOKS);
    assert_true(r->first_frame == 0 && r->first_codebook == 15);
    int64_t n = 0;
    for (int i = 0; i < BOOKS * r->n_column; i++) n += r->cell[i].n_different;
    assert_int_equal(n, 4);
    const tess_code_cell *cell = &r->cell[4 * r->n_column + 501 * TESS_CODES_COLUMNS / N];
    assert_true(cell->n_different == 2 && cell->frame == 501 && cell->found == 90);
    assert_int_equal(cell->expected, (4 * 31 + 501 * 7) % 80);
    assert_int_equal(r->cell[4 * r->n_column + r->n_column - 1].found, 92);
}

static void test_columns_of_a_waveform(void **state)
{
    (void)state;
    enum { N = 5000 };
    for (int k = 0; k < 2; k++) add_waveform(both[k], WAVEFORM, N);
    float *values = of(&fx.trace, WAVEFORM)->values;
    for (int i = 0; i < N; i++) values[i] += i % 3 ? 0.001f : -0.002f;
    values[4321] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    const tess_sound_report *s = sound(WAVEFORM);
    assert_int_equal(s->n_column, TESS_SOUND_COLUMNS);
    assert_int_equal(s->n_kept[0], N);
    for (int column = 0, i = 0; column < s->n_column; column++) {
        float low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
        int64_t n_odd = 0;
        for (; i < N && i * s->n_column / N == column; i++) {
            float a = values[i], b = sample_of(i), all[3] = {b, a, a - b};
            n_odd += isnan(a);
            for (int side = 0; side < 3 && !isnan(a); side++) {
                low[side] = fminf(low[side], all[side]);
                high[side] = fmaxf(high[side], all[side]);
            }
            assert_int_equal(s->kept[0][i], lrintf(b * 32767));
            assert_int_equal(s->kept[1][i], isnan(a) ? 0 : lrintf(a * 32767));
        }
        assert_memory_equal(s->column[column].low, low, sizeof low);
        assert_memory_equal(s->column[column].high, high, sizeof high);
        assert_int_equal(s->column[column].n_odd, n_odd);
    }
}

/* A tone lies in its line at all moments, the other side's elsewhere, and silence is 0. */
static void test_spectra(void **state)
{
    (void)state;
    enum { N = 4800, BIN = 50, OTHER = 120, LINE_BINS = 3 };
    const double pi = 3.14159265358979323846;
    for (int k = 0; k < 2; k++) add_waveform(both[k], WAVEFORM, N);
    for (int i = 0; i < N; i++) {
        of(&fx.reference, WAVEFORM)->values[i] = (float)(0.5 * sin(2 * pi * BIN * i / 400.0));
        of(&fx.trace, WAVEFORM)->values[i] = i < 2400 ? of(&fx.reference, WAVEFORM)->values[i]
                                                      : (float)(0.25 * sin(2 * pi * OTHER * i / 400.0));
    }
    expect(TESS_VERDICT_DIFFERENT, 1);
    const tess_sound_report *s = sound(WAVEFORM);
    assert_int_equal(s->n_moment, N / 120);
    for (int moment = 0; moment < s->n_moment; moment++) {
        int loudest[2] = {0, 0};
        for (int side = 0; side < 2; side++)
            for (int line = 0; line < s->n_line; line++)
                if (s->power[side][line * s->n_moment + moment] >
                    s->power[side][loudest[side] * s->n_moment + moment])
                    loudest[side] = line;
        assert_int_equal(loudest[0], BIN / LINE_BINS);
        if (abs(moment - 20) > 2) assert_int_equal(loudest[1], (moment < 20 ? BIN : OTHER) / LINE_BINS);
    }
    /* Hann windows of 400: the bin's amplitude is 0.5 · 400 / 4, its neighbours' half of that. Bin 50 is the
     * last of its line. */
    float inside = s->power[TESS_SOUND_REFERENCE][BIN / LINE_BINS * s->n_moment + 10];
    assert_true(fabs((double)inside / (50.0 * 50 + 25.0 * 25) * LINE_BINS - 1) < 1e-4);
    assert_true(s->power[TESS_SOUND_DIFFERENCE][BIN / LINE_BINS * s->n_moment + 10] == 0);
    assert_true(s->power[TESS_SOUND_DIFFERENCE][BIN / LINE_BINS * s->n_moment + 30] > 0);
}

/* Nothing grows with a waveform once it is long. */
static void test_long_waveforms_take_no_more(void **state)
{
    (void)state;
    uint64_t minute = tess_sound_sums_bytes(60 * 24000, true),
             hour = tess_sound_sums_bytes(3600 * 24000, true);
    assert_true(minute == hour && hour < 2400000);
    assert_true(tess_sound_sums_bytes(UINT64_MAX / 8, true) == hour);
    assert_true(tess_sound_sums_bytes(100, true) < 20000);
    assert_true(tess_code_sums_bytes(16, 4096) == tess_code_sums_bytes(16, 1 << 20));
}

/* ---- hearing ---- */

static void test_heard_in_pieces(void **state)
{
    (void)state;
    add_waveform(&fx.reference, WAVEFORM, 3000);
    add_waveform(&fx.trace, WAVEFORM, 2900);
    test_trace_blur(&fx.trace, WAVEFORM, 1e-3);
    add_codes(&fx.reference, 40);
    add_codes(&fx.trace, 37)->integers[5 * 37 + 20] = 9;
    expect(TESS_VERDICT_DIFFERENT, 2);
    for (size_t step = 1; step < 2000; step = 3 * step + 1) {
        tess_comparison *c;
        tess_compare_result *heard = NULL;
        assert_int_equal(tess_comparison_new(fx.reference_path, &fx.options, &c, &fx.err), TESS_OK);
        assert_int_equal(tess_comparison_meet(c, &(tess_comparison_other){.path = "a run"}, &fx.err),
                         TESS_OK);
        const test_tensor *t = of(&fx.trace, WAVEFORM), *codes = of(&fx.trace, CODES);
        assert_true(tess_comparison_wants(c, WAVEFORM, TESS_DTYPE_F32, 1, (uint64_t[]){t->count}));
        assert_true(tess_comparison_wants(c, CODES, TESS_DTYPE_I64, 2, (uint64_t[]){BOOKS, 37}));
        assert_false(tess_comparison_wants(c, CODES, TESS_DTYPE_I64, 2, (uint64_t[]){BOOKS - 1, 37}));
        tess_comparison_find(c, CODES)->is_misshapen = false;
        for (size_t at = 0, n; at < t->count; at += n) {
            n = t->count - at < step ? t->count - at : step;
            assert_int_equal(tess_comparison_hear(c, WAVEFORM, at, t->values + at, n, &fx.err), TESS_OK);
        }
        for (size_t at = 0, n; at < codes->count; at += n) {
            n = codes->count - at < step ? codes->count - at : step;
            assert_int_equal(tess_comparison_hear(c, CODES, at, codes->integers + at, n, &fx.err), TESS_OK);
        }
        assert_int_equal(tess_comparison_hear(c, CODES, codes->count, codes->integers, 1, &fx.err),
                         TESS_EUSAGE);
        assert_int_equal(tess_comparison_finish(c, &heard, &fx.err), TESS_OK);
        tess_comparison_free(c);
        const tess_sound_report *a = fx.result->sound, *b = heard->sound;
        assert_true(heard->n_sound == 1 && heard->n_codes == 1 && a->first == b->first && a->bar == b->bar);
        assert_memory_equal(a->column, b->column, (size_t)a->n_column * sizeof *a->column);
        for (int side = 0; side < TESS_SOUND_SIDES; side++)
            assert_memory_equal(a->power[side], b->power[side],
                                (size_t)(a->n_moment * a->n_line) * sizeof **a->power);
        for (int side = 0; side < 2; side++) {
            assert_int_equal(a->n_kept[side], b->n_kept[side]);
            assert_memory_equal(a->kept[side], b->kept[side], (size_t)a->n_kept[side] * sizeof **a->kept);
        }
        assert_memory_equal(fx.result->codes->cell, heard->codes->cell,
                            (size_t)(BOOKS * fx.result->codes->n_column) * sizeof *heard->codes->cell);
        tess_compare_result_free(heard);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPARING(test_first_sample_beyond_the_bar), COMPARING(test_first_sample_of_small_errors),
        COMPARING(test_waveform_of_silence),         COMPARING(test_frames_of_windows),
        COMPARING(test_waveforms_of_other_lengths),  COMPARING(test_codes_of_other_lengths),
        COMPARING(test_speech_in_bfloat16),          COMPARING(test_cells_of_codes),
        COMPARING(test_columns_of_a_waveform),       COMPARING(test_spectra),
        COMPARING(test_long_waveforms_take_no_more), COMPARING(test_heard_in_pieces),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
