/* A comparison as one HTML page that needs nothing else: style and drawing are inside it.
 *
 * The drawing shows the error of every tap along the depth of the model on a log scale, beside its bar. Taps
 * that are equal bit for bit lie in a strip of their own below the scale, taps without a number above it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/output.h"
#include "tessera/compare.h"

/* Places in the drawing, in its own units. */
enum { WIDTH = 1120, HEIGHT = 420, LEFT = 64, RIGHT = 16, TOP = 36, BOTTOM = 62, STRIP = 40 };

static const char style[] =
    ":root{--bg:#fcfcfa;--fg:#1f2328;--dim:#5d6570;--line:#d8dbd5;--bar:#8a6d00;--ok:#1a7f4b;--bad:#c0262d;"
    "--attn:#2f6fd0;--gate:#a35bc9;--mlp:#d9822b;--layer:#2a8f8f;--else:#6b7280}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e4e7ea;--dim:#9aa3ad;--line:#343a41;"
    "--bar:#e0b93f;--ok:#4cc38a;--bad:#ff6b6b;--attn:#6ea8ff;--gate:#cf9bf0;--mlp:#f2a65a;--layer:#5cc8c8;"
    "--else:#a3acb8}}\n"
    "body{background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif;max-width:1160px;"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.4rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:1.8rem 0 .4rem}\n"
    ".equal,.agree{color:var(--ok)}.different,.failed{color:var(--bad)}.dim{color:var(--dim)}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.8rem 0}"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.18rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}"
    "th:first-child,td:first-child,th:last-child,td:last-child{text-align:left}"
    "td:last-child{white-space:normal}th{color:var(--dim);font-weight:600;position:sticky;top:0;"
    "background:var(--bg)}tr.failed td{font-weight:600}\n"
    "svg{width:100%;height:auto;min-width:720px}svg text{fill:var(--dim);font-size:12px}"
    ".grid{stroke:var(--line);stroke-width:1}.bar{stroke:var(--bar);stroke-width:2}"
    ".attn{fill:var(--attn)}.gate{fill:var(--gate)}.mlp{fill:var(--mlp)}.layer{fill:var(--layer)}"
    ".else{fill:var(--else)}.ring{fill:none;stroke:var(--bad);stroke-width:2}"
    ".theirs{fill:none;stroke:var(--dim);stroke-width:1.3}\n"
    "@media print{body{max-width:none;margin:0}.wide{overflow:visible}svg{min-width:0}"
    "tr{break-inside:avoid}}\n";

static void put_text(FILE *out, const char *text)
{
    for (; *text; text++) switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
}

static const char *short_name(const char *name)
{
    return strncmp(name, "tap.", 4) ? name : name + 4;
}

static bool has_failed(const tess_tap_report *tap)
{
    return tap->outcome >= TESS_OUTCOME_DIFFERENT;
}

/* ---- the drawing ---- */

typedef struct scale {
    double low, high; /* decades */
    int n;            /* taps */
    bool by_truth;    /* distances to the truth are drawn, ours and the reference's */
} scale;

/* What is drawn for a tap; NaN where there is no number. */
static double drawn_error(const scale *s, const tess_tap_report *tap)
{
    if (!tap->is_measured || tap->is_integer) return NAN;
    if (s->by_truth) return tap->truth_distance;
    return tap->measure == TESS_MEASURE_MAX_ABS ? tap->max_abs : tap->rel_l2;
}

static double drawn_bar(const tess_tap_report *tap)
{
    switch (tap->measure) {
    case TESS_MEASURE_REL_L2:
    case TESS_MEASURE_MAX_ABS:
        return tap->tolerance;
    case TESS_MEASURE_RATIO:
        return tap->tolerance * tap->reference_truth_distance;
    case TESS_MEASURE_NONE:
    case TESS_MEASURE_EXACT:
        break;
    }
    return NAN;
}

static void widen(scale *s, double value)
{
    if (!(value > 0) || isinf(value)) return;
    double decade = log10(value);
    if (floor(decade) < s->low) s->low = floor(decade);
    if (ceil(decade) > s->high) s->high = ceil(decade);
}

