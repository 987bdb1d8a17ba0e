/* From the sums of one tap to what is said of it. Nothing is skipped without a word: every tap of the
 * reference gets an outcome and, unless it is equal, a reason. */
#include "verify/compare/judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "verify/compare/codes.h"
#include "verify/compare/fault.h"
#include "verify/compare/sound_place.h"
#include "verify/compare/speech.h"
#include "verify/compare/say.h"

static bool is_other_length(const tess_tap_state *s)
{
    if (s->place.class == TESS_CLASS_CODES) return s->codes.n_frame != s->reference->dim[1];
    return s->length_is_compared && s->other_length != tess_tensor_count(s->reference);
}

/* Whether it is decoded from codes, of which the other side has more or fewer frames. */
static bool is_of_other_codes(tess_comparison *c, const tess_tap_state *s)
{
    const tess_tap_state *codes = tess_comparison_find(c, "tap.talker.codes");
    return s->place.part == TESS_PART_CODE2WAV && s->is_misshapen && codes && codes->is_present &&
           !codes->is_misshapen && is_other_length(codes);
}

/* A tap of which nothing was measured. */
static void report_absent(tess_comparison *c, const tess_tap_state *s, tess_tap_report *r)
{
    char shape[64];
    tess_tensor_format_shape(s->reference->n_dim, s->reference->dim, shape, sizeof shape);
    r->error = INFINITY;
    if (s->is_misshapen) {
        r->outcome = TESS_OUTCOME_SHAPE;
        TESS_SAY(r, "found %s, expected %s %s", s->found_shape, tess_dtype_name(s->reference->dtype), shape);
    } else if (!strcmp(c->ended_at, r->name)) {
        r->outcome = TESS_OUTCOME_NONFINITE;
        TESS_SAY(r, "the run ends here: %.150s", c->ended_by);
    } else if (*c->ended_at) {
        r->outcome = TESS_OUTCOME_MISSING;
        TESS_SAY(r, "the run ended before, at %s", c->ended_at);
    } else if (!s->is_present) {
        r->outcome = TESS_OUTCOME_MISSING;
        TESS_SAY(r, "%s",
                 !c->is_run ? "not in the trace"
                 : s->place.class == TESS_CLASS_TOKENS
                     ? "no tokens were generated: the golden's metadata asks for none"
                     : "no module of this run is named so");
    } else {
        r->outcome = TESS_OUTCOME_MISSING;
        TESS_SAY(r, "only %llu of %llu elements", (unsigned long long)s->n_heard,
                 (unsigned long long)tess_tensor_count(s->reference));
    }
    /* In bfloat16 the rows of a single expert's output differ with the routing, and the lengths of what is
     * decoded with the codes. */
    bool is_free = s->place.class == TESS_CLASS_EXPERT || is_of_other_codes(c, s);
    if (c->options.metrics_only || (is_free && s->rule.measure == TESS_MEASURE_NONE)) {
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
                TESS_SAY(r, "%lld rows chose the other of two tied experts", (long long)s->n_tie);
            else
                TESS_SAY(r, "the same experts in another order");
            return;
        }
        TESS_SAY(r, "%lld of %llu rows chose other experts", (long long)s->n_row_failed,
                 (unsigned long long)s->reference->dim[0]);
        return;
    }
    if (r->first_different < 0 && is_other_length(s)) return; /* which is told with both lengths */
    TESS_SAY(r, "must be equal; %lld of %lld elements differ, the first at %lld", (long long)r->n_different,
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
        TESS_SAY(r, "the reference is %.3g times as far from the truth", r->error);
    else
        TESS_SAY(r, "%.2f times as far from the truth as the reference", r->error);
}

/* Equal but for the rounding of inner values, which moves whole rows a little and few of them. */
static void judge_steps(const tess_tap_state *s, tess_tap_report *r)
{
    double mean = ldexp(r->rel_l2, 8), share = (double)r->n_different / (double)r->n_element;
    if (s->total.max_reference == 0) {
        judge_exact(s, r);
        return;
    }
    fail_by(r, s->worst_steps);
    if (r->outcome == TESS_OUTCOME_DIFFERENT) {
        TESS_SAY(r, "a row is %.3g bfloat16 steps off, over %.0f", r->error, r->tolerance);
        return;
    }
    bool has_average = s->total.n / s->row_width >= TESS_STEPS_N_ROW;
    if (!has_average || (mean <= TESS_STEPS_TAP && share <= TESS_STEPS_SHARE)) return;
    r->outcome = TESS_OUTCOME_DIFFERENT;
    TESS_SAY(
        r,
        "%.1f %% of the elements differ, at most %.0f %%; on the average %.2g bfloat16 steps, at most %.2f",
        100 * share, 100 * TESS_STEPS_SHARE, mean, TESS_STEPS_TAP);
}

