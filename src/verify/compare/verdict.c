/* From the taps to the verdict: the bars that hold for all taps together, what is counted, and the result. A
 * check that finds nothing to compare fails. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/compare/comparison.h"
#include "verify/compare/details.h"
#include "verify/compare/expert_rows.h"
#include "verify/compare/judge.h"
#include "verify/compare/say.h"

/* The mean of the ratios lies outside its bounds: the taps that pull it there are the ones that differ. */
static void fail_by_mean(tess_compare_result *result)
{
    bool is_low = result->ratio_mean < TESS_RATIO_LOW;
    for (int i = 0; i < result->n_tap; i++) {
        tess_tap_report *r = &result->tap[i];
        if (r->measure != TESS_MEASURE_RATIO || r->outcome != TESS_OUTCOME_AGREES) continue;
        if (is_low ? r->error >= TESS_RATIO_LOW : r->error <= TESS_RATIO_HIGH) continue;
        r->outcome = TESS_OUTCOME_DIFFERENT;
        TESS_SAY(r, "ratio %.3g, where the mean must lie within %.2f to %.2f and is %.3g", r->error,
                 TESS_RATIO_LOW, TESS_RATIO_HIGH, result->ratio_mean);
    }
}

static void judge_mean(tess_compare_result *result)
{
    double sum = 0;
    result->ratio_low = TESS_RATIO_LOW;
    result->ratio_high = TESS_RATIO_HIGH;
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_report *r = &result->tap[i];
        if (r->outcome > TESS_OUTCOME_DIFFERENT || !(r->reference_truth_distance > 0)) continue;
        if (r->measure != TESS_MEASURE_RATIO) continue;
        /* Bit equality with the reference is a ratio of one. */
        if (r->outcome != TESS_OUTCOME_EQUAL) sum += log(r->truth_distance / r->reference_truth_distance);
        result->n_ratio++;
    }
    if (!result->n_ratio) return;
    result->ratio_mean = exp(sum / result->n_ratio);
    if (!(result->ratio_mean >= TESS_RATIO_LOW && result->ratio_mean <= TESS_RATIO_HIGH))
        fail_by_mean(result);
}

static bool is_input(const tess_tap_report *r)
{
    return !strncmp(r->name, "in.", 3);
}

void tess_comparison_count(tess_compare_result *result)
{
    double worst = -1;
    result->worst = result->first = -1;
    result->n_compared = result->n_equal = result->n_failed = 0;
    result->n_tie = 0;
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_report *r = &result->tap[i];
        result->n_compared += r->is_measured;
        result->n_equal += r->outcome == TESS_OUTCOME_EQUAL;
        result->n_failed += tess_tap_has_failed(r);
        result->n_tie += r->n_tie;
        if (tess_tap_has_failed(r) && result->first < 0) result->first = i;
        if (!r->is_measured || r->is_integer || is_input(r) || isnan(r->error)) continue;
        double share = r->error == 0 ? 0 : r->error / r->tolerance;
        if (share > worst) {
            worst = share;
            result->worst = i;
        }
    }
}

static tess_status decide(const tess_comparison *c, tess_compare_result *result, tess_error *err)
{
    bool is_judged = false;
    for (int i = 0; i < result->n_tap; i++) is_judged |= result->tap[i].outcome != TESS_OUTCOME_NOT_JUDGED;
    if (c->options.metrics_only)
        result->verdict = TESS_VERDICT_NONE;
    else if (result->n_failed)
        result->verdict = TESS_VERDICT_DIFFERENT;
    else if (result->n_equal == result->n_compared)
        result->verdict = TESS_VERDICT_EQUAL;
    else if (c->precision == TESS_PRECISION_BF16 && !c->has_truth && !c->is_isolated)
        return tess_refuse_option(err, "truth", "a float32 trace of the same inputs to judge it by",
                                  "none, but a bfloat16 reference (%.80s) and a trace that is not bit-equal",
                                  tess_trace_reader_get_path(&c->hearing.reference));
    else if (!is_judged)
        return tess_refuse(err, c->other_path, "", -1, "at least one tap that there is a bar for", "none");
    else
        result->verdict = TESS_VERDICT_AGREE;
    return TESS_OK;
}

