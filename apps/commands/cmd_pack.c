/* tessera pack and tessera unpack: the published layout to a packed store and back. */
#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "cli/folder.h"
#include "cli/progress.h"
#include "commands/commands.h"
#include "tessera/pack.h"

typedef struct request {
    const cli_command *self;
    cli_common common;
    cli_progress bar;
    tess_pack_options options;
    json_t *left_out; /* with --json */
} request;

static void tell_left_out(void *context, const char *name, const char *why)
{
    request *r = context;
    if (r->left_out)
        json_array_append_new(r->left_out,
                              json_pack("{s:o, s:s}", "file", cli_text(name, strlen(name)), "why", why));
    else if (!r->common.quiet)
        cli_remark(r->self, "%s is left out: %s", name, why);
}

static void print_json(const request *r, const tess_pack_result *result, double seconds)
{
    json_t *root = json_object();
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"shards", (uint64_t)result->n_shard},    {"files", (uint64_t)result->n_file},
        {"published_bytes", result->plain_bytes}, {"packed_bytes", result->packed_bytes},
        {"pieces_packed", result->n_packed},      {"pieces_plain", result->n_plain},
        {"found_bytes", result->found_bytes},     {"peak_rss_bytes", tess_system_peak_bytes()},
    };
    json_object_set_new(root, "model", cli_text(r->options.model_dir, strlen(r->options.model_dir)));
    json_object_set_new(root, "out", cli_text(r->options.out_dir, strlen(r->options.out_dir)));
    json_object_set_new(root, "was_whole", json_boolean(result->was_whole));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const bool is_of_pack = !strncmp(counts[i].name, "pieces", 6);
        if (!is_of_pack || r->self == &cli_pack)
            json_object_set_new(root, counts[i].name, json_integer((json_int_t)counts[i].value));
    }
    json_object_set_new(root, "seconds", cli_number(seconds));
    if (r->left_out) json_object_set(root, "left_out", r->left_out);
    cli_print_json(root);
}

static void print_text(const request *r, const tess_pack_result *result, double seconds)
{
    char plain[32], packed[32], found[32], rate[32];
    const bool packs = r->self == &cli_pack;
    const uint64_t written = result->plain_bytes - result->found_bytes;
    cli_format_bytes(result->plain_bytes, plain, sizeof plain);
    cli_format_bytes(result->packed_bytes, packed, sizeof packed);
    cli_format_bytes(result->found_bytes, found, sizeof found);
    cli_format_bytes((uint64_t)((double)written / (seconds > 0 ? seconds : 1e-9)), rate, sizeof rate);
    printf("%s%s\n", CLI_SAFE(r->options.out_dir),
           result->was_whole ? ": is whole already, and was left as it is" : "");
    printf("  %-10s %s in %d shard%s\n", "published", plain, result->n_shard,
           result->n_shard == 1 ? "" : "s");
    printf("  %-10s %s, %.1f %% of it\n", "packed", packed,
           100 * (double)result->packed_bytes / (double)(result->plain_bytes ? result->plain_bytes : 1));
    if (packs)
        printf("  %-10s %llu packed, %llu as they are\n", "pieces", (unsigned long long)result->n_packed,
               (unsigned long long)result->n_plain);
    printf("  %-10s %d carried along\n", "files", result->n_file);
    if (result->was_whole) return;
    if (result->found_bytes) printf("  %-10s %s of an earlier run\n", "gone on", found);
    printf("  %-10s %.1f s%s%s%s\n", "time", seconds, written ? ", " : "", written ? rate : "",
           written ? "/s" : "");
}

