/* A bfloat16 reference, judged by the distances of both sides to a float32 truth. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"
#include "verify/compare/comparison.h"

static void blur_all(test_trace *t, double relative)
{
    for (size_t i = 0; i < t->tensors.count; i++) {
        const test_tensor *x = &t->tensors.item[i];
        bool is_exact = strstr(x->name, "position_ids") || strstr(x->name, "inputs_embeds");
        if (!x->is_integer && !is_exact) test_trace_blur(t, x->name, relative);
    }
}

/* A reference and a trace 1 % and `ours` away from the truth. */
static void make_bf16(double ours)
{
    strcpy(fx.reference.dtype, "bfloat16");
    strcpy(fx.trace.dtype, "bfloat16");
    blur_all(&fx.reference, 1e-2);
    blur_all(&fx.trace, ours);
    fx.options.truth = fx.truth_path;
}

static void test_bf16_needs_a_truth(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    fx.options.truth = NULL;
    assert_int_equal(compare(), TESS_EUSAGE);
    assert_string_equal(fx.err.field, "truth");
    fx.options.metrics_only = true;
    expect(TESS_VERDICT_NONE, 0);
    /* What is plainly wrong needs no truth. */
    fx.options.metrics_only = false;
    test_trace_remove(&fx.trace, LAYER(0, ""));
    expect(TESS_VERDICT_DIFFERENT, 1);
    test_trace_release(&fx.trace);
    test_trace_copy(&fx.reference, &fx.trace);
    expect(TESS_VERDICT_EQUAL, 0);
    of(&fx.trace, "tap.thinker.position_ids")->values[3] += 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
}

static void test_bf16_ratio(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    expect(TESS_VERDICT_AGREE, 0);
    assert_true(fx.result->ratio_mean > 1.03 && fx.result->ratio_mean < 1.07);
    assert_int_equal(fx.result->n_ratio, 10); /* not the weights, not the two that are exact */
    assert_int_equal(report(LAYER(0, ".mlp.gate.weights"))->outcome, TESS_OUTCOME_NOT_JUDGED);
}

static void test_bf16_one_tap_too_far(void **state)
{
    (void)state;
    make_bf16(0.95e-2);
    test_trace_blur(&fx.trace, LAYER(1, ".self_attn"), 2.4e-2);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".self_attn"), "self_attn", 1, 0);
    assert_true(fx.result->ratio_mean > 0.87 && fx.result->ratio_mean < 1.15);
    assert_int_equal(report(LAYER(1, ".self_attn"))->measure, TESS_MEASURE_RATIO);
}

/* A truth of the same defective weights: the reference alone is far from it. */
static void test_bf16_one_tap_too_near(void **state)
{
    (void)state;
    make_bf16(1.1e-2);
    const test_tensor *truth = of(&fx.truth, LAYER(1, ".self_attn"));
    memcpy(of(&fx.trace, LAYER(1, ".self_attn"))->values, truth->values, truth->count * sizeof(float));
    test_trace_blur(&fx.trace, LAYER(1, ".self_attn"), 0.3e-2);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".self_attn"), "self_attn", 1, 0);
    assert_true(fx.result->ratio_mean > 0.87 && fx.result->ratio_mean < 1.15);
    assert_true(report(LAYER(1, ".self_attn"))->error > 2.5);
}

static void test_bf16_mean(void **state)
{
    (void)state;
    make_bf16(1.25e-2);
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    assert_int_equal(fx.result->verdict, TESS_VERDICT_DIFFERENT);
    assert_true(fx.result->ratio_mean > 1.2 && fx.result->ratio_mean < 1.3);
    expect_first(LAYER(0, ".self_attn"), "self_attn", 0, -1);
}

static void test_bf16_of_a_float32_run_fails(void **state)
{
    (void)state;
    make_bf16(1e-6);
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    assert_int_equal(fx.result->verdict, TESS_VERDICT_DIFFERENT);
    assert_true(fx.result->ratio_mean < 1e-3);
    make_bf16(0);
    test_trace_release(&fx.trace);
    test_trace_copy(&fx.truth, &fx.trace);
    strcpy(fx.trace.dtype, "bfloat16");
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    assert_int_equal(fx.result->verdict, TESS_VERDICT_DIFFERENT);
    assert_true(fx.result->ratio_mean == 0);
}

/* Where the reference is the truth itself, so must the trace be. */
static void test_bf16_zero_distance(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    of(&fx.trace, "tap.thinker.inputs_embeds")->values[9] =
        nextafterf(of(&fx.trace, "tap.thinker.inputs_embeds")->values[9], 9);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.thinker.inputs_embeds", "embed", -1, 1);
    assert_int_equal(report("tap.thinker.inputs_embeds")->measure, TESS_MEASURE_EXACT);
}

