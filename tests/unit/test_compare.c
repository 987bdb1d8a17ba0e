/* Every rule of comparing (one fixture, hence one file), each with a trace that breaks it and must be found
 * out: what is reported, where it is said to begin, and that the untouched trace passes. */
#include "tessera/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/synthetic.h"
#include "verify/comparison.h"

#define LAYER(n, part) "tap.thinker.model.layers." #n part

static char folder[] = "/tmp/tess-compare-XXXXXX";
static char reference_path[64], trace_path[64], truth_path[64];
static test_trace reference, trace, truth;
static tess_compare_options options;
static tess_compare_result *result;
static tess_error err;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(reference_path, sizeof reference_path, "%s/reference", folder);
    snprintf(trace_path, sizeof trace_path, "%s/trace", folder);
    snprintf(truth_path, sizeof truth_path, "%s/truth", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(reference_path);
    unlink(trace_path);
    unlink(truth_path);
    return rmdir(folder);
}

static int setup(void **state)
{
    (void)state;
    test_trace_make(&reference);
    test_trace_copy(&reference, &trace);
    test_trace_copy(&reference, &truth);
    options = (tess_compare_options){0};
    result = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_trace_release(&reference);
    test_trace_release(&trace);
    test_trace_release(&truth);
    tess_compare_result_free(result);
    return 0;
}

static tess_status compare(void)
{
    test_trace_save(&reference, reference_path);
    test_trace_save(&trace, trace_path);
    test_trace_save(&truth, truth_path);
    tess_compare_result_free(result);
    result = NULL;
    return tess_compare_files(reference_path, trace_path, &options, &result, &err);
}

static test_tensor *of(test_trace *t, const char *name)
{
    return test_tensors_get(&t->tensors, name);
}

static const tess_tap_report *report(const char *name)
{
    for (int i = 0; i < result->n_tap; i++)
        if (!strcmp(result->tap[i].name, name)) return &result->tap[i];
    fail_msg("no report of %s", name);
    return NULL;
}

static void expect(tess_verdict verdict, int n_failed)
{
    if (compare() != TESS_OK) fail_msg("%s", err.message);
    if (result->verdict != verdict || result->n_failed != n_failed) {
        for (int i = 0; i < result->n_tap; i++)
            print_message("%s: %s %s\n", result->tap[i].name, tess_outcome_name(result->tap[i].outcome),
                          result->tap[i].why);
        fail_msg("%s with %d failed, expected %s with %d", tess_verdict_name(result->verdict),
                 result->n_failed, tess_verdict_name(verdict), n_failed);
    }
}

/* The first that failed: its name, component, layer and position. */
static void expect_first(const char *name, const char *component, int layer, int64_t position)
{
    assert_true(result->first >= 0);
    const tess_tap_report *r = &result->tap[result->first];
    assert_string_equal(r->name, name);
    assert_string_equal(r->component, component);
    assert_int_equal(r->layer, layer);
    assert_int_equal(r->position, position);
}

static void test_equal(void **state)
{
    (void)state;
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(result->n_compared, 17);
    assert_int_equal(result->n_equal, 17);
    assert_int_equal(result->first, -1);
    assert_string_equal(result->tap[0].name, "tap.thinker.inputs_embeds");
    assert_string_equal(result->tap[16].name, "tap.thinker.generated");
    static const char *const order[] = {
        ".self_attn", ".mlp.gate.logits", ".mlp.gate.indices", ".mlp.gate.weights", ".mlp", ""};
    for (int i = 0; i < 6; i++) assert_string_equal(result->tap[2 + i].name + 26, order[i]);
}

static void test_within_and_beyond_the_bar(void **state)
{
    (void)state;
    test_trace_blur(&trace, LAYER(1, ".self_attn"), 1e-5);
    expect(TESS_VERDICT_AGREE, 0);
    const tess_tap_report *r = report(LAYER(1, ".self_attn"));
    assert_int_equal(r->outcome, TESS_OUTCOME_AGREES);
    assert_true(r->rel_l2 > 3e-6 && r->rel_l2 < 1e-5);
    assert_string_equal(result->tap[result->worst].name, LAYER(1, ".self_attn"));
    test_trace_blur(&trace, LAYER(1, ".self_attn"), 4e-5);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".self_attn"), "self_attn", 1, 0);
}

