#include "commands/verify_certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "cli/screen.h"

/* ---- writing ---- */

int cli_certificate_probe(const cli_certifying *c, const cli_command *self, const cli_common *common,
                          const tess_verify_options *options)
{
    tess_error err = {.status = TESS_EINPUT, .offset = -1, .field = "weights_sha256"};
    if (!c->path) return -1;
    if (options->weights_sha256)
        return tess_certificate_probe(c->path, &err) == TESS_OK ? -1 : cli_report(self, common, &err);
    snprintf(err.file, sizeof err.file, "%.250s", options->model_dir);
    snprintf(err.message, sizeof err.message,
             "%.250s: its weights have no digest that a certificate could name; inspect --check tells why",
             options->model_dir);
    return cli_report(self, common, &err);
}

static bool is_judged_by_truth(const tess_golden *golden)
{
    return golden->inputs.has_precision && golden->inputs.precision == TESS_PRECISION_BF16;
}

int cli_certificate_write(const cli_certifying *c, const cli_command *self, const cli_common *common,
                          const tess_verify_options *options, const tess_golden *golden,
                          tess_compare_result *const *result, int n)
{
    tess_error err = {.status = TESS_ENOMEM, .offset = -1, .message = "no memory for a certificate"};
    if (!c->path) return -1;
    tess_certified_case *cases = calloc((size_t)n, sizeof *cases);
    if (!cases) return cli_report(self, common, &err);
    for (int i = 0; i < n; i++)
        cases[i] = (tess_certified_case){.golden = &golden[i],
                                         .result = result[i],
                                         .truth = is_judged_by_truth(&golden[i]) ? options->truth : NULL};
    const tess_certifying what = {.model_dir = options->model_dir,
                                  .weights_sha256 = options->weights_sha256,
                                  .isolated = options->isolate,
                                  .run = c->run,
                                  .n_run = c->n_run,
                                  .cases = cases,
                                  .n_case = n};
    tess_status status = tess_certificate_write(&what, c->path, &err);
    free(cases);
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (!common->quiet) fprintf(stderr, "[certificate written: %s]\n", c->path);
    return -1;
}

/* ---- checking ---- */

/* Case i is taken with the probability (still wanted) / (still to come), so that every set of cases is as
 * likely as any other; a seed gives the same set everywhere. */
static void choose_cases(cli_checking *c, int n_all, uint64_t seed)
{
    int n = 0;
    for (int i = 0; i < n_all && n < c->n; i++)
        if (tess_random_next(&seed) % (uint64_t)(n_all - i) < (uint64_t)(c->n - n)) c->chosen[n++] = i;
}

static int find_goldens(cli_checking *c, const cli_command *self, const cli_common *common, cli_list *goldens)
{
    tess_error err;
    for (int i = 0; i < c->n; i++) {
        char *truth;
        tess_status status =
            tess_certificate_find_golden(c->certificate, c->chosen[i], &c->found[i], &truth, &err);
        if (status != TESS_OK) return cli_report(self, common, &err);
        goldens->item[goldens->count++] = c->found[i];
        if (!truth) continue;
        free(c->truth);
        c->truth = truth;
    }
    return -1;
}

int cli_checking_begin(cli_checking *c, const cli_command *self, const cli_common *common, cli_engine *engine,
                       cli_list *goldens, tess_verify_options *options)
{
    tess_error err;
    if (c->sample == 0) return cli_usage(self, common, "--sample: found 0, expected at least one case");
    if (tess_certificate_read(c->path, &c->certificate, &err) != TESS_OK)
        return cli_report(self, common, &err);
    int n_all = tess_certificate_get_case_count(c->certificate);
    c->n = c->sample < 0 || c->sample > n_all ? n_all : c->sample;
    c->chosen = calloc((size_t)c->n, sizeof *c->chosen);
    c->found = calloc((size_t)c->n, sizeof *c->found);
    free(goldens->item);
    goldens->item = calloc((size_t)c->n, sizeof *goldens->item);
    if (!c->chosen || !c->found || !goldens->item) {
        err = (tess_error){.status = TESS_ENOMEM, .offset = -1, .message = "no memory for the cases"};
        return cli_report(self, common, &err);
    }
    choose_cases(c, n_all, engine->seed);
    int code = find_goldens(c, self, common, goldens);
    options->isolate = tess_certificate_is_isolated(c->certificate);
    options->truth = c->truth;
    /* The certificate says itself of which checkpoint it is, and what its goldens declare is compared as
     * well. */
    options->ignore_identity = true;
    if (!engine->options.model_dir)
        engine->options.model_dir = tess_certificate_get_model_dir(c->certificate);
    return code;
}

int cli_checking_model(const cli_checking *c, const cli_command *self, const cli_common *common,
                       const char *model_dir, const char *weights_sha256)
{
    tess_error err;
    if (!c->path) return -1;
    tess_status status = tess_certificate_check_model(c->certificate, model_dir, weights_sha256, &err);
    return status == TESS_OK ? -1 : cli_report(self, common, &err);
}

/* ---- what came out ---- */

/* One case that was run again. */
typedef struct outcome {
    const char *golden, *verdict;
    int n_tap;
    bool is_same;
    tess_certificate_difference difference; /* if not */
} outcome;

static void print_same(const outcome *o, const char *path)
{
    char counts[64], shown[512];
    int n = snprintf(counts, sizeof counts, ": %s, %d taps", o->verdict, o->n_tap);
    cli_text_shorten(path, cli_screen_columns() - 14 - n, shown, sizeof shown);
    printf("%sas certified%s  %s%s\n", cli_colour_begin(CLI_GOOD), cli_colour_end(), shown, counts);
}

