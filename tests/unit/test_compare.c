/* Verdicts, bars, places and what is refused: each with a trace that breaks the rule and must be found out,
 * and the untouched trace that passes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"

static void test_equal(void **state)
{
    (void)state;
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(fx.result->n_compared, 17);
    assert_int_equal(fx.result->n_equal, 17);
    assert_int_equal(fx.result->first, -1);
    assert_string_equal(fx.result->tap[0].name, "tap.thinker.inputs_embeds");
    assert_string_equal(fx.result->tap[16].name, "tap.thinker.generated");
    static const char *const order[] = {
        ".self_attn", ".mlp.gate.logits", ".mlp.gate.indices", ".mlp.gate.weights", ".mlp", ""};
    for (int i = 0; i < 6; i++) assert_string_equal(fx.result->tap[2 + i].name + 26, order[i]);
}

static void test_within_and_beyond_the_bar(void **state)
{
    (void)state;
    test_trace_blur(&fx.trace, LAYER(1, ".self_attn"), 1e-5);
    expect(TESS_VERDICT_AGREE, 0);
    const tess_tap_report *r = report(LAYER(1, ".self_attn"));
    assert_int_equal(r->outcome, TESS_OUTCOME_AGREES);
    assert_true(r->rel_l2 > 3e-6 && r->rel_l2 < 1e-5);
    assert_string_equal(fx.result->tap[fx.result->worst].name, LAYER(1, ".self_attn"));
    test_trace_blur(&fx.trace, LAYER(1, ".self_attn"), 4e-5);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".self_attn"), "self_attn", 1, 0);
}

/* Only the logits have a wider bar. */
static void test_bar_of_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < of(&fx.trace, "tap.thinker.lm_head")->count; i++)
        of(&fx.trace, "tap.thinker.lm_head")->values[i] *= 1.000015f;
    expect(TESS_VERDICT_AGREE, 0);
    for (size_t i = 0; i < of(&fx.trace, "tap.thinker.model.norm")->count; i++)
        of(&fx.trace, "tap.thinker.model.norm")->values[i] *= 1.000015f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.thinker.model.norm", "norm", -1, 0);
}

/* Metrics against numbers worked out by hand. */
static void test_metrics(void **state)
{
    (void)state;
    test_tensor *a = of(&fx.trace, "tap.thinker.model.norm"),
                *b = of(&fx.reference, "tap.thinker.model.norm");
    for (size_t i = 0; i < a->count; i++) a->values[i] = b->values[i] = 0;
    b->values[10] = 3, b->values[11] = 4;
    a->values[10] = 3, a->values[11] = 4.5f, a->values[20] = -1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    const tess_tap_report *r = report("tap.thinker.model.norm");
    assert_true(fabs(r->rel_l2 - sqrt(1.25) / 5) < 1e-15);
    assert_true(r->max_abs == 1);
    assert_true(fabs(r->cosine - 27 / (5 * sqrt(30.25))) < 1e-15);
    assert_int_equal(r->n_different, 2);
    assert_int_equal(r->first_different, 11);
    assert_int_equal(r->position, 1);
}

static void test_position_of_the_divergence(void **state)
{
    (void)state;
    of(&fx.trace, LAYER(1, ""))->values[4 * SYNTHETIC_WIDTH + 2] += 0.01f;
    of(&fx.trace, LAYER(1, ""))->values[2 * SYNTHETIC_WIDTH + 2] += 1e-7f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ""), "layer", 1, 4);
}

static void test_first_is_in_model_order(void **state)
{
    (void)state;
    test_trace_blur(&fx.trace, LAYER(1, ".self_attn"), 1e-1);
    test_trace_blur(&fx.trace, LAYER(0, ""), 1e-3);
    test_trace_blur(&fx.trace, LAYER(0, ".mlp.gate.logits"), 1e-4);
    expect(TESS_VERDICT_DIFFERENT, 3);
    expect_first(LAYER(0, ".mlp.gate.logits"), "mlp.gate", 0, 0);
    assert_string_equal(fx.result->tap[fx.result->worst].name, LAYER(1, ".self_attn"));
}