/* Only the logits have a wider bar. */
static void test_bar_of_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < of(&trace, "tap.thinker.lm_head")->count; i++)
        of(&trace, "tap.thinker.lm_head")->values[i] *= 1.000015f;
    expect(TESS_VERDICT_AGREE, 0);
    for (size_t i = 0; i < of(&trace, "tap.thinker.model.norm")->count; i++)
        of(&trace, "tap.thinker.model.norm")->values[i] *= 1.000015f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.thinker.model.norm", "norm", -1, 0);
}

/* Metrics against numbers worked out by hand. */
static void test_metrics(void **state)
{
    (void)state;
    test_tensor *a = of(&trace, "tap.thinker.model.norm"), *b = of(&reference, "tap.thinker.model.norm");
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
    of(&trace, LAYER(1, ""))->values[4 * SYNTHETIC_WIDTH + 2] += 0.01f;
    of(&trace, LAYER(1, ""))->values[2 * SYNTHETIC_WIDTH + 2] += 1e-7f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ""), "layer", 1, 4);
}

static void test_first_is_in_model_order(void **state)
{
    (void)state;
    test_trace_blur(&trace, LAYER(1, ".self_attn"), 1e-1);
    test_trace_blur(&trace, LAYER(0, ""), 1e-3);
    test_trace_blur(&trace, LAYER(0, ".mlp.gate.logits"), 1e-4);
    expect(TESS_VERDICT_DIFFERENT, 3);
    expect_first(LAYER(0, ".mlp.gate.logits"), "mlp.gate", 0, 0);
    assert_string_equal(result->tap[result->worst].name, LAYER(1, ".self_attn"));
}

static void test_missing_and_extra(void **state)
{
    (void)state;
    test_trace_remove(&trace, LAYER(1, ".mlp"));
    test_trace_add(&trace, "tap.thinker.novelty", false, 1, (int64_t[]){3});
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".mlp"), "mlp", 1, -1);
    assert_int_equal(report(LAYER(1, ".mlp"))->outcome, TESS_OUTCOME_MISSING);
    assert_int_equal(result->n_compared, 16);
    assert_int_equal(result->n_extra, 1);
    assert_string_equal(result->extra[0], "tap.thinker.novelty");
}

static void test_extra_alone_is_no_failure(void **state)
{
    (void)state;
    test_trace_add(&trace, "tap.thinker.novelty", false, 1, (int64_t[]){3});
    expect(TESS_VERDICT_EQUAL, 0);
}

static void test_other_shape_or_type(void **state)
{
    (void)state;
    test_trace_remove(&trace, "tap.thinker.model.norm");
    test_trace_add(&trace, "tap.thinker.model.norm", false, 2,
                   (int64_t[]){SYNTHETIC_TOKENS, SYNTHETIC_WIDTH - 1});
    test_trace_remove(&trace, LAYER(0, ".mlp.gate.indices"));
    test_trace_add(&trace, LAYER(0, ".mlp.gate.indices"), false, 2, (int64_t[]){SYNTHETIC_TOKENS, 2});
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(report("tap.thinker.model.norm")->outcome, TESS_OUTCOME_SHAPE);
    assert_string_equal(report("tap.thinker.model.norm")->why, "found [6, 7], expected F32 [6, 8]");
    assert_string_equal(report(LAYER(0, ".mlp.gate.indices"))->why, "found F32 [6, 2], expected I64 [6, 2]");
}

static void test_transposed_shape(void **state)
{
    (void)state;
    test_tensor *t = of(&trace, "tap.thinker.model.norm");
    t->dim[0] = SYNTHETIC_WIDTH;
    t->dim[1] = SYNTHETIC_TOKENS;
    expect(TESS_VERDICT_DIFFERENT, 1);
}

static void test_non_finite(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        of(&trace, LAYER(1, ".mlp"))->values[5 * SYNTHETIC_WIDTH] = bad[i];
        expect(TESS_VERDICT_DIFFERENT, 1);
        expect_first(LAYER(1, ".mlp"), "mlp", 1, 5);
        const tess_tap_report *r = report(LAYER(1, ".mlp"));
        assert_int_equal(r->outcome, TESS_OUTCOME_NONFINITE);
        assert_int_equal(r->n_nonfinite, 1);
        assert_true(isnan(r->rel_l2) && isinf(r->error));
        assert_string_equal(result->tap[result->worst].name, LAYER(1, ".mlp"));
    }
    /* The same NaN on both sides is no agreement. */
    of(&reference, LAYER(1, ".mlp"))->values[5 * SYNTHETIC_WIDTH] = NAN;
    of(&trace, LAYER(1, ".mlp"))->values[5 * SYNTHETIC_WIDTH] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    of(&trace, LAYER(1, ".mlp"))->values[5 * SYNTHETIC_WIDTH] = 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(report(LAYER(1, ".mlp"))->n_nonfinite_reference, 1);
    assert_int_equal(report(LAYER(1, ".mlp"))->outcome, TESS_OUTCOME_NONFINITE);
}

