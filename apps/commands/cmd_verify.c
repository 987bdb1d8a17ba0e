/* tessera verify: runs the inputs of goldens again and compares every tap with the original's. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/outputs.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/system.h"
#include "cli/engine_options.h"
#include "cli/prompt.h"
#include "commands/commands.h"
#include "commands/verify_certificate.h"
#include "commands/verify_known_answers.h"
#include "commands/weights_identity.h"
#include "reports/compare_report.h"
#include "reports/verify_report.h"

typedef struct request {
    const cli_command *self;
    cli_common common;
    cli_engine engine;
    cli_list paths;
    const char *html;
    bool known_answers;
    const char *answers_path; /* NULL: the built-in list */
    cli_certifying certifying;
    cli_checking checking;
    tess_verify_options options;
    tess_golden *golden;          /* [n] */
    tess_compare_result **result; /* [n]; NULL: not run yet */
    tess_feed *expected;          /* [n] what the plan provides for */
    bool *has_truth;              /* [n] a float32 truth was computed */
    int64_t *recorded;            /* [n_recorded] their entries in the ledger */
    int n_recorded;
    int n;
    char weights_sha256[65];
    char truth_dir[PATH_MAX]; /* of the computed truths; "" while there is none */
} request;

static int report_error(const request *r, const tess_error *err)
{
    return cli_report(r->self, &r->common, err);
}

static tess_precision precision_of(const tess_golden *golden)
{
    return golden->inputs.has_precision ? golden->inputs.precision : TESS_PRECISION_F32;
}

/* Whether the float32 truth of this golden is to be computed. */
static bool needs_truth(const request *r, const tess_golden *golden)
{
    return precision_of(golden) == TESS_PRECISION_BF16 && !r->options.isolate && !r->options.truth;
}

/* ---- goldens ---- */

static int check_dtype(const request *r, const tess_golden *golden)
{
    static const char *const names[] = {"f32", "bf16"};
    if (!r->engine.dtype || r->engine.options.precision == precision_of(golden)) return -1;
    return cli_usage(r->self, &r->common, "--dtype %s: %s is a %s golden, and is verified in its own dtype",
                     r->engine.dtype, golden->path, names[precision_of(golden)]);
}

/* Reads every golden before the first one is run: a mistake in the last shall not cost the work of the
 * others.
 */
static int read_goldens(request *r)
{
    tess_error err;
    int n_bf16 = 0, n_path = (int)r->paths.count;
    r->golden = calloc((size_t)n_path, sizeof *r->golden);
    r->result = calloc((size_t)n_path, sizeof *r->result);
    r->has_truth = calloc((size_t)n_path, sizeof *r->has_truth);
    r->recorded = calloc((size_t)n_path, sizeof *r->recorded);
    r->expected = calloc((size_t)n_path, sizeof *r->expected);
    if (!r->golden || !r->result || !r->has_truth || !r->recorded || !r->expected) {
        err = (tess_error){.status = TESS_ENOMEM, .offset = -1, .message = "no memory for the goldens"};
        return report_error(r, &err);
    }
    for (int i = 0; i < n_path; i++) {
        tess_golden *golden = &r->golden[i];
        if (tess_golden_read(r->paths.item[i], r->options.model_dir, golden, &err) != TESS_OK)
            return report_error(r, &err);
        r->expected[r->n++] = (tess_feed){.media = golden->inputs.media, .n_media = golden->inputs.n_media};
        n_bf16 += precision_of(golden) == TESS_PRECISION_BF16;
        int code = check_dtype(r, golden);
        if (code >= 0) return code;
        if (golden->inputs.n_tok > INT_MAX - golden->inputs.generate)
            return cli_usage(r->self, &r->common, "%s: more tokens than any context", golden->path);
        int n_needed = golden->inputs.n_tok + golden->inputs.generate;
        if (n_needed > r->engine.options.n_needed) r->engine.options.n_needed = n_needed;
        int n_step = golden->inputs.codes ? 1 : golden->inputs.speak; /* codes are spoken already */
        if (n_step > r->engine.options.n_speech_step) r->engine.options.n_speech_step = n_step;
        /* They are run one after the other; every result is kept. */
        r->engine.options.other_bytes += golden->working_bytes;
    }
    r->engine.options.expected = r->expected;
    r->engine.options.n_expected = r->n;
    if (r->checking.path && r->options.truth && n_bf16 != 1) {
        tess_refuse(&err, r->checking.path, "cases", -1, "one bfloat16 golden, as its truth is a file", "%d",
                    n_bf16);
        return report_error(r, &err);
    }
    if (r->options.truth && n_bf16 != 1)
        return cli_usage(r->self, &r->common,
                         "--truth belongs to one bfloat16 golden; found %d. Without it the truth is computed",
                         n_bf16);
    return -1;
}

