/* From sums to a verdict. A check that finds nothing to compare fails, and nothing is skipped without a word:
 * every tap of the reference gets an outcome and, unless it is equal, a reason. */
#include "verify/comparison.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/details.h"
#include "verify/expert_rows.h"
#include "verify/fault.h"

/* The text is cut where the room ends; it is for people. */
#define SAY(report, ...) ((void)snprintf((report)->why, sizeof(report)->why, __VA_ARGS__))

const char *tess_verdict_name(tess_verdict verdict)
{
    static const char *const names[] = {"none", "equal", "agree", "different"};
    return names[verdict];
}

const char *tess_measure_name(tess_measure measure)
{
    static const char *const names[] = {"none", "rel_l2", "max_abs", "ratio", "exact", "ulp"};
    return names[measure];
}

const char *tess_outcome_name(tess_outcome outcome)
{
    static const char *const names[] = {"equal",   "agrees", "not judged", "different",
                                        "missing", "shape",  "not finite"};
    return names[outcome];
}

static bool has_failed(const tess_tap_report *r)
{
    return r->outcome >= TESS_OUTCOME_DIFFERENT;
}

/* A tap of which nothing was measured. */
static void report_absent(const tess_comparison *c, const tess_tap_state *s, tess_tap_report *r)
{
    char shape[64];
    tess_tensor_format_shape(s->reference->n_dim, s->reference->dim, shape, sizeof shape);
    r->error = INFINITY;
    if (s->is_misshapen) {
        r->outcome = TESS_OUTCOME_SHAPE;
        SAY(r, "found %s, expected %s %s", s->found_shape, tess_dtype_name(s->reference->dtype), shape);
    } else if (!strcmp(c->ended_at, r->name)) {
        r->outcome = TESS_OUTCOME_NONFINITE;
        SAY(r, "the run ends here: %.150s", c->ended_by);
    } else if (*c->ended_at) {
        r->outcome = TESS_OUTCOME_MISSING;
        SAY(r, "the run ended before, at %s", c->ended_at);
    } else if (!s->is_present) {
        r->outcome = TESS_OUTCOME_MISSING;
        SAY(r, "%s",
            !c->is_run ? "not in the trace"
            : s->place.class == TESS_CLASS_TOKENS
                ? "no tokens were generated: the golden's metadata asks for none"
                : "no module of this run is named so");
    } else {
        r->outcome = TESS_OUTCOME_MISSING;
        SAY(r, "only %llu of %llu elements", (unsigned long long)s->n_heard,
            (unsigned long long)tess_tensor_count(s->reference));
    }
    /* In bfloat16 the rows of a single expert's output differ with the routing. */
    bool is_free = s->place.class == TESS_CLASS_EXPERT && s->rule.measure == TESS_MEASURE_NONE;
    if (c->options.metrics_only || is_free) {
        r->outcome = TESS_OUTCOME_NOT_JUDGED;
        r->error = NAN;
    }
}

static void report_sums(const tess_tap_state *s, tess_tap_report *r)
{
    bool is_own_count = s->is_integer || s->place.class == TESS_CLASS_ROUTER_WEIGHTS;
    r->n_different = (int64_t)(is_own_count ? s->n_different : s->total.n_different);
    r->first_different = s->first_different;
    r->n_tie = s->n_tie;
    if (s->is_integer) return;
    r->n_nonfinite = (int64_t)s->total.n_nonfinite;
    r->n_nonfinite_reference = (int64_t)s->total.n_nonfinite_reference;
    bool is_finite = !r->n_nonfinite && !r->n_nonfinite_reference;
    r->max_abs = is_finite ? s->total.max_abs : NAN;
    r->rel_l2 = is_finite ? tess_sums_rel_l2(&s->total) : NAN;
    r->cosine = is_finite ? tess_sums_cosine(&s->total) : NAN;
    if (!s->truth) return;
    r->truth_distance = tess_sums_rel_l2(&s->truth_total);
    r->reference_truth_distance = tess_sums_rel_l2(&s->reference_truth_total);
}

static bool is_other_length(const tess_tap_state *s)
{
    return s->length_is_compared && s->other_length != tess_tensor_count(s->reference);
}

static void fail_by(tess_tap_report *r, double error)
{
    r->error = error;
    r->outcome = error <= r->tolerance ? TESS_OUTCOME_AGREES : TESS_OUTCOME_DIFFERENT;
}

