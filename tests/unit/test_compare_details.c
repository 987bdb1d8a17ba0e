/* Routers, single experts and next tokens of a comparison, against numbers worked out here by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"
#include "verify/compare/comparison.h"

static void test_routing(void **state)
{
    (void)state;
    make_near_tie(0);                                               /* layer 1, token 2 */
    swap_ranks(3, true);                                            /* layer 0, another order */
    of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers[11] = 5; /* token 5 chose 4 and 1 */
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(fx.result->n_routing, 2);
    const tess_layer_routing *r = fx.result->routing;
    assert_string_equal(r[0].part, "thinker");
    assert_true(r[0].layer == 0 && r[1].layer == 1 && r[1].n_chosen == 2);
    assert_true(r[0].n_tok == 6 && r[0].n_same == 6 && r[0].n_tie == 0 && r[0].n_other == 0);
    assert_true(r[1].n_tok == 6 && r[1].n_same == 4 && r[1].n_tie == 1 && r[1].n_other == 1);
}

static double rows_error(const char *name, const int *rows, int n)
{
    const test_tensor *a = of(&fx.trace, name), *b = of(&fx.reference, name);
    double error2 = 0, norm2 = 0;
    for (int i = 0; i < n; i++)
        for (int k = rows[i] * SYNTHETIC_WIDTH; k < (rows[i] + 1) * SYNTHETIC_WIDTH; k++) {
            double error = (double)a->values[k] - (double)b->values[k];
            error2 += error * error;
            norm2 += (double)b->values[k] * (double)b->values[k];
        }
    return sqrt(error2 / norm2);
}

static void test_experts(void **state)
{
    (void)state;
    static const int tokens[SYNTHETIC_EXPERTS][3] = {{0, 2}, {0, 1, 5}, {1, 3}, {2, 4}, {3, 5}, {4}};
    static const int count[SYNTHETIC_EXPERTS] = {2, 3, 2, 2, 2, 1};
    test_trace_blur(&fx.trace, LAYER(1, ".mlp"), 1e-6);
    spoil_mlp((int[]){0, 1, 5}, 3); /* all that chose expert 1 */
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_int_equal(fx.result->n_experts, 2);
    const tess_layer_experts *layer = fx.result->experts;
    assert_true(layer[0].layer == 0 && layer[1].layer == 1 && layer[1].n_expert == SYNTHETIC_EXPERTS);
    assert_true(layer[0].tolerance == 1e-5);
    for (int e = 0; e < SYNTHETIC_EXPERTS; e++) {
        const tess_expert_error *exact = &layer[0].expert[e], *off = &layer[1].expert[e];
        assert_int_equal(exact->n_tok, count[e]);
        assert_true(exact->rel_l2 == 0 && !exact->is_fault);
        assert_int_equal(off->n_tok, count[e]);
        assert_true(fabs(off->rel_l2 / rows_error(LAYER(1, ".mlp"), tokens[e], count[e]) - 1) < 1e-12);
        assert_int_equal(off->is_fault, e == 1);
        assert_false(off->is_own);
        assert_true(isnan(off->truth_distance));
    }
}

static void test_experts_without_tokens_or_logits(void **state)
{
    (void)state;
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        of(both[k], LAYER(0, ".mlp.gate.indices"))->integers[8] = 2; /* nobody chooses 5 now */
        of(both[k], LAYER(1, ".mlp.gate.indices"))->integers[8] = 2;
        test_trace_remove(both[k], LAYER(1, ".mlp.gate.logits"));
    }
    expect(TESS_VERDICT_EQUAL, 0);
    assert_int_equal(fx.result->experts[0].n_expert, SYNTHETIC_EXPERTS);
    assert_int_equal(fx.result->experts[0].expert[5].n_tok, 0);
    assert_true(isnan(fx.result->experts[0].expert[5].rel_l2));
    /* Without logits only the ids say how many experts there are. */
    assert_int_equal(fx.result->experts[1].n_expert, SYNTHETIC_EXPERTS - 1);
}

static void test_own_output_says_more(void **state)
{
    (void)state;
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        test_tensor *t =
            test_trace_add(both[k], LAYER(1, ".mlp.experts.2"), false, 2, (int64_t[]){2, SYNTHETIC_WIDTH});
        t->values[0] = 4;
        t->values[9] = 3;
    }
    of(&fx.trace, LAYER(1, ".mlp.experts.2"))->values[9] = 3.5f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    const tess_expert_error *expert = fx.result->experts[1].expert;
    assert_true(expert[2].is_own && expert[2].is_fault && fabs(expert[2].rel_l2 - 0.1) < 1e-15);
    assert_int_equal(expert[2].n_tok, 2);
    assert_false(expert[1].is_own || expert[1].is_fault || expert[1].rel_l2 != 0);
    /* In another shape it has no numbers of its own. */
    of(&fx.trace, LAYER(1, ".mlp.experts.2"))->dim[0] = SYNTHETIC_WIDTH;
    of(&fx.trace, LAYER(1, ".mlp.experts.2"))->dim[1] = 2;
    expect(TESS_VERDICT_DIFFERENT, 1);
    expert = fx.result->experts[1].expert;
    assert_true(!expert[2].is_own && expert[2].is_fault && expert[2].rel_l2 == 0);
}

