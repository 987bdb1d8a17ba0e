#include "verify/compare/details.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "verify/compare/speech.h"

static const char *part_name(const tess_tap_state *s)
{
    return s->place.part == TESS_PART_TALKER ? "talker" : "thinker";
}

static bool is_whole(const tess_tap_state *s)
{
    return s->is_present && !s->is_misshapen && s->n_heard == tess_tensor_count(s->reference);
}

static tess_status no_memory(tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "no memory for the result");
}

/* ---- routers ---- */

static bool is_routing(const tess_tap_state *s)
{
    return s->place.class == TESS_CLASS_ROUTER_INDICES && is_whole(s);
}

static tess_status fill_routing(const tess_comparison *c, tess_compare_result *result, tess_error *err)
{
    size_t n = 0;
    for (int i = 0; i < c->n_tap; i++) n += is_routing(&c->tap[i]);
    result->routing = calloc(n ? n : 1, sizeof *result->routing);
    if (!result->routing) return no_memory(err);
    for (int i = 0; i < c->n_tap; i++) {
        const tess_tap_state *s = &c->tap[i];
        if (!is_routing(s)) continue;
        int64_t n_tok = (int64_t)s->reference->dim[0];
        result->routing[result->n_routing++] =
            (tess_layer_routing){.part = part_name(s),
                                 .layer = s->place.layer,
                                 .n_chosen = (int)s->row_width,
                                 .n_tok = n_tok,
                                 .n_same = n_tok - s->n_tie - s->n_row_failed,
                                 .n_tie = s->n_tie,
                                 .n_other = s->n_row_failed};
    }
    return TESS_OK;
}

/* ---- experts ---- */

static double relative(double error2, double norm2)
{
    if (error2 == 0) return 0;
    return norm2 == 0 ? INFINITY : sqrt(error2 / norm2);
}

static tess_expert_error error_of(const tess_expert_sum *sum, bool has_truth)
{
    bool is_known = sum->n_tok && !sum->n_nonfinite;
    return (tess_expert_error){
        .n_tok = sum->n_tok,
        .rel_l2 = is_known ? relative(sum->error2, sum->reference2) : NAN,
        .truth_distance = is_known && has_truth ? relative(sum->truth_error2, sum->truth2) : NAN,
        .reference_truth_distance =
            is_known && has_truth ? relative(sum->reference_truth_error2, sum->truth2) : NAN};
}

static tess_status add_layer(const tess_tap_state *s, const tess_tap_report *report,
                             tess_compare_result *result, tess_error *err)
{
    tess_layer_experts *layer = &result->experts[result->n_experts];
    *layer = (tess_layer_experts){
        .part = part_name(s), .layer = s->place.layer, .n_expert = s->experts.n_expert, .tolerance = NAN};
    if (report->measure == TESS_MEASURE_REL_L2) layer->tolerance = report->tolerance;
    layer->expert = calloc((size_t)layer->n_expert, sizeof *layer->expert);
    if (!layer->expert) return no_memory(err);
    result->n_experts++;
    for (int e = 0; e < layer->n_expert; e++)
        layer->expert[e] = error_of(&s->experts.expert[e], s->truth != NULL);
    for (int i = 0; i < report->n_experts; i++)
        if (report->experts[i] < layer->n_expert) layer->expert[report->experts[i]].is_fault = true;
    return TESS_OK;
}

/* A single expert's own output says more than rows that it shares with others, unless there is a truth that
 * does not hold it; one that is misshapen or missing in part only says that the expert is at fault. */
static void set_own(const tess_tap_state *s, const tess_tap_report *report, tess_compare_result *result)
{
    for (int i = 0; i < result->n_experts; i++) {
        tess_layer_experts *layer = &result->experts[i];
        if (layer->layer != s->place.layer || strcmp(layer->part, part_name(s)) ||
            s->place.expert >= layer->n_expert)
            continue;
        tess_expert_error *expert = &layer->expert[s->place.expert];
        expert->is_fault |= tess_tap_has_failed(report);
        if (!is_whole(s) || (result->truth && !s->truth)) continue;
        *expert = (tess_expert_error){.n_tok = (int64_t)s->reference->dim[0],
                                      .rel_l2 = report->rel_l2,
                                      .truth_distance = report->truth_distance,
                                      .reference_truth_distance = report->reference_truth_distance,
                                      .is_own = true,
                                      .is_fault = expert->is_fault};
    }
}

static tess_status fill_experts(tess_comparison *c, tess_compare_result *result, tess_error *err)
{
    size_t n = 0;
    for (int i = 0; i < c->n_tap; i++) n += c->tap[i].choices != NULL;
    result->experts = calloc(n ? n : 1, sizeof *result->experts);
    if (!result->experts) return no_memory(err);
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_state *s = tess_comparison_find(c, result->tap[i].name);
        if (!s->choices || !is_whole(s) || !s->experts.n_expert) continue;
        tess_status status = add_layer(s, &result->tap[i], result, err);
        if (status != TESS_OK) return status;
    }
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_state *s = tess_comparison_find(c, result->tap[i].name);
        if (s->place.class == TESS_CLASS_EXPERT) set_own(s, &result->tap[i], result);
    }
    return TESS_OK;
}

