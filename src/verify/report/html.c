/* A comparison as one HTML page that needs nothing else: style and drawings are inside it. */
#include <inttypes.h>

#include "io/output.h"
#include "verify/report/page.h"

static void put_pair(FILE *out, const char *key, const char *value, const char *note)
{
    fprintf(out, "<dt>%s</dt><dd>", key);
    tess_report_put_string(out, value);
    if (*note) {
        fputs(" <span class=\"dim\">", out);
        tess_report_put_string(out, note);
        fputs("</span>", out);
    }
    fputs("</dd>\n", out);
}

static const char *precision_note(bool known, tess_precision precision)
{
    return !known ? "dtype unknown" : precision == TESS_PRECISION_F32 ? "float32" : "bfloat16";
}

static void put_place(FILE *out, const tess_tap_report *tap)
{
    tess_report_put_string(out, tess_tap_short_name(tap->name));
    fprintf(out, " <span class=\"dim\">%s", tap->component);
    if (tap->layer >= 0) fprintf(out, ", layer %d", tap->layer);
    if (tap->expert >= 0) fprintf(out, ", expert %d", tap->expert);
    for (int i = 0; tap->expert < 0 && i < tap->n_experts && i < 16; i++)
        fprintf(out, "%s%d", i ? ", " : ", experts ", tap->experts[i]);
    if (tap->position >= 0) fprintf(out, ", from position %" PRId64 " on", tap->position);
    if (*tap->where) fprintf(out, ", %s", tap->where);
    fputs("</span>", out);
}

static void put_heading(FILE *out, const tess_compare_result *result, const tess_page_options *options)
{
    static const char *const verdicts[] = {"measured, not judged", "equal, bit for bit", "agreement",
                                           "different"};
    tess_report_put_string(out, options->title ? options->title : "Trace and reference");
    fprintf(out, ": %s", verdicts[result->verdict]);
}

static void put_extra(FILE *out, const tess_compare_result *result)
{
    if (!result->n_extra) return;
    fputs("<h2>Only in the trace</h2>\n<p>", out);
    for (int i = 0; i < result->n_extra; i++) {
        if (i) fputs(", ", out);
        tess_report_put_string(out, tess_tap_short_name(result->extra[i]));
    }
    fputs("</p>\n", out);
}

/* All that failed, where that is a few: modules that were run by themselves each fail for a reason of their
 * own. */
static void put_failed(FILE *out, const tess_compare_result *result)
{
    enum { FEW = 12 };
    if (result->n_failed < 2 || result->n_failed > FEW) return;
    fputs("<dt>all that failed</dt><dd>", out);
    for (int i = 0, n = 0; i < result->n_tap; i++) {
        if (!tess_tap_has_failed(&result->tap[i])) continue;
        if (n++) fputs("<br>", out);
        put_place(out, &result->tap[i]);
    }
    fputs("</dd>\n", out);
}

enum { OF_THE_PAGE = -1 };

static void put_facts(FILE *out, const tess_page_options *options, int result)
{
    for (int i = 0; i < options->n_fact; i++)
        if (options->fact[i].result == result)
            put_pair(out, options->fact[i].name, options->fact[i].value, "");
}

static void put_head(FILE *out, const tess_compare_result *result, int place, bool is_only,
                     const tess_page_options *options)
{
    static const char *const same[] = {"unknown", "the same", "different"};
    fprintf(out, "<h1 class=\"%s\">", tess_verdict_name(result->verdict));
    put_heading(out, result, options);
    fputs("</h1>\n", out);
    fprintf(out, "<p>%d taps compared, %d equal bit for bit, %d failed.</p>\n<dl>\n", result->n_compared,
            result->n_equal, result->n_failed);
    put_pair(out, "reference", result->reference,
             precision_note(result->reference_precision_known, result->reference_precision));
    put_pair(out, result->is_run ? "model" : "trace", result->trace,
             precision_note(result->trace_precision_known, result->trace_precision));
    if (result->truth) put_pair(out, "truth", result->truth, "float32");
    put_pair(out, "configuration", same[result->config], "");
    put_pair(out, "weights", same[result->weights], "");
    if (result->both_sides) put_pair(out, "judged", "as a whole run, and module by module", "");
    if (*result->one_side) put_pair(out, "judged", "as a whole run only", result->one_side);
    if (result->first >= 0) {
        const tess_tap_report *tap = &result->tap[result->first];
        fputs("<dt>first divergence</dt><dd class=\"failed\">", out);
        put_place(out, tap);
        if (*tap->why) {
            fputs("<br>", out);
            tess_report_put_string(out, tap->why);
        }
        fputs("</dd>\n", out);
    }
    put_failed(out, result);
    if (result->n_ratio)
        fprintf(
            out,
            "<dt>distance ratio</dt><dd>%.3f <span class=\"dim\">geometric mean over %d taps of the distance "
            "to the truth ÷ the reference's; bar %.2f to %.2f</span></dd>\n",
            result->ratio_mean, result->n_ratio, result->ratio_low, result->ratio_high);
    if (result->n_tie) fprintf(out, "<dt>router ties</dt><dd>%" PRId64 " rows</dd>\n", result->n_tie);
    put_facts(out, options, place);
    if (is_only) put_facts(out, options, OF_THE_PAGE);
    fputs("</dl>\n", out);
}