static void test_missing_and_extra(void **state)
{
    (void)state;
    test_trace_remove(&fx.trace, LAYER(1, ".mlp"));
    test_trace_add(&fx.trace, "tap.thinker.novelty", false, 1, (int64_t[]){3});
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".mlp"), "mlp", 1, -1);
    assert_int_equal(report(LAYER(1, ".mlp"))->outcome, TESS_OUTCOME_MISSING);
    assert_int_equal(fx.result->n_compared, 16);
    assert_int_equal(fx.result->n_extra, 1);
    assert_string_equal(fx.result->extra[0], "tap.thinker.novelty");
}

static void test_extra_alone_is_no_failure(void **state)
{
    (void)state;
    test_trace_add(&fx.trace, "tap.thinker.novelty", false, 1, (int64_t[]){3});
    expect(TESS_VERDICT_EQUAL, 0);
}

static void test_other_shape_or_type(void **state)
{
    (void)state;
    test_trace_remove(&fx.trace, "tap.thinker.model.norm");
    test_trace_add(&fx.trace, "tap.thinker.model.norm", false, 2,
                   (int64_t[]){SYNTHETIC_TOKENS, SYNTHETIC_WIDTH - 1});
    test_trace_remove(&fx.trace, LAYER(0, ".mlp.gate.indices"));
    test_trace_add(&fx.trace, LAYER(0, ".mlp.gate.indices"), false, 2, (int64_t[]){SYNTHETIC_TOKENS, 2});
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(report("tap.thinker.model.norm")->outcome, TESS_OUTCOME_SHAPE);
    assert_string_equal(report("tap.thinker.model.norm")->why, "found [6, 7], expected F32 [6, 8]");
    assert_string_equal(report(LAYER(0, ".mlp.gate.indices"))->why, "found F32 [6, 2], expected I64 [6, 2]");
}

static void test_transposed_shape(void **state)
{
    (void)state;
    test_tensor *t = of(&fx.trace, "tap.thinker.model.norm");
    t->dim[0] = SYNTHETIC_WIDTH;
    t->dim[1] = SYNTHETIC_TOKENS;
    expect(TESS_VERDICT_DIFFERENT, 1);
}

static void test_non_finite(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        of(&fx.trace, LAYER(1, ".mlp"))->values[5 * SYNTHETIC_WIDTH] = bad[i];
        expect(TESS_VERDICT_DIFFERENT, 1);
        expect_first(LAYER(1, ".mlp"), "mlp", 1, 5);
        const tess_tap_report *r = report(LAYER(1, ".mlp"));
        assert_int_equal(r->outcome, TESS_OUTCOME_NONFINITE);
        assert_int_equal(r->n_nonfinite, 1);
        assert_true(isnan(r->rel_l2) && isinf(r->error));
        assert_string_equal(fx.result->tap[fx.result->worst].name, LAYER(1, ".mlp"));
    }
    /* The same NaN on both sides is no agreement. */
    of(&fx.reference, LAYER(1, ".mlp"))->values[5 * SYNTHETIC_WIDTH] = NAN;
    of(&fx.trace, LAYER(1, ".mlp"))->values[5 * SYNTHETIC_WIDTH] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    of(&fx.trace, LAYER(1, ".mlp"))->values[5 * SYNTHETIC_WIDTH] = 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(report(LAYER(1, ".mlp"))->n_nonfinite_reference, 1);
    assert_int_equal(report(LAYER(1, ".mlp"))->outcome, TESS_OUTCOME_NONFINITE);
}

static void test_zero_norm_asks_for_equal_bits(void **state)
{
    (void)state;
    test_tensor *a = of(&fx.trace, "tap.thinker.model.norm"),
                *b = of(&fx.reference, "tap.thinker.model.norm");
    for (size_t i = 0; i < a->count; i++) a->values[i] = b->values[i] = 0;
    expect(TESS_VERDICT_EQUAL, 0);
    a->values[7] = -0.0f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    a->values[7] = 1e-30f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(report("tap.thinker.model.norm")->measure, TESS_MEASURE_EXACT);
    assert_true(isinf(report("tap.thinker.model.norm")->rel_l2));
}

