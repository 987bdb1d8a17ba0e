/* A comparison that listens to a run, and the page it is written to. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/comparing.h"
#include "verify/compare/comparison.h"

/* The same values in chunks of two tokens, taps interleaved as a run tells them, give the same result. */
static void test_heard_in_chunks(void **state)
{
    (void)state;
    make_near_tie(0);
    swap_ranks(3, true);
    test_trace_blur(&fx.trace, LAYER(1, ""), 1e-3);
    spoil_mlp((int[]){0, 1, 5}, 3);
    expect(TESS_VERDICT_DIFFERENT, 2);
    tess_comparison *c;
    assert_int_equal(tess_comparison_new(fx.reference_path, &fx.options, &c, &fx.err), TESS_OK);
    assert_int_equal(
        tess_comparison_meet(c, &(tess_comparison_other){.path = "a run", .precision_known = false}, &fx.err),
        TESS_OK);
    for (int chunk = 0; chunk < SYNTHETIC_TOKENS; chunk += 2)
        for (int i = 0; i < fx.result->n_tap; i++) {
            const test_tensor *t = of(&fx.trace, fx.result->tap[i].name);
            uint64_t dim[3] = {(uint64_t)t->dim[0], (uint64_t)t->dim[1], (uint64_t)t->dim[2]};
            tess_dtype dtype = t->is_integer ? TESS_DTYPE_I64 : TESS_DTYPE_F32;
            assert_true(tess_comparison_wants(c, t->name, dtype, t->n_dim, dim));
            bool by_token = t->n_dim == 2 && t->dim[0] == SYNTHETIC_TOKENS;
            if (!by_token && chunk) continue;
            size_t first = by_token ? (size_t)(chunk * t->dim[1]) : 0;
            size_t count = by_token ? (size_t)(2 * t->dim[1]) : t->count;
            const void *values =
                t->is_integer ? (const void *)(t->integers + first) : (const void *)(t->values + first);
            if (tess_comparison_hear(c, t->name, first, values, count, &fx.err) != TESS_OK)
                fail_msg("%s", fx.err.message);
        }
    tess_compare_result *heard;
    if (tess_comparison_finish(c, &heard, &fx.err) != TESS_OK) fail_msg("%s", fx.err.message);
    tess_comparison_free(c);
    assert_int_equal(heard->verdict, fx.result->verdict);
    assert_int_equal(heard->n_tap, fx.result->n_tap);
    assert_int_equal(heard->n_tie, 1);
    for (int i = 0; i < heard->n_tap; i++) {
        const tess_tap_report *a = &heard->tap[i], *b = &fx.result->tap[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->outcome, b->outcome);
        assert_int_equal(a->position, b->position);
        assert_int_equal(a->expert, b->expert);
        assert_int_equal(a->n_different, b->n_different);
        if (!isnan(a->rel_l2)) assert_true(a->rel_l2 == b->rel_l2);
    }
    tess_compare_result_free(heard);
}

/* A tap that is heard in columns, some at a time, gives what it gives in rows. */
static void test_heard_in_columns(void **state)
{
    (void)state;
    fx.options.truth = fx.truth_path;
    test_trace_blur(&fx.trace, LAYER(1, ""), 1e-3);
    test_trace_blur(&fx.truth, LAYER(1, ""), 1e-4);
    of(&fx.trace, LAYER(1, ""))->values[2] = NAN;
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    const tess_tap_report whole = *report(LAYER(1, ""));
    const test_tensor *t = of(&fx.trace, LAYER(1, ""));
    uint64_t dim[2] = {SYNTHETIC_TOKENS, SYNTHETIC_WIDTH};
    for (size_t piece = 1; piece <= SYNTHETIC_WIDTH; piece++) {
        tess_comparison *c;
        tess_compare_result *heard;
        assert_int_equal(tess_comparison_new(fx.reference_path, &fx.options, &c, &fx.err), TESS_OK);
        assert_int_equal(tess_comparison_meet(c, &(tess_comparison_other){.path = "a run"}, &fx.err),
                         TESS_OK);
        assert_true(tess_comparison_wants(c, t->name, TESS_DTYPE_F32, 2, dim));
        for (size_t column = 0, n; column < SYNTHETIC_WIDTH; column += n) {
            float values[SYNTHETIC_TOKENS * SYNTHETIC_WIDTH];
            n = SYNTHETIC_WIDTH - column < piece ? SYNTHETIC_WIDTH - column : piece;
            for (size_t row = 0; row < SYNTHETIC_TOKENS; row++)
                memcpy(values + row * n, t->values + row * SYNTHETIC_WIDTH + column, n * sizeof *values);
            if (column)
                assert_int_equal(tess_comparison_hear_columns(c, t->name, column + 1, values, 1, &fx.err),
                                 TESS_EUSAGE);
            assert_int_equal(tess_comparison_hear_columns(c, t->name, column, values, n, &fx.err), TESS_OK);
        }
        if (tess_comparison_finish(c, &heard, &fx.err) != TESS_OK) fail_msg("%s", fx.err.message);
        tess_comparison_free(c);
        for (int i = 0; i < heard->n_tap; i++) {
            const tess_tap_report *r = &heard->tap[i];
            if (strcmp(r->name, t->name) != 0) continue;
            assert_int_equal(r->outcome, whole.outcome);
            assert_int_equal(r->position, whole.position);
            assert_int_equal(r->n_different, whole.n_different);
            assert_int_equal(r->first_different, whole.first_different);
            assert_memory_equal(&r->rel_l2, &whole.rel_l2, sizeof whole.rel_l2);
            assert_memory_equal(&r->max_abs, &whole.max_abs, sizeof whole.max_abs);
        }
        tess_compare_result_free(heard);
    }
}

