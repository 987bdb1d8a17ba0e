/* Routers and experts: choices as sets, ties, weights by expert, and the experts that explain a failure. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"

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
    of(&fx.trace, LAYER(0, ".mlp.gate.weights"))->values[9] += 0.9e-5f;
    expect(TESS_VERDICT_AGREE, 0);
    of(&fx.trace, LAYER(0, ".mlp.gate.weights"))->values[9] += 0.3e-5f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(0, ".mlp.gate.weights"), "mlp.gate", 0, 4);
}

static void test_another_expert(void **state)
{
    (void)state;
    of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers[5] = 5; /* token 2 chose 3 and 0 */
    expect(TESS_VERDICT_DIFFERENT, 2);
    expect_first(LAYER(1, ".mlp.gate.indices"), "mlp.gate", 1, 2);
    assert_int_equal(report(LAYER(1, ".mlp.gate.weights"))->position, 2);
    assert_int_equal(fx.result->n_tie, 0);
}

/* Not in the reference's set though every id of the trace's is: one expert twice. */
static void test_expert_twice_or_none(void **state)
{
    (void)state;
    of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers[4] = 0; /* 0 and 0 for 3 and 0 */
    expect(TESS_VERDICT_DIFFERENT, 2);
    of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers[4] = 1000000;
    expect(TESS_VERDICT_DIFFERENT, 2);
    of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers[4] = -1;
    expect(TESS_VERDICT_DIFFERENT, 2);
}

static void test_tie(void **state)
{
    (void)state;
    make_near_tie(0);
    expect(TESS_VERDICT_AGREE, 0);
    assert_int_equal(fx.result->n_tie, 1);
    assert_int_equal(report(LAYER(1, ".mlp.gate.indices"))->n_tie, 1);
    /* The partner's weight is compared with the displaced expert's. */
    of(&fx.trace, LAYER(1, ".mlp.gate.weights"))->values[5] += 1e-3f;
    expect(TESS_VERDICT_DIFFERENT, 1);
}

/* One expert twice is no choice, however near it is to both of the reference's. */
static void test_no_tie_of_one_with_two(void **state)
{
    (void)state;
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        float *logits = of(both[k], LAYER(1, ".mlp.gate.logits"))->values + 2 * SYNTHETIC_EXPERTS;
        logits[0] = logits[3] = logits[4] = 2;
    }
    int64_t *ids = of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers + 4;
    ids[0] = ids[1] = 4;
    expect(TESS_VERDICT_DIFFERENT, 2);
}

static void test_no_tie_beyond_four_ulp(void **state)
{
    (void)state;
    make_near_tie(12);
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(fx.result->n_tie, 0);
}

static void test_no_tie_without_logits(void **state)
{
    (void)state;
    make_near_tie(0);
    test_trace_remove(&fx.reference, LAYER(1, ".mlp.gate.logits"));
    test_trace_remove(&fx.trace, LAYER(1, ".mlp.gate.logits"));
    expect(TESS_VERDICT_DIFFERENT, 2);
}

static void test_non_finite_weight(void **state)
{
    (void)state;
    of(&fx.trace, LAYER(0, ".mlp.gate.weights"))->values[3] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(report(LAYER(0, ".mlp.gate.weights"))->outcome, TESS_OUTCOME_NONFINITE);
    /* Even of an expert that the reference did not choose. */
    of(&fx.trace, LAYER(0, ".mlp.gate.indices"))->integers[3] = 5;
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(report(LAYER(0, ".mlp.gate.weights"))->outcome, TESS_OUTCOME_NONFINITE);
}

static void test_one_expert_explains(void **state)
{
    (void)state;
    spoil_mlp((int[]){0, 1, 5}, 3); /* all that chose expert 1 */
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".mlp"), "mlp", 1, 0);
    const tess_tap_report *r = &fx.result->tap[fx.result->first];
    assert_int_equal(r->expert, 1);
    assert_int_equal(r->n_experts, 1);
    assert_int_equal(r->experts[0], 1);
}