static scale make_scale(const tess_compare_result *result)
{
    scale s = {INFINITY, -INFINITY, result->n_tap, result->truth != NULL};
    for (int i = 0; i < result->n_tap; i++) {
        widen(&s, drawn_error(&s, &result->tap[i]));
        widen(&s, drawn_bar(&result->tap[i]));
        if (s.by_truth) widen(&s, result->tap[i].reference_truth_distance);
    }
    if (s.low > s.high) s.low = -8, s.high = -4;
    if (s.low < -16) s.low = -16;
    if (s.high > s.low + 24) s.high = s.low + 24;
    if (s.high < s.low + 2) s.high = s.low + 2;
    return s;
}

static double x_of(const scale *s, int i)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (i + 0.5) / (s->n ? s->n : 1);
}

static double y_of(const scale *s, double value)
{
    double floor_y = HEIGHT - BOTTOM - STRIP, share = (log10(value) - s->low) / (s->high - s->low);
    if (share < 0) share = 0;
    if (share > 1) share = 1;
    return floor_y - share * (floor_y - TOP);
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
    int step = s->high - s->low > 12 ? 2 : 1;
    for (int decade = (int)s->low; decade <= (int)s->high; decade += step) {
        double y = y_of(s, pow(10, decade));
        fprintf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                WIDTH - RIGHT, y, y);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">1e%d</text>\n", LEFT - 8, y + 4, decade);
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">equal</text>\n", LEFT - 8,
            HEIGHT - BOTTOM - STRIP / 2 + 4);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">no value</text>\n", LEFT - 8, TOP - 14);
}

/* A tick at the first tap of every layer, as many as have room. */
static void draw_layers(FILE *out, const scale *s, const tess_compare_result *result)
{
    double last_label = -100;
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_report *tap = &result->tap[i];
        bool starts = i == 0 || result->tap[i - 1].layer != tap->layer ||
                      (tap->layer >= 0 && strcmp(result->tap[i - 1].component, "layer") == 0);
        if (tap->layer < 0 || !starts) continue;
        double x = x_of(s, i) - 0.5 * (WIDTH - LEFT - RIGHT) / s->n;
        fprintf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x, TOP,
                HEIGHT - BOTTOM);
        if (x - last_label < 26) continue;
        fprintf(out, "<text x=\"%.1f\" y=\"%d\">%d</text>\n", x + 3, HEIGHT - BOTTOM + 16, tap->layer);
        last_label = x;
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\">layer, in model order from left to right</text>\n", LEFT,
            HEIGHT - BOTTOM + 34);
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
    if (tap->outcome != TESS_OUTCOME_EQUAL || s->by_truth) {
        if (isnan(error) || isinf(error))
            y = TOP - 18;
        else if (error > 0)
            y = y_of(s, error);
    }
    if (tap->is_integer && tap->outcome <= TESS_OUTCOME_AGREES) y = HEIGHT - BOTTOM - STRIP / 2.0;
    fprintf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"><title>", class_of(tap), x, y);
    put_text(out, short_name(tap->name));
    fprintf(out, ": %s", tess_outcome_name(tap->outcome));
    if (!isnan(error)) fprintf(out, ", %.2e", error);
    if (*tap->why) {
        fputs(" – ", out);
        put_text(out, tap->why);
    }
    fputs("</title></circle>", out);
    if (has_failed(tap)) fprintf(out, "<circle class=\"ring\" cx=\"%.1f\" cy=\"%.1f\" r=\"6.5\"/>", x, y);
    fputc('\n', out);
}

static void draw_legend(FILE *out, const scale *s)
{
    static const char *const items[][2] = {{"attn", "attention"},
                                           {"gate", "router"},
                                           {"mlp", "experts, MLP"},
                                           {"layer", "after the layer"},
                                           {"else", "everything else"}};
    int x = LEFT + 320, y = HEIGHT - BOTTOM + 30;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++, x += 116)
        fprintf(out, "<circle class=\"%s\" cx=\"%d\" cy=\"%d\" r=\"4\"/><text x=\"%d\" y=\"%d\">%s</text>",
                items[i][0], x, y, x + 9, y + 4, items[i][1]);
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