static void test_experts_not_finite(void **state)
{
    (void)state;
    of(&fx.trace, LAYER(1, ".mlp"))->values[4 * SYNTHETIC_WIDTH] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    for (int e = 0; e < SYNTHETIC_EXPERTS; e++)
        assert_int_equal(isnan(fx.result->experts[1].expert[e].rel_l2) != 0, e == 3 || e == 5);
}

static void test_experts_with_truth(void **state)
{
    (void)state;
    strcpy(fx.reference.dtype, "bfloat16");
    strcpy(fx.trace.dtype, "bfloat16");
    fx.options.truth = fx.truth_path;
    test_trace_blur(&fx.reference, LAYER(1, ".mlp"), 1e-2);
    for (size_t i = 0; i < of(&fx.trace, LAYER(1, ".mlp"))->count; i++)
        of(&fx.trace, LAYER(1, ".mlp"))->values[i] *= 1.005f;
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    const tess_expert_error *expert = fx.result->experts[1].expert;
    assert_true(fabs(expert[1].truth_distance - 0.005) < 1e-6);
    assert_true(expert[1].reference_truth_distance > 1e-3 && expert[1].reference_truth_distance < 1e-2);
    assert_true(isnan(fx.result->experts[1].tolerance));
}

/* An own output that the truth does not hold has no distance to it: then the rows are shown. */
static void test_own_output_without_truth(void **state)
{
    (void)state;
    strcpy(fx.reference.dtype, "bfloat16");
    strcpy(fx.trace.dtype, "bfloat16");
    fx.options.truth = fx.truth_path;
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++)
        test_trace_add(both[k], LAYER(1, ".mlp.experts.2"), false, 2, (int64_t[]){2, SYNTHETIC_WIDTH});
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    assert_true(!fx.result->experts[1].expert[2].is_own);
    assert_true(fx.result->experts[1].expert[2].truth_distance == 0);
}

/* Softmax of one row in the obvious way. */
static double probability(const test_trace *trace, int row, int64_t id)
{
    const float *x = test_tensors_get(&trace->tensors, "tap.thinker.lm_head")->values + row * SYNTHETIC_VOCAB;
    double sum = 0;
    for (int i = 0; i < SYNTHETIC_VOCAB; i++) sum += exp((double)x[i]);
    return exp((double)x[id]) / sum;
}

static void test_tokens(void **state)
{
    (void)state;
    test_tensor *a = of(&fx.trace, "tap.thinker.lm_head"), *b = of(&fx.reference, "tap.thinker.lm_head");
    float *x = a->values + 3 * SYNTHETIC_VOCAB, *y = b->values + 3 * SYNTHETIC_VOCAB;
    y[2] = 5;
    x[7] = 6, x[9] = x[1] = 5.5f, x[2] = 5.5f;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_true(fx.result->n_position == 6 && fx.result->n_position_other == 1);
    assert_true(fx.result->n_token == 6 && fx.result->n_token_worst == 0);
    for (int i = 0; i < 6; i++) {
        const tess_next_token *t = &fx.result->token[i];
        assert_int_equal(t->position, i);
        assert_int_equal(t->token, of(&fx.reference, "in.input_ids")->integers[i]);
        assert_true(fabs((double)t->expected_reference - probability(&fx.reference, i, t->expected)) < 1e-7);
        assert_true(fabs((double)t->expected_trace - probability(&fx.trace, i, t->expected)) < 1e-7);
        assert_true(fabs((double)t->found_reference - probability(&fx.reference, i, t->found)) < 1e-7);
        assert_true(fabs((double)t->found_trace - probability(&fx.trace, i, t->found)) < 1e-7);
        if (i == 3) continue;
        assert_true(t->expected == t->found && t->rank == 1);
    }
    const tess_next_token *t = &fx.result->token[3];
    assert_true(t->expected == 2 && t->found == 7);
    assert_int_equal(t->rank, 3); /* 7, then 1 before its equal 2; 9 stands behind */
}

/* Far larger logits than exp can take, and a row that is not finite. */
static void test_tokens_at_the_edges(void **state)
{
    (void)state;
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < SYNTHETIC_VOCAB; i++)
            of(both[k], "tap.thinker.lm_head")->values[i] = i == 4 ? 3e4f : -3e4f;
    of(&fx.trace, "tap.thinker.lm_head")->values[5 * SYNTHETIC_VOCAB + 3] = NAN;
    expect(TESS_VERDICT_DIFFERENT, 1);
    assert_true(fx.result->token[0].expected == 4 && fx.result->token[0].expected_trace == 1);
    assert_true(isnan(fx.result->token[5].found_trace));
    assert_true(isfinite(fx.result->token[5].expected_reference));
}