static int run_request(request *r)
{
    tess_error err;
    tess_pack_result result;
    const bool packs = r->self == &cli_pack;
    cli_progress_init(&r->bar, &r->common);
    cli_catch_interrupt(&r->common);
    cli_catch_termination();
    r->options.progress = &r->bar.drawn_bar;
    r->options.left_out = tell_left_out;
    r->options.context = r;
    const double begin = tess_system_seconds();
    tess_status status =
        packs ? tess_pack(&r->options, &result, &err) : tess_unpack(&r->options, &result, &err);
    cli_progress_clear(&r->bar);
    const bool may_go_on = status == TESS_EINTERRUPTED || status == TESS_EIO || status == TESS_ENOMEM;
    if (may_go_on && !r->common.quiet && cli_has_part(r->options.out_dir))
        cli_remark(r->self, "what is done stays in %s; the same command goes on with it", r->options.out_dir);
    if (status != TESS_OK) return cli_report(r->self, &r->common, &err);
    if (r->common.json)
        print_json(r, &result, tess_system_seconds() - begin);
    else
        print_text(r, &result, tess_system_seconds() - begin);
    return CLI_DONE;
}

static int check_request(const request *r)
{
    if (!r->options.model_dir)
        return cli_usage(r->self, &r->common, "--model DIR is missing: the folder of %s",
                         r->self == &cli_pack ? "a checkpoint" : "a packed store");
    if (!r->options.out_dir)
        return cli_usage(r->self, &r->common, "--out DIR is missing: the folder to write");
    return -1;
}

static int run_pack(const cli_command *self, int argc, char **argv)
{
    request r = {.self = self, .common = CLI_COMMON_DEFAULT};
    const bool packs = self == &cli_pack;
    const char *direct = "auto";
    const cli_option options[] = {
        {"model", CLI_NAME, &r.options.model_dir, "DIR",
         packs ? "checkpoint folder in the published layout (required)"
               : "folder of a packed store (required)"},
        {"out", CLI_NAME, &r.options.out_dir, packs ? "STORE" : "DIR",
         "folder to write; made if it is not there (required)"},
        {"direct", CLI_TEXT, &direct, "MODE", "direct I/O: auto, on or off; default auto"},
        {"threads", CLI_THREADS, &r.options.n_thread, "N",
         "threads; default: the CPUs that the process may keep busy"},
    };
    /* Unpacking reads, checks and writes at the same time; more threads would wait. */
    const size_t n_option = sizeof options / sizeof *options - (packs ? 0 : 1);
    char **words;
    int n_word;
    int code = cli_parse(self, options, n_option, &r.common, argc, argv, &words, &n_word);
    if (code < 0 && n_word > 0)
        code = cli_unexpected_word(self, &r.common, words[0], "folders go after --model and --out");
    if (code < 0) code = check_request(&r);
    if (code < 0) code = cli_choose_direct(self, &r.common, direct, &r.options.direct);
    if (code >= 0) return code;
    r.left_out = r.common.json && packs ? json_array() : NULL;
    code = run_request(&r);
    json_decref(r.left_out);
    return code;
}

const cli_command cli_pack = {
    .name = "pack",
    .summary = "Packs a checkpoint into three quarters of its bytes.",
    .arguments = "[options] --model DIR --out STORE",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS,
    .examples = {"tessera pack --model Qwen3-Omni-30B-A3B-Instruct --out Qwen3-Omni-packed",
                 "tessera run --model Qwen3-Omni-packed --prompt 'What is a mosaic?'"},
    .run = run_pack,
    .notes = "A store holds the same weights, bit by bit, and gives the same answers. It is a\n"
             "complete model: config.json, the tokenizer and all other small files are in it.\n"
             "DIR is only read. What was begun is gone on with by the same command; a store\n"
             "that is whole is left as it is.\n",
};

const cli_command cli_unpack = {
    .name = "unpack",
    .summary = "Gives back the published files of a packed store, byte for byte.",
    .arguments = "[options] --model STORE --out DIR",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS,
    .examples = {"tessera unpack --model Qwen3-Omni-packed --out Qwen3-Omni-30B-A3B-Instruct",
                 "tessera inspect --check Qwen3-Omni-30B-A3B-Instruct"},
    .run = run_pack,
    .notes = "Every tensor is compared with the SHA-256 that it had when it was packed. What\n"
             "was begun is gone on with by the same command; files that are whole are left as\n"
             "they are.\n",
};