static void test_non_finite_weight(void **state)
{
    (void)state;
    of(&trace, LAYER(0, ".mlp.gate.weights"))->values[3] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(report(LAYER(0, ".mlp.gate.weights"))->outcome, TESS_OUTCOME_NONFINITE);
    /* Even of an expert that the reference did not choose. */
    of(&trace, LAYER(0, ".mlp.gate.indices"))->integers[3] = 5;
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(report(LAYER(0, ".mlp.gate.weights"))->outcome, TESS_OUTCOME_NONFINITE);
}

static void test_zero_norm_asks_for_equal_bits(void **state)
{
    (void)state;
    test_tensor *a = of(&trace, "tap.thinker.model.norm"), *b = of(&reference, "tap.thinker.model.norm");
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
    test_trace *const both[] = {&reference, &trace};
    for (int k = 0; k < 2; k++) {
        test_trace_remove(both[k], "tap.thinker.position_ids");
        test_tensor *t = test_trace_add(both[k], "tap.thinker.position_ids", false, 2, (int64_t[]){3, MANY});
        for (int i = 0; i < 3 * MANY; i++) t->values[i] = (float)(i % MANY);
    }
    expect(TESS_VERDICT_EQUAL, 0);
    of(&trace, "tap.thinker.position_ids")->values[2 * MANY + 4000] += 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_true(report("tap.thinker.position_ids")->rel_l2 < 1e-5);
    expect_first("tap.thinker.position_ids", "position_ids", -1, 4000);
}

/* ---- routers ---- */

static void swap_ranks(int row, bool weights_too)
{
    int64_t *ids = of(&trace, LAYER(0, ".mlp.gate.indices"))->integers + 2 * row;
    float *weights = of(&trace, LAYER(0, ".mlp.gate.weights"))->values + 2 * row;
    int64_t id = ids[0];
    ids[0] = ids[1], ids[1] = id;
    if (!weights_too) return;
    float weight = weights[0];
    weights[0] = weights[1], weights[1] = weight;
}

static void test_choices_are_sets(void **state)
{
    (void)state;
    swap_ranks(3, true);
    expect(TESS_VERDICT_AGREE, 0);
    assert_int_equal(report(LAYER(0, ".mlp.gate.indices"))->outcome, TESS_OUTCOME_AGREES);
    assert_true(report(LAYER(0, ".mlp.gate.weights"))->max_abs == 0);
}

static void test_weights_go_by_expert(void **state)
{
    (void)state;
    swap_ranks(3, false);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(0, ".mlp.gate.weights"), "mlp.gate", 0, 3);
    assert_true(fabs(report(LAYER(0, ".mlp.gate.weights"))->max_abs - 0.46211716) < 1e-6);
}

static void test_weights_bar_is_absolute(void **state)
{
    (void)state;
    of(&trace, LAYER(0, ".mlp.gate.weights"))->values[9] += 0.9e-5f;
    expect(TESS_VERDICT_AGREE, 0);
    of(&trace, LAYER(0, ".mlp.gate.weights"))->values[9] += 0.3e-5f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(0, ".mlp.gate.weights"), "mlp.gate", 0, 4);
}

static void test_another_expert(void **state)
{
    (void)state;
    of(&trace, LAYER(1, ".mlp.gate.indices"))->integers[5] = 5; /* token 2 chose 3 and 0 */
    expect(TESS_VERDICT_DIFFERENT, 2);
    expect_first(LAYER(1, ".mlp.gate.indices"), "mlp.gate", 1, 2);
    assert_int_equal(report(LAYER(1, ".mlp.gate.weights"))->position, 2);
    assert_int_equal(result->n_tie, 0);
}