/* ---- identity ---- */

/* Hashes the weights if a golden says which it was made from, or for a certificate. */
static int identify(request *r)
{
    bool is_declared = false, is_certified = r->certifying.path || r->checking.path;
    for (int i = 0; i < r->n; i++) is_declared |= r->golden[i].weights_sha256 != NULL;
    if (!is_certified && (!is_declared || r->options.ignore_identity)) return -1;
    int code =
        cli_weights_sha256(r->self, &r->common, r->options.model_dir, &r->engine.ledger, r->weights_sha256);
    r->options.weights_sha256 = *r->weights_sha256 ? r->weights_sha256 : NULL;
    return code;
}

/* Weights that need not be hashed are known all the same where the ledger has the digest of these very files.
 */
static void recall_weights(request *r)
{
    tess_ledger_checkpoint checkpoint;
    tess_ledger *ledger = r->engine.ledger.ledger;
    if (!ledger || *r->weights_sha256) return;
    if (tess_ledger_note_checkpoint(ledger, r->options.model_dir, &checkpoint, NULL) != TESS_OK) return;
    memcpy(r->weights_sha256, checkpoint.weights_sha256, sizeof r->weights_sha256);
    if (*r->weights_sha256) r->options.weights_sha256 = r->weights_sha256;
}

/* ---- the truth of bfloat16 goldens ---- */

static void truth_path(const request *r, int i, char *out, size_t size)
{
    snprintf(out, size, "%.4000s/%d.safetensors", r->truth_dir, i);
}

/* A truth can be as large as its golden, so it goes to a place on disk, not in memory. */
static tess_status make_truth_dir(request *r, tess_error *err)
{
    const char *place = getenv("TMPDIR");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.4000s/tessera-truth-XXXXXX", place && *place ? place : "/var/tmp");
    cli_catch_termination();
    if (!mkdtemp(path)) {
        *err = (tess_error){.status = TESS_EIO, .offset = -1};
        snprintf(err->message, sizeof err->message,
                 "%.900s: cannot make a folder for the float32 truth; set TMPDIR", path);
        return TESS_EIO;
    }
    strcpy(r->truth_dir, path);
    cli_interrupt_owns(path);
    return TESS_OK;
}

static void remove_truths(const request *r)
{
    if (!*r->truth_dir) return;
    for (int i = 0; i < r->n; i++) {
        char path[PATH_MAX];
        truth_path(r, i, path, sizeof path);
        unlink(path);
    }
    rmdir(r->truth_dir);
    cli_interrupt_owns("");
}

/* ---- runs ---- */

/* Records one result in the ledger. A ledger that cannot be written stops nothing. */
static void record_verification(request *r, const tess_engine *engine, int i, double seconds)
{
    cli_ledger *l = &r->engine.ledger;
    char sha256[65];
    tess_error err;
    tess_ledger_checkpoint checkpoint;
    if (!l->ledger) return;
    tess_status status = tess_ledger_note_checkpoint(l->ledger, r->options.model_dir, &checkpoint, &err);
    if (status == TESS_OK) status = tess_sha256_file(r->golden[i].path, sha256, &err);
    if (status == TESS_OK) {
        const tess_ledger_verification verification = {.checkpoint = checkpoint.id,
                                                       .command = "verify",
                                                       .case_name = r->golden[i].inputs.case_name,
                                                       .golden_sha256 = sha256,
                                                       .isolated = r->options.isolate,
                                                       .isa = tess_engine_get_isa(engine),
                                                       .n_thread = tess_engine_get_plan(engine)->n_thread,
                                                       .seconds = seconds,
                                                       .result = r->result[i]};
        status = tess_ledger_record_verification(l->ledger, &verification, &r->recorded[r->n_recorded], &err);
        r->n_recorded += status == TESS_OK;
    }
    if (status != TESS_OK) cli_ledger_say_unrecorded(l, "this verification", &err);
}

