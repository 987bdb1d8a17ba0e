/* tessera plan: what a budget buys, before a weight is read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/engine_options.h"
#include "cli/prompt.h"
#include "cli/screen.h"
#include "cli/voice.h"
#include "commands/commands.h"

/* Rates the estimate assumes, the first two unless --measure takes them: a good SATA SSD, memory that comes
 * in huge pages, one memory channel, a core with AVX2, and packing by one. */
#define ASSUMED_DISK_RATE 500e6
#define ASSUMED_FRESH_RATE 10e9
#define ASSUMED_MEMORY_RATE 15e9
#define ASSUMED_OPERATIONS_PER_THREAD 50e9
#define ASSUMED_PACKING_PER_THREAD 1e9
#define MEASURE_BYTES (1ull << 30)

typedef struct estimate {
    tess_estimate costs;
    tess_rates rates;
    int n_prompt;
    bool measured;
    uint64_t hole_bytes; /* of the shards, that no disk is asked for; 0 where nothing was measured */
} estimate;

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
        "seconds_first_token", cli_number(e->costs.first_token_seconds), "seconds_per_token",
        cli_number(e->costs.full_token_seconds));
    json_object_set_new(root, "prompt_tokens", json_integer(e->n_prompt));
    json_object_set_new(root, "bytes_load", json_integer((json_int_t)e->costs.load_bytes));
    json_object_set_new(root, "bytes_first_token", json_integer((json_int_t)e->costs.first_token_bytes));
    json_object_set_new(root, "bytes_next_token", json_integer((json_int_t)e->costs.next_token_bytes));
    json_object_set_new(root, "bytes_towers", json_integer((json_int_t)plan->tower_bytes));
    json_object_set_new(root, "seconds_towers", cli_number(e->costs.tower_seconds));
    json_object_set_new(root, "bytes_spoken_second", json_integer((json_int_t)plan->speech_read_bytes));
    json_object_set_new(root, "seconds_spoken_second", cli_number(e->costs.speech_seconds));
    json_object_set_new(root, "seconds_next_token", cli_number(e->costs.next_token_seconds));
    json_object_set_new(root, "tokens_to_fill", json_integer(e->costs.n_tok_to_fill));
    json_object_set_new(root, "expert_slots_without_dense", json_integer(plan->n_expert_slot_instead));
    json_object_set_new(root, "budget_origin", cli_text_or_null(plan->budget_origin));
    json_object_set_new(root, "machine_bytes",
                        plan->machine_bytes ? json_integer((json_int_t)plan->machine_bytes) : json_null());
    json_object_set_new(root, "thread_origin", cli_text_or_null(plan->thread_origin));
    json_object_set_new(root, "bytes_per_token_warm", json_integer((json_int_t)plan->bytes_per_token_warm));
    json_object_set_new(root, "experts", json_integer(plan->n_expert_total));
    cli_put_residency(root, plan);
    json_object_set_new(root, "context", json_integer(plan->n_context));
    json_object_set_new(root, "chunk", json_integer(plan->n_chunk));
    json_object_set_new(root, "threads", json_integer(plan->n_thread));
    json_object_set_new(root, "disk_bytes_per_second", cli_number(e->rates.disk_bytes));
    json_object_set_new(root, "disk_rate_measured", json_boolean(e->measured));
    json_object_set_new(root, "fresh_memory_bytes_per_second", cli_number(e->rates.fresh_bytes));
    if (e->measured) json_object_set_new(root, "hole_bytes", json_integer((json_int_t)e->hole_bytes));
    cli_print_json(root);
}

static void print_row(int width, const char *component, const char *region, const char *phase,
                      const char *size, const char *holds)
{
    printf("%-*s %-9s %-6s %10s%s%s\n", width, component, region, phase, size, *holds ? "  " : "", holds);
}

static void print_size(int width, const char *what, const char *region, const char *phase, uint64_t n_byte,
                       const char *holds)
{
    char size[32];
    cli_format_bytes(n_byte, size, sizeof size);
    print_row(width, what, region, phase, size, holds);
}

static int component_width(const tess_plan *plan)
{
    int width = (int)strlen("component");
    for (int i = 0; i < plan->n_region; i++) {
        int n = plan->region[i].component ? (int)strlen(plan->region[i].component) : 0;
        if (n > width) width = n;
    }
    return width;
}

