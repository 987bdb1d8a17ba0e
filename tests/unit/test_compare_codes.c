/* Where the codes of two speeches part ways, what is said to be at fault, and where the stages of the sound
 * first lie off. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"

enum { N_GROUP = 16, N_FRAME = 7, N_VOCAB = 9 };

static int64_t *code(int codebook, int frame)
{
    test_tensor *t = of(&fx.trace, "tap.talker.codes");
    return &t->integers[codebook * (int)t->dim[1] + frame];
}

static void add_codes(test_trace *trace, int n_frame)
{
    test_tensor *t = test_trace_add(trace, "tap.talker.codes", true, 2, (int64_t[]){N_GROUP, n_frame});
    for (int g = 0; g < N_GROUP; g++)
        for (int f = 0; f < n_frame; f++) t->integers[g * n_frame + f] = 10 * g + f % 5;
}

static void add_both(int n_frame)
{
    add_codes(&fx.reference, N_FRAME);
    add_codes(&fx.trace, n_frame);
}

/* The talker's prompt, and an answer of four tokens, of which the last has no row. */
static void add_prompt(void)
{
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        test_trace_add(both[k], "tap.talker.codec_head", false, 2, (int64_t[]){3, N_VOCAB});
        test_trace_remove(both[k], "tap.thinker.generated");
        test_trace_add(both[k], "tap.thinker.generated", true, 1, (int64_t[]){4});
    }
}

static const tess_tap_report *differs(const char *component, int64_t frame, int64_t codebook)
{
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.talker.codes", component, -1, -1);
    const tess_tap_report *r = report("tap.talker.codes");
    assert_int_equal(r->frame, frame);
    assert_int_equal(r->codebook, codebook);
    return r;
}

/* The first is the one that was spoken first. */
static void test_order(void **state)
{
    (void)state;
    add_both(N_FRAME);
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(report("tap.talker.codes")->frame, -1);
    *code(0, 5) = 8;
    *code(11, 4) = 8;
    *code(9, 4) = 8;
    const tess_tap_report *r = differs("code_predictor", 4, 9);
    assert_string_equal(r->why, "from frame 4 on, codebook 9: found 8, expected 94");
    assert_int_equal(r->n_different, 3);
    *code(0, 4) = 8;
    differs("talker.codec_head", 4, 0);
}

/* A speech that ends elsewhere is compared as far as both go. */
static void test_ends(void **state)
{
    (void)state;
    add_both(N_FRAME + 2);
    const tess_tap_report *r = differs("talker.codec_head", N_FRAME, 0);
    assert_string_equal(r->why, "ends after 9 frames, expected 7");
    *code(3, 2) = 8;
    differs("code_predictor", 2, 3);
    test_trace_remove(&fx.trace, "tap.talker.codes");
    add_codes(&fx.trace, 2);
    r = differs("talker.codec_head", 2, 0);
    assert_string_equal(r->why, "ends after 2 frames, expected 7");
    *code(3, 1) = 8;
    differs("code_predictor", 1, 3);
    test_trace_remove(&fx.trace, "tap.talker.codes");
    add_codes(&fx.trace, 0);
    differs("talker.codec_head", 0, 0);
}

static void expect_fault(const char *component, int codebook, int frame, const char *fault)
{
    int64_t kept = *code(codebook, frame);
    *code(codebook, frame) = codebook == 0 && frame == 6 ? 3 : 8;
    const tess_tap_report *r = differs(component, frame, codebook);
    if (!strstr(r->why, fault)) fail_msg("\"%s\" does not say \"%s\"", r->why, fault);
    *code(codebook, frame) = kept;
}

/* Frame 3 adds the end of the text, later ones pads; frames 5 and 6 repeat codes. */
static void test_faults(void **state)
{
    (void)state;
    add_both(N_FRAME);
    *code(0, 2) = 8;
    assert_null(strstr(differs("talker.codec_head", 2, 0)->why, "at fault"));
    *code(0, 2) = 2;
    add_prompt();
    expect_fault("talker.codec_head", 0, 0, "from its logits");
    expect_fault("talker.codec_head", 0, 1, "(codes, token 1 of the answer)");
    expect_fault("talker.codec_head", 0, 2,
                 "token 2 of the answer) or a position behind the prompt; no penalty");
    expect_fault("talker.codec_head", 0, 3, "the end of the text");
    expect_fault("talker.codec_head", 0, 4, "the pad behind the text");
    expect_fault("talker.codec_head", 0, 5, ", or the penalty");
    expect_fault("talker.codec_head", 0, 6, ", or the penalty");
    expect_fault("code_predictor", 4, 0, "the state behind the norm");
    expect_fault("code_predictor", 4, 2, "which verify tells apart");
    of(&fx.trace, "tap.talker.codec_head")->values[4] += 1;
    *code(0, 2) = 8;
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_null(strstr(report("tap.talker.codes")->why, "at fault"));
}