static void judge_exact(const tess_tap_state *s, tess_tap_report *r)
{
    r->measure = TESS_MEASURE_EXACT;
    r->tolerance = 0;
    r->outcome = TESS_OUTCOME_DIFFERENT;
    r->error = INFINITY;
    if (s->place.class == TESS_CLASS_ROUTER_INDICES) {
        if (s->n_row_failed == 0) {
            r->outcome = TESS_OUTCOME_AGREES;
            r->error = 0;
            if (s->n_tie)
                SAY(r, "%lld rows chose the other of two tied experts", (long long)s->n_tie);
            else
                SAY(r, "the same experts in another order");
            return;
        }
        SAY(r, "%lld of %llu rows chose other experts", (long long)s->n_row_failed,
            (unsigned long long)s->reference->dim[0]);
        return;
    }
    if (s->place.class == TESS_CLASS_CODES && s->frame >= 0) {
        if (s->frame_row == 0) r->component = "talker.codec_head";
        SAY(r, "from frame %lld on, codebook %lld", (long long)s->frame, (long long)s->frame_row);
        return;
    }
    SAY(r, "must be equal; %lld of %lld elements differ, the first at %lld", (long long)r->n_different,
        (long long)r->n_element, (long long)r->first_different);
}

static void judge_ratio(const tess_tap_state *s, tess_tap_report *r)
{
    double theirs = sqrt(s->reference_truth_total.error2);
    if (theirs == 0) {
        judge_exact(s, r);
        return;
    }
    double ratio = sqrt(s->truth_total.error2) / theirs;
    bool is_nearer = ratio * TESS_RATIO_MOST < 1;
    fail_by(r, is_nearer ? 1 / ratio : ratio);
    if (r->outcome != TESS_OUTCOME_DIFFERENT) return;
    if (is_nearer)
        SAY(r, "the reference is %.3g times as far from the truth", r->error);
    else
        SAY(r, "%.2f times as far from the truth as the reference", r->error);
}

/* Equal but for the rounding of inner values; the share of equal elements is judged over all taps. */
static void judge_ulp(const tess_tap_state *s, tess_tap_report *r)
{
    if (s->total.max_reference == 0) {
        judge_exact(s, r);
        return;
    }
    fail_by(r, s->worst_ulp);
    if (r->outcome == TESS_OUTCOME_DIFFERENT)
        SAY(r, "%.3g bfloat16 steps of the row's largest element, over %.0f", r->error, r->tolerance);
}

static void judge_measured(const tess_tap_state *s, tess_tap_report *r)
{
    r->measure = s->rule.measure;
    r->tolerance = s->rule.tolerance;
    if (r->n_nonfinite || r->n_nonfinite_reference) {
        r->outcome = TESS_OUTCOME_NONFINITE;
        r->error = INFINITY;
        SAY(r, "values that are not finite: %lld%s", (long long)(r->n_nonfinite + r->n_nonfinite_reference),
            !r->n_nonfinite            ? ", all in the reference"
            : r->n_nonfinite_reference ? ", on both sides"
                                       : "");
        return;
    }
    /* Equal weights of unequal experts are not equal: those are matched by id. */
    if (r->n_different == 0 && s->total.n_different == 0 && !is_other_length(s)) {
        r->outcome = TESS_OUTCOME_EQUAL;
        r->error = 0;
        return;
    }
    switch (s->rule.measure) {
    case TESS_MEASURE_NONE:
        r->outcome = TESS_OUTCOME_NOT_JUDGED;
        r->error = NAN;
        if (s->is_integer)
            SAY(r, "%lld of %lld elements differ", (long long)r->n_different, (long long)r->n_element);
        return;
    case TESS_MEASURE_RATIO:
        judge_ratio(s, r);
        return;
    case TESS_MEASURE_EXACT:
        judge_exact(s, r);
        return;
    case TESS_MEASURE_ULP:
        judge_ulp(s, r);
        return;
    case TESS_MEASURE_REL_L2:
        /* Against a reference of zeros there is no relative error. */
        if (s->total.reference2 == 0) {
            judge_exact(s, r);
            return;
        }
        fail_by(r, r->rel_l2);
        break;
    case TESS_MEASURE_MAX_ABS:
        fail_by(r, r->max_abs);
        break;
    }
    if (r->outcome == TESS_OUTCOME_DIFFERENT)
        SAY(r, "%s %.2e is over %.0e", s->rule.measure == TESS_MEASURE_REL_L2 ? "relative L2" : "max abs",
            r->error, r->tolerance);
    if (s->n_argmax) {
        r->outcome = TESS_OUTCOME_DIFFERENT;
        size_t used = strlen(r->why);
        snprintf(r->why + used, sizeof r->why - used, "%sanother arg max in %lld rows", used ? "; " : "",
                 (long long)s->n_argmax);
    }
}