static void draw(FILE *out, const tess_compare_result *result)
{
    scale s = make_scale(result);
    fprintf(out, "<h2>%s</h2>\n<div class=\"wide\">",
            s.by_truth ? "Distance to the float32 truth along the model"
                       : "Error of every tap along the model");
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"error per tap\">\n", WIDTH, HEIGHT);
    draw_grid(out, &s);
    draw_layers(out, &s, result);
    for (int i = 0; i < result->n_tap; i++) draw_tap(out, &s, &result->tap[i], i);
    draw_legend(out, &s);
    fputs("</svg></div>\n", out);
}

/* ---- text ---- */

static void put_pair(FILE *out, const char *key, const char *value, const char *note)
{
    fprintf(out, "<dt>%s</dt><dd>", key);
    put_text(out, value);
    if (*note) fprintf(out, " <span class=\"dim\">%s</span>", note);
    fputs("</dd>\n", out);
}

static const char *precision_note(bool known, tess_precision precision)
{
    return !known ? "dtype unknown" : precision == TESS_PRECISION_F32 ? "float32" : "bfloat16";
}

static void put_place(FILE *out, const tess_tap_report *tap)
{
    put_text(out, short_name(tap->name));
    fprintf(out, " <span class=\"dim\">%s", tap->component);
    if (tap->layer >= 0) fprintf(out, ", layer %d", tap->layer);
    if (tap->expert >= 0) fprintf(out, ", expert %d", tap->expert);
    for (int i = 0; tap->expert < 0 && i < tap->n_experts && i < 16; i++)
        fprintf(out, "%s%d", i ? ", " : ", experts ", tap->experts[i]);
    if (tap->position >= 0) fprintf(out, ", from position %" PRId64 " on", tap->position);
    fputs("</span>", out);
}

static void put_head(FILE *out, const tess_compare_result *result, const tess_page_options *options)
{
    static const char *const verdicts[] = {"measured, not judged", "equal, bit for bit", "agreement",
                                           "different"};
    static const char *const same[] = {"unknown", "the same", "different"};
    fprintf(out, "<h1 class=\"%s\">", tess_verdict_name(result->verdict));
    put_text(out, options->title ? options->title : "Trace and reference");
    fprintf(out, ": %s</h1>\n", verdicts[result->verdict]);
    fprintf(out, "<p>%d taps compared, %d equal bit for bit, %d failed.</p>\n<dl>\n", result->n_compared,
            result->n_equal, result->n_failed);
    put_pair(out, "reference", result->reference,
             precision_note(result->reference_precision_known, result->reference_precision));
    put_pair(out, "trace", result->trace,
             precision_note(result->trace_precision_known, result->trace_precision));
    if (result->truth) put_pair(out, "truth", result->truth, "float32");
    put_pair(out, "configuration", same[result->config], "");
    put_pair(out, "weights", same[result->weights], "");
    if (result->first >= 0) {
        const tess_tap_report *tap = &result->tap[result->first];
        fputs("<dt>first divergence</dt><dd class=\"failed\">", out);
        put_place(out, tap);
        if (*tap->why) {
            fputs("<br>", out);
            put_text(out, tap->why);
        }
        fputs("</dd>\n", out);
    }
    if (result->n_ratio)
        fprintf(out,
                "<dt>distance to the truth ÷ the reference's</dt><dd>geometric mean %.3f over %d taps "
                "<span class=\"dim\">bar %.2f to %.2f</span></dd>\n",
                result->ratio_mean, result->n_ratio, result->ratio_low, result->ratio_high);
    if (result->n_tie) fprintf(out, "<dt>router ties</dt><dd>%" PRId64 " rows</dd>\n", result->n_tie);
    fputs("</dl>\n", out);
}

