/* The error of every tap along the depth of the model on a log scale, beside its bar. Taps that are equal bit
 * for bit lie in a strip of their own below the scale, taps without a number above it. Single experts are
 * cells of the mosaic and left out here. */
#include <math.h>
#include <string.h>

#include "verify/report/decades.h"
#include "verify/report/page.h"
#include "verify/trace/tap_name.h"

enum {
    WIDTH = TESS_REPORT_WIDTH,
    LEFT = TESS_REPORT_LEFT,
    RIGHT = TESS_REPORT_RIGHT,
    HEIGHT = 420,
    TOP = 36,
    BOTTOM = 62,
    STRIP = 40
};

typedef struct scale {
    tess_decades decades;
    int n;         /* taps that are drawn */
    bool by_truth; /* distances to the truth are drawn, ours and the reference's */
    bool by_steps; /* errors in bfloat16 steps are drawn */
} scale;

/* What is drawn for a tap; NaN where there is no number. */
static double drawn_error(const scale *s, const tess_tap_report *tap)
{
    if (!tap->is_measured || tap->is_integer) return NAN;
    if (s->by_steps) return tap->measure == TESS_MEASURE_STEPS ? tap->error : NAN;
    if (s->by_truth) return tap->truth_distance;
    return tap->measure == TESS_MEASURE_MAX_ABS ? tap->max_abs : tap->rel_l2;
}

static double drawn_bar(const tess_tap_report *tap)
{
    switch (tap->measure) {
    case TESS_MEASURE_REL_L2:
    case TESS_MEASURE_MAX_ABS:
    case TESS_MEASURE_STEPS:
        return tap->tolerance;
    case TESS_MEASURE_RATIO:
        return tap->tolerance * tap->reference_truth_distance;
    case TESS_MEASURE_NONE:
    case TESS_MEASURE_EXACT:
    case TESS_MEASURE_BY_ELEMENT:
        break;
    }
    return NAN;
}

static scale make_scale(const tess_compare_result *result)
{
    scale s = {.decades = TESS_DECADES_NONE};
    tess_decades *d = &s.decades;
    s.by_steps = tess_report_by_steps(result);
    s.by_truth = tess_report_by_truth(result);
    for (int i = 0; i < result->n_tap; i++) {
        if (tess_report_is_expert(&result->tap[i])) continue;
        s.n++;
        tess_decades_widen(d, drawn_error(&s, &result->tap[i]));
        tess_decades_widen(d, drawn_bar(&result->tap[i]));
        tess_decades_widen(d, drawn_bar(&result->tap[i]) / 100); /* room below, where all taps should lie */
        if (s.by_truth) tess_decades_widen(d, result->tap[i].reference_truth_distance);
    }
    if (d->low > d->high) *d = (tess_decades){-8, -4};
    if (d->low < -16) d->low = -16;
    if (d->high > d->low + 24) d->high = d->low + 24;
    if (d->high < d->low + 2) d->high = d->low + 2;
    return s;
}

static double x_of(const scale *s, int i)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (i + 0.5) / (s->n ? s->n : 1);
}

static double y_of(const scale *s, double value)
{
    double floor_y = HEIGHT - BOTTOM - STRIP;
    return floor_y - tess_decades_share(&s->decades, value) * (floor_y - TOP);
}

static const char *class_of(const tess_tap_report *tap)
{
    const char *name = strncmp(tap->component, "talker.", 7) ? tap->component : tap->component + 7;
    if (!strcmp(name, "self_attn")) return "attn";
    if (!strcmp(name, "mlp.gate")) return "gate";
    if (!strcmp(name, "mlp")) return "mlp";
    return !strcmp(name, "layer") ? "layer" : "else";
}

static void draw_grid(FILE *out, const scale *s)
{
    int step = s->decades.high - s->decades.low > 12 ? 2 : 1;
    for (int decade = (int)s->decades.low; decade <= (int)s->decades.high; decade += step) {
        double y = y_of(s, pow(10, decade));
        fprintf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                WIDTH - RIGHT, y, y);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">1e%d</text>\n", LEFT - 8, y + 4, decade);
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">equal</text>\n", LEFT - 8,
            HEIGHT - BOTTOM - STRIP / 2 + 4);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">no number</text>\n", LEFT - 8, TOP - 14);
}

/* A line before the first tap of every layer, and as many numbers as have room. */
static void draw_layers(FILE *out, const scale *s, const tess_compare_result *result)
{
    double last_label = -100;
    const tess_tap_report *before = NULL;
    for (int i = 0, at = 0; i < result->n_tap; i++) {
        const tess_tap_report *tap = &result->tap[i];
        if (tess_report_is_expert(tap)) continue;
        bool starts = !before || before->layer != tap->layer || !strcmp(class_of(before), "layer");
        double x = x_of(s, at++) - 0.5 * (WIDTH - LEFT - RIGHT) / s->n;
        before = tap;
        if (tap->layer < 0 || !starts) continue;
        fprintf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x, TOP,
                HEIGHT - BOTTOM);
        if (x - last_label < 26) continue;
        fprintf(out, "<text x=\"%.1f\" y=\"%d\">%d</text>\n", x + 3, HEIGHT - BOTTOM + 16, tap->layer);
        last_label = x;
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">layer</text>\n", LEFT - 8,
            HEIGHT - BOTTOM + 16);
}

static const char *part_word(const tess_tap_report *tap)
{
    switch (tess_tap_place_of(tap->name).part) {
    case TESS_PART_AUDIO:
        return "audio tower";
    case TESS_PART_VISION:
        return "vision tower";
    case TESS_PART_THINKER:
        return "thinker";
    case TESS_PART_TALKER:
        return "talker";
    case TESS_PART_CODE_PREDICTOR:
        return "code predictor";
    default:
        return "";
    }
}

