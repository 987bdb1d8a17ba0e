#include "verify/compare/logits_sums.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const tess_logits_side nothing = {-1, 0, -INFINITY, 0};

tess_status tess_logits_sums_new(int64_t n_row, size_t width, tess_logits_sums **out, tess_error *err)
{
    tess_logits_sums *l = calloc(1, sizeof *l);
    if (l) {
        *l = (tess_logits_sums){.width = width, .trace = nothing, .reference = nothing};
        l->heard = calloc(width, sizeof *l->heard);
        l->row = calloc((size_t)n_row, sizeof *l->row);
    }
    if (!l || !l->heard || !l->row || width > INT32_MAX) {
        tess_logits_sums_free(l);
        return tess_fail(err, TESS_ENOMEM, "no memory to compare %zu logits", width);
    }
    *out = l;
    return TESS_OK;
}

void tess_logits_sums_free(tess_logits_sums *logits)
{
    if (!logits) return;
    free(logits->heard);
    free(logits->row);
    free(logits);
}

/* Adds a piece to one side. Whenever a larger value comes, the sum is scaled to the new maximum. */
static void add_row(tess_logits_side *side, const float *value, size_t n)
{
    float maximum = side->maximum;
    for (size_t i = 0; i < n; i++) maximum = value[i] > maximum ? value[i] : maximum;
    if (maximum > side->maximum) {
        side->sum *= exp((double)side->maximum - (double)maximum);
        side->maximum = maximum;
    }
    for (size_t i = 0; i < n; i++) side->sum += exp((double)value[i] - (double)maximum);
}

static float probability(const tess_logits_side *side, float logit)
{
    return (float)(exp((double)logit - (double)side->maximum) / side->sum);
}

void tess_logits_sums_add(tess_logits_sums *l, const float *trace, const float *reference, size_t column,
                          size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (l->trace.best < 0 || trace[i] > l->trace.best_value) {
            l->trace.best = (int64_t)(column + i);
            l->trace.best_value = trace[i];
            l->reference_of_found = reference[i];
        }
        if (l->reference.best < 0 || reference[i] > l->reference.best_value) {
            l->reference.best = (int64_t)(column + i);
            l->reference.best_value = reference[i];
            l->trace_of_expected = trace[i];
        }
    }
    memcpy(l->heard + column, trace, n * sizeof *trace);
    add_row(&l->trace, trace, n);
    add_row(&l->reference, reference, n);
}

const tess_logits_row *tess_logits_sums_end_row(tess_logits_sums *l, int64_t row)
{
    tess_logits_row *kept = &l->row[row];
    int32_t rank = 1;
    float bar = l->trace_of_expected;
    for (size_t i = 0; i < l->width; i++)
        rank += l->heard[i] > bar || (l->heard[i] == bar && (int64_t)i < l->reference.best);
    *kept = (tess_logits_row){
        .expected = (int32_t)l->reference.best,
        .found = (int32_t)l->trace.best,
        .rank = rank,
        .expected_reference = probability(&l->reference, l->reference.best_value),
        .expected_trace = probability(&l->trace, l->trace_of_expected),
        .found_reference = probability(&l->reference, l->reference_of_found),
        .found_trace = probability(&l->trace, l->trace.best_value),
    };
    l->trace = l->reference = nothing;
    return kept;
}