static tess_status describe(tess_comparison *c, tess_compare_result *result, tess_error *err)
{
    result->reference = strdup(tess_trace_reader_get_path(&c->hearing.reference));
    result->trace = strdup(c->other_path);
    if (c->has_truth) result->truth = strdup(tess_trace_reader_get_path(&c->hearing.truth));
    result->tap = calloc((size_t)c->n_tap + 1, sizeof *result->tap);
    if (!result->reference || !result->trace || !result->tap || (c->has_truth && !result->truth))
        return tess_fail(err, TESS_ENOMEM, "no memory for the result");
    result->is_run = c->is_run;
    result->reference_precision = c->precision;
    result->reference_precision_known = c->precision_known;
    result->trace_precision = c->other_precision;
    result->trace_precision_known = c->other_precision_known;
    result->config = c->config;
    result->weights = c->weights;
    result->extra = (const char *const *)c->extra;
    result->n_extra = c->n_extra;
    c->extra = NULL;
    c->n_extra = 0;
    return TESS_OK;
}

/* Whether some tap, not an input, is in both, and not just as a name: without elements nothing is compared.
 */
static bool has_common(const tess_comparison *c)
{
    if (*c->ended_at) return true;
    for (int i = 0; i < c->n_tap; i++) {
        const tess_tap_state *s = &c->tap[i];
        bool is_compared = s->is_present && (s->n_heard || s->other_length || s->is_misshapen);
        if (is_compared && s->place.part != TESS_PART_INPUTS) return true;
    }
    return false;
}

/* A truth is to be measured by. */
static tess_status check_truth(const tess_comparison *c, const tess_tap_state *s, tess_error *err)
{
    uint64_t n = s->truth_total.n_nonfinite_reference;
    if (!n || s->rule.measure != TESS_MEASURE_RATIO) return TESS_OK;
    return tess_refuse(err, tess_trace_reader_get_path(&c->hearing.truth), s->reference->name,
                       (int64_t)s->truth->offset, "finite values, to serve as the truth", "%llu that are not",
                       (unsigned long long)n);
}

tess_status tess_comparison_finish(tess_comparison *c, tess_compare_result **out, tess_error *err)
{
    if (!has_common(c))
        return tess_refuse(err, c->other_path, "", -1, "at least one tap that the reference has too", "none");
    tess_compare_result *result = calloc(1, sizeof *result);
    if (!result) return tess_fail(err, TESS_ENOMEM, "no memory for the result");
    tess_status status = tess_media_map_make(c->hearing.reference.st, &c->media, err);
    if (status == TESS_OK) status = describe(c, result, err);
    c->speech = tess_speech_map_make(c->hearing.reference.st);
    for (int i = 0; i < c->n_tap && status == TESS_OK; i++) {
        tess_tap_state *s = &c->tap[i];
        tess_tap_report *r = &result->tap[result->n_tap];
        if (s->place.class == TESS_CLASS_EXPERT) {
            tess_expert_rows_settle(s);
            /* Nobody tells of an expert that no token chose. */
            s->is_present |= c->is_run && s->reference->dim[0] == 0;
        }
        status = tess_tap_state_end_waveform(&c->hearing, s, err);
        if (status != TESS_OK) break;
        /* Inputs are shown where they differ: then nothing that follows can be expected to agree. */
        if (s->place.part == TESS_PART_INPUTS && !s->is_present) continue;
        if (s->place.class == TESS_CLASS_EXPERT && !s->is_present && !c->is_run) {
            result->n_expert_absent++;
            continue;
        }
        status = check_truth(c, s, err);
        if (status != TESS_OK) break;
        status = tess_judge_tap(c, s, result, r, err);
        result->n_tap++;
        if (status == TESS_OK && is_input(r) && !tess_tap_has_failed(r)) {
            free((char *)(uintptr_t)r->name);
            result->n_tap--;
        }
    }
    if (status == TESS_OK) {
        if (c->has_truth && c->precision == TESS_PRECISION_BF16 && !c->options.metrics_only)
            judge_mean(result);
        tess_comparison_count(result);
        status = decide(c, result, err);
    }
    if (status == TESS_OK) status = tess_details_fill(c, result, err);
    if (status != TESS_OK) {
        tess_compare_result_free(result);
        return status;
    }
    *out = result;
    return TESS_OK;
}