/* One position wrong by one among many is below every relative bar. */
static void test_positions_are_exact(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        test_trace_remove(both[k], "tap.thinker.position_ids");
        test_tensor *t = test_trace_add(both[k], "tap.thinker.position_ids", false, 2, (int64_t[]){3, MANY});
        for (int i = 0; i < 3 * MANY; i++) t->values[i] = (float)(i % MANY);
    }
    expect(TESS_VERDICT_EQUAL, 0);
    of(&fx.trace, "tap.thinker.position_ids")->values[2 * MANY + 4000] += 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_true(report("tap.thinker.position_ids")->rel_l2 < 1e-5);
    expect_first("tap.thinker.position_ids", "position_ids", -1, 4000);
}

/* ---- logits and tokens ---- */

static void test_other_arg_max(void **state)
{
    (void)state;
    test_tensor *a = of(&fx.trace, "tap.thinker.lm_head"), *b = of(&fx.reference, "tap.thinker.lm_head");
    float *x = a->values + 3 * SYNTHETIC_VOCAB, *y = b->values + 3 * SYNTHETIC_VOCAB;
    y[2] = x[2] = 5.0f;
    x[7] = nextafterf(5.0f, 6.0f);
    y[7] = nextafterf(5.0f, 4.0f);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_true(report("tap.thinker.lm_head")->rel_l2 < 1e-6);
    expect_first("tap.thinker.lm_head", "lm_head", -1, 3);
    /* Equal logits go to the lower id on both sides. */
    x[7] = y[7] = 5.0f;
    expect(TESS_VERDICT_EQUAL, 0);
    y[7] = nextafterf(5.0f, 4.0f);
    expect(TESS_VERDICT_AGREE, 0);
}

static void test_last_logits_position(void **state)
{
    (void)state;
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        test_trace_remove(both[k], "tap.thinker.lm_head");
        test_tensor *t =
            test_trace_add(both[k], "tap.thinker.lm_head", false, 2, (int64_t[]){1, SYNTHETIC_VOCAB});
        t->values[3] = (float)(1 + k);
    }
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.thinker.lm_head", "lm_head", -1, SYNTHETIC_TOKENS - 1);
}

static void test_generated(void **state)
{
    (void)state;
    of(&fx.trace, "tap.thinker.generated")->integers[2] = 9;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.thinker.generated", "lm_head", -1, SYNTHETIC_TOKENS + 2);
    test_trace_remove(&fx.trace, "tap.thinker.generated");
    test_tensor *t = test_trace_add(&fx.trace, "tap.thinker.generated", true, 1, (int64_t[]){3});
    for (int i = 0; i < 3; i++) t->integers[i] = 2 * i;
    expect(TESS_VERDICT_DIFFERENT, 1); /* too short */
    expect_first("tap.thinker.generated", "lm_head", -1, SYNTHETIC_TOKENS + 3);
    test_trace_remove(&fx.trace, "tap.thinker.generated");
    t = test_trace_add(&fx.trace, "tap.thinker.generated", true, 1, (int64_t[]){5});
    for (int i = 0; i < 5; i++) t->integers[i] = 2 * i;
    expect(TESS_VERDICT_DIFFERENT, 1); /* too long */
    expect_first("tap.thinker.generated", "lm_head", -1, SYNTHETIC_TOKENS + 4);
}

static void test_other_inputs(void **state)
{
    (void)state;
    of(&fx.trace, "in.input_ids")->integers[4] = 0;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("in.input_ids", "tokenizer", -1, 4);
    test_trace_remove(&fx.trace, "in.input_ids");
    expect(TESS_VERDICT_EQUAL, 0);
}

static void test_identity(void **state)
{
    (void)state;
    strcpy(fx.reference.config, "aa");
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(fx.result->config, TESS_SAME_UNKNOWN);
    strcpy(fx.trace.config, "aa");
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(fx.result->config, TESS_SAME_YES);
    strcpy(fx.trace.config, "ab");
    must_refuse(TESS_EINPUT, fx.trace_path, "config_sha256");
    fx.options.ignore_identity = true;
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(fx.result->config, TESS_SAME_NO);
    fx.options.ignore_identity = false;
    strcpy(fx.trace.config, "aa");
    strcpy(fx.reference.weights, "cc");
    strcpy(fx.trace.weights, "cd");
    must_refuse(TESS_EINPUT, fx.trace_path, "weights_sha256");
}