/* Weights that let the float32 run end in a value that is not finite let the bfloat16 run end as well, which
 * needs no truth to be different. */
static tess_status compute_truth(request *r, tess_engine *engine, int i, const char *path, tess_error *err)
{
    tess_status status = tess_verify_write_truth(engine, r->options.model_dir, &r->golden[i], path,
                                                 &r->engine.bar.drawn_bar, err);
    r->has_truth[i] = status == TESS_OK;
    return status == TESS_ENONFINITE ? TESS_OK : status;
}

/* Verifications are recorded as they end; that they are in a certificate once it is written. */
static void record_certificate(request *r)
{
    cli_ledger *l = &r->engine.ledger;
    char sha256[65];
    tess_error err;
    if (!l->ledger || !r->certifying.path || !r->n_recorded) return;
    tess_status status = tess_sha256_file(r->certifying.path, sha256, &err);
    if (status == TESS_OK)
        status = tess_ledger_record_certificate(l->ledger, r->recorded, r->n_recorded, sha256, &err);
    if (status != TESS_OK) cli_ledger_say_unrecorded(l, "the certificate", &err);
}

static tess_status run_one(request *r, tess_engine *engine, int i, tess_error *err)
{
    const tess_golden *golden = &r->golden[i];
    tess_precision precision = tess_engine_get_precision(engine);
    char path[PATH_MAX];
    if (needs_truth(r, golden) && !*r->truth_dir && make_truth_dir(r, err) != TESS_OK) return err->status;
    truth_path(r, i, path, sizeof path);
    if (precision != precision_of(golden))
        return needs_truth(r, golden) ? compute_truth(r, engine, i, path, err) : TESS_OK;
    tess_verify_options options = r->options;
    options.progress = &r->engine.bar.drawn_bar;
    if (precision == TESS_PRECISION_F32) options.truth = NULL;
    if (r->has_truth[i]) {
        options.truth = path;
        options.truth_name = "computed from the same weights";
    }
    double started = tess_system_seconds();
    tess_status status = tess_verify_run(engine, golden, &options, &r->result[i], err);
    if (status == TESS_OK)
        record_verification(r, engine, i, tess_system_seconds() - started);
    else
        cli_name_file(err, golden->path);
    return status;
}

/* Whether any golden needs an engine of this precision. */
static bool is_needed(const request *r, tess_precision precision)
{
    bool needed = false;
    for (int i = 0; i < r->n; i++)
        needed |= precision_of(&r->golden[i]) == precision ||
                  (precision == TESS_PRECISION_F32 && needs_truth(r, &r->golden[i]));
    return needed;
}

/* The run of all goldens ends early: those that are done are shown, in front of the reason. */
static int report_end(request *r, const tess_error *err)
{
    int n_done = 0;
    for (int i = 0; i < r->n; i++) {
        if (!r->result[i]) continue;
        tess_golden golden = r->golden[i];
        tess_compare_result *result = r->result[i];
        r->golden[i] = r->golden[n_done];
        r->result[i] = r->result[n_done];
        r->golden[n_done] = golden;
        r->result[n_done++] = result;
    }
    if (!n_done || r->checking.path) return report_error(r, err);
    verify_report report = {r->golden,         r->result, n_done,           r->options.isolate,
                            !r->options.truth, true,      r->weights_sha256};
    if (r->common.json) return cli_report_with(r->self, &r->common, err, verify_json(&report));
    verify_print(&report);
    return report_error(r, err);
}

