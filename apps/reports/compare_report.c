#include "reports/compare_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/screen.h"

/* "1.2e-07", "0", and "-" for what was not measured. */
static void format_number(double value, char out[16])
{
    if (isnan(value))
        strcpy(out, "-");
    else if (value == 0)
        strcpy(out, "0");
    else
        snprintf(out, 16, "%.2e", value);
}

/* "1e-5": bars are round numbers. */
static void format_power(double value, char out[16])
{
    snprintf(out, 16, "%.0e", value);
    char *zero = strstr(out, "e-0");
    if (zero) memmove(zero + 2, zero + 3, strlen(zero + 3) + 1);
}

static void format_bar(const tess_tap_report *tap, char out[24])
{
    char power[16];
    format_power(tap->tolerance, power);
    switch (tap->measure) {
    case TESS_MEASURE_NONE:
        strcpy(out, "-");
        break;
    case TESS_MEASURE_EXACT:
        strcpy(out, "exact");
        break;
    case TESS_MEASURE_REL_L2:
        snprintf(out, 24, "rel %s", power);
        break;
    case TESS_MEASURE_MAX_ABS:
        snprintf(out, 24, "abs %s", power);
        break;
    case TESS_MEASURE_BY_ELEMENT:
        strcpy(out, "by element");
        break;
    case TESS_MEASURE_STEPS:
        snprintf(out, 24, "steps %.0f", tap->tolerance);
        break;
    case TESS_MEASURE_RATIO:
        snprintf(out, 24, "ratio %.1f", tap->tolerance);
        break;
    }
}

static const char *mark_of(const tess_tap_report *tap)
{
    static const char *const marks[] = {"equal", "ok", "-", "DIFFERENT", "MISSING", "SHAPE", "NOT FINITE"};
    return marks[tap->outcome];
}

static cli_colour colour_of(const tess_tap_report *tap)
{
    return tess_tap_has_failed(tap) ? CLI_BAD : CLI_GOOD;
}

/* Columns of the table that are as wide as what they hold; names have what the others leave. */
typedef struct widths {
    int name, bar, mark;
    bool has_truth;
} widths;

enum { NUMBER_COLUMNS = 8, COSINE_COLUMNS = 8, RATIO_COLUMNS = 6 };

static void format_name(const tess_tap_report *tap, char out[256])
{
    const char *name = tess_tap_short_name(tap->name);
    cli_escape(name, strlen(name), out, 256);
}

static int longest(int so_far, const char *text)
{
    int n = cli_text_columns(text);
    return n > so_far ? n : so_far;
}

static widths measure_widths(const tess_compare_result *result)
{
    widths w = {.name = 3, .bar = 3, .mark = 7, .has_truth = result->truth != NULL};
    for (int i = 0; i < result->n_tap; i++) {
        char name[256], bar[24];
        format_name(&result->tap[i], name);
        format_bar(&result->tap[i], bar);
        w.name = longest(w.name, name);
        w.bar = longest(w.bar, bar);
        w.mark = longest(w.mark, mark_of(&result->tap[i]));
    }
    int rest = 2 * (NUMBER_COLUMNS + 1) + COSINE_COLUMNS + 1 + (w.has_truth ? RATIO_COLUMNS + 1 : 0) + w.bar +
               1 + w.mark + 1;
    int room = cli_screen_columns() - rest;
    if (w.name > room) w.name = room;
    return w;
}

static void print_head_row(widths w)
{
    printf("%-*s %*s %*s %*s", w.name, "tap", NUMBER_COLUMNS, "rel L2", NUMBER_COLUMNS, "max abs",
           COSINE_COLUMNS, "cosine");
    if (w.has_truth) printf(" %*s", RATIO_COLUMNS, "ratio");
    printf(" %s%-*s%s verdict\n", cli_colour_begin(CLI_BAR), w.bar, "bar", cli_colour_end());
}

