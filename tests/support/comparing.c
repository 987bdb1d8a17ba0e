#include "comparing.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"

comparing fx;

int comparing_make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(fx.folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(fx.reference_path, sizeof fx.reference_path, "%s/reference", fx.folder);
    snprintf(fx.trace_path, sizeof fx.trace_path, "%s/trace", fx.folder);
    snprintf(fx.truth_path, sizeof fx.truth_path, "%s/truth", fx.folder);
    return 0;
}

int comparing_remove_folder(void **state)
{
    (void)state;
    unlink(fx.reference_path);
    unlink(fx.trace_path);
    unlink(fx.truth_path);
    return rmdir(fx.folder);
}

int comparing_setup(void **state)
{
    (void)state;
    test_trace_make(&fx.reference);
    test_trace_copy(&fx.reference, &fx.trace);
    test_trace_copy(&fx.reference, &fx.truth);
    fx.options = (tess_compare_options){0};
    fx.result = NULL;
    return 0;
}

int comparing_teardown(void **state)
{
    (void)state;
    test_trace_release(&fx.reference);
    test_trace_release(&fx.trace);
    test_trace_release(&fx.truth);
    tess_compare_result_free(fx.result);
    return 0;
}

tess_status compare(void)
{
    test_trace_save(&fx.reference, fx.reference_path);
    test_trace_save(&fx.trace, fx.trace_path);
    test_trace_save(&fx.truth, fx.truth_path);
    tess_compare_result_free(fx.result);
    fx.result = NULL;
    return tess_compare_files(fx.reference_path, fx.trace_path, &fx.options, &fx.result, &fx.err);
}

test_tensor *of(test_trace *t, const char *name)
{
    return test_tensors_get(&t->tensors, name);
}

const tess_tap_report *report(const char *name)
{
    for (int i = 0; i < fx.result->n_tap; i++)
        if (!strcmp(fx.result->tap[i].name, name)) return &fx.result->tap[i];
    fail_msg("no report of %s", name);
    return NULL;
}

void expect(tess_verdict verdict, int n_failed)
{
    if (compare() != TESS_OK) fail_msg("%s", fx.err.message);
    if (fx.result->verdict != verdict || fx.result->n_failed != n_failed) {
        for (int i = 0; i < fx.result->n_tap; i++)
            print_message("%s: %s %s\n", fx.result->tap[i].name, tess_outcome_name(fx.result->tap[i].outcome),
                          fx.result->tap[i].why);
        fail_msg("%s with %d failed, expected %s with %d", tess_verdict_name(fx.result->verdict),
                 fx.result->n_failed, tess_verdict_name(verdict), n_failed);
    }
}

void expect_first(const char *name, const char *component, int layer, int64_t position)
{
    assert_true(fx.result->first >= 0);
    const tess_tap_report *r = &fx.result->tap[fx.result->first];
    assert_string_equal(r->name, name);
    assert_string_equal(r->component, component);
    assert_int_equal(r->layer, layer);
    assert_int_equal(r->position, position);
}
void must_refuse(tess_status status, const char *file, const char *field)
{
    tess_status got = compare();
    if (got == TESS_OK) fail_msg("accepted: %s", tess_verdict_name(fx.result->verdict));
    if (got != status) fail_msg("%s: %s", tess_status_name(got), fx.err.message);
    assert_string_equal(fx.err.file, file);
    assert_string_equal(fx.err.field, field);
    assert_null(fx.result);
}

void spoil_mlp(const int *rows, int n)
{
    for (int i = 0; i < n; i++)
        of(&fx.trace, LAYER(1, ".mlp"))->values[rows[i] * SYNTHETIC_WIDTH + 3] += 0.25f;
}

void swap_ranks(int row, bool weights_too)
{
    int64_t *ids = of(&fx.trace, LAYER(0, ".mlp.gate.indices"))->integers + 2 * row;
    float *weights = of(&fx.trace, LAYER(0, ".mlp.gate.weights"))->values + 2 * row;
    int64_t id = ids[0];
    ids[0] = ids[1], ids[1] = id;
    if (!weights_too) return;
    float weight = weights[0];
    weights[0] = weights[1], weights[1] = weight;
}

void make_near_tie(int steps)
{
    float *logits = of(&fx.reference, LAYER(1, ".mlp.gate.logits"))->values + 2 * SYNTHETIC_EXPERTS;
    double sum = 0;
    logits[4] = logits[0];
    for (int i = 0; i < SYNTHETIC_EXPERTS; i++) sum += exp((double)logits[i]);
    float p = (float)(exp((double)logits[0]) / sum), q = p;
    for (int i = 0; i < steps; i++) q = nextafterf(q, 0);
    /* The logit's own step is finer than the probability's here, so this lands within half an ulp. */
    logits[4] = (float)((double)logits[0] + log((double)q / (double)p));
    memcpy(of(&fx.trace, LAYER(1, ".mlp.gate.logits"))->values + 2 * SYNTHETIC_EXPERTS, logits,
           SYNTHETIC_EXPERTS * sizeof *logits);
    of(&fx.trace, LAYER(1, ".mlp.gate.indices"))->integers[5] = 4;
}