/* Where layers of several parts stand beside each other, whose they are. */
static void draw_parts(FILE *out, const scale *s, const tess_compare_result *result)
{
    const char *before = "";
    double free_from = LEFT;
    for (int i = 0, at = 0; i < result->n_tap; i++) {
        if (tess_report_is_expert(&result->tap[i])) continue;
        const char *word = part_word(&result->tap[i]);
        double x = x_of(s, at++) - 0.5 * (WIDTH - LEFT - RIGHT) / s->n;
        if (strcmp(word, before) != 0 && *word && x >= free_from) {
            fprintf(out, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", x + 3, HEIGHT - BOTTOM + 30, word);
            free_from = x + 10 + 7 * (double)strlen(word);
        }
        before = word;
    }
}

static bool has_towers(const tess_compare_result *result)
{
    for (int i = 0; i < result->n_tap; i++) {
        tess_tap_part part = tess_tap_place_of(result->tap[i].name).part;
        if (part == TESS_PART_AUDIO || part == TESS_PART_VISION) return true;
    }
    return false;
}

static void draw_tap(FILE *out, const scale *s, const tess_tap_report *tap, int i)
{
    double error = drawn_error(s, tap), bar = drawn_bar(tap), x = x_of(s, i);
    double half = 0.5 * (WIDTH - LEFT - RIGHT) / s->n;
    if (bar > 0)
        fprintf(out, "<line class=\"bar\" x1=\"%.2f\" x2=\"%.2f\" y1=\"%.1f\" y2=\"%.1f\"/>", x - half,
                x + half, y_of(s, bar), y_of(s, bar));
    if (s->by_truth && tap->reference_truth_distance > 0)
        fprintf(out, "<circle class=\"theirs\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>", x,
                y_of(s, tap->reference_truth_distance));
    if (tap->outcome == TESS_OUTCOME_NOT_JUDGED && isnan(error)) {
        fputc('\n', out);
        return;
    }
    double y = HEIGHT - BOTTOM - STRIP / 2.0;
    if (tap->outcome != TESS_OUTCOME_EQUAL || (s->by_truth && !isnan(error))) {
        if (isnan(error) || isinf(error))
            y = TOP - 18;
        else if (error > 0)
            y = y_of(s, error);
    }
    if (tap->is_integer && tap->outcome <= TESS_OUTCOME_AGREES) y = HEIGHT - BOTTOM - STRIP / 2.0;
    fprintf(out, "<circle class=\"tap %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"><title>", class_of(tap), x, y);
    tess_report_put_string(out, tess_tap_short_name(tap->name));
    fprintf(out, ": %s", tess_outcome_name(tap->outcome));
    if (!isnan(error)) {
        fputs(", ", out);
        tess_report_put_number(out, error);
    }
    if (*tap->why) {
        fputs(" – ", out);
        tess_report_put_string(out, tap->why);
    }
    fputs("</title></circle>", out);
    if (tess_tap_has_failed(tap))
        fprintf(out, "<circle class=\"ring\" cx=\"%.1f\" cy=\"%.1f\" r=\"6.5\"/>", x, y);
    fputc('\n', out);
}

static void draw_legend(FILE *out, const scale *s)
{
    static const char *const items[][2] = {{"attn", "attention"},
                                           {"gate", "router"},
                                           {"mlp", "experts, MLP"},
                                           {"layer", "after the layer"},
                                           {"else", "everything else"}};
    int x = LEFT + 4, y = HEIGHT - BOTTOM + 42;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        fprintf(out, "<circle class=\"%s\" cx=\"%d\" cy=\"%d\" r=\"4\"/><text x=\"%d\" y=\"%d\">%s</text>",
                items[i][0], x, y, x + 9, y + 4, items[i][1]);
        x += 34 + 7 * (int)strlen(items[i][1]);
    }
    fprintf(out,
            "<line class=\"bar\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/><text x=\"%d\" y=\"%d\">bar</text>",
            x, x + 18, y, y, x + 24, y + 4);
    if (s->by_truth)
        fprintf(
            out,
            "<circle class=\"theirs\" cx=\"%d\" cy=\"%d\" r=\"4\"/><text x=\"%d\" y=\"%d\">reference</text>",
            x + 66, y, x + 75, y + 4);
    fputc('\n', out);
}

void tess_report_depth(FILE *out, const tess_compare_result *result)
{
    scale s = make_scale(result);
    const char *what = s.by_steps   ? "Error in bfloat16 steps of every module by itself"
                       : s.by_truth ? "Distance to the float32 truth along the model"
                                    : "Error of every tap along the model";
    fprintf(out, "<h2>%s</h2>\n<figure id=\"depth\"><div class=\"wide\">", what);
    fprintf(out,
            "<svg " TESS_REPORT_VIEW " role=\"img\" aria-label=\"%s: %d taps in model order on a logarithmic "
            "scale, %d failed\">\n",
            TESS_REPORT_VIEW_OF(WIDTH, HEIGHT), what, s.n, result->n_failed);
    draw_grid(out, &s);
    draw_layers(out, &s, result);
    if (has_towers(result)) draw_parts(out, &s, result);
    for (int i = 0, at = 0; i < result->n_tap; i++)
        if (!tess_report_is_expert(&result->tap[i])) draw_tap(out, &s, &result->tap[i], at++);
    draw_legend(out, &s);
    fputs("</svg></div></figure>\n", out);
}