static void print_row(const tess_tap_report *tap, widths w)
{
    char whole[256], name[256], rel[16], max_abs[16], cosine[16] = "-", bar[24], ratio[16] = "-";
    format_name(tap, whole);
    cli_text_shorten(whole, w.name, name, sizeof name);
    format_number(tap->rel_l2, rel);
    format_number(tap->max_abs, max_abs);
    if (!isnan(tap->cosine)) snprintf(cosine, sizeof cosine, "%.*f", COSINE_COLUMNS - 2, tap->cosine);
    format_bar(tap, bar);
    if (tap->reference_truth_distance > 0)
        snprintf(ratio, sizeof ratio, "%.3f", tap->truth_distance / tap->reference_truth_distance);
    printf("%s%*s %*s %*s %*s", name, w.name - cli_text_columns(name), "", NUMBER_COLUMNS, rel,
           NUMBER_COLUMNS, max_abs, COSINE_COLUMNS, cosine);
    if (w.has_truth) printf(" %*s", RATIO_COLUMNS, ratio);
    printf(" %s%-*s%s %s%s%s\n", cli_colour_begin(CLI_BAR), w.bar, bar, cli_colour_end(),
           cli_colour_begin(colour_of(tap)), mark_of(tap), cli_colour_end());
    char why[sizeof tap->why * 4 + 1];
    cli_escape(tap->why, strlen(tap->why), why, sizeof why);
    cli_print_below(4, why);
}

static void print_side(const char *label, const char *path, bool known, tess_precision precision)
{
    char text[512];
    cli_escape(path, strlen(path), text, sizeof text);
    printf("%-10s %s (%s)\n", label, text,
           !known                            ? "dtype unknown"
           : precision == TESS_PRECISION_F32 ? "float32"
                                             : "bfloat16");
}

static const char *sameness_word(tess_sameness same)
{
    static const char *const words[] = {"unknown", "the same", "DIFFERENT"};
    return words[same];
}

static void print_head(const tess_compare_result *result)
{
    print_side("reference", result->reference, result->reference_precision_known,
               result->reference_precision);
    print_side(result->is_run ? "model" : "trace", result->trace, result->trace_precision_known,
               result->trace_precision);
    if (result->truth) print_side("truth", result->truth, true, TESS_PRECISION_F32);
    printf("%-10s configuration %s, weights %s\n\n", "checkpoint", sameness_word(result->config),
           sameness_word(result->weights));
}

static void format_experts(const tess_tap_report *tap, char *out, size_t size)
{
    int used = 0;
    *out = 0;
    if (tap->expert >= 0) snprintf(out, size, ", expert %d", tap->expert);
    if (tap->expert >= 0) return;
    for (int i = 0; i < tap->n_experts && i < 8; i++)
        used += snprintf(out + used, size - (size_t)used, "%s%d", i ? ", " : ", experts ", tap->experts[i]);
    if (tap->n_experts > 8) snprintf(out + used, size - (size_t)used, " and %d more", tap->n_experts - 8);
}

void cli_print_place(const char *label, const tess_tap_report *tap)
{
    char name[256];
    cli_escape(tess_tap_short_name(tap->name), strlen(tess_tap_short_name(tap->name)), name, sizeof name);
    char text[2048], experts[128];
    int used = snprintf(text, sizeof text, "%s%s (%s", label, name, tap->component);
    if (tap->layer >= 0) used += snprintf(text + used, sizeof text - (size_t)used, ", layer %d", tap->layer);
    format_experts(tap, experts, sizeof experts);
    used += snprintf(text + used, sizeof text - (size_t)used, "%s", experts);
    if (tap->position >= 0)
        used += snprintf(text + used, sizeof text - (size_t)used, ", from position %lld on",
                         (long long)tap->position);
    if (*tap->where) used += snprintf(text + used, sizeof text - (size_t)used, ", %s", tap->where);
    snprintf(text + used, sizeof text - (size_t)used, ")%s%s", *tap->why ? ": " : "", CLI_SAFE(tap->why));
    cli_print_wrapped(stdout, text);
}

