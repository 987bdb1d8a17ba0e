/* tessera plan: what a budget buys, before a weight is read. */
#include <stdio.h>
#include <string.h>

#include "cli/engine_options.h"
#include "commands/commands.h"

/* Rates the estimate assumes unless --measure reads the disk: a good SATA SSD, and one memory channel. */
#define ASSUMED_DISK_RATE 500e6
#define ASSUMED_MEMORY_RATE 15e9
#define MEASURE_BYTES (1ull << 30)

typedef struct estimate {
    double disk_rate, first_token, per_token;
    bool measured;
} estimate;

/* Reading and computing are not overlapped, so their times add. The first token reads what stays resident,
 * and a prompt of one token's routing. */
static estimate make_estimate(const tess_plan *plan, double disk_rate, bool measured)
{
    double resident = 0;
    for (int i = 0; i < plan->n_region; i++) {
        const char *name = plan->region[i].name;
        bool whole = (!strcmp(name, "layers") && plan->layers_resident) ||
                     (!strcmp(name, "head") && plan->head_resident) ||
                     (!strcmp(name, "embedding") && plan->embedding_resident);
        if (whole) resident += (double)plan->region[i].n_byte;
    }
    double touched = ((double)plan->bytes_per_token_cold + resident) / ASSUMED_MEMORY_RATE;
    return (estimate){.disk_rate = disk_rate,
                      .first_token = ((double)plan->bytes_per_token_cold + resident) / disk_rate + touched,
                      .per_token = (double)plan->bytes_per_token_warm / disk_rate + touched,
                      .measured = measured};
}

static void print_json(const tess_plan *plan, const estimate *e)
{
    json_t *regions = json_array();
    for (int i = 0; i < plan->n_region; i++) {
        const tess_region *r = &plan->region[i];
        json_array_append_new(regions, json_pack("{s:s, s:I, s:s?, s:s}", "name", r->name, "bytes",
                                                 (json_int_t)r->n_byte, "component", r->component, "phase",
                                                 tess_phase_name(r->phase)));
    }
    json_t *root = json_pack(
        "{s:I, s:I, s:o, s:i, s:I, s:o, s:o}", "budget_bytes", (json_int_t)plan->budget_bytes,
        "smallest_budget_bytes", (json_int_t)plan->smallest_budget_bytes, "regions", regions, "expert_slots",
        plan->n_expert_slot, "bytes_per_token_cold", (json_int_t)plan->bytes_per_token_cold,
        "seconds_first_token", cli_number(e->first_token), "seconds_per_token", cli_number(e->per_token));
    json_object_set_new(root, "bytes_per_token_warm", json_integer((json_int_t)plan->bytes_per_token_warm));
    json_object_set_new(root, "experts", json_integer(plan->n_expert_total));
    json_object_set_new(root, "context", json_integer(plan->n_context));
    json_object_set_new(root, "chunk", json_integer(plan->n_chunk));
    json_object_set_new(root, "threads", json_integer(plan->n_thread));
    json_object_set_new(root, "disk_bytes_per_second", cli_number(e->disk_rate));
    json_object_set_new(root, "disk_rate_measured", json_boolean(e->measured));
    cli_print_json(root);
}

static void print_row(const char *component, const char *region, const char *phase, uint64_t n_byte,
                      const char *holds)
{
    char size[32];
    cli_format_bytes(n_byte, size, sizeof size);
    printf("%-10s %-10s %-7s %11s%s%s\n", component, region, phase, size, *holds ? "  " : "", holds);
}

static void print_text(const tess_plan *plan, const estimate *e)
{
    char size[32], smallest[32];
    printf("%-10s %-10s %-7s %11s  %s\n", "component", "region", "phase", "size", "holds");
    for (int i = 0; i < plan->n_region; i++) {
        const tess_region *r = &plan->region[i];
        print_row(r->component ? r->component : "-", r->name, tess_phase_name(r->phase), r->n_byte, r->holds);
    }
    snprintf(smallest, sizeof smallest, "(%llu bytes)", (unsigned long long)plan->smallest_budget_bytes);
    print_row("sum", "", "", plan->sum_bytes, "");
    print_row("budget", "", "", plan->budget_bytes, "");
    print_row("smallest", "", "", plan->smallest_budget_bytes, smallest);
    putchar('\n');
    printf("positions %d, prefill chunk %d, threads %d\n", plan->n_context, plan->n_chunk, plan->n_thread);
    printf("experts resident: %d of %d\n", plan->n_expert_slot, plan->n_expert_total);
    cli_format_bytes(plan->bytes_per_token_cold, size, sizeof size);
    printf("read per token: %s cold", size);
    cli_format_bytes(plan->bytes_per_token_warm, size, sizeof size);
    printf(", %s with the bank full\n", size);
    cli_format_bytes((uint64_t)e->disk_rate, size, sizeof size);
    printf("estimate: first token %.2f s, then %.2f s per token (disk %s/s, %s)\n", e->first_token,
           e->per_token, size, e->measured ? "measured" : "assumed; --measure reads it");
}

static int run_plan(const cli_command *self, int argc, char **argv)
{
    cli_common common = CLI_COMMON_DEFAULT;
    cli_engine engine = CLI_ENGINE_DEFAULT;
    bool measure = false;
    const cli_option options[] = {
        CLI_ENGINE_OPTIONS(&engine),
        CLI_SEED_OPTION(&engine, NULL),
        CLI_LEDGER_TEXT_OPTION(&engine, NULL),
        {"measure", CLI_FLAG, &measure, NULL, "measure the disk's rate by reading up to 1 GiB of experts"},
    };
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &common, argc, argv, &words, &n_word);
    if (code >= 0) return code;
    if (n_word == 1 && !engine.options.model_dir)
        engine.options.model_dir = words[0];
    else if (n_word > 0)
        return cli_usage(self, &common, "%s: unexpected word", words[0]);
    code = cli_engine_check(&engine, self, &common);
    if (code >= 0) return code;
    tess_error err;
    /* A run holds the tokenizer and the ledger while it plans; so does its plan. A model without a tokenizer
     * is planned without. */
    tess_tokenizer *tokenizer = NULL;
    if (tess_tokenizer_open(engine.options.model_dir, &tokenizer, NULL) != TESS_OK) tokenizer = NULL;
    cli_ledger_open_measuring(&engine.ledger, self, &engine.options);
    tess_plan plan;
    tess_status status = tess_plan_make(&engine.options, &plan, &err);
    cli_ledger_close(&engine.ledger);
    tess_tokenizer_close(tokenizer);
    double rate = ASSUMED_DISK_RATE;
    if (status == TESS_OK && measure) status = tess_plan_measure(&engine.options, MEASURE_BYTES, &rate, &err);
    if (status != TESS_OK) return cli_report(self, &common, &err);
    estimate e = make_estimate(&plan, rate, measure);
    if (common.json)
        print_json(&plan, &e);
    else
        print_text(&plan, &e);
    return CLI_DONE;
}

const cli_command cli_plan = {
    .name = "plan",
    .summary = "Shows what a memory budget buys, before a weight is read.",
    .arguments = "[options] --model DIR",
    .has = CLI_HAS_BUDGET,
    .examples = {"tessera plan --model Qwen3-Omni-30B-A3B-Instruct --memory 12GiB",
                 "tessera plan --model demo/checkpoint --memory 64MiB --measure --json"},
    .run = run_plan,
};
