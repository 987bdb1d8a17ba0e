#include "reports/verify_report.h"

#include <stdio.h>
#include <string.h>

#include "cli/screen.h"
#include "reports/compare_report.h"

/* ---- text ---- */

/* Why nothing is known of the weights. */
static void print_weights(const verify_report *report, const tess_golden *golden,
                          const tess_compare_result *result)
{
    if (result->weights != TESS_SAME_UNKNOWN) return;
    if (golden->weights_sha256)
        cli_print_sentence("weights: not hashed; 'tessera inspect --checksum' does, and the ledger keeps it");
    else if (*report->weights_sha256)
        cli_print_sentence("weights: SHA-256 %s; the golden does not say of which it was made",
                           report->weights_sha256);
    else
        puts("weights: the golden does not say of which it was made");
}

/* Whether what was said becomes what the golden's inputs are. */
static void print_text(const tess_golden *golden)
{
    if (golden->unchecked)
        cli_print_sentence("text and media: not checked, %s", CLI_SAFE(golden->unchecked));
    else if (!golden->text_is_checked)
        puts("text: not checked, the model has no tokenizer files");
    else if (golden->said.n_media > 0)
        puts("text and media: rendered, encoded, prepared and compared with the golden's inputs");
    else
        puts("text: rendered, encoded and compared with in.input_ids");
}

static void print_golden(const verify_report *report, int i)
{
    const tess_golden *golden = &report->golden[i];
    const tess_compare_result *result = report->result[i];
    cli_print_comparison(result);
    print_weights(report, golden, result);
    if (golden->inputs.raw || golden->inputs.messages) print_text(golden);
    if (report->truth_is_computed && result->truth)
        cli_print_sentence("truth: computed here from the same weights; a defect of theirs is in it too");
    if (result->both_sides)
        cli_print_sentence(
            "judged by both sides of the bfloat16 bar: as a whole run, and module by module on "
            "the golden's own input");
    else if (*result->one_side)
        cli_print_sentence("judged as a whole run only: %s", CLI_SAFE(result->one_side));
    if (!report->isolated) return;
    cli_print_sentence(
        "isolated: every module was fed the golden's own input; greedy tokens belong to a whole "
        "run and are left out");
    if (!result->n_failed) return;
    puts("modules that fail by themselves:");
    for (int t = 0; t < result->n_tap; t++)
        if (tess_tap_has_failed(&result->tap[t])) cli_print_place("  ", &result->tap[t]);
}

enum { VERDICT_COLUMNS = 9 };

void verify_print(const verify_report *report)
{
    int n_different = 0;
    for (int i = 0; i < report->n; i++) {
        if (i) putchar('\n');
        print_golden(report, i);
        n_different += cli_comparison_exit(report->result[i]) != CLI_DONE;
    }
    if (report->n == 1) return;
    putchar('\n');
    for (int i = 0; i < report->n; i++) {
        const tess_compare_result *result = report->result[i];
        char whole[512], path[512], counts[64];
        int n =
            snprintf(counts, sizeof counts, "  %3d taps, %3d failed  ", result->n_compared, result->n_failed);
        cli_escape(result->reference, strlen(result->reference), whole, sizeof whole);
        cli_text_shorten(whole, cli_screen_columns() - VERDICT_COLUMNS - n, path, sizeof path);
        printf("%s%-*s%s%s%s\n",
               cli_colour_begin(cli_comparison_exit(result) == CLI_DONE ? CLI_GOOD : CLI_BAD),
               VERDICT_COLUMNS, tess_verdict_name(result->verdict), cli_colour_end(), counts, path);
    }
    printf("%d goldens, %d different\n", report->n, n_different);
}

/* ---- JSON ---- */

static json_t *golden_json(const verify_report *report, int i)
{
    const tess_golden *golden = &report->golden[i];
    json_t *object = cli_comparison_json(report->result[i]);
    json_object_set_new(object, "golden", cli_text(golden->path, strlen(golden->path)));
    json_object_set_new(object, "isolated", json_boolean(report->isolated));
    json_object_set_new(object, "both_sides", json_boolean(report->result[i]->both_sides));
    json_object_set_new(object, "text_checked", json_boolean(golden->text_is_checked));
    return object;
}

/* A member of one golden's object, with the golden's name in it. */
static json_t *named(const json_t *object, const char *key)
{
    json_t *value = json_deep_copy(json_object_get(object, key));
    if (json_is_object(value)) json_object_set(value, "golden", json_object_get(object, "golden"));
    return value;
}

/* By how much the worst tap uses up its bar; -1 if there is none. */
static double worst_share(const tess_compare_result *result)
{
    if (result->worst < 0) return -1;
    const tess_tap_report *tap = &result->tap[result->worst];
    return tap->error == 0 ? 0 : tap->error / tap->tolerance;
}

/* What failed in one golden, with the golden's name in it. */
static void add_failed(json_t *all, const json_t *object)
{
    size_t i;
    json_t *place;
    json_array_foreach(json_object_get(object, "failed"), i, place)
    {
        json_t *copy = json_deep_copy(place);
        json_object_set(copy, "golden", json_object_get(object, "golden"));
        json_array_append_new(all, copy);
    }
}

static json_t *sum_json(const verify_report *report)
{
    json_t *root = json_object(), *failed = json_array(), *goldens = json_array(), *worst = NULL,
           *first = NULL;
    tess_verdict verdict = TESS_VERDICT_EQUAL;
    int n_compared = 0, n_failed = 0;
    double most = -2;
    for (int i = 0; i < report->n; i++) {
        const tess_compare_result *result = report->result[i];
        json_t *object = golden_json(report, i);
        n_compared += result->n_compared;
        n_failed += result->n_failed;
        if (result->verdict > verdict) verdict = result->verdict;
        if (worst_share(result) > most) {
            most = worst_share(result);
            json_decref(worst);
            worst = named(object, "worst");
        }
        if (!first && result->first >= 0) first = named(object, "first");
        add_failed(failed, object);
        json_array_append_new(goldens, object);
    }
    json_object_set_new(root, "verdict", json_string(tess_verdict_name(verdict)));
    json_object_set_new(root, "taps_compared", json_integer(n_compared));
    json_object_set_new(root, "taps_failed", json_integer(n_failed));
    json_object_set_new(root, "worst", worst ? worst : json_null());
    json_object_set_new(root, "first", first ? first : json_null());
    json_object_set_new(root, "failed", failed);
    json_object_set_new(root, "goldens", goldens);
    return root;
}

json_t *verify_json(const verify_report *report)
{
    json_t *root = report->is_part || report->n > 1 ? sum_json(report) : golden_json(report, 0);
    json_object_set_new(root, "peak_rss_bytes", json_integer((json_int_t)tess_peak_rss_bytes()));
    return root;
}

int verify_exit(const verify_report *report)
{
    int code = CLI_DONE;
    for (int i = 0; i < report->n; i++)
        if (cli_comparison_exit(report->result[i]) != CLI_DONE) code = CLI_DIFFERENT;
    return code;
}