/* Not in the reference's set though every id of the trace's is: one expert twice. */
static void test_expert_twice_or_none(void **state)
{
    (void)state;
    of(&trace, LAYER(1, ".mlp.gate.indices"))->integers[4] = 0; /* 0 and 0 for 3 and 0 */
    expect(TESS_VERDICT_DIFFERENT, 2);
    of(&trace, LAYER(1, ".mlp.gate.indices"))->integers[4] = 1000000;
    expect(TESS_VERDICT_DIFFERENT, 2);
    of(&trace, LAYER(1, ".mlp.gate.indices"))->integers[4] = -1;
    expect(TESS_VERDICT_DIFFERENT, 2);
}

/* Token 2 chose 3 and 0; expert 4 gets the logit of expert 0, `steps` ulp of its probability away. */
static void make_near_tie(int steps)
{
    float *logits = of(&reference, LAYER(1, ".mlp.gate.logits"))->values + 2 * SYNTHETIC_EXPERTS;
    double sum = 0;
    logits[4] = logits[0];
    for (int i = 0; i < SYNTHETIC_EXPERTS; i++) sum += exp((double)logits[i]);
    float p = (float)(exp((double)logits[0]) / sum), q = p;
    for (int i = 0; i < steps; i++) q = nextafterf(q, 0);
    /* The logit's own step is finer than the probability's here, so this lands within half an ulp. */
    logits[4] = (float)((double)logits[0] + log((double)q / (double)p));
    memcpy(of(&trace, LAYER(1, ".mlp.gate.logits"))->values + 2 * SYNTHETIC_EXPERTS, logits,
           SYNTHETIC_EXPERTS * sizeof *logits);
    of(&trace, LAYER(1, ".mlp.gate.indices"))->integers[5] = 4;
}

static void test_tie(void **state)
{
    (void)state;
    make_near_tie(0);
    expect(TESS_VERDICT_AGREE, 0);
    assert_int_equal(result->n_tie, 1);
    assert_int_equal(report(LAYER(1, ".mlp.gate.indices"))->n_tie, 1);
    /* The partner's weight is compared with the displaced expert's. */
    of(&trace, LAYER(1, ".mlp.gate.weights"))->values[5] += 1e-3f;
    expect(TESS_VERDICT_DIFFERENT, 1);
}

/* One expert twice is no choice, however near it is to both of the reference's. */
static void test_no_tie_of_one_with_two(void **state)
{
    (void)state;
    test_trace *const both[] = {&reference, &trace};
    for (int k = 0; k < 2; k++) {
        float *logits = of(both[k], LAYER(1, ".mlp.gate.logits"))->values + 2 * SYNTHETIC_EXPERTS;
        logits[0] = logits[3] = logits[4] = 2;
    }
    int64_t *ids = of(&trace, LAYER(1, ".mlp.gate.indices"))->integers + 4;
    ids[0] = ids[1] = 4;
    expect(TESS_VERDICT_DIFFERENT, 2);
}

static void test_no_tie_beyond_four_ulp(void **state)
{
    (void)state;
    make_near_tie(12);
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(result->n_tie, 0);
}

static void test_no_tie_without_logits(void **state)
{
    (void)state;
    make_near_tie(0);
    test_trace_remove(&reference, LAYER(1, ".mlp.gate.logits"));
    test_trace_remove(&trace, LAYER(1, ".mlp.gate.logits"));
    expect(TESS_VERDICT_DIFFERENT, 2);
}

/* ---- experts ---- */

/* Spoils the output of the tokens in `rows`. */
static void spoil_mlp(const int *rows, int n)
{
    for (int i = 0; i < n; i++) of(&trace, LAYER(1, ".mlp"))->values[rows[i] * SYNTHETIC_WIDTH + 3] += 0.25f;
}

static void test_one_expert_explains(void **state)
{
    (void)state;
    spoil_mlp((int[]){0, 1, 5}, 3); /* all that chose expert 1 */
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".mlp"), "mlp", 1, 0);
    const tess_tap_report *r = &result->tap[result->first];
    assert_int_equal(r->expert, 1);
    assert_int_equal(r->n_experts, 1);
    assert_int_equal(r->experts[0], 1);
}

static void test_two_experts_explain_together(void **state)
{
    (void)state;
    spoil_mlp((int[]){0, 1, 3, 5}, 4); /* expert 1: 0 1 5, expert 2: 1 3; 1 and 4 as well */
    expect(TESS_VERDICT_DIFFERENT, 1);
    const tess_tap_report *r = &result->tap[result->first];
    assert_int_equal(r->expert, -1);
    assert_int_equal(r->n_experts, 3);
    assert_int_equal(r->experts[0], 1);
    assert_int_equal(r->experts[1], 2);
    assert_int_equal(r->experts[2], 4);
}