static void test_dtypes(void **state)
{
    (void)state;
    strcpy(fx.trace.dtype, "bfloat16");
    must_refuse(TESS_EINPUT, fx.trace_path, "dtype");
    fx.options.metrics_only = true;
    test_trace_blur(&fx.trace, LAYER(0, ""), 1e-2);
    expect(TESS_VERDICT_NONE, 0);
    assert_int_equal(report(LAYER(0, ""))->outcome, TESS_OUTCOME_NOT_JUDGED);
    assert_true(report(LAYER(0, ""))->rel_l2 > 1e-3);
    fx.options.metrics_only = false;
    strcpy(fx.trace.dtype, "float16");
    must_refuse(TESS_EINPUT, fx.trace_path, "dtype");
    /* Where a side does not say, float32 is assumed: the stricter bar. */
    strcpy(fx.trace.dtype, "");
    strcpy(fx.reference.dtype, "");
    expect(TESS_VERDICT_DIFFERENT, 1);
}

static void test_nothing_in_common(void **state)
{
    (void)state;
    test_trace_release(&fx.trace);
    fx.trace = (test_trace){.dtype = "float32"};
    test_trace_add(&fx.trace, "tap.something.else", false, 1, (int64_t[]){2});
    test_trace_add(&fx.trace, "in.input_ids", true, 1, (int64_t[]){SYNTHETIC_TOKENS});
    must_refuse(TESS_EINPUT, fx.trace_path, "");
    fx.options.metrics_only = true;
    must_refuse(TESS_EINPUT, fx.trace_path, "");
}

/* A tap without elements is in both and says nothing; a reference without taps has nothing to say. */
static void test_nothing_to_compare(void **state)
{
    (void)state;
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        test_trace_release(both[k]);
        *both[k] = (test_trace){.dtype = "float32"};
        test_trace_add(both[k], "in.input_ids", true, 1, (int64_t[]){SYNTHETIC_TOKENS});
    }
    must_refuse(TESS_EINPUT, fx.reference_path, "");
    for (int k = 0; k < 2; k++)
        test_trace_add(both[k], LAYER(0, ".mlp"), false, 2, (int64_t[]){0, SYNTHETIC_WIDTH});
    must_refuse(TESS_EINPUT, fx.trace_path, "");
    /* A single number has no rows. */
    static const char header[] =
        "{\"" LAYER(0, ".mlp") "\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}   ";
    uint64_t length = sizeof header - 1;
    FILE *file = fopen(fx.reference_path, "wb");
    assert_true(fwrite(&length, 8, 1, file) == 1 && fwrite(header, (size_t)length, 1, file) == 1);
    assert_true(fwrite("\0\0\0", 4, 1, file) == 1 && fclose(file) == 0);
    assert_int_equal(
        tess_compare_files(fx.reference_path, fx.reference_path, &fx.options, &fx.result, &fx.err),
        TESS_EINPUT);
    assert_string_equal(fx.err.field, LAYER(0, ".mlp"));
    assert_string_equal(fx.err.expected, "rows");
}

static void test_misshapen_reference(void **state)
{
    (void)state;
    test_trace_remove(&fx.reference, LAYER(0, ".mlp.gate.indices"));
    test_trace_add(&fx.reference, LAYER(0, ".mlp.gate.indices"), true, 2, (int64_t[]){1, 1000});
    must_refuse(TESS_EINPUT, fx.reference_path, LAYER(0, ".mlp.gate.indices"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPARING(test_equal),
        COMPARING(test_within_and_beyond_the_bar),
        COMPARING(test_bar_of_logits),
        COMPARING(test_metrics),
        COMPARING(test_position_of_the_divergence),
        COMPARING(test_first_is_in_model_order),
        COMPARING(test_missing_and_extra),
        COMPARING(test_extra_alone_is_no_failure),
        COMPARING(test_other_shape_or_type),
        COMPARING(test_transposed_shape),
        COMPARING(test_non_finite),
        COMPARING(test_zero_norm_asks_for_equal_bits),
        COMPARING(test_positions_are_exact),
        COMPARING(test_other_arg_max),
        COMPARING(test_last_logits_position),
        COMPARING(test_generated),
        COMPARING(test_other_inputs),
        COMPARING(test_identity),
        COMPARING(test_dtypes),
        COMPARING(test_nothing_in_common),
        COMPARING(test_nothing_to_compare),
        COMPARING(test_misshapen_reference),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