/* Every token that chose expert 1, and no other, chose something else instead. */
static void test_one_expert_explains_choices(void **state)
{
    (void)state;
    int64_t *ids = of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers;
    ids[2 * 0 + 1] = 5;
    ids[2 * 1 + 0] = 3;
    ids[2 * 5 + 1] = 0;
    expect(TESS_VERDICT_DIFFERENT, 2);
    expect_first(LAYER(1, ".mlp.gate.indices"), "mlp.gate", 1, 0);
    assert_int_equal(fx.result->tap[fx.result->first].expert, 1);
    ids[2 * 5 + 1] = 1;
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(fx.result->tap[fx.result->first].n_experts, 0);
}

static void test_two_experts_explain_together(void **state)
{
    (void)state;
    spoil_mlp((int[]){0, 1, 3, 5}, 4); /* expert 1: 0 1 5, expert 2: 1 3; 1 and 4 as well */
    expect(TESS_VERDICT_DIFFERENT, 1);
    const tess_tap_report *r = &fx.result->tap[fx.result->first];
    assert_int_equal(r->expert, -1);
    assert_int_equal(r->n_experts, 3);
    assert_int_equal(r->experts[0], 1);
    assert_int_equal(r->experts[1], 2);
    assert_int_equal(r->experts[2], 4);
    assert_non_null(strstr(r->why, "these or some of them together"));
}

static void test_either_of_two_experts_explains(void **state)
{
    (void)state;
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        int64_t *ids = of(both[k], LAYER(1, ".mlp.gate.indices"))->integers;
        ids[2 * 4] = 5, ids[2 * 4 + 1] = 7; /* nobody else chose either */
    }
    spoil_mlp((int[]){4}, 1);
    expect(TESS_VERDICT_DIFFERENT, 1);
    const tess_tap_report *r = &fx.result->tap[fx.result->first];
    assert_int_equal(r->expert, -1);
    assert_int_equal(r->n_experts, 2);
    assert_int_equal(r->experts[0], 5);
    assert_int_equal(r->experts[1], 7);
    assert_non_null(strstr(r->why, "each of these experts explains it alone"));
}

static void test_no_expert_explains(void **state)
{
    (void)state;
    spoil_mlp((int[]){0}, 1);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(fx.result->tap[fx.result->first].n_experts, 0);
    spoil_mlp((int[]){1, 2, 3, 4, 5}, 5);
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(fx.result->tap[fx.result->first].n_experts, 0);
}

static void test_output_of_one_expert(void **state)
{
    (void)state;
    test_tensor *t = test_trace_add(&fx.reference, LAYER(1, ".mlp.experts.5"), false, 2, (int64_t[]){1, 8});
    t->values[0] = 1;
    expect(TESS_VERDICT_EQUAL, 0); /* a trace need not hold it */
    assert_int_equal(fx.result->n_expert_absent, 1);
    t = test_trace_add(&fx.trace, LAYER(1, ".mlp.experts.5"), false, 2, (int64_t[]){1, 8});
    t->values[0] = 2;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expect_first(LAYER(1, ".mlp.experts.5"), "mlp", 1, -1);
    assert_int_equal(fx.result->tap[fx.result->first].expert, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPARING(test_choices_are_sets),
        COMPARING(test_weights_go_by_expert),
        COMPARING(test_weights_bar_is_absolute),
        COMPARING(test_another_expert),
        COMPARING(test_expert_twice_or_none),
        COMPARING(test_tie),
        COMPARING(test_no_tie_of_one_with_two),
        COMPARING(test_no_tie_beyond_four_ulp),
        COMPARING(test_no_tie_without_logits),
        COMPARING(test_non_finite_weight),
        COMPARING(test_one_expert_explains),
        COMPARING(test_two_experts_explain_together),
        COMPARING(test_either_of_two_experts_explains),
        COMPARING(test_no_expert_explains),
        COMPARING(test_output_of_one_expert),
        COMPARING(test_one_expert_explains_choices),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