static void print_verdict(const tess_compare_result *result)
{
    static const char *const words[] = {"measured, not judged", "equal, bit for bit", "agree", "DIFFERENT"};
    printf("%d taps compared, %d equal bit for bit, %d failed: %s%s%s\n", result->n_compared, result->n_equal,
           result->n_failed, cli_colour_begin(result->verdict == TESS_VERDICT_DIFFERENT ? CLI_BAD : CLI_GOOD),
           words[result->verdict], cli_colour_end());
    if (result->worst >= 0 && result->tap[result->worst].error > 0) {
        const tess_tap_report *tap = &result->tap[result->worst];
        char error[16], name[256];
        format_number(tap->error, error);
        cli_escape(tess_tap_short_name(tap->name), strlen(tess_tap_short_name(tap->name)), name, sizeof name);
        double share = tap->error / tap->tolerance;
        if (!isfinite(share))
            cli_print_sentence("worst: %s", name);
        else if (share > 10)
            cli_print_sentence("worst: %s, %s %s, %.3g times its bar", name, tess_measure_name(tap->measure),
                               error, share);
        else
            cli_print_sentence("worst: %s, %s %s, %.0f %% of its bar", name, tess_measure_name(tap->measure),
                               error, 100 * share);
    }
    if (result->n_ratio)
        cli_print_sentence(
            "distance to the truth ÷ the reference's: geometric mean %.3f over %d taps, bar %.2f to %.2f",
            result->ratio_mean, result->n_ratio, result->ratio_low, result->ratio_high);
    if (result->n_tie) printf("%lld rows in which the router's choice is a tie\n", (long long)result->n_tie);
}

/* Two traces of different prompts have no defect to be located. */
static void print_first(const tess_compare_result *result)
{
    const tess_tap_report *tap = &result->tap[result->first];
    if (result->is_run || strcmp(tap->name, "in.input_ids") != 0) {
        cli_print_place("first divergence: ", tap);
        return;
    }
    cli_print_sentence("first divergence: in.input_ids: %s", tap->why);
}

static void print_extra(const tess_compare_result *result)
{
    if (result->n_extra) puts("only in the trace:");
    for (int i = 0; i < result->n_extra; i++) {
        char whole[256], name[256];
        cli_escaped(tess_tap_short_name(result->extra[i]), whole, sizeof whole);
        cli_text_shorten(whole, cli_screen_columns() - 4, name, sizeof name);
        printf("    %s\n", name);
    }
}

void cli_print_comparison(const tess_compare_result *result)
{
    print_head(result);
    widths w = measure_widths(result);
    print_head_row(w);
    for (int i = 0; i < result->n_tap; i++) print_row(&result->tap[i], w);
    putchar('\n');
    print_extra(result);
    if (result->n_expert_absent)
        printf("%d outputs of single experts are in the reference only; they serve to locate a fault\n",
               result->n_expert_absent);
    if (result->first >= 0) print_first(result);
    print_verdict(result);
}

static json_t *number_or_null(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *place_json(const tess_tap_report *tap)
{
    json_t *experts = json_array();
    for (int i = 0; i < tap->n_experts; i++) json_array_append_new(experts, json_integer(tap->experts[i]));
    json_t *object = json_object();
    json_object_set_new(object, "tap", json_string(tap->name));
    json_object_set_new(object, "component", json_string(tap->component));
    json_object_set_new(object, "layer", number_or_null(tap->layer));
    json_object_set_new(object, "expert", number_or_null(tap->expert));
    json_object_set_new(object, "experts", experts);
    json_object_set_new(object, "position", number_or_null(tap->position));
    json_object_set_new(object, "frame", number_or_null(tap->frame));
    json_object_set_new(object, "codebook", number_or_null(tap->codebook));
    json_object_set_new(object, "sample", number_or_null(tap->n_dim == 1 ? tap->column : -1));
    json_object_set_new(object, "where", *tap->where ? json_string(tap->where) : json_null());
    json_object_set_new(object, "rel_l2", cli_number(tap->rel_l2));
    json_object_set_new(object, "outcome", json_string(tess_outcome_name(tap->outcome)));
    json_object_set_new(object, "why", json_string(tap->why));
    return object;
}

static void set_metrics(json_t *object, const tess_tap_report *tap)
{
    json_object_set_new(object, "tap", json_string(tap->name));
    json_object_set_new(object, "rel_l2", cli_number(tap->rel_l2));
    json_object_set_new(object, "max_abs", cli_number(tap->max_abs));
    json_object_set_new(object, "cosine", cli_number(tap->cosine));
    json_object_set_new(object, "tolerance",
                        tap->measure == TESS_MEASURE_NONE ? json_null() : json_real(tap->tolerance));
    json_object_set_new(object, "measure", json_string(tess_measure_name(tap->measure)));
}

static json_t *tap_json(const tess_tap_report *tap)
{
    json_t *object = json_object(), *shape = json_array();
    for (int i = 0; i < tap->n_dim; i++) json_array_append_new(shape, json_integer(tap->dim[i]));
    set_metrics(object, tap);
    json_object_set_new(object, "error", cli_number(tap->error));
    json_object_set_new(object, "outcome", json_string(tess_outcome_name(tap->outcome)));
    json_object_set_new(object, "shape", shape);
    json_object_set_new(object, "different", json_integer(tap->n_different));
    json_object_set_new(object, "first_different", number_or_null(tap->first_different));
    json_object_set_new(object, "nonfinite", json_integer(tap->n_nonfinite));
    json_object_set_new(object, "nonfinite_reference", json_integer(tap->n_nonfinite_reference));
    json_object_set_new(object, "ties", json_integer(tap->n_tie));
    if (!isnan(tap->truth_distance)) {
        json_object_set_new(object, "truth_distance", cli_number(tap->truth_distance));
        json_object_set_new(object, "reference_truth_distance", cli_number(tap->reference_truth_distance));
    }
    return object;
}

static json_t *sameness_json(tess_sameness same)
{
    static const char *const words[] = {"unknown", "same", "different"};
    return json_string(words[same]);
}

static json_t *routing_json(const tess_compare_result *result)
{
    json_t *list = json_array();
    for (int i = 0; i < result->n_routing; i++) {
        const tess_layer_routing *r = &result->routing[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "part", r->part, "layer", r->layer,
                                        "tokens", (json_int_t)r->n_tok, "same", (json_int_t)r->n_same, "ties",
                                        (json_int_t)r->n_tie, "other", (json_int_t)r->n_other));
    }
    return list;
}