/* One engine runs all goldens of its precision; float32 comes first, for the truths. */
static int run_all(request *r)
{
    for (tess_precision precision = TESS_PRECISION_F32; precision <= TESS_PRECISION_BF16; precision++) {
        if (!is_needed(r, precision)) continue;
        tess_error err;
        tess_engine *engine;
        r->engine.options.precision = precision;
        tess_status status = tess_engine_open(&r->engine.options, &engine, &err);
        cli_progress_clear(&r->engine.bar);
        if (status != TESS_OK && r->n == 1) cli_name_file(&err, r->golden[0].path);
        if (status != TESS_OK) return report_end(r, &err);
        cli_engine_remark_reads(&r->engine, r->self, &r->common, engine);
        r->certifying.run[r->certifying.n_run++] = tess_certified_run_of(engine);
        for (int i = 0; i < r->n && status == TESS_OK; i++) {
            status = run_one(r, engine, i, &err);
            cli_progress_clear(&r->engine.bar);
        }
        cli_engine_remark_reads(&r->engine, r->self, &r->common, engine);
        tess_engine_close(engine);
        if (status != TESS_OK) return report_end(r, &err);
    }
    return -1;
}

/* Prompt and digests of every golden; of the checkpoint what is known of it. */
static void add_facts(cli_page_facts *facts, const request *r)
{
    static const char *const precisions[] = {"float32", "bfloat16"};
    char run[160];
    for (int i = 0; i < r->n; i++) {
        const tess_golden *golden = &r->golden[i];
        cli_page_facts_add_prompt(facts, i, &golden->inputs);
        cli_page_facts_add_digest(facts, i, "golden SHA-256", golden->path);
        if (r->result[i]->config == TESS_SAME_YES)
            cli_page_facts_add(facts, i, "configuration SHA-256", golden->config_sha256);
        cli_page_facts_add(facts, i, "weights SHA-256",
                           *r->weights_sha256 ? r->weights_sha256 : "not hashed");
    }
    cli_page_facts_add_machine(facts);
    for (int i = 0; i < r->certifying.n_run; i++) {
        const tess_certified_run *done = &r->certifying.run[i];
        snprintf(run, sizeof run, "%s in %s, %d %s", done->isa, precisions[done->precision], done->n_thread,
                 done->n_thread == 1 ? "thread" : "threads");
        cli_page_facts_add(facts, -1, "instruction set", run);
    }
}

/* Tokens are shown as text where the model has a tokenizer. */
static tess_status write_page(const request *r, tess_error *err)
{
    tess_tokenizer *tokenizer = NULL;
    const char *title = r->options.isolate ? "Model and golden, module by module" : "Model and golden";
    if (tess_tokenizer_open(r->options.model_dir, &tokenizer, NULL) != TESS_OK) tokenizer = NULL;
    cli_page_facts facts = {0};
    add_facts(&facts, r);
    tess_page_options page = cli_page_options(title, &facts, tokenizer);
    tess_status status = tess_compare_write_html(r->result, r->n, &page, r->html, err);
    cli_page_facts_release(&facts);
    tess_tokenizer_close(tokenizer);
    if (status == TESS_OK && !r->common.quiet) fprintf(stderr, "[report written: %s]\n", CLI_SAFE(r->html));
    return status;
}

static int show_results(request *r)
{
    if (r->checking.path) return cli_checking_report(&r->checking, r->self, &r->common, r->golden, r->result);
    verify_report report = {r->golden, r->result,        r->n, r->options.isolate, !r->options.truth,
                            false,     r->weights_sha256};
    tess_error err;
    int code =
        cli_certificate_write(&r->certifying, r->self, &r->common, &r->options, r->golden, r->result, r->n);
    if (code < 0) record_certificate(r);
    if (code < 0 && r->html && write_page(r, &err) != TESS_OK) code = report_error(r, &err);
    /* A file that cannot be written does not cost the result; with --json the one object is the error. */
    if (!r->common.json)
        verify_print(&report);
    else if (code < 0)
        cli_print_json(verify_json(&report));
    return code < 0 ? verify_exit(&report) : code;
}

/* The option about goldens that was given, NULL if there is none. */
static const char *find_golden_option(const request *r)
{
    return r->paths.count               ? "--golden"
           : r->options.isolate         ? "--isolate"
           : r->options.truth           ? "--truth"
           : r->html                    ? "--html"
           : r->options.ignore_identity ? "--ignore-identity"
           : r->certifying.path         ? "--certificate"
                                        : NULL;
}