static void judge_measured(const tess_tap_state *s, tess_tap_report *r)
{
    r->measure = s->rule.measure;
    r->tolerance = s->rule.tolerance;
    if (r->n_nonfinite || r->n_nonfinite_reference) {
        r->outcome = TESS_OUTCOME_NONFINITE;
        r->error = INFINITY;
        TESS_SAY(r, "values that are not finite: %lld%s",
                 (long long)(r->n_nonfinite + r->n_nonfinite_reference),
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
            TESS_SAY(r, "%lld of %lld elements differ", (long long)r->n_different, (long long)r->n_element);
        return;
    case TESS_MEASURE_RATIO:
        judge_ratio(s, r);
        return;
    case TESS_MEASURE_EXACT:
        judge_exact(s, r);
        return;
    case TESS_MEASURE_STEPS:
        judge_steps(s, r);
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
    case TESS_MEASURE_BY_ELEMENT:
        fail_by(r, s->total.max_share);
        if (r->outcome == TESS_OUTCOME_DIFFERENT)
            TESS_SAY(r, "max abs %.2e; an element is %.3g times as far off as its bar", r->max_abs, r->error);
        return;
    }
    if (r->outcome == TESS_OUTCOME_DIFFERENT)
        TESS_SAY(r, "%s %.2e is over %.0e",
                 s->rule.measure == TESS_MEASURE_REL_L2 ? "relative L2" : "max abs", r->error, r->tolerance);
    if (s->n_argmax) {
        r->outcome = TESS_OUTCOME_DIFFERENT;
        size_t used = strlen(r->why);
        snprintf(r->why + used, sizeof r->why - used, "%sanother arg max in %lld rows", used ? "; " : "",
                 (long long)s->n_argmax);
    }
}

/* Lists of tokens part ways for good at the first difference. */
static void judge_tokens(const tess_comparison *c, const tess_tap_state *s, tess_tap_report *r)
{
    int64_t ours = (int64_t)s->other_length, theirs = (int64_t)s->reference->dim[0];
    int64_t agreed = r->first_different;
    if (agreed < 0) agreed = ours < theirs ? ours : theirs;
    if (r->outcome == TESS_OUTCOME_EQUAL) return;
    /* Two traces were asked different things; in a run the reference's own ids went in, and what differs is
     * what its text became. */
    bool is_prompt = !c->is_run && !strcmp(r->name, "in.input_ids");
    char agreement[64];
    snprintf(agreement, sizeof agreement, "the first %lld tokens agree", (long long)agreed);
    if (agreed < 2) strcpy(agreement, agreed ? "only the first token agrees" : "no token agrees");
    TESS_SAY(r, "%s%s, of %lld in the reference and %lld in the trace",
             is_prompt ? "these are traces of different prompts: " : "", agreement, (long long)theirs,
             (long long)ours);
    if (r->first_different < 0) r->first_different = agreed;
}

/* Where a waveform leaves its bar, or ends. */
static void judge_waveform(const tess_comparison *c, const tess_tap_state *s, tess_tap_report *r)
{
    unsigned long long ours = s->other_length, theirs = tess_tensor_count(s->reference);
    char place[112] = "", why[sizeof r->why];
    if (is_other_length(s)) {
        snprintf(why, sizeof why, "found %llu samples, expected %llu%s%.80s", ours, theirs,
                 *r->why ? "; " : "", r->why);
        TESS_SAY(r, "%s", why);
        if (r->outcome == TESS_OUTCOME_NOT_JUDGED) return;
        r->outcome = TESS_OUTCOME_SHAPE;
        r->error = INFINITY;
    }
    if (!tess_tap_has_failed(r)) return;
    r->column = tess_speech_find_first(s, NULL);
    if (r->column >= 0) {
        r->frame = tess_speech_map_frame(&c->speech, s, r->column);
        tess_speech_map_say(&c->speech, s, r->column, place, sizeof place);
    }
    size_t used = strlen(r->why);
    snprintf(r->why + used, sizeof r->why - used, "%s%s", *place ? ", " : "", place);
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
        TESS_SAY(r, "other tokens chose it; see the router");
    } else if (!choice && r->outcome == TESS_OUTCOME_DIFFERENT) {
        /* Rows may stand by position or by rank, which only the choices tell. */
        r->outcome = TESS_OUTCOME_NOT_JUDGED;
        r->error = NAN;
        TESS_SAY(r, "the reference does not tell which tokens chose it");
    } else if (is_other_length(s) && r->outcome != TESS_OUTCOME_NOT_JUDGED) {
        r->outcome = TESS_OUTCOME_SHAPE;
        r->error = INFINITY;
        TESS_SAY(r, "found %llu tokens, expected %llu",
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
    case TESS_CLASS_FEATURES:
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

tess_status tess_judge_tap(tess_comparison *c, const tess_tap_state *s, const tess_compare_result *so_far,
                           tess_tap_report *r, tess_error *err)
{
    const tess_tensor *t = s->reference;
    *r = (tess_tap_report){.component = s->place.component,
                           .layer = s->place.layer,
                           .expert = s->place.expert,
                           .position = -1,
                           .row = -1,
                           .frame = -1,
                           .codebook = -1,
                           .column = -1,
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
    bool is_whole = s->n_heard == tess_tap_state_count(s), is_cut = *c->ended_at && !is_whole;
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
    else if (is_list && tess_tap_state_is_waveform(s))
        judge_waveform(c, s, r);
    else if (is_list)
        judge_tokens(c, s, r);
    if (r->is_measured && s->place.class == TESS_CLASS_CODES)
        return r->outcome == TESS_OUTCOME_EQUAL ? TESS_OK : tess_codes_locate(c, s, so_far, r, err);
    if (!tess_tap_has_failed(r)) return TESS_OK;
    if (r->is_measured) {
        r->row = s->first_row;
        r->position = position_of(c, s, r);
        bool has_bars = s->rule.measure == TESS_MEASURE_BY_ELEMENT && s->off[0] >= 0;
        tess_media_map_say(&c->media, s, r->row, has_bars ? s->off[0] : r->first_different, r->where,
                           sizeof r->where);
        if (tess_tap_state_is_stage(s)) tess_sound_place_say(c, s, r);
    }
    tess_status status = tess_find_fault(c, s, so_far, r, err);
    if (s->place.part == TESS_PART_CODE_PREDICTOR) tess_codes_say_first_run(c, s, r);
    return status;
}