static void test_bf16_tokens_and_choices_are_not_judged(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    of(&fx.trace, "tap.thinker.generated")->integers[1] = 99;
    of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers[5] = 5;
    expect(TESS_VERDICT_AGREE, 0);
    assert_string_equal(report("tap.thinker.generated")->why,
                        "only the first token agrees, of 4 in the reference and 4 in the trace");
}

static void test_bf16_truth_must_fit(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    strcpy(fx.truth.dtype, "bfloat16");
    must_refuse(TESS_EINPUT, fx.truth_path, "dtype");
    strcpy(fx.truth.dtype, "float32");
    of(&fx.truth, "in.input_ids")->integers[0] = 77;
    must_refuse(TESS_EINPUT, fx.truth_path, "in.input_ids");
    of(&fx.truth, "in.input_ids")->integers[0] = 3;
    /* Of other positions everything is far off alike on both sides. */
    of(&fx.truth, "tap.thinker.position_ids")->values[3] += 1;
    must_refuse(TESS_EINPUT, fx.truth_path, "tap.thinker.position_ids");
    of(&fx.truth, "tap.thinker.position_ids")->values[3] -= 1;
    float kept = of(&fx.truth, LAYER(0, ""))->values[1];
    of(&fx.truth, LAYER(0, ""))->values[1] = INFINITY;
    must_refuse(TESS_EINPUT, fx.truth_path, LAYER(0, ""));
    of(&fx.truth, LAYER(0, ""))->values[1] = kept;
    expect(TESS_VERDICT_AGREE, 0);
    test_trace_remove(&fx.truth, LAYER(0, ""));
    must_refuse(TESS_EINPUT, fx.truth_path, LAYER(0, ""));
}

/* One module that rounds otherwise, each element within a step: by how many it is told from one that differs
 * where inner values round apart. */
static void test_bf16_isolated_module_that_rounds_otherwise(void **state)
{
    (void)state;
    enum { N_ROW = 16, WIDTH = 200, N = N_ROW * WIDTH, VOCAB = 1000 };
    static float values[N], zeros[SYNTHETIC_TOKENS * VOCAB];
    static const char norm[] = "tap.thinker.model.norm", head[] = "tap.thinker.lm_head";
    strcpy(fx.reference.dtype, "bfloat16");
    test_trace_remove(&fx.reference, norm);
    test_trace_remove(&fx.reference, head);
    test_tensor *t = test_trace_add(&fx.reference, norm, false, 2, (int64_t[]){N_ROW, WIDTH});
    for (int i = 0; i < N; i++) t->values[i] = 1;
    test_trace_add(&fx.reference, head, false, 2, (int64_t[]){SYNTHETIC_TOKENS, VOCAB});
    test_trace_save(&fx.reference, fx.reference_path);
    for (int one_in = 2; one_in <= 10; one_in += 8) {
        for (int i = 0; i < N; i++) values[i] = i % one_in ? 1 : 1 + 0x1p-7f;
        tess_comparison *c;
        assert_int_equal(tess_comparison_new(fx.reference_path, &fx.options, &c, &fx.err), TESS_OK);
        assert_int_equal(tess_comparison_meet(c, &(tess_comparison_other){.path = "a run"}, &fx.err),
                         TESS_OK);
        tess_comparison_isolate(c);
        assert_true(tess_comparison_wants(c, norm, TESS_DTYPE_F32, 2, (uint64_t[]){N_ROW, WIDTH}));
        assert_true(tess_comparison_wants(c, head, TESS_DTYPE_F32, 2, (uint64_t[]){SYNTHETIC_TOKENS, VOCAB}));
        assert_int_equal(tess_comparison_hear(c, norm, 0, values, N, &fx.err), TESS_OK);
        assert_int_equal(tess_comparison_hear(c, head, 0, zeros, SYNTHETIC_TOKENS * VOCAB, &fx.err), TESS_OK);
        tess_compare_result_free(fx.result);
        assert_int_equal(tess_comparison_finish(c, &fx.result, &fx.err), TESS_OK);
        tess_comparison_free(c);
        assert_int_equal(report(norm)->outcome, one_in == 2 ? TESS_OUTCOME_DIFFERENT : TESS_OUTCOME_AGREES);
        assert_true(fabs(report(norm)->error - (one_in == 2 ? sqrt(2) : 1)) < 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPARING(test_bf16_needs_a_truth),
        COMPARING(test_bf16_ratio),
        COMPARING(test_bf16_one_tap_too_far),
        COMPARING(test_bf16_one_tap_too_near),
        COMPARING(test_bf16_mean),
        COMPARING(test_bf16_of_a_float32_run_fails),
        COMPARING(test_bf16_zero_distance),
        COMPARING(test_bf16_tokens_and_choices_are_not_judged),
        COMPARING(test_bf16_truth_must_fit),
        COMPARING(test_bf16_isolated_module_that_rounds_otherwise),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
