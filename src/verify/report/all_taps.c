/* The table of all taps in model order; single experts that agree are left to the mosaic. */
#include <inttypes.h>
#include <math.h>

#include "verify/report/page.h"

static void put_cell(FILE *out, double value)
{
    fputs("<td>", out);
    tess_report_put_number(out, value);
    fputs("</td>", out);
}

static void put_bar(FILE *out, const tess_tap_report *tap)
{
    static const char *const words[] = {[TESS_MEASURE_NONE] = "–",
                                        [TESS_MEASURE_REL_L2] = "rel. L2",
                                        [TESS_MEASURE_MAX_ABS] = "max abs",
                                        [TESS_MEASURE_RATIO] = "ratio",
                                        [TESS_MEASURE_EXACT] = "exact",
                                        [TESS_MEASURE_STEPS] = "steps",
                                        [TESS_MEASURE_BY_ELEMENT] = "by element"};
    fprintf(out, "<td>%s", words[tap->measure]);
    if (tap->measure != TESS_MEASURE_NONE && tap->measure != TESS_MEASURE_EXACT &&
        tap->measure != TESS_MEASURE_BY_ELEMENT)
        fprintf(out, " %g", tap->tolerance);
    fputs("</td>", out);
}

static void put_row(FILE *out, const tess_tap_report *tap, bool has_truth)
{
    fprintf(out, "<tr%s><td class=\"l\">", tess_tap_has_failed(tap) ? " class=\"failed\"" : "");
    tess_report_put_string(out, tess_tap_short_name(tap->name));
    fputs("</td><td>", out);
    for (int i = 0; i < tap->n_dim; i++) fprintf(out, "%s%" PRId64, i ? " × " : "", tap->dim[i]);
    fputs("</td>", out);
    put_cell(out, tap->rel_l2);
    put_cell(out, tap->max_abs);
    if (isnan(tap->cosine))
        fputs("<td>–</td>", out);
    else
        fprintf(out, "<td>%.9f</td>", tap->cosine);
    if (has_truth && tap->reference_truth_distance > 0)
        fprintf(out, "<td>%.3f</td>", tap->truth_distance / tap->reference_truth_distance);
    else if (has_truth)
        fputs("<td>–</td>", out);
    put_bar(out, tap);
    fprintf(out, "<td class=\"why\">%s", tess_outcome_name(tap->outcome));
    if (*tap->why) {
        fputs(": ", out);
        tess_report_put_string(out, tap->why);
    }
    fputs("</td></tr>\n", out);
}

void tess_report_taps(FILE *out, const tess_compare_result *result)
{
    bool has_truth = result->truth != NULL;
    int n_left = 0;
    fputs("<h2>Taps in model order</h2>\n<div class=\"wide\"><table class=\"taps\"><thead><tr>"
          "<th class=\"l\" scope=\"col\">tap</th><th scope=\"col\">shape</th><th scope=\"col\">rel. L2</th>"
          "<th scope=\"col\">max abs</th><th scope=\"col\">cosine</th>",
          out);
    if (has_truth) fputs("<th scope=\"col\">ratio</th>", out);
    fputs("<th scope=\"col\">bar</th><th class=\"l\" scope=\"col\">result</th></tr></thead><tbody>\n", out);
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_report *tap = &result->tap[i];
        bool is_left = tess_report_is_expert(tap) && !tess_tap_has_failed(tap);
        n_left += is_left;
        if (!is_left) put_row(out, tap, has_truth);
    }
    fputs("</tbody></table></div>\n", out);
    if (n_left)
        fprintf(out, "<p class=\"dim\">%d outputs of single experts that did not fail are not listed.</p>\n",
                n_left);
}