/* Known answers and a certificate to be checked stand in the place of goldens. */
static int check_options(const request *r)
{
    const char *instead = r->known_answers   ? "--known-answers"
                          : r->checking.path ? "--check-certificate"
                                             : NULL;
    const char *given = instead ? find_golden_option(r) : NULL;
    if (given)
        return cli_usage(r->self, &r->common, "%s is about goldens and does not go with %s", given, instead);
    if (r->known_answers && r->checking.path)
        return cli_usage(r->self, &r->common, "--check-certificate does not go with --known-answers");
    if (r->answers_path && !r->known_answers)
        return cli_usage(r->self, &r->common, "--answers is a list for --known-answers, which is missing");
    if (r->checking.sample >= 0 && !r->checking.path)
        return cli_usage(r->self, &r->common, "--sample belongs to --check-certificate, which is missing");
    if (instead) return -1;
    if (r->paths.count == 0)
        return cli_usage(r->self, &r->common,
                         "--golden is missing: the file to verify by; --known-answers needs none");
    if (r->options.truth && r->options.isolate)
        return cli_usage(r->self, &r->common,
                         "--truth judges a whole run; with --isolate the golden itself is the measure");
    return -1;
}

/* Outputs apart from each other, from goldens and truth, and outside the model's folder. */
static int check_output(const request *r, const char *option, const char *output, const char *other)
{
    const char *const others[] = {r->options.truth, other};
    const char *const *goldens = (const char *const *)r->paths.item;
    const char *model = r->engine.options.model_dir;
    int code = cli_output_check(r->self, &r->common, option, output, others, 2, model);
    if (code < 0)
        code = cli_output_check(r->self, &r->common, option, output, goldens, r->paths.count, model);
    if (code < 0) code = cli_output_check_ledger(r->self, &r->common, option, output, r->engine.ledger.place);
    return code;
}

static int check_outputs(const request *r)
{
    int code = check_output(r, "--html", r->html, r->certifying.path);
    return code < 0 ? check_output(r, "--certificate", r->certifying.path, NULL) : code;
}

/* And from the media that the goldens' messages name. */
static int check_media(const request *r)
{
    int code = -1;
    for (int i = 0; i < r->n && code < 0; i++) {
        const tess_golden *golden = &r->golden[i];
        code = cli_output_check_messages(r->self, &r->common, "--html", r->html, golden->inputs.messages,
                                         golden->path);
        if (code < 0)
            code = cli_output_check_messages(r->self, &r->common, "--certificate", r->certifying.path,
                                             golden->inputs.messages, golden->path);
    }
    return code;
}

static int verify_goldens(request *r)
{
    r->options.model_dir = r->engine.options.model_dir;
    int checked = check_outputs(r);
    if (checked >= 0) return checked;
    /* The configuration first: hashing weights can take an hour. */
    int code = cli_checking_model(&r->checking, r->self, &r->common, r->options.model_dir, NULL);
    if (code < 0) code = read_goldens(r);
    if (code < 0) code = check_media(r);
    if (code < 0) code = identify(r);
    if (code < 0)
        code = cli_checking_model(&r->checking, r->self, &r->common, r->options.model_dir, r->weights_sha256);
    if (code < 0) code = cli_certificate_probe(&r->certifying, r->self, &r->common, &r->options);
    tess_error err;
    if (code < 0 && r->html && tess_compare_probe_html(r->html, &err) != TESS_OK)
        code = report_error(r, &err);
    if (r->html || r->certifying.path) cli_catch_termination(); /* no part of a file may stay */
    /* Before memory is planned, which the ledger counts in. */
    if (code < 0) cli_ledger_open(&r->engine.ledger, r->self, &r->common);
    if (code < 0) recall_weights(r);
    if (code < 0) code = run_all(r);
    return code < 0 ? show_results(r) : code;
}

static int check_and_verify(request *r)
{
    const char *dtype = r->engine.dtype;
    int code = check_options(r);
    if (code < 0 && r->checking.path)
        code = cli_checking_begin(&r->checking, r->self, &r->common, &r->engine, &r->paths, &r->options);
    if (!dtype) r->engine.dtype = "f32";
    if (code < 0) code = cli_engine_check(&r->engine, r->self, &r->common);
    if (code >= 0) return code;
    cli_remark_template(r->self, &r->common, r->engine.options.model_dir);
    if (r->known_answers) return cli_known_answers(r->self, &r->common, &r->engine, r->answers_path);
    r->engine.dtype = dtype;
    return verify_goldens(r);
}