static json_t *expert_json(const tess_expert_error *e, int expert)
{
    json_t *object =
        json_pack("{s:i, s:I, s:o, s:b, s:b}", "expert", expert, "tokens", (json_int_t)e->n_tok, "rel_l2",
                  cli_number(e->rel_l2), "own_output", e->is_own, "fault", e->is_fault);
    if (isnan(e->truth_distance)) return object;
    json_object_set_new(object, "truth_distance", cli_number(e->truth_distance));
    json_object_set_new(object, "reference_truth_distance", cli_number(e->reference_truth_distance));
    return object;
}

/* Experts that no token was routed to are left out. */
static json_t *experts_json(const tess_compare_result *result)
{
    json_t *list = json_array();
    for (int i = 0; i < result->n_experts; i++) {
        const tess_layer_experts *layer = &result->experts[i];
        json_t *experts = json_array();
        for (int e = 0; e < layer->n_expert; e++)
            if (layer->expert[e].n_tok) json_array_append_new(experts, expert_json(&layer->expert[e], e));
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:o}", "part", layer->part, "layer",
                                              layer->layer, "n_expert", layer->n_expert, "experts", experts));
    }
    return list;
}

static json_t *tokens_json(const tess_compare_result *result)
{
    json_t *rows = json_array();
    for (int i = 0; i < result->n_token; i++) {
        const tess_next_token *t = &result->token[i];
        json_t *expected = json_pack("{s:I, s:o, s:o, s:I}", "id", (json_int_t)t->expected, "reference",
                                     cli_number((double)t->expected_reference), "trace",
                                     cli_number((double)t->expected_trace), "rank", (json_int_t)t->rank);
        json_t *found =
            json_pack("{s:I, s:o, s:o}", "id", (json_int_t)t->found, "reference",
                      cli_number((double)t->found_reference), "trace", cli_number((double)t->found_trace));
        json_array_append_new(rows,
                              json_pack("{s:I, s:o, s:o, s:o}", "position", (json_int_t)t->position, "token",
                                        number_or_null(t->token), "expected", expected, "found", found));
    }
    return json_pack("{s:I, s:I, s:i, s:o}", "positions", (json_int_t)result->n_position, "other",
                     (json_int_t)result->n_position_other, "listed_as_worst", result->n_token_worst, "listed",
                     rows);
}