static void print_experts(const tess_plan *plan)
{
    char cold[32], warm[32];
    printf("experts resident: %d of %d%s\n", plan->n_expert_slot, plan->n_expert_total,
           plan->packs_experts || plan->is_stored_packed ? ", packed" : "");
    if (plan->n_expert_slot_instead > plan->n_expert_slot)
        printf("  %d if dense weights did not stay, but every token needs those\n",
               plan->n_expert_slot_instead);
    cli_format_bytes(plan->bytes_per_token_cold, cold, sizeof cold);
    cli_format_bytes(plan->bytes_per_token_warm, warm, sizeof warm);
    printf("read per token: %s cold, %s with the bank full\n", cold, warm);
}

/* Small models take less than hundredths of a second. */
static void format_seconds(double seconds, char out[32])
{
    if (seconds < 0.1)
        snprintf(out, 32, "%.2g ms", 1000 * seconds);
    else
        snprintf(out, 32, "%.2f s", seconds);
}

static void print_estimate(const tess_plan *plan, const estimate *e)
{
    const tess_estimate *c = &e->costs;
    char size[32], fresh[32], first[32], next[32], full[32];
    format_seconds(c->first_token_seconds, first);
    format_seconds(c->next_token_seconds, next);
    format_seconds(c->full_token_seconds, full);
    cli_format_bytes(c->first_token_bytes, size, sizeof size);
    printf("estimate for a prompt of %d tokens: first token %s (%s read),\n", e->n_prompt, first, size);
    if (plan->tower_bytes) {
        char towers[32], read[32];
        format_seconds(c->tower_seconds, towers);
        cli_format_bytes(plan->tower_bytes, read, sizeof read);
        printf("  of which the towers for the media take %s (%s read),\n", towers, read);
    }
    if (c->n_tok_to_fill > 0)
        printf("  then %s per token, %s when the bank is full, in about %d tokens\n", next, full,
               c->n_tok_to_fill);
    else
        printf("  then %s per token\n", full);
    if (plan->speech_weight_bytes > 0) {
        format_seconds(c->speech_seconds, next);
        cli_format_bytes((uint64_t)plan->speech_read_bytes, size, sizeof size);
        printf("  spoken: %s for each second of speech (%s read)\n", next, size);
    }
    cli_format_bytes((uint64_t)e->rates.disk_bytes, size, sizeof size);
    cli_format_bytes((uint64_t)e->rates.fresh_bytes, fresh, sizeof fresh);
    printf("  every expert equally likely; disk %s/s, fresh memory %s/s\n    (%s)\n", size, fresh,
           !e->measured    ? "assumed; --measure takes both"
           : e->hole_bytes ? "measured, but the disk on holes"
                           : "measured");
}

/* least_bytes: what preparing the request's media takes of a budget; 0: there are none. */
static void print_text(const tess_plan *plan, const estimate *e, uint64_t least_bytes)
{
    char smallest[32], size[32];
    const int width = component_width(plan);
    print_row(width, "component", "region", "phase", "size", "holds");
    for (int i = 0; i < plan->n_region; i++) {
        const tess_region *r = &plan->region[i];
        print_size(width, r->component ? r->component : "-", r->name, tess_phase_name(r->phase), r->n_byte,
                   r->holds);
    }
    snprintf(smallest, sizeof smallest, "(%llu bytes)", (unsigned long long)plan->smallest_budget_bytes);
    print_size(width, "sum", "", "", plan->sum_bytes, "");
    print_size(width, "budget", "", "", plan->budget_bytes, "");
    print_size(width, "smallest", "", "", plan->smallest_budget_bytes, smallest);
    putchar('\n');
    cli_format_bytes(CLI_MEDIA_LIBRARY_BYTES, size, sizeof size);
    if (least_bytes == plan->smallest_budget_bytes)
        cli_print_sentence(
            "smallest: before anything is planned the media are prepared, for which %s are set "
            "aside for decoding libraries",
            size);
    if (*plan->budget_origin) cli_print_sentence("budget: %s", plan->budget_origin);
    cli_print_sentence("positions %d, prefill chunk %d, threads %d%s%s%s", plan->n_context, plan->n_chunk,
                       plan->n_thread, *plan->thread_origin ? " (" : "", plan->thread_origin,
                       *plan->thread_origin ? ")" : "");
    print_experts(plan);
    print_estimate(plan, e);
}

static void remark_budget(const cli_command *self, const tess_plan *plan)
{
    char size[32];
    if (!plan->machine_bytes || plan->budget_bytes <= plan->machine_bytes) return;
    cli_format_bytes(plan->machine_bytes, size, sizeof size);
    fprintf(stderr,
            "tessera %s: the budget is more than the %s that this machine and its control groups have\n",
            self->name, size);
}