static void make_long(int n)
{
    test_trace *const both[] = {&fx.reference, &fx.trace};
    for (int k = 0; k < 2; k++) {
        test_trace_remove(both[k], "tap.thinker.lm_head");
        test_trace_remove(both[k], "in.input_ids");
        test_trace_add(both[k], "in.input_ids", true, 1, (int64_t[]){n});
        test_trace_add(both[k], "tap.thinker.lm_head", false, 2, (int64_t[]){n, SYNTHETIC_VOCAB});
        for (int i = 0; i < n; i++) {
            of(both[k], "in.input_ids")->integers[i] = 100 + i;
            of(both[k], "tap.thinker.lm_head")->values[i * SYNTHETIC_VOCAB + 4] = 2;
        }
    }
}

static void test_long_prompts_list_worst_and_last(void **state)
{
    (void)state;
    enum { N = 200, HALF = TESS_COMPARE_MAX_TOKENS / 2 };
    make_long(N);
    float *x = of(&fx.trace, "tap.thinker.lm_head")->values;
    for (int i = 0; i < 40; i++) x[2 * i * SYNTHETIC_VOCAB + 4] += 1e-3f * (float)(i + 1);
    x[71 * SYNTHETIC_VOCAB + 8] = 2.0001f; /* another likeliest, though hardly likelier */
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    assert_true(fx.result->n_position == N && fx.result->n_position_other == 1);
    assert_true(fx.result->n_token == TESS_COMPARE_MAX_TOKENS && fx.result->n_token_worst == HALF);
    /* The worst 31 of the forty are the last of them, at 18, 20 … 78; 71 stands among them. */
    const tess_next_token *t = fx.result->token;
    int at = 0;
    for (int p = 18; p < 80; p++)
        if (p % 2 == 0 || p == 71) assert_int_equal(t[at++].position, p);
    assert_int_equal(at, HALF);
    for (int i = 0; i < HALF; i++) assert_int_equal(t[HALF + i].position, N - HALF + i);
    assert_int_equal(t[HALF].token, 100 + N - HALF);
    make_long(TESS_COMPARE_MAX_TOKENS);
    expect(TESS_VERDICT_EQUAL, 0);
    assert_true(fx.result->n_token == TESS_COMPARE_MAX_TOKENS && fx.result->n_token_worst == 0);
}

/* Pieces that end inside a row give the same as whole rows. */
static void test_heard_in_splinters(void **state)
{
    (void)state;
    test_trace_blur(&fx.trace, "tap.thinker.lm_head", 1e-1);
    test_trace_blur(&fx.trace, LAYER(1, ".mlp"), 1e-3);
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    tess_comparison *c;
    assert_int_equal(tess_comparison_new(fx.reference_path, &fx.options, &c, &fx.err), TESS_OK);
    assert_int_equal(tess_comparison_meet(c, &(tess_comparison_other){.path = "a run"}, &fx.err), TESS_OK);
    static const char *const names[] = {"tap.thinker.lm_head", LAYER(1, ".mlp")};
    for (int k = 0; k < 2; k++) {
        const test_tensor *t = of(&fx.trace, names[k]);
        uint64_t dim[2] = {(uint64_t)t->dim[0], (uint64_t)t->dim[1]};
        assert_true(tess_comparison_wants(c, t->name, TESS_DTYPE_F32, 2, dim));
        for (size_t at = 0; at < t->count; at += 7) {
            size_t n = t->count - at < 7 ? t->count - at : 7;
            assert_int_equal(tess_comparison_hear(c, t->name, at, t->values + at, n, &fx.err), TESS_OK);
        }
    }
    tess_compare_result *heard;
    if (tess_comparison_finish(c, &heard, &fx.err) != TESS_OK) fail_msg("%s", fx.err.message);
    tess_comparison_free(c);
    assert_int_equal(heard->n_token, 6);
    for (int i = 0; i < 6; i++) {
        const tess_next_token *a = &heard->token[i], *b = &fx.result->token[i];
        assert_true(a->expected == b->expected && a->found == b->found && a->rank == b->rank);
        assert_true(fabsf(a->found_trace - b->found_trace) < 1e-6f);
    }
    assert_int_equal(heard->n_experts, 1); /* of layer 0 nothing was heard */
    for (int e = 0; e < SYNTHETIC_EXPERTS; e++)
        assert_true(fabs(heard->experts[0].expert[e].rel_l2 / fx.result->experts[1].expert[e].rel_l2 - 1) <
                    1e-12);
    tess_compare_result_free(heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPARING(test_routing),
        COMPARING(test_experts),
        COMPARING(test_experts_without_tokens_or_logits),
        COMPARING(test_own_output_says_more),
        COMPARING(test_experts_not_finite),
        COMPARING(test_experts_with_truth),
        COMPARING(test_own_output_without_truth),
        COMPARING(test_tokens),
        COMPARING(test_tokens_at_the_edges),
        COMPARING(test_long_prompts_list_worst_and_last),
        COMPARING(test_heard_in_splinters),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