/* ---- next tokens ---- */

/* How bad a row is: another likeliest token before any difference of probability. */
static double badness(const tess_logits_row *row)
{
    double off = fabs((double)row->expected_reference - (double)row->expected_trace);
    if (isnan(off)) off = 1;
    return off + (row->expected != row->found ? 2 : 0);
}

/* Marks the rows to list: all, or the worst half and the last half. Returns how many of the worst. */
static int choose_rows(const tess_logits_sums *logits, int64_t n_row, unsigned char *is_listed)
{
    enum { HALF = TESS_COMPARE_MAX_TOKENS / 2 };
    if (n_row <= TESS_COMPARE_MAX_TOKENS) {
        memset(is_listed, 1, (size_t)n_row);
        return 0;
    }
    int64_t worst[HALF];
    int n = 0;
    for (int64_t r = 0; r < n_row - HALF; r++) {
        double bad = badness(&logits->row[r]);
        int at = n;
        while (at > 0 && badness(&logits->row[worst[at - 1]]) < bad) at--;
        if (at == HALF) continue;
        if (n < HALF) n++;
        memmove(&worst[at + 1], &worst[at], (size_t)(n - 1 - at) * sizeof *worst);
        worst[at] = r;
    }
    for (int i = 0; i < n; i++) is_listed[worst[i]] = 1;
    memset(is_listed + n_row - HALF, 1, HALF);
    return n;
}

/* The token at a position of the reference's prompt, -1 if it does not say. */
static tess_status read_token(const tess_comparison *c, int64_t position, int64_t *out, tess_error *err)
{
    *out = -1;
    const tess_tensor *t = tess_safetensors_find(c->hearing.reference.st, "in.input_ids");
    if (!t || t->dtype != TESS_DTYPE_I64 || position < 0 || (uint64_t)position >= tess_tensor_count(t))
        return TESS_OK;
    return tess_file_read(tess_safetensors_get_file(c->hearing.reference.st),
                          t->offset + (uint64_t)position * sizeof *out, out, sizeof *out, err);
}