/* ---- what was measured -------------------------------------------------------------------------------- */

/* Bytes of a file that have no place on the disk: reading them measures memory. */
static uint64_t count_holes(const char *path)
{
    uint64_t n_hole = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    off_t at = 0, data;
    if (fd < 0 || fstat(fd, &info)) info.st_size = 0;
    while (at < info.st_size && (at = lseek(fd, at, SEEK_HOLE)) >= 0 && at < info.st_size) {
        data = lseek(fd, at, SEEK_DATA);
        if (data < 0 && errno != ENXIO) break;
        if (data < 0) data = info.st_size; /* nothing but a hole follows */
        n_hole += (uint64_t)(data - at);
        at = data;
    }
    if (fd >= 0) close(fd);
    return n_hole;
}

/* Says what makes the rate another than the disk's. */
static void examine_shards(const cli_command *self, const cli_common *common,
                           const tess_engine_options *options, estimate *e)
{
    tess_checkpoint *checkpoint;
    tess_shard_info info, refused = {0};
    uint64_t n_byte = 0;
    char holes[32], all[32];
    if (tess_checkpoint_open(options->model_dir, options->direct, &checkpoint, NULL) != TESS_OK) return;
    for (int i = 0; i < tess_checkpoint_get_shard_count(checkpoint); i++) {
        tess_checkpoint_get_shard(checkpoint, i, &info);
        if (!info.is_usable) continue;
        n_byte += info.n_byte;
        e->hole_bytes += count_holes(info.path);
        if (info.is_refused_direct) refused = info;
    }
    cli_format_bytes(e->hole_bytes, holes, sizeof holes);
    cli_format_bytes(n_byte, all, sizeof all);
    if (refused.path && !common->quiet) cli_remark_buffered(self, refused.path);
    if (e->hole_bytes && !common->quiet)
        cli_remark(self,
                   "%s of the %s of weights are holes in sparse files, for which no disk is asked: what was "
                   "measured is the rate of memory",
                   holes, all);
    tess_checkpoint_close(checkpoint);
}

/* ---- the command --------------------------------------------------------------------------------------- */

typedef struct request {
    cli_common common;
    cli_engine engine;
    cli_prompt prompt; /* media alone */
    const char *speak; /* the file that a run would speak into; NULL: none */
    cli_voice voice;
    bool measure;
    int n_prompt; /* tokens of text, then of all */
} request;

/* A run holds the tokenizer and the ledger while it plans; so does its plan. A model without a tokenizer is
 * planned without. */
static tess_status make_plan(const cli_command *self, request *r, tess_plan *plan, tess_error *err)
{
    const tess_feed expected = tess_prompt_get_feed(&r->prompt.made);
    tess_engine_options options = r->engine.options;
    options.n_needed = r->n_prompt;
    options.expected = &expected;
    options.n_expected = 1;
    tess_tokenizer *tokenizer = NULL;
    if (tess_tokenizer_open(options.model_dir, &tokenizer, NULL) != TESS_OK) tokenizer = NULL;
    cli_ledger_open_measuring(&r->engine.ledger, self, &options);
    tess_status status = cli_prompt_plan(&r->prompt, &options, plan, err);
    cli_ledger_close(&r->engine.ledger);
    tess_tokenizer_close(tokenizer);
    return status;
}

static int show_plan(const cli_command *self, request *r)
{
    tess_error err;
    tess_plan plan;
    tess_status status = make_plan(self, r, &plan, &err);
    estimate e = {.rates = {.disk_bytes = ASSUMED_DISK_RATE,
                            .memory_bytes = ASSUMED_MEMORY_RATE,
                            .fresh_bytes = ASSUMED_FRESH_RATE},
                  .n_prompt = r->n_prompt,
                  .measured = r->measure};
    if (status == TESS_OK && r->measure)
        status = tess_plan_measure(&r->engine.options, MEASURE_BYTES, &e.rates.disk_bytes, &err);
    if (status == TESS_OK && r->measure)
        status = tess_plan_measure_memory(&plan, r->engine.options.progress, &e.rates.fresh_bytes, &err);
    cli_progress_clear(&r->engine.bar);
    if (status != TESS_OK) return cli_report(self, &r->common, &err);
    if (r->n_prompt > plan.n_context)
        return cli_usage(self, &r->common,
                         "--prompt-tokens: found %d, expected at most the %d positions planned for",
                         r->n_prompt, plan.n_context);
    if (r->measure) examine_shards(self, &r->common, &r->engine.options, &e);
    e.rates.operations = ASSUMED_OPERATIONS_PER_THREAD * plan.n_thread;
    e.rates.pack_bytes = ASSUMED_PACKING_PER_THREAD * plan.n_thread;
    tess_plan_estimate(&plan, &e.rates, r->n_prompt, &e.costs);
    if (!r->common.quiet) remark_budget(self, &plan);
    if (r->common.json)
        print_json(&plan, &e);
    else
        print_text(&plan, &e, r->prompt.room.least_bytes);
    return CLI_DONE;
}