/* Lists of tokens part ways for good at the first difference. */
static void judge_tokens(const tess_tap_state *s, tess_tap_report *r)
{
    int64_t ours = (int64_t)s->other_length, theirs = (int64_t)s->reference->dim[0];
    int64_t agreed = r->first_different;
    if (agreed < 0) agreed = ours < theirs ? ours : theirs;
    if (r->outcome == TESS_OUTCOME_EQUAL) return;
    SAY(r, "the first %lld tokens agree, of %lld in the reference and %lld in the trace", (long long)agreed,
        (long long)theirs, (long long)ours);
    if (r->first_different < 0) r->first_different = agreed;
}

/* A single expert's rows can be set side by side only where the same tokens chose it. */
static void judge_expert(tess_comparison *c, const tess_tap_state *s, tess_tap_report *r)
{
    char name[256];
    snprintf(name, sizeof name, "%.*s.gate.indices", (int)(strstr(r->name, ".experts.") - r->name), r->name);
    const tess_tap_state *choice = tess_comparison_find(c, name);
    bool is_fed = c->is_isolated; /* the reference's own choice, whatever the router said */
    if (choice && !is_fed && (choice->n_row_failed || choice->n_tie)) {
        r->outcome = TESS_OUTCOME_NOT_JUDGED;
        r->error = NAN;
        SAY(r, "other tokens chose it; see the router");
    } else if (!choice && r->outcome == TESS_OUTCOME_DIFFERENT) {
        /* Rows may stand by position or by rank, which only the choices tell. */
        r->outcome = TESS_OUTCOME_NOT_JUDGED;
        r->error = NAN;
        SAY(r, "the reference does not tell which tokens chose it");
    } else if (is_other_length(s) && r->outcome != TESS_OUTCOME_NOT_JUDGED) {
        r->outcome = TESS_OUTCOME_SHAPE;
        r->error = INFINITY;
        SAY(r, "found %llu tokens, expected %llu",
            (unsigned long long)(s->other_length / s->reference->dim[1]),
            (unsigned long long)s->reference->dim[0]);
    }
}

static int64_t position_of(const tess_comparison *c, const tess_tap_state *s, const tess_tap_report *r)
{
    switch (s->place.class) {
    case TESS_CLASS_TOKENS:
        return c->n_prompt ? c->n_prompt + r->first_different : -1;
    case TESS_CLASS_POSITIONS:
        return r->first_different >= 0 ? r->first_different % (int64_t)s->row_width : -1;
    case TESS_CLASS_INPUT:
        return strcmp(s->reference->name, "in.input_ids") ? -1 : r->first_different;
    case TESS_CLASS_LOGITS:
        /* Logits of the last position only. */
        if (s->reference->dim[0] == 1 && c->n_prompt && s->first_row == 0) return c->n_prompt - 1;
        break;
    default:
        break;
    }
    return s->place.rows_are_positions ? s->first_row : -1;
}

static tess_status report_tap(tess_comparison *c, const tess_tap_state *s, const tess_compare_result *so_far,
                              tess_tap_report *r, tess_error *err)
{
    const tess_tensor *t = s->reference;
    *r = (tess_tap_report){.component = s->place.component,
                           .layer = s->place.layer,
                           .expert = s->place.expert,
                           .position = -1,
                           .row = -1,
                           .n_dim = t->n_dim,
                           .is_integer = s->is_integer,
                           .n_element = (int64_t)tess_tensor_count(t),
                           .first_different = -1,
                           .max_abs = NAN,
                           .rel_l2 = NAN,
                           .cosine = NAN,
                           .truth_distance = NAN,
                           .reference_truth_distance = NAN};
    for (int i = 0; i < t->n_dim; i++) r->dim[i] = (int64_t)t->dim[i];
    r->name = strdup(t->name);
    if (!r->name) return tess_fail(err, TESS_ENOMEM, "no memory for the result");
    bool is_whole = s->n_heard == tess_tensor_count(t), is_cut = *c->ended_at && !is_whole;
    bool is_list = s->length_is_compared && s->is_present && !s->is_misshapen && !is_cut;
    r->is_measured = !s->is_misshapen && s->is_present && (is_whole || is_list);
    if (r->is_measured) {
        report_sums(s, r);
        judge_measured(s, r);
    } else {
        report_absent(c, s, r);
    }
    if (s->place.class == TESS_CLASS_EXPERT && !is_cut)
        judge_expert(c, s, r);
    else if (is_list)
        judge_tokens(s, r);
    if (!has_failed(r)) return TESS_OK;
    if (r->is_measured) {
        r->row = s->first_row;
        r->position = position_of(c, s, r);
    }
    return tess_find_fault(c, s, so_far, r, err);
}