static void test_no_expert_explains(void **state)
{
    (void)state;
    spoil_mlp((int[]){0}, 1);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(result->tap[result->first].n_experts, 0);
    spoil_mlp((int[]){1, 2, 3, 4, 5}, 5);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(result->tap[result->first].n_experts, 0);
}

static void test_output_of_one_expert(void **state)
{
    (void)state;
    test_tensor *t = test_trace_add(&reference, LAYER(1, ".mlp.experts.5"), false, 2, (int64_t[]){1, 8});
    t->values[0] = 1;
    expect(TESS_VERDICT_EQUAL, 0); /* a trace need not hold it */
    assert_int_equal(result->n_expert_absent, 1);
    t = test_trace_add(&trace, LAYER(1, ".mlp.experts.5"), false, 2, (int64_t[]){1, 8});
    t->values[0] = 2;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".mlp.experts.5"), "mlp", 1, -1);
    assert_int_equal(result->tap[result->first].expert, 5);
}

/* ---- logits and tokens ---- */

static void test_other_arg_max(void **state)
{
    (void)state;
    test_tensor *a = of(&trace, "tap.thinker.lm_head"), *b = of(&reference, "tap.thinker.lm_head");
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
    test_trace *const both[] = {&reference, &trace};
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
    of(&trace, "tap.thinker.generated")->integers[2] = 9;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.thinker.generated", "lm_head", -1, SYNTHETIC_TOKENS + 2);
    test_trace_remove(&trace, "tap.thinker.generated");
    test_tensor *t = test_trace_add(&trace, "tap.thinker.generated", true, 1, (int64_t[]){3});
    for (int i = 0; i < 3; i++) t->integers[i] = 2 * i;
    expect(TESS_VERDICT_DIFFERENT, 1); /* too short */
    expect_first("tap.thinker.generated", "lm_head", -1, SYNTHETIC_TOKENS + 3);
    test_trace_remove(&trace, "tap.thinker.generated");
    t = test_trace_add(&trace, "tap.thinker.generated", true, 1, (int64_t[]){5});
    for (int i = 0; i < 5; i++) t->integers[i] = 2 * i;
    expect(TESS_VERDICT_DIFFERENT, 1); /* too long */
    expect_first("tap.thinker.generated", "lm_head", -1, SYNTHETIC_TOKENS + 4);
}

static void test_codes(void **state)
{
    (void)state;
    test_trace *const both[] = {&reference, &trace};
    for (int k = 0; k < 2; k++) test_trace_add(both[k], "tap.talker.codes", true, 2, (int64_t[]){16, 7});
    expect(TESS_VERDICT_EQUAL, 0);
    of(&trace, "tap.talker.codes")->integers[0 * 7 + 5] = 1;
    of(&trace, "tap.talker.codes")->integers[9 * 7 + 4] = 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.talker.codes", "code_predictor", -1, -1);
    assert_string_equal(report("tap.talker.codes")->why, "from frame 4 on, codebook 9");
    of(&trace, "tap.talker.codes")->integers[0 * 7 + 4] = 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_string_equal(report("tap.talker.codes")->component, "talker.codec_head");
}

/* ---- inputs and identity ---- */

static void test_other_inputs(void **state)
{
    (void)state;
    of(&trace, "in.input_ids")->integers[4] = 0;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("in.input_ids", "tokenizer", -1, 4);
    test_trace_remove(&trace, "in.input_ids");
    expect(TESS_VERDICT_EQUAL, 0);
}

static void must_refuse(tess_status status, const char *file, const char *field)
{
    tess_status got = compare();
    if (got == TESS_OK) fail_msg("accepted: %s", tess_verdict_name(result->verdict));
    if (got != status) fail_msg("%s: %s", tess_status_name(got), err.message);
    assert_string_equal(err.file, file);
    assert_string_equal(err.field, field);
    assert_null(result);
}

static void test_identity(void **state)
{
    (void)state;
    strcpy(reference.config, "aa");
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(result->config, TESS_SAME_UNKNOWN);
    strcpy(trace.config, "aa");
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(result->config, TESS_SAME_YES);
    strcpy(trace.config, "ab");
    must_refuse(TESS_EINPUT, trace_path, "config_sha256");
    options.ignore_identity = true;
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(result->config, TESS_SAME_NO);
    options.ignore_identity = false;
    strcpy(trace.config, "aa");
    strcpy(reference.weights, "cc");
    strcpy(trace.weights, "cd");
    must_refuse(TESS_EINPUT, trace_path, "weights_sha256");
}