static json_t *codes_json(const tess_compare_result *result)
{
    json_t *list = json_array();
    for (int i = 0; i < result->n_codes; i++) {
        const tess_codes_report *r = &result->codes[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:I, s:I, s:I, s:o, s:o}", "tap",
                                        result->tap[r->tap].name, "codebooks", r->n_codebook, "frames",
                                        (json_int_t)r->n_frame, "frames_trace", (json_int_t)r->n_frame_trace,
                                        "different", (json_int_t)result->tap[r->tap].n_different,
                                        "first_frame", number_or_null(r->first_frame), "first_codebook",
                                        number_or_null(r->first_codebook)));
    }
    return list;
}

static json_t *waveforms_json(const tess_compare_result *result)
{
    json_t *list = json_array();
    for (int i = 0; i < result->n_sound; i++) {
        const tess_sound_report *r = &result->sound[i];
        json_t *seconds = r->first < 0 ? json_null() : json_real((double)r->first / r->rate_hz);
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "tap", result->tap[r->tap].name, "samples",
                            (json_int_t)r->n_sample, "samples_trace", (json_int_t)r->n_sample_trace, "frames",
                            (json_int_t)r->n_frame, "first_sample", number_or_null(r->first), "first_seconds",
                            seconds, "first_frame", number_or_null(r->first_frame)));
    }
    return list;
}

json_t *cli_comparison_json(const tess_compare_result *result)
{
    json_t *root = json_object(), *failed = json_array(), *taps = json_array(), *extra = json_array();
    json_object_set_new(
        root, "verdict",
        result->verdict == TESS_VERDICT_NONE ? json_null() : json_string(tess_verdict_name(result->verdict)));
    json_object_set_new(root, "taps_compared", json_integer(result->n_compared));
    json_object_set_new(root, "taps_failed", json_integer(result->n_failed));
    json_object_set_new(root, "taps_equal", json_integer(result->n_equal));
    json_t *worst = json_null();
    if (result->worst >= 0) {
        worst = json_object();
        set_metrics(worst, &result->tap[result->worst]);
    }
    json_object_set_new(root, "worst", worst);
    json_object_set_new(root, "first",
                        result->first < 0 ? json_null() : place_json(&result->tap[result->first]));
    for (int i = 0; i < result->n_tap; i++) {
        if (tess_tap_has_failed(&result->tap[i])) json_array_append_new(failed, place_json(&result->tap[i]));
        json_array_append_new(taps, tap_json(&result->tap[i]));
    }
    for (int i = 0; i < result->n_extra; i++) json_array_append_new(extra, json_string(result->extra[i]));
    json_object_set_new(root, "failed", failed);
    json_object_set_new(root, "extra", extra);
    json_object_set_new(root, "ties", json_integer(result->n_tie));
    json_object_set_new(root, "identity",
                        json_pack("{s:o, s:o}", "config", sameness_json(result->config), "weights",
                                  sameness_json(result->weights)));
    if (result->n_ratio)
        json_object_set_new(root, "ratio",
                            json_pack("{s:o, s:i, s:f, s:f}", "mean", cli_number(result->ratio_mean), "taps",
                                      result->n_ratio, "low", result->ratio_low, "high", result->ratio_high));
    json_object_set_new(root, "routing", routing_json(result));
    json_object_set_new(root, "experts_error", experts_json(result));
    json_object_set_new(root, "tokens", tokens_json(result));
    json_object_set_new(
        root, "speech",
        json_pack("{s:o, s:o}", "codes", codes_json(result), "waveforms", waveforms_json(result)));
    json_object_set_new(root, "taps", taps);
    return root;
}

int cli_comparison_exit(const tess_compare_result *result)
{
    return result->verdict == TESS_VERDICT_DIFFERENT ? CLI_DIFFERENT : CLI_DONE;
}

static const char *token_bytes(void *context, int64_t id, size_t *n_bytes)
{
    const tess_tokenizer *tokenizer = context;
    return id < 0 || id > INT32_MAX ? NULL : tess_tokenizer_get_bytes(tokenizer, (int32_t)id, n_bytes);
}

tess_page_options cli_page_options(const char *title, const cli_page_facts *facts,
                                   const tess_tokenizer *tokenizer)
{
    return (tess_page_options){.title = title,
                               .get_bytes = tokenizer ? token_bytes : NULL,
                               .context = (void *)(uintptr_t)tokenizer,
                               .fact = facts->fact,
                               .n_fact = facts->n};
}