/* The mean of the ratios lies outside its bounds: the taps that pull it there are the ones that differ. */
static void fail_by_mean(tess_compare_result *result)
{
    bool is_low = result->ratio_mean < TESS_RATIO_LOW;
    for (int i = 0; i < result->n_tap; i++) {
        tess_tap_report *r = &result->tap[i];
        if (r->measure != TESS_MEASURE_RATIO || r->outcome != TESS_OUTCOME_AGREES) continue;
        if (is_low ? r->error >= TESS_RATIO_LOW : r->error <= TESS_RATIO_HIGH) continue;
        r->outcome = TESS_OUTCOME_DIFFERENT;
        SAY(r, "ratio %.3g, where the mean must lie within %.2f to %.2f and is %.3g", r->error,
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

/* Of modules fed with the reference's bfloat16 inputs nearly every element is the reference's, bit for bit.
 */
static void judge_share(tess_compare_result *result)
{
    int64_t n = 0, n_different = 0;
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_report *r = &result->tap[i];
        if (r->measure != TESS_MEASURE_ULP || !r->is_measured) continue;
        n += r->n_element;
        n_different += r->n_different;
    }
    if (!n || (double)n_different <= (1 - TESS_ULP_SHARE) * (double)n) return;
    for (int i = 0; i < result->n_tap; i++) {
        tess_tap_report *r = &result->tap[i];
        bool is_over = (double)r->n_different > (1 - TESS_ULP_SHARE) * (double)r->n_element;
        if (r->measure != TESS_MEASURE_ULP || r->outcome != TESS_OUTCOME_AGREES || !is_over) continue;
        r->outcome = TESS_OUTCOME_DIFFERENT;
        SAY(r, "%.1f %% of its elements are not bit-equal, of all taps %.1f %%; at most %.0f %%",
            100 * (double)r->n_different / (double)r->n_element, 100 * (double)n_different / (double)n,
            100 * (1 - TESS_ULP_SHARE));
    }
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
        result->n_failed += has_failed(r);
        result->n_tie += r->n_tie;
        if (has_failed(r) && result->first < 0) result->first = i;
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
        return tess_fail(err, TESS_EUSAGE,
                         "%s: the reference is bfloat16 and the trace is not bit-equal; to judge it give a "
                         "float32 trace of the same inputs as --truth, or measure only with --metrics-only",
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
        if (is_compared && s->place.class != TESS_CLASS_INPUT) return true;
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
    tess_status status = describe(c, result, err);
    for (int i = 0; i < c->n_tap && status == TESS_OK; i++) {
        tess_tap_state *s = &c->tap[i];
        tess_tap_report *r = &result->tap[result->n_tap];
        if (s->place.class == TESS_CLASS_EXPERT) {
            tess_expert_rows_settle(s);
            /* Nobody tells of an expert that no token chose. */
            s->is_present |= c->is_run && s->reference->dim[0] == 0;
        }
        /* Inputs are shown where they differ: then nothing that follows can be expected to agree. */
        if (s->place.class == TESS_CLASS_INPUT && !s->is_present) continue;
        if (s->place.class == TESS_CLASS_EXPERT && !s->is_present && !c->is_run) {
            result->n_expert_absent++;
            continue;
        }
        status = check_truth(c, s, err);
        if (status != TESS_OK) break;
        status = report_tap(c, s, result, r, err);
        result->n_tap++;
        if (status == TESS_OK && is_input(r) && !has_failed(r)) {
            free((char *)(uintptr_t)r->name);
            result->n_tap--;
        }
    }
    if (status == TESS_OK) {
        if (c->has_truth && c->precision == TESS_PRECISION_BF16 && !c->options.metrics_only)
            judge_mean(result);
        judge_share(result);
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

void tess_compare_result_free(tess_compare_result *result)
{
    if (!result) return;
    for (int i = 0; i < result->n_tap; i++) {
        free((char *)(uintptr_t)result->tap[i].name);
        free((int *)(uintptr_t)result->tap[i].experts);
    }
    for (int i = 0; i < result->n_extra; i++) free((char *)(uintptr_t)result->extra[i]);
    free((char **)(uintptr_t)result->extra);
    tess_details_release(result);
    free(result->tap);
    free(result->reference);
    free(result->trace);
    free(result->truth);
    free(result);
}