static int plan_request(const cli_command *self, request *r)
{
    if (r->n_prompt < 1) return cli_usage(self, &r->common, "--prompt-tokens: found 0, expected 1 or more");
    int64_t n_media_tok;
    int code = cli_prompt_take_media(&r->prompt, self, &r->common, &r->engine, r->n_prompt, &n_media_tok);
    if (code >= 0) return code;
    if (r->prompt.room.least_bytes) /* what encodes sound is there by then */
        r->prompt.room.least_bytes = cli_add_bytes(r->prompt.room.least_bytes, r->engine.options.other_bytes);
    r->n_prompt += (int)n_media_tok;
    return show_plan(self, r);
}

/* What a run would have opened by then: the file is not. */
static int plan_speech(const cli_command *self, request *r)
{
    int code = cli_voice_check(&r->voice, r->speak != NULL, self, &r->common, r->engine.options.model_dir);
    if (code >= 0 || !r->speak) return code;
    tess_error err;
    bool is_encoded;
    const tess_sound_options sound = cli_voice_get_sound(&r->voice);
    if (tess_sound_writer_check(r->speak, &sound, &is_encoded, &err) != TESS_OK)
        return cli_report(self, &r->common, &err);
    if (is_encoded) r->engine.options.other_bytes = CLI_SOUND_LIBRARY_BYTES;
    r->engine.options.n_speech_step = r->voice.max_step;
    return -1;
}

static int run_plan(const cli_command *self, int argc, char **argv)
{
    request r = {.common = CLI_COMMON_DEFAULT,
                 .engine = CLI_ENGINE_DEFAULT,
                 .prompt = CLI_PROMPT_DEFAULT,
                 .voice = CLI_VOICE_DEFAULT,
                 .n_prompt = 16};
    const cli_option options[] = {
        CLI_MEDIA_OPTIONS(&r.prompt.media),
        {"speak", CLI_NAME, &r.speak, "OUT.wav",
         "count what it takes to speak the answer into such a file, which is not written"},
        CLI_VOICE_OPTIONS(&r.voice),
        CLI_ENGINE_OPTIONS(&r.engine),
        CLI_SEED_OPTION(&r.engine, NULL),
        CLI_LEDGER_TEXT_OPTION(&r.engine, NULL),
        {"prompt-tokens", CLI_SOME, &r.n_prompt, "N",
         "length of the prompt that the estimate is for, without media; default 16"},
        {"measure", CLI_FLAG, &r.measure, NULL,
         "measure the disk's rate by reading up to 1 GiB of weights, and how fast memory comes"},
    };
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &r.common, argc, argv, &words, &n_word);
    if (code < 0) code = cli_check_names(self, &r.common, "the folder of a checkpoint", words, n_word);
    if (code < 0 && n_word == 1 && !r.engine.options.model_dir)
        r.engine.options.model_dir = words[0];
    else if (code < 0 && n_word > 0)
        code = cli_usage(self, &r.common, "%s: unexpected word", words[0]);
    if (code < 0) code = cli_engine_check(&r.engine, self, &r.common);
    if (code < 0) code = plan_speech(self, &r);
    if (code < 0) code = plan_request(self, &r);
    cli_prompt_release(&r.prompt);
    return code;
}

const cli_command cli_plan = {
    .name = "plan",
    .summary = "Shows what a memory budget buys, before a weight is read.",
    .arguments = "[options] --model DIR",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS | CLI_HAS_BUDGET,
    .examples = {"tessera plan --model Qwen3-Omni-30B-A3B-Instruct --memory 12GiB",
                 "tessera plan --model demo/checkpoint --memory 64MiB --measure --json",
                 "tessera plan --model demo/checkpoint --video tests/data/media/video/plain.mp4 --fps 1",
                 "tessera plan --model demo/checkpoint --memory 64MiB --speak answer.wav"},
    .run = run_plan,
    .notes = CLI_MEDIA_NOTES,
};
