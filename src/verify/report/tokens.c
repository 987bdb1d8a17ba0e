/* What both sides expect behind each position; rows in which they expect different tokens are outlined. */
#include <inttypes.h>
#include <math.h>

#include "verify/report/page.h"

static void put_token(FILE *out, const tess_page_options *options, const char *class, int64_t id)
{
    fprintf(out, "<td class=\"%s\">", class);
    if (id < 0) {
        fputs("–</td>", out);
        return;
    }
    size_t n_byte = 0;
    const char *bytes = options->get_bytes ? options->get_bytes(options->context, id, &n_byte) : NULL;
    if (bytes) {
        fputs("<code>", out);
        tess_report_put_token(out, bytes, n_byte);
        fputs("</code> ", out);
    }
    fprintf(out, "<span class=\"id\">%" PRId64 "</span></td>", id);
}

static void put_probability(FILE *out, float value)
{
    if (isnan(value))
        fputs("<td>–</td>", out);
    else if (value == 0 || value >= 0.00005f)
        fprintf(out, "<td>%.4f</td>", (double)value);
    else
        fprintf(out, "<td>%.0e</td>", (double)value);
}

static void put_row(FILE *out, const tess_next_token *t, const tess_page_options *options)
{
    bool is_other = t->expected != t->found;
    fprintf(out, "<tr%s><td>%" PRId64 "</td>", is_other ? " class=\"other\"" : "", t->position);
    put_token(out, options, "l", t->token);
    put_token(out, options, "l f", t->expected);
    put_probability(out, t->expected_reference);
    put_probability(out, t->expected_trace);
    fprintf(out, "<td>%" PRId64 "</td>", t->rank);
    put_token(out, options, "l f", t->found);
    put_probability(out, t->found_reference);
    put_probability(out, t->found_trace);
    fputs("</tr>\n", out);
}

static void put_head(FILE *out)
{
    fputs(
        "<thead><tr><th rowspan=\"2\" scope=\"col\">position</th><th rowspan=\"2\" class=\"l\" scope=\"col\">"
        "token there</th><th colspan=\"4\" class=\"over f\" scope=\"colgroup\">the reference expects "
        "next</th>"
        "<th colspan=\"3\" class=\"over f\" scope=\"colgroup\">the trace expects next</th></tr>\n<tr>"
        "<th class=\"l f\" scope=\"col\">token</th><th scope=\"col\">p, reference</th>"
        "<th scope=\"col\">p, trace</th><th scope=\"col\">rank in trace</th>"
        "<th class=\"l f\" scope=\"col\">token</th><th scope=\"col\">p, reference</th>"
        "<th scope=\"col\">p, trace</th></tr></thead>\n",
        out);
}

static void put_group(FILE *out, const char *which, int count)
{
    fprintf(out, "<tr class=\"part\"><th colspan=\"9\" scope=\"rowgroup\">the %s %d</th></tr>\n", which,
            count);
}

void tess_report_tokens(FILE *out, const tess_compare_result *result, const tess_page_options *options)
{
    if (!result->n_token) return;
    fprintf(out,
            "<h2>Next tokens</h2>\n<p class=\"dim\">At %" PRId64 " of %" PRId64
            " positions another token is the likeliest.",
            result->n_position_other, result->n_position);
    if (result->n_token < result->n_position)
        fprintf(out, " Listed are %d of them: the worst and the last.", result->n_token);
    fputs("</p>\n<div class=\"wide\"><table class=\"tokens\">", out);
    put_head(out);
    fputs("<tbody>\n", out);
    for (int i = 0; i < result->n_token; i++) {
        if (result->n_token_worst && i == 0) put_group(out, "worst", result->n_token_worst);
        if (result->n_token_worst && i == result->n_token_worst)
            put_group(out, "last", result->n_token - result->n_token_worst);
        put_row(out, &result->token[i], options);
    }
    fputs("</tbody></table></div>\n", out);
}