static tess_status list_tokens(const tess_comparison *c, const tess_tap_state *s,
                               const unsigned char *is_listed, tess_compare_result *result, tess_error *err)
{
    int64_t n_row = (int64_t)s->reference->dim[0];
    /* Logits of the last position only. */
    int64_t first = n_row == 1 && c->n_prompt ? c->n_prompt - 1 : 0;
    for (int64_t r = 0; r < n_row; r++) {
        if (!is_listed[r]) continue;
        const tess_logits_row *row = &s->logits->row[r];
        tess_next_token *token = &result->token[result->n_token++];
        *token = (tess_next_token){.position = first + r,
                                   .expected = row->expected,
                                   .found = row->found,
                                   .expected_reference = row->expected_reference,
                                   .expected_trace = row->expected_trace,
                                   .found_reference = row->found_reference,
                                   .found_trace = row->found_trace,
                                   .rank = row->rank};
        tess_status status = read_token(c, token->position, &token->token, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static tess_status fill_tokens(const tess_comparison *c, tess_compare_result *result, tess_error *err)
{
    const tess_tap_state *s = NULL;
    for (int i = 0; i < c->n_tap; i++)
        if (c->tap[i].logits && c->tap[i].place.part == TESS_PART_THINKER && is_whole(&c->tap[i]))
            s = &c->tap[i];
    if (!s) return TESS_OK;
    result->n_position = (int64_t)s->reference->dim[0];
    result->n_position_other = s->n_argmax;
    result->token = calloc(TESS_COMPARE_MAX_TOKENS, sizeof *result->token);
    unsigned char *is_listed = calloc((size_t)result->n_position, 1);
    tess_status status = TESS_OK;
    if (!result->token || !is_listed) {
        status = no_memory(err);
    } else {
        result->n_token_worst = choose_rows(s->logits, result->n_position, is_listed);
        status = list_tokens(c, s, is_listed, result, err);
    }
    free(is_listed);
    return status;
}

/* ---- media ---- */

/* The one of two taps of a tower to show: that which failed, the first of such; or that nearer its bar. */
static bool is_better(const tess_compare_result *result, int tap, int than)
{
    if (than < 0) return true;
    const tess_tap_report *a = &result->tap[tap], *b = &result->tap[than];
    if (tess_tap_has_failed(b)) return false;
    if (tess_tap_has_failed(a)) return true;
    bool is_judged = a->tolerance > 0 && b->tolerance > 0;
    double x = is_judged ? a->error / a->tolerance : a->rel_l2,
           y = is_judged ? b->error / b->tolerance : b->rel_l2;
    return isnan(y) || x >= y;
}

/* Of the taps that cover a medium, an index; -1: there is none. */
static int choose_tap(tess_comparison *c, const tess_compare_result *result, const tess_mapped_medium *medium)
{
    int best = -1;
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_state *s = tess_comparison_find(c, result->tap[i].name);
        if (!result->tap[i].is_measured || !s->row_error || !tess_media_map_covers(&c->media, medium, s))
            continue;
        if (is_better(result, i, best)) best = i;
    }
    return best;
}

/* The tap whose errors a medium shows: that of the one before it, `before`, in the same run, whose rows lie
 * before its own, or where those end another. */
static int find_tap(tess_comparison *c, const tess_compare_result *result, const tess_mapped_medium *medium,
                    const tess_mapped_medium *before, int tap)
{
    if (!before || before->part != medium->part || before->run != medium->run)
        return choose_tap(c, result, medium);
    bool holds =
        tap < 0 || tess_media_map_covers(&c->media, medium, tess_comparison_find(c, result->tap[tap].name));
    return holds ? tap : choose_tap(c, result, medium);
}

/* A value that is not finite counts more than any error. */
static tess_status fill_errors(tess_comparison *c, const tess_compare_result *result,
                               const tess_mapped_medium *medium, tess_medium_report *r, tess_error *err)
{
    const tess_tap_report *tap = &result->tap[r->tap];
    const tess_tap_state *s = tess_comparison_find(c, tap->name);
    r->measure = s->rule.measure == TESS_MEASURE_STEPS ? TESS_MEASURE_STEPS
                 : s->truth                            ? TESS_MEASURE_RATIO
                                                       : TESS_MEASURE_REL_L2;
    if (s->rule.measure == r->measure && r->measure != TESS_MEASURE_RATIO) r->tolerance = s->rule.tolerance;
    r->error = calloc((size_t)r->n_token + 1, sizeof *r->error);
    r->failed = calloc((size_t)r->n_token + 1, 1);
    if (!r->error || !r->failed) return no_memory(err);
    bool is_judged = tess_tap_has_failed(tap) && s->row_failed;
    for (int64_t t = 0; t < r->n_token; t++) {
        int64_t first, n = tess_media_map_rows(&c->media, medium, s, t, &first);
        for (int64_t row = first; row < first + n; row++) {
            float error = s->row_error[row];
            if (isnan(error) || error > r->error[t]) r->error[t] = error;
            if (is_judged && s->row_failed[row]) r->failed[t] = 1;
        }
    }
    return TESS_OK;
}

static tess_status fill_media(tess_comparison *c, tess_compare_result *result, tess_error *err)
{
    const tess_media_map *map = &c->media;
    memcpy(result->no_media, map->unknown, sizeof result->no_media);
    result->medium = calloc((size_t)map->n + 1, sizeof *result->medium);
    if (!result->medium) return no_memory(err);
    tess_status status = TESS_OK;
    const tess_mapped_medium *before = NULL;
    int tap = -1;
    for (int i = 0; i < map->n && status == TESS_OK; i++) {
        const tess_mapped_medium *m = &map->medium[i];
        if (!m->n_token) continue;
        tap = find_tap(c, result, m, before, tap);
        before = m;
        bool is_clip = m->kind == TESS_MEDIA_AUDIO;
        tess_medium_report *r = &result->medium[result->n_medium++];
        *r = (tess_medium_report){.kind = m->kind,
                                  .number = m->number,
                                  .n_step = m->n_step,
                                  .n_high = is_clip ? 0 : m->n_high / map->merge,
                                  .n_wide = is_clip ? 0 : m->n_wide / map->merge,
                                  .merge = is_clip ? 0 : map->merge,
                                  .seconds_per_step = m->seconds_per_step,
                                  .n_frame = m->n_frame,
                                  .n_chunk_frame = is_clip ? map->n_chunk_frame : 0,
                                  .n_token = m->n_token,
                                  .tap = tap,
                                  .tolerance = NAN};
        if (r->tap >= 0) status = fill_errors(c, result, m, r, err);
    }
    return status;
}

tess_status tess_details_fill(tess_comparison *c, tess_compare_result *result, tess_error *err)
{
    tess_status status = fill_routing(c, result, err);
    if (status == TESS_OK) status = fill_experts(c, result, err);
    if (status == TESS_OK) status = fill_media(c, result, err);
    if (status == TESS_OK) status = tess_speech_fill(c, result, err);
    return status == TESS_OK ? fill_tokens(c, result, err) : status;
}

void tess_details_release(tess_compare_result *result)
{
    for (int i = 0; i < result->n_experts; i++) free(result->experts[i].expert);
    for (int i = 0; i < result->n_medium; i++) {
        free(result->medium[i].error);
        free(result->medium[i].failed);
    }
    tess_speech_release(result);
    free(result->medium);
    free(result->experts);
    free(result->routing);
    free(result->token);
}