/* Words after the options are further goldens. */
static int add_words(request *r, char **words, int n_word)
{
    const char **grown = realloc(r->paths.item, (r->paths.count + (size_t)n_word + 1) * sizeof *grown);
    if (!grown) {
        tess_error err = {.status = TESS_ENOMEM, .offset = -1, .message = "no memory for the goldens"};
        return report_error(r, &err);
    }
    r->paths.item = grown;
    for (int i = 0; i < n_word; i++) r->paths.item[r->paths.count++] = words[i];
    return -1;
}

static void release_request(request *r)
{
    remove_truths(r);
    cli_ledger_close(&r->engine.ledger);
    cli_checking_end(&r->checking);
    for (int i = 0; i < r->n; i++) {
        tess_golden_release(&r->golden[i]);
        tess_compare_result_free(r->result[i]);
    }
    free(r->golden);
    free(r->result);
    free(r->expected);
    free(r->has_truth);
    free(r->recorded);
    free(r->paths.item);
}

static int run_verify(const cli_command *self, int argc, char **argv)
{
    request r = {.self = self, .common = CLI_COMMON_DEFAULT, .engine = CLI_ENGINE_DEFAULT};
    r.engine.dtype = NULL;
    r.checking.sample = -1;
    const cli_option options[] = {
        {"golden", CLI_LIST, &r.paths, "FILE",
         "a trace made by the original; several may follow, as plain words too"},
        {"isolate", CLI_FLAG, &r.options.isolate, NULL,
         "feed every module the golden's own input, so that one defect does not hide the next"},
        {"truth", CLI_NAME, &r.options.truth, "FILE",
         "float32 trace by which a bfloat16 golden is judged; default: computed"},
        {"ignore-identity", CLI_FLAG, &r.options.ignore_identity, NULL,
         "compare although the golden says it is of another configuration or other weights"},
        {"html", CLI_NAME, &r.html, "FILE", "also write a report as one HTML page"},
        {"certificate", CLI_NAME, &r.certifying.path, "OUT.json",
         "also write what was found, of what and with what, as a file that can be checked"},
        {"check-certificate", CLI_NAME, &r.checking.path, "FILE",
         "run a certificate's goldens again; everything must come out as certified"},
        {"sample", CLI_COUNT, &r.checking.sample, "N",
         "with --check-certificate, only N of its goldens, chosen by --seed; default all"},
        {"known-answers", CLI_FLAG, &r.known_answers, NULL,
         "check published observations of the real model instead of goldens"},
        {"answers", CLI_NAME, &r.answers_path, "FILE",
         "list for --known-answers; default: the built-in one, of Qwen3-Omni-30B-A3B-Instruct"},
        CLI_ENGINE_OPTIONS(&r.engine),
        CLI_SEED_OPTION(&r.engine, "with --sample, chooses the goldens; default 0"),
        CLI_LEDGER_TEXT_OPTION(&r.engine, NULL),
    };
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &r.common, argc, argv, &words, &n_word);
    if (code < 0) code = cli_check_names(self, &r.common, "a golden", words, n_word);
    if (code < 0) code = add_words(&r, words, n_word);
    if (code < 0) code = check_and_verify(&r);
    release_request(&r);
    return code;
}

const cli_command cli_verify = {
    .name = "verify",
    .summary = "Compares the model with the original's values, tap by tap.",
    .arguments = "[options] --model DIR (--golden FILE... | --check-certificate FILE | --known-answers)",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS | CLI_HAS_DIFFERENCE | CLI_HAS_BUDGET,
    .examples = {"tessera verify --model tests/golden/c --golden tests/golden/c-f32/text.safetensors --html "
                 "report.html",
                 "tessera verify --model tests/golden/c --golden tests/golden/c-f32/text.safetensors "
                 "--isolate --json",
                 "tessera verify --model demo/checkpoint --golden tests/golden/demo/f32/*.safetensors "
                 "--certificate certificate.json",
                 "tessera verify --model demo/checkpoint --check-certificate certificate.json"},
    .run = run_verify,
    .notes = "Goldens are made by the original, here those in tests/golden; 'make golden'\n"
             "makes more. A golden of other weights is refused, as weights that changed are\n"
             "found by their SHA-256; --ignore-identity goes on and finds where.\n",
};