static void put_number(FILE *out, double value)
{
    if (isnan(value))
        fputs("<td>–</td>", out);
    else if (value == 0)
        fputs("<td>0</td>", out);
    else
        fprintf(out, "<td>%.2e</td>", value);
}

static void put_row(FILE *out, const tess_tap_report *tap, bool has_truth)
{
    fprintf(out, "<tr%s><td>", has_failed(tap) ? " class=\"failed\"" : "");
    put_text(out, short_name(tap->name));
    fputs("</td><td>", out);
    for (int i = 0; i < tap->n_dim; i++) fprintf(out, "%s%" PRId64, i ? " × " : "", tap->dim[i]);
    fputs("</td>", out);
    put_number(out, tap->rel_l2);
    put_number(out, tap->max_abs);
    if (isnan(tap->cosine))
        fputs("<td>–</td>", out);
    else
        fprintf(out, "<td>%.9f</td>", tap->cosine);
    if (has_truth && tap->reference_truth_distance > 0)
        fprintf(out, "<td>%.3f</td>", tap->truth_distance / tap->reference_truth_distance);
    else if (has_truth)
        fputs("<td>–</td>", out);
    if (tap->measure == TESS_MEASURE_NONE)
        fputs("<td>–</td>", out);
    else if (tap->measure == TESS_MEASURE_EXACT)
        fputs("<td>exact</td>", out);
    else
        fprintf(out, "<td>%s %g</td>", tess_measure_name(tap->measure), tap->tolerance);
    fprintf(out, "<td>%s", tess_outcome_name(tap->outcome));
    if (*tap->why) {
        fputs(": ", out);
        put_text(out, tap->why);
    }
    fputs("</td></tr>\n", out);
}

static void put_table(FILE *out, const tess_compare_result *result)
{
    bool has_truth = result->truth != NULL;
    fputs("<h2>Taps in model order</h2>\n<div class=\"wide\"><table><thead><tr><th>tap</th><th>shape</th>"
          "<th>rel. L2</th><th>max abs</th><th>cosine</th>",
          out);
    if (has_truth) fputs("<th>ratio</th>", out);
    fputs("<th>bar</th><th>result</th></tr></thead><tbody>\n", out);
    for (int i = 0; i < result->n_tap; i++) put_row(out, &result->tap[i], has_truth);
    fputs("</tbody></table></div>\n", out);
    if (!result->n_extra) return;
    fputs("<h2>Only in the trace</h2>\n<p>", out);
    for (int i = 0; i < result->n_extra; i++) {
        if (i) fputs(", ", out);
        put_text(out, short_name(result->extra[i]));
    }
    fputs("</p>\n", out);
}

static void put_page(FILE *out, const tess_compare_result *result, const tess_page_options *options)
{
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" "
          "content=\"light dark\"><title>Tessera: comparison</title>\n<style>\n",
          out);
    fputs(style, out);
    fputs("</style></head><body>\n", out);
    put_head(out, result, options);
    draw(out, result);
    put_table(out, result);
    fprintf(out, "<p class=\"dim\">tessera %s</p>\n</body></html>\n", TESS_VERSION);
}

tess_status tess_compare_write_html(const tess_compare_result *result, const tess_page_options *options,
                                    const char *path, tess_error *err)
{
    static const tess_page_options none = {0};
    if (!options) options = &none;
    char *text = NULL;
    size_t n_byte = 0;
    FILE *out = open_memstream(&text, &n_byte);
    if (!out) return tess_fail(err, TESS_ENOMEM, "no memory for the report");
    put_page(out, result, options);
    bool failed = ferror(out) != 0;
    failed |= fclose(out) != 0;
    tess_status status = failed ? tess_fail(err, TESS_ENOMEM, "no memory for the report") : TESS_OK;
    tess_output *output = NULL;
    if (status == TESS_OK) status = tess_output_create(path, n_byte, &output, err);
    if (status == TESS_OK) status = tess_output_write(output, 0, text, n_byte, err);
    if (status == TESS_OK)
        status = tess_output_commit(output, n_byte, err);
    else
        tess_output_abandon(output);
    free(text);
    return status;
}