static void test_dtypes(void **state)
{
    (void)state;
    strcpy(trace.dtype, "bfloat16");
    must_refuse(TESS_EINPUT, trace_path, "dtype");
    options.metrics_only = true;
    test_trace_blur(&trace, LAYER(0, ""), 1e-2);
    expect(TESS_VERDICT_NONE, 0);
    assert_int_equal(report(LAYER(0, ""))->outcome, TESS_OUTCOME_NOT_JUDGED);
    assert_true(report(LAYER(0, ""))->rel_l2 > 1e-3);
    options.metrics_only = false;
    strcpy(trace.dtype, "float16");
    must_refuse(TESS_EINPUT, trace_path, "dtype");
    /* Where a side does not say, float32 is assumed: the stricter bar. */
    strcpy(trace.dtype, "");
    strcpy(reference.dtype, "");
    expect(TESS_VERDICT_DIFFERENT, 1);
}

static void test_nothing_in_common(void **state)
{
    (void)state;
    test_trace_release(&trace);
    trace = (test_trace){.dtype = "float32"};
    test_trace_add(&trace, "tap.something.else", false, 1, (int64_t[]){2});
    test_trace_add(&trace, "in.input_ids", true, 1, (int64_t[]){SYNTHETIC_TOKENS});
    must_refuse(TESS_EINPUT, trace_path, "");
    options.metrics_only = true;
    must_refuse(TESS_EINPUT, trace_path, "");
}

static void test_misshapen_reference(void **state)
{
    (void)state;
    test_trace_remove(&reference, LAYER(0, ".mlp.gate.indices"));
    test_trace_add(&reference, LAYER(0, ".mlp.gate.indices"), true, 2, (int64_t[]){1, 1000});
    must_refuse(TESS_EINPUT, reference_path, LAYER(0, ".mlp.gate.indices"));
}

/* ---- bfloat16 ---- */

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
    strcpy(reference.dtype, "bfloat16");
    strcpy(trace.dtype, "bfloat16");
    blur_all(&reference, 1e-2);
    blur_all(&trace, ours);
    options.truth = truth_path;
}

static void test_bf16_needs_a_truth(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    options.truth = NULL;
    assert_int_equal(compare(), TESS_EUSAGE);
    assert_non_null(strstr(err.message, "--truth"));
    options.metrics_only = true;
    expect(TESS_VERDICT_NONE, 0);
    /* What is plainly wrong needs no truth. */
    options.metrics_only = false;
    test_trace_remove(&trace, LAYER(0, ""));
    expect(TESS_VERDICT_DIFFERENT, 1);
    test_trace_release(&trace);
    test_trace_copy(&reference, &trace);
    expect(TESS_VERDICT_EQUAL, 0);
    of(&trace, "tap.thinker.position_ids")->values[3] += 1;
    expect(TESS_VERDICT_DIFFERENT, 1);
}

static void test_bf16_ratio(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    expect(TESS_VERDICT_AGREE, 0);
    assert_true(result->ratio_mean > 1.03 && result->ratio_mean < 1.07);
    assert_int_equal(result->n_ratio, 10); /* not the weights, not the two that are exact */
    assert_int_equal(report(LAYER(0, ".mlp.gate.weights"))->outcome, TESS_OUTCOME_NOT_JUDGED);
}

static void test_bf16_one_tap_too_far(void **state)
{
    (void)state;
    make_bf16(0.95e-2);
    test_trace_blur(&trace, LAYER(1, ".self_attn"), 2.4e-2);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".self_attn"), "self_attn", 1, 0);
    assert_true(result->ratio_mean > 0.87 && result->ratio_mean < 1.15);
    assert_int_equal(report(LAYER(1, ".self_attn"))->measure, TESS_MEASURE_RATIO);
}

