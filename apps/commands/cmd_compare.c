/* tessera compare: is a trace what the reference says, and if not, where does it begin to differ? */
#include "cli/outputs.h"
#include "commands/commands.h"
#include "reports/compare_report.h"

static void add_facts(cli_page_facts *facts, const tess_compare_result *result)
{
    tess_trace_inputs inputs;
    if (tess_trace_inputs_read(result->reference, &inputs, NULL) == TESS_OK) {
        cli_page_facts_add_prompt(facts, 0, &inputs);
        tess_trace_inputs_release(&inputs);
    }
    cli_page_facts_add_digest(facts, 0, "reference SHA-256", result->reference);
    cli_page_facts_add_digest(facts, 0, "trace SHA-256", result->trace);
    if (result->truth) cli_page_facts_add_digest(facts, 0, "truth SHA-256", result->truth);
    cli_page_facts_add_machine(facts);
}

static tess_status write_page(tess_compare_result *result, const char *model, const char *path,
                              tess_error *err)
{
    tess_tokenizer *tokenizer = NULL;
    tess_status status = model ? tess_tokenizer_open(model, &tokenizer, err) : TESS_OK;
    if (status == TESS_OK) {
        cli_page_facts facts = {0};
        add_facts(&facts, result);
        tess_page_options options = cli_page_options(NULL, &facts, tokenizer);
        status = tess_compare_write_html(&result, 1, &options, path, err);
        cli_page_facts_release(&facts);
    }
    tess_tokenizer_close(tokenizer);
    return status;
}

static int run_compare(const cli_command *self, int argc, char **argv)
{
    cli_common common = CLI_COMMON_DEFAULT;
    tess_compare_options options = {0};
    const char *html = NULL, *model = NULL;
    const cli_option table[] = {
        {"truth", CLI_NAME, &options.truth, "FILE",
         "float32 trace of the same inputs, by which a bfloat16 reference is judged"},
        {"metrics-only", CLI_FLAG, &options.metrics_only, NULL,
         "measure without judging; allows float32 against bfloat16"},
        {"ignore-identity", CLI_FLAG, &options.ignore_identity, NULL,
         "compare although configuration or weights are declared to differ"},
        {"html", CLI_NAME, &html, "FILE", "also write a report as one HTML page"},
        {"model", CLI_NAME, &model, "DIR", "folder with tokenizer files, to spell the report's tokens"},
    };
    char **words;
    int n_word;
    int code = cli_parse(self, table, sizeof table / sizeof table[0], &common, argc, argv, &words, &n_word);
    if (code >= 0) return code;
    code = cli_check_names(self, &common, "a file", words, n_word);
    if (code >= 0) return code;
    if (n_word != 2)
        return cli_usage(self, &common, "found %d file%s, expected two: REFERENCE and TRACE", n_word,
                         n_word == 1 ? "" : "s");
    if (model && !html)
        return cli_usage(self, &common, "--model spells the tokens of --html, which is not given");
    const char *const used[] = {words[0], words[1], options.truth};
    code = cli_output_check(self, &common, "--html", html, used, 3, model);
    if (code >= 0) return code;
    tess_error err;
    tess_compare_result *result;
    tess_status status = html ? tess_compare_probe_html(html, &err) : TESS_OK;
    if (status == TESS_OK) status = tess_compare_files(words[0], words[1], &options, &result, &err);
    if (status != TESS_OK) return cli_report(self, &common, &err);
    if (html) cli_catch_interrupt(&common); /* a page that is begun is finished */
    if (html) cli_catch_termination();
    if (html) status = write_page(result, model, html, &err);
    if (html && status == TESS_OK && !common.quiet) fprintf(stderr, "[report written: %s]\n", CLI_SAFE(html));
    if (status != TESS_OK) {
        code = cli_report(self, &common, &err);
    } else {
        if (common.json)
            cli_print_json(cli_comparison_json(result));
        else
            cli_print_comparison(result);
        code = cli_comparison_exit(result);
    }
    tess_compare_result_free(result);
    return code;
}

const cli_command cli_compare = {
    .name = "compare",
    .summary = "Compares two traces tap by tap, and names the first divergence.",
    .arguments = "[options] REFERENCE TRACE",
    .has = CLI_HAS_DIFFERENCE,
    .examples =
        {"tessera compare tests/golden/c-f32/text.safetensors ours.safetensors --html report.html",
         "tessera compare tests/golden/c-bf16/text.safetensors ours.safetensors --metrics-only --json"},
    .run = run_compare,
};