static void print_outcome(const outcome *o)
{
    char path[512], field[sizeof o->difference.field * 4];
    cli_escape(o->golden, strlen(o->golden), path, sizeof path);
    cli_escape(o->difference.field, strlen(o->difference.field), field, sizeof field);
    if (o->is_same)
        print_same(o, path);
    else
        printf("%sDIFFERENT%s     %s: %s: certified %s, found %s\n", cli_colour_begin(CLI_BAD),
               cli_colour_end(), path, field, CLI_SAFE(o->difference.certified),
               CLI_SAFE(o->difference.found));
}

static json_t *outcome_json(const outcome *o)
{
    json_t *object = json_object();
    json_object_set_new(object, "golden", json_string(o->golden));
    json_object_set_new(object, "verdict", json_string(o->is_same ? "confirmed" : "different"));
    json_object_set_new(object, "taps", json_integer(o->n_tap));
    if (o->is_same) return object;
    json_object_set_new(object, "field", cli_text(o->difference.field, strlen(o->difference.field)));
    json_object_set_new(object, "certified", json_string(o->difference.certified));
    json_object_set_new(object, "found", json_string(o->difference.found));
    return object;
}

static void print_head(const cli_checking *c)
{
    const tess_certificate *certificate = c->certificate;
    const char *date = tess_certificate_get_date(certificate);
    const char *version = tess_certificate_get_version(certificate);
    char path[512], made[64], engine[64];
    cli_escape(c->path, strlen(c->path), path, sizeof path);
    cli_escape(date, strlen(date), made, sizeof made);
    cli_escape(version, strlen(version), engine, sizeof engine);
    printf("certificate  %s\ndigest       %s\nmade         %s by tessera %s\nsays         %s, %d case%s\n",
           path, tess_certificate_get_digest(certificate), made, engine,
           tess_certificate_get_verdict(certificate), tess_certificate_get_case_count(certificate),
           tess_certificate_get_case_count(certificate) == 1 ? "" : "s");
    puts("checkpoint   the certified one, by configuration and weights\n");
}

static void print_rest(const cli_checking *c, int n_different)
{
    int n_all = tess_certificate_get_case_count(c->certificate);
    for (int i = 0, k = 0; i < n_all; i++) {
        if (k < c->n && c->chosen[k] == i) {
            k++;
            continue;
        }
        const char *golden = tess_certificate_get_golden(c->certificate, i);
        char path[512];
        cli_escape(golden, strlen(golden), path, sizeof path);
        printf("not run       %s\n", path);
    }
    printf("%d of %d case%s run again: ", c->n, n_all, n_all == 1 ? "" : "s");
    if (n_different)
        printf("%s%d DIFFERENT%s\n", cli_colour_begin(CLI_BAD), n_different, cli_colour_end());
    else
        puts(c->n == 1 ? "it came out as certified" : "all came out as certified");
}

static void print_json(const cli_checking *c, json_t *outcomes, int n_different)
{
    const tess_certificate *certificate = c->certificate;
    json_t *root = json_object(), *rest = json_array();
    for (int i = 0, k = 0; i < tess_certificate_get_case_count(certificate); i++) {
        if (k < c->n && c->chosen[k] == i)
            k++;
        else
            json_array_append_new(rest, json_string(tess_certificate_get_golden(certificate, i)));
    }
    json_object_set_new(root, "verdict", json_string(n_different ? "different" : "confirmed"));
    json_object_set_new(root, "certificate", cli_text(c->path, strlen(c->path)));
    json_object_set_new(root, "digest", json_string(tess_certificate_get_digest(certificate)));
    json_object_set_new(root, "made", json_string(tess_certificate_get_date(certificate)));
    json_object_set_new(root, "certified_verdict", json_string(tess_certificate_get_verdict(certificate)));
    json_object_set_new(root, "run_again", outcomes);
    json_object_set_new(root, "not_run", rest);
    json_object_set_new(root, "peak_rss_bytes", json_integer((json_int_t)tess_peak_rss_bytes()));
    cli_print_json(root);
}

int cli_checking_report(const cli_checking *c, const cli_command *self, const cli_common *common,
                        const tess_golden *golden, tess_compare_result *const *result)
{
    int n_different = 0;
    json_t *outcomes = json_array();
    if (!common->json) print_head(c);
    for (int i = 0; i < c->n; i++) {
        tess_error err;
        outcome o = {.golden = tess_certificate_get_golden(c->certificate, c->chosen[i]),
                     .verdict = tess_verdict_name(result[i]->verdict),
                     .n_tap = result[i]->n_tap};
        tess_status status = tess_certificate_compare(c->certificate, c->chosen[i], &golden[i], result[i],
                                                      &o.is_same, &o.difference, &err);
        if (status != TESS_OK) {
            json_decref(outcomes);
            return cli_report(self, common, &err);
        }
        n_different += !o.is_same;
        json_array_append_new(outcomes, outcome_json(&o));
        if (!common->json) print_outcome(&o);
    }
    if (common->json) {
        print_json(c, outcomes, n_different);
    } else {
        json_decref(outcomes);
        print_rest(c, n_different);
    }
    return n_different ? CLI_DIFFERENT : CLI_DONE;
}

void cli_checking_end(cli_checking *c)
{
    for (int i = 0; c->found && i < c->n; i++) free(c->found[i]);
    free(c->found);
    free(c->chosen);
    free(c->truth);
    tess_certificate_free(c->certificate);
}