static void test_bf16_mean(void **state)
{
    (void)state;
    make_bf16(1.25e-2);
    if (compare() != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(result->verdict, TESS_VERDICT_DIFFERENT);
    assert_true(result->ratio_mean > 1.2 && result->ratio_mean < 1.3);
    expect_first(LAYER(0, ".self_attn"), "self_attn", 0, -1);
}

static void test_bf16_of_a_float32_run_fails(void **state)
{
    (void)state;
    make_bf16(1e-6);
    if (compare() != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(result->verdict, TESS_VERDICT_DIFFERENT);
    assert_true(result->ratio_mean < 1e-3);
    make_bf16(0);
    test_trace_release(&trace);
    test_trace_copy(&truth, &trace);
    strcpy(trace.dtype, "bfloat16");
    if (compare() != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(result->verdict, TESS_VERDICT_DIFFERENT);
    assert_true(result->ratio_mean == 0);
}

/* Where the reference is the truth itself, so must the trace be. */
static void test_bf16_zero_distance(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    of(&trace, "tap.thinker.inputs_embeds")->values[9] =
        nextafterf(of(&trace, "tap.thinker.inputs_embeds")->values[9], 9);
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first("tap.thinker.inputs_embeds", "embed", -1, 1);
    assert_int_equal(report("tap.thinker.inputs_embeds")->measure, TESS_MEASURE_EXACT);
}

static void test_bf16_tokens_and_choices_are_not_judged(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    of(&trace, "tap.thinker.generated")->integers[1] = 99;
    of(&trace, LAYER(1, ".mlp.gate.indices"))->integers[5] = 5;
    expect(TESS_VERDICT_AGREE, 0);
    assert_string_equal(report("tap.thinker.generated")->why,
                        "the first 1 tokens agree, of 4 in the reference and 4 in the trace");
}

static void test_bf16_truth_must_fit(void **state)
{
    (void)state;
    make_bf16(1.05e-2);
    strcpy(truth.dtype, "bfloat16");
    must_refuse(TESS_EINPUT, truth_path, "dtype");
    strcpy(truth.dtype, "float32");
    of(&truth, "in.input_ids")->integers[0] = 77;
    must_refuse(TESS_EINPUT, truth_path, "in.input_ids");
    of(&truth, "in.input_ids")->integers[0] = 3;
    test_trace_remove(&truth, LAYER(0, ""));
    must_refuse(TESS_EINPUT, truth_path, LAYER(0, ""));
}

/* ---- hearing a run ---- */

/* The same values in chunks of two tokens, taps interleaved as a run tells them, give the same result. */
static void test_heard_in_chunks(void **state)
{
    (void)state;
    make_near_tie(0);
    swap_ranks(3, true);
    test_trace_blur(&trace, LAYER(1, ""), 1e-3);
    spoil_mlp((int[]){0, 1, 5}, 3);
    expect(TESS_VERDICT_DIFFERENT, 2);
    tess_comparison *c;
    assert_int_equal(tess_comparison_new(reference_path, &options, &c, &err), TESS_OK);
    assert_int_equal(
        tess_comparison_meet(c, &(tess_comparison_other){.path = "a run", .precision_known = false}, &err),
        TESS_OK);
    for (int chunk = 0; chunk < SYNTHETIC_TOKENS; chunk += 2)
        for (int i = 0; i < result->n_tap; i++) {
            const test_tensor *t = of(&trace, result->tap[i].name);
            uint64_t dim[3] = {(uint64_t)t->dim[0], (uint64_t)t->dim[1], (uint64_t)t->dim[2]};
            tess_dtype dtype = t->is_integer ? TESS_DTYPE_I64 : TESS_DTYPE_F32;
            assert_true(tess_comparison_wants(c, t->name, dtype, t->n_dim, dim));
            bool by_token = t->n_dim == 2 && t->dim[0] == SYNTHETIC_TOKENS;
            if (!by_token && chunk) continue;
            size_t first = by_token ? (size_t)(chunk * t->dim[1]) : 0;
            size_t count = by_token ? (size_t)(2 * t->dim[1]) : t->count;
            const void *values =
                t->is_integer ? (const void *)(t->integers + first) : (const void *)(t->values + first);
            if (tess_comparison_hear(c, t->name, first, values, count, &err) != TESS_OK)
                fail_msg("%s", err.message);
        }
    tess_compare_result *heard;
    if (tess_comparison_finish(c, &heard, &err) != TESS_OK) fail_msg("%s", err.message);
    tess_comparison_free(c);
    assert_int_equal(heard->verdict, result->verdict);
    assert_int_equal(heard->n_tap, result->n_tap);
    assert_int_equal(heard->n_tie, 1);
    for (int i = 0; i < heard->n_tap; i++) {
        const tess_tap_report *a = &heard->tap[i], *b = &result->tap[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->outcome, b->outcome);
        assert_int_equal(a->position, b->position);
        assert_int_equal(a->expert, b->expert);
        assert_int_equal(a->n_different, b->n_different);
        if (!isnan(a->rel_l2)) assert_true(a->rel_l2 == b->rel_l2);
    }
    tess_compare_result_free(heard);
}

/* A tap of which a part was never heard is missing. */
static void test_heard_in_part(void **state)
{
    (void)state;
    if (compare() != TESS_OK) fail_msg("%s", err.message);
    tess_comparison *c;
    assert_int_equal(tess_comparison_new(reference_path, &options, &c, &err), TESS_OK);
    assert_int_equal(tess_comparison_meet(c, &(tess_comparison_other){.path = "a run"}, &err), TESS_OK);
    const test_tensor *t = of(&trace, LAYER(0, ""));
    uint64_t dim[2] = {SYNTHETIC_TOKENS, SYNTHETIC_WIDTH};
    assert_true(tess_comparison_wants(c, t->name, TESS_DTYPE_F32, 2, dim));
    assert_int_equal(tess_comparison_hear(c, t->name, 0, t->values, 8, &err), TESS_OK);
    assert_int_equal(tess_comparison_hear(c, t->name, 16, t->values, 8, &err), TESS_EUSAGE);
    tess_compare_result_free(result);
    assert_int_equal(tess_comparison_finish(c, &result, &err), TESS_OK);
    tess_comparison_free(c);
    assert_int_equal(result->verdict, TESS_VERDICT_DIFFERENT);
    assert_string_equal(report(LAYER(0, ""))->why, "only 8 of 48 elements");
}

/* ---- the page ---- */

static void test_page(void **state)
{
    (void)state;
    spoil_mlp((int[]){0, 1, 5}, 3);
    test_trace_remove(&trace, "tap.thinker.model.norm");
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(tess_compare_write_html(result, truth_path, &err), TESS_OK);
    FILE *f = fopen(truth_path, "rb");
    static char text[1 << 17];
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    assert_non_null(strstr(text, "<!doctype html>"));
    assert_non_null(strstr(text, "</html>"));
    assert_non_null(strstr(text, "expert 1, from position 0 on"));
    assert_non_null(strstr(text, "missing: not in the trace"));
    assert_null(strstr(text, "http"));
    assert_null(strstr(text, "nan"));
    int circles = 0;
    for (const char *at = text; (at = strstr(at, "<circle class=")); at++) circles++;
    assert_int_equal(circles, 17 + 2 + 5); /* taps, rings, legend */
    assert_int_equal(tess_compare_write_html(result, "/nonexistent/page.html", &err), TESS_EIO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal),
        TEST(test_within_and_beyond_the_bar),
        TEST(test_bar_of_logits),
        TEST(test_metrics),
        TEST(test_position_of_the_divergence),
        TEST(test_first_is_in_model_order),
        TEST(test_missing_and_extra),
        TEST(test_extra_alone_is_no_failure),
        TEST(test_other_shape_or_type),
        TEST(test_transposed_shape),
        TEST(test_non_finite),
        TEST(test_non_finite_weight),
        TEST(test_zero_norm_asks_for_equal_bits),
        TEST(test_positions_are_exact),
        TEST(test_choices_are_sets),
        TEST(test_weights_go_by_expert),
        TEST(test_weights_bar_is_absolute),
        TEST(test_another_expert),
        TEST(test_expert_twice_or_none),
        TEST(test_tie),
        TEST(test_no_tie_of_one_with_two),
        TEST(test_no_tie_beyond_four_ulp),
        TEST(test_no_tie_without_logits),
        TEST(test_one_expert_explains),
        TEST(test_two_experts_explain_together),
        TEST(test_no_expert_explains),
        TEST(test_output_of_one_expert),
        TEST(test_other_arg_max),
        TEST(test_last_logits_position),
        TEST(test_generated),
        TEST(test_codes),
        TEST(test_other_inputs),
        TEST(test_identity),
        TEST(test_dtypes),
        TEST(test_nothing_in_common),
        TEST(test_misshapen_reference),
        TEST(test_bf16_needs_a_truth),
        TEST(test_bf16_ratio),
        TEST(test_bf16_one_tap_too_far),
        TEST(test_bf16_mean),
        TEST(test_bf16_of_a_float32_run_fails),
        TEST(test_bf16_zero_distance),
        TEST(test_bf16_tokens_and_choices_are_not_judged),
        TEST(test_bf16_truth_must_fit),
        TEST(test_heard_in_chunks),
        TEST(test_heard_in_part),
        TEST(test_page),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