static void put_result(FILE *out, const tess_compare_result *result, int place, bool is_only,
                       const tess_page_options *options)
{
    put_head(out, result, place, is_only, options);
    tess_report_depth(out, result);
    tess_report_routing(out, result);
    tess_report_mosaic(out, result);
    tess_report_media(out, result, place);
    tess_report_speech(out, result);
    tess_report_tokens(out, result, options);
    tess_report_taps(out, result);
    put_extra(out, result);
}

/* Of several results: how each ended, and the way to it. */
static void put_summary(FILE *out, tess_compare_result *const *results, int n,
                        const tess_page_options *options)
{
    int n_different = 0;
    for (int i = 0; i < n; i++) n_different += results[i]->verdict == TESS_VERDICT_DIFFERENT;
    fprintf(out, "<h1 class=\"%s\">%d references: %d different</h1>\n<div class=\"wide\"><table>\n",
            n_different ? "different" : "agree", n, n_different);
    fputs("<tr><th class=\"l\">reference</th><th>taps</th><th>failed</th><th>verdict</th></tr>\n", out);
    for (int i = 0; i < n; i++) {
        fprintf(out, "<tr><td class=\"l\"><a href=\"#result-%d\">", i + 1);
        tess_report_put_string(out, results[i]->reference);
        fprintf(out, "</a></td><td>%d</td><td>%d</td><td class=\"%s\">%s</td></tr>\n", results[i]->n_compared,
                results[i]->n_failed, tess_verdict_name(results[i]->verdict),
                tess_verdict_name(results[i]->verdict));
    }
    fputs("</table></div>\n", out);
    if (!options->n_fact) return;
    fputs("<dl>\n", out);
    put_facts(out, options, OF_THE_PAGE);
    fputs("</dl>\n", out);
}

static void put_page(FILE *out, tess_compare_result *const *results, int n, const tess_page_options *options)
{
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" "
          "content=\"light dark\"><title>Tessera: ",
          out);
    if (n == 1)
        put_heading(out, results[0], options);
    else
        fprintf(out, "%d references", n);
    fputs("</title>\n<style>\n", out);
    fputs(tess_report_style, out);
    fputs("</style></head><body>\n<main>\n", out);
    if (n > 1) {
        fputs("<section>\n", out);
        put_summary(out, results, n, options);
        fputs("</section>\n", out);
    }
    for (int i = 0; i < n; i++) {
        fprintf(out, "<section id=\"result-%d\">\n", i + 1);
        put_result(out, results[i], i, n == 1, options);
        fputs("</section>\n", out);
    }
    fprintf(out, "</main>\n<p class=\"dim\">tessera %s</p>\n</body></html>\n", TESS_VERSION);
}

tess_status tess_compare_probe_html(const char *path, tess_error *err)
{
    tess_output *output;
    tess_status status = tess_output_create(path, 0, &output, err);
    if (status == TESS_OK) tess_output_abandon(output);
    return status;
}

/* The page goes to its file as it is made: what is drawn and heard of many references would be tens of
 * megabytes. */
typedef struct page_file {
    tess_output *output;
    uint64_t n_byte;
    tess_status status; /* why a piece could not be written */
    tess_error *err;
} page_file;

static ssize_t write_piece(void *cookie, const char *bytes, size_t n)
{
    page_file *page = cookie;
    if (page->status == TESS_OK)
        page->status = tess_output_write(page->output, page->n_byte, bytes, n, page->err);
    if (page->status != TESS_OK) return 0;
    page->n_byte += n;
    return (ssize_t)n;
}

tess_status tess_compare_write_html(tess_compare_result *const *results, int n,
                                    const tess_page_options *options, const char *path, tess_error *err)
{
    static const tess_page_options none = {0};
    if (!options) options = &none;
    page_file page = {.err = err};
    tess_status status = tess_output_create(path, 0, &page.output, err);
    if (status != TESS_OK) return status;
    FILE *out = fopencookie(&page, "w", (cookie_io_functions_t){.write = write_piece});
    if (out) {
        put_page(out, results, n, options);
        bool failed = ferror(out) != 0;
        failed |= fclose(out) != 0;
        if (!failed) return tess_output_commit(page.output, page.n_byte, err);
    }
    tess_output_abandon(page.output);
    return page.status != TESS_OK ? page.status : tess_fail(err, TESS_ENOMEM, "no memory for the report");
}