/* The code predictor's first run is made of the talker's state and the first code. */
static void test_first_run(void **state)
{
    (void)state;
    static const char name[] = "tap.talker.code_predictor.inputs_embeds";
    add_both(N_FRAME);
    add_prompt();
    test_trace_add(&fx.reference, name, false, 2, (int64_t[]){2, 3});
    test_trace_add(&fx.trace, name, false, 2, (int64_t[]){2, 3});
    of(&fx.trace, name)->values[1] += 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(name, "code_predictor", -1, -1);
    assert_string_equal(report(name)->where, "the talker's state behind its norm");
    of(&fx.trace, name)->values[1] = of(&fx.reference, name)->values[1];
    of(&fx.trace, name)->values[4] += 1;
    *code(0, 0) = 8;
    expect(TESS_VERDICT_DIFFERENT, 2);
    expect_first(name, "talker.codec_head", -1, -1);
    assert_string_equal(report(name)->where, "the first code's embedding");
    assert_non_null(strstr(report(name)->why, "; the talker chose another first code"));
    assert_non_null(strstr(report("tap.talker.codes")->why, "as which are suppressed"));
}

/* Another number of codebooks is another shape. */
static void test_misshapen(void **state)
{
    (void)state;
    add_codes(&fx.reference, N_FRAME);
    test_trace_add(&fx.trace, "tap.talker.codes", true, 2, (int64_t[]){N_GROUP - 1, N_FRAME});
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(report("tap.talker.codes")->outcome, TESS_OUTCOME_SHAPE);
}

/* Two frames of upsampling 2, then rates 4 and 3: seven frames are 14, 52 and 153 columns. */
static const struct {
    const char *name;
    int64_t dim[2];
} stages[] = {
    {"tap.code2wav.pre_transformer", {N_FRAME, 6}},
    {"tap.code2wav.upsample.0.0", {6, 14}},
    {"tap.code2wav.decoder.0", {4, 14}},
    {"tap.code2wav.decoder.1", {3, 52}},
    {"tap.code2wav.decoder.2", {2, 153}},
    {"tap.code2wav.decoder.3", {2, 153}},
    {"tap.code2wav.waveform", {153, 0}},
};
enum { N_STAGE = sizeof stages / sizeof stages[0] };

/* A row, or a channel, that is loud hides nothing in one that is not. */
static void add_sound(void)
{
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < N_STAGE; i++) {
            test_tensor *t =
                test_trace_add(both[k], stages[i].name, false, stages[i].dim[1] ? 2 : 1, stages[i].dim);
            for (size_t j = 0; j < t->count; j++) t->values[j] = (j * 7 + 3) % 11 < 5 ? 1 : -1;
        }
}

/* The values are off by a few roundings from the beginning on, and by `off` at an element. */
static const tess_tap_report *spoil(const char *name, size_t element, float off)
{
    test_tensor *t = of(&fx.trace, name);
    for (size_t j = 0; j < t->count; j++) t->values[j] *= 1 + 2e-7f;
    t->values[element] += off;
    expect(TESS_VERDICT_DIFFERENT, 1);
    t->values[element] -= off;
    for (size_t j = 0; j < t->count; j++) t->values[j] = of(&fx.reference, name)->values[j];
    return report(name);
}

static void expect_moment(const char *name, size_t element, int64_t frame, int64_t column, const char *where)
{
    const tess_tap_report *r = spoil(name, element, 0.5f);
    assert_string_equal(r->component, "code2wav");
    assert_int_equal(r->frame, frame);
    assert_int_equal(r->column, column);
    assert_string_equal(r->where, where);
}

static void test_moments(void **state)
{
    (void)state;
    add_sound();
    expect(TESS_VERDICT_EQUAL, 0);
    expect_moment(stages[0].name, 4 * 6 + 2, 4, -1, "from frame 4 on");
    expect_moment(stages[1].name, 3 * 14 + 9, 4, 9, "from column 9 of 14 on, in frame 4");
    expect_moment(stages[2].name, 3 * 14 + 9, 4, 9, "from column 9 of 14 on, in frame 4");
    expect_moment(stages[3].name, 2 * 52 + 33, 4, 33, "from column 33 of 52 on, in frame 4");
    expect_moment(stages[4].name, 153 + 95, 3, 95, "from column 95 of 153 on, in frame 3");
    expect_moment(stages[5].name, 96, 4, 96, "from column 96 of 153 on, in frame 4");
    expect_moment(stages[6].name, 152, 6, 152, "");
    /* Where something is clearly off, what is hardly so before it is a rounding. */
    of(&fx.trace, stages[5].name)->values[40] += 5e-5f;
    assert_int_equal(spoil(stages[5].name, 90, 5e-4f)->column, 90);
    for (int i = 40; i < 153; i++) of(&fx.trace, stages[5].name)->values[i] += 5e-5f;
    assert_int_equal(spoil(stages[5].name, 90, 0)->column, 40);
    /* Of two channels the one that lies off earlier counts, though it comes later in the file. */
    of(&fx.trace, stages[4].name)->values[90] += 0.5f;
    expect_moment(stages[4].name, 153 + 20, 0, 20, "from column 20 of 153 on, in frame 0");
    assert_true(isnan(spoil(stages[6].name, 7, NAN)->rel_l2));
    assert_int_equal(report(stages[6].name)->column, 7);
}

/* Without the stages before it nothing is known of frames. */
static void test_unknown_frames(void **state)
{
    (void)state;
    add_sound();
    test_trace_remove(&fx.reference, "tap.code2wav.decoder.1");
    expect_moment(stages[6].name, 152, -1, 152, "");
    expect_moment(stages[4].name, 95, -1, 95, "from column 95 of 153 on");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPARING(test_order),          COMPARING(test_ends),      COMPARING(test_faults),
        COMPARING(test_first_run),      COMPARING(test_misshapen), COMPARING(test_moments),
        COMPARING(test_unknown_frames),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