/* A tap of which a part was never heard is missing. */
static void test_heard_in_part(void **state)
{
    (void)state;
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    tess_comparison *c;
    assert_int_equal(tess_comparison_new(fx.reference_path, &fx.options, &c, &fx.err), TESS_OK);
    assert_int_equal(tess_comparison_meet(c, &(tess_comparison_other){.path = "a run"}, &fx.err), TESS_OK);
    const test_tensor *t = of(&fx.trace, LAYER(0, ""));
    uint64_t dim[2] = {SYNTHETIC_TOKENS, SYNTHETIC_WIDTH};
    assert_true(tess_comparison_wants(c, t->name, TESS_DTYPE_F32, 2, dim));
    assert_int_equal(tess_comparison_hear(c, t->name, 0, t->values, 8, &fx.err), TESS_OK);
    assert_int_equal(tess_comparison_hear(c, t->name, 16, t->values, 8, &fx.err), TESS_EUSAGE);
    tess_compare_result_free(fx.result);
    assert_int_equal(tess_comparison_finish(c, &fx.result, &fx.err), TESS_OK);
    tess_comparison_free(c);
    assert_int_equal(fx.result->verdict, TESS_VERDICT_DIFFERENT);
    assert_string_equal(report(LAYER(0, ""))->why, "only 8 of 48 elements");
}

/* Isolated, an expert works on the reference's own choice of tokens: its output is judged although the router
 * chose others. */
static void test_isolated_expert_behind_another_choice(void **state)
{
    (void)state;
    test_tensor *t =
        test_trace_add(&fx.reference, LAYER(1, ".mlp.experts.2"), false, 2, (int64_t[]){2, SYNTHETIC_WIDTH});
    for (size_t i = 0; i < t->count; i++) t->values[i] = (float)i;
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    for (int isolated = 0; isolated < 2; isolated++) {
        tess_comparison *c;
        assert_int_equal(tess_comparison_new(fx.reference_path, &fx.options, &c, &fx.err), TESS_OK);
        assert_int_equal(tess_comparison_meet(c, &(tess_comparison_other){.path = "a run"}, &fx.err),
                         TESS_OK);
        if (isolated) tess_comparison_isolate(c);
        c->is_run = true;
        const test_tensor *ids = of(&fx.trace, LAYER(1, ".mlp.gate.indices"));
        ids->integers[11] = 5; /* token 5 chose 4 and 1 */
        assert_true(tess_comparison_wants(c, ids->name, TESS_DTYPE_I64, 2, (uint64_t[]){6, 2}));
        assert_int_equal(tess_comparison_hear(c, ids->name, 0, ids->integers, 12, &fx.err), TESS_OK);
        float values[2 * SYNTHETIC_WIDTH] = {9};
        assert_true(tess_comparison_wants(c, t->name, TESS_DTYPE_F32, 2, (uint64_t[]){0, SYNTHETIC_WIDTH}));
        assert_int_equal(
            tess_comparison_hear(c, t->name, TESS_HEAR_NEXT, values, 2 * SYNTHETIC_WIDTH, &fx.err), TESS_OK);
        tess_compare_result_free(fx.result);
        assert_int_equal(tess_comparison_finish(c, &fx.result, &fx.err), TESS_OK);
        tess_comparison_free(c);
        assert_int_equal(report(LAYER(1, ".mlp.experts.2"))->outcome,
                         isolated ? TESS_OUTCOME_DIFFERENT : TESS_OUTCOME_NOT_JUDGED);
    }
}

static void test_page(void **state)
{
    (void)state;
    spoil_mlp((int[]){0, 1, 5}, 3);
    test_trace_remove(&fx.trace, "tap.thinker.model.norm");
    expect(TESS_VERDICT_DIFFERENT, 2);
    assert_int_equal(tess_compare_write_html(&fx.result, 1, NULL, fx.truth_path, &fx.err), TESS_OK);
    FILE *f = fopen(fx.truth_path, "rb");
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
    assert_int_equal(tess_compare_write_html(&fx.result, 1, NULL, "/nonexistent/page.html", &fx.err),
                     TESS_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPARING(test_heard_in_chunks),
        COMPARING(test_heard_in_columns),
        COMPARING(test_heard_in_part),
        COMPARING(test_isolated_expert_behind_another_choice),
        COMPARING(test_page),
    };
    return cmocka_run_group_tests(tests, comparing_make_folder, comparing_remove_folder);
}
