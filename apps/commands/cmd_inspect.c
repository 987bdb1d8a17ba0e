/* tessera inspect: what is in a checkpoint, what is wrong with it, and its checksums. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "cli/folder.h"
#include "cli/progress.h"
#include "cli/prompt.h"
#include "cli/screen.h"
#include "commands/commands.h"
#include "commands/inspect_digests.h"
#include "reports/inspect_report.h"

/* Plain inspection names this many problems; --check names all. */
enum { MOST_PROBLEMS_SHOWN = 10 };

typedef struct inspection {
    const cli_command *self;
    cli_common common;
    const char *dir, *glob;
    bool check, checksum;
    tess_checkpoint *checkpoint;
    cli_progress bar;
    inspect_digests digests;
    FILE *problem_out; /* where problems go as text, NULL with --json */
    size_t n_shown, most_shown, n_wrong;
    bool is_part; /* a shard is absent or cut off */
    /* With --json: */
    json_t *root, *problems, *tensors;
} inspection;

static void show_problem(void *context, const tess_problem *problem)
{
    inspection *in = context;
    cli_progress_clear(&in->bar);
    in->is_part |= problem->kind == TESS_PROBLEM_SHARD || problem->kind == TESS_PROBLEM_TRUNCATED;
    if (in->problems) json_array_append_new(in->problems, inspect_problem_json(problem));
    if (in->problem_out && in->n_shown++ < in->most_shown) inspect_print_problem(in->problem_out, problem);
}

/* What is nearly always the reason, and what to do then. */
static void remark_part(const inspection *in)
{
    if (in->is_part && !in->common.quiet)
        cli_remark(in->self,
                   "what is absent or cut off was not fetched whole: fetch it again; the hub's client "
                   "goes on where it stopped");
}

/* What opening found does not stop a plain inspection: it shows what it can, and says so. */
static void show_opening(inspection *in)
{
    size_t n = 0;
    in->problem_out = in->common.json ? NULL : stderr;
    in->most_shown = MOST_PROBLEMS_SHOWN;
    tess_checkpoint_report_opening(in->checkpoint, show_problem, in, &n);
    if (n && !in->common.json) {
        if (n > MOST_PROBLEMS_SHOWN)
            fprintf(stderr, "and %zu more; --check lists all\n", n - MOST_PROBLEMS_SHOWN);
        fprintf(stderr, "tessera inspect: %s has %zu problem%s\n", in->dir, n, n == 1 ? "" : "s");
        remark_part(in);
    }
}

static tess_status check_problems(inspection *in, tess_error *err)
{
    size_t n = 0;
    in->problem_out = in->common.json ? NULL : stdout;
    in->most_shown = SIZE_MAX;
    tess_status status = tess_checkpoint_check(in->checkpoint, show_problem, in, &n, err);
    if (status != TESS_OK) return status;
    in->n_wrong += n;
    if (in->common.json) {
        json_object_set_new(in->root, "complete", json_boolean(n == 0));
        return TESS_OK;
    }
    char tensors[32], bytes[32];
    tess_checkpoint_summary s;
    tess_checkpoint_summarise(in->checkpoint, &s);
    inspect_format_count(s.all.n_tensor, tensors, sizeof tensors);
    inspect_format_count(s.all.n_byte, bytes, sizeof bytes);
    printf("%s tensors in %d shards, %s bytes: ", tensors, tess_checkpoint_get_shard_count(in->checkpoint),
           bytes);
    fputs(cli_colour_begin(n ? CLI_BAD : CLI_GOOD), stdout);
    if (n)
        printf("%zu problem%s", n, n == 1 ? "" : "s");
    else
        fputs("exactly what config.json implies", stdout);
    puts(cli_colour_end());
    remark_part(in);
    return TESS_OK;
}

/* --- tensors and checksums ------------------------------------------------------------------------------ */

static bool matches(const inspection *in, const tess_tensor *tensor)
{
    return !in->glob || fnmatch(in->glob, tensor->name, 0) == 0;
}

static void list_tensors(inspection *in)
{
    size_t n = 0;
    for (size_t i = 0; i < tess_checkpoint_get_tensor_count(in->checkpoint); i++) {
        const tess_tensor *t = tess_checkpoint_get_tensor(in->checkpoint, i);
        if (!matches(in, t)) continue;
        n++;
        if (in->tensors)
            json_array_append_new(in->tensors, inspect_tensor_json(in->checkpoint, t, NULL));
        else
            inspect_print_tensor(in->checkpoint, t, NULL);
    }
    if (n || in->common.quiet) return;
    if (strpbrk(in->glob, "*?["))
        cli_remark(in->self, "no tensor matches '%s'", in->glob);
    else
        cli_remark(in->self, "no tensor matches '%s': names are matched as a whole, as by '*%s*'", in->glob,
                   in->glob);
}

static void show_nonfinite(inspection *in, const tess_tensor_checksum *sum)
{
    char message[768], found[128];
    tess_shard_info info;
    tess_checkpoint_get_shard(in->checkpoint, sum->tensor->shard, &info);
    uint64_t offset = sum->tensor->offset + sum->first_nonfinite * tess_dtype_bytes(sum->tensor->dtype);
    snprintf(found, sizeof found, "%llu of %llu weights NaN or infinite, the first is element %llu",
             (unsigned long long)sum->n_nonfinite, (unsigned long long)tess_tensor_count(sum->tensor),
             (unsigned long long)sum->first_nonfinite);
    snprintf(message, sizeof message, "%.250s at byte %llu: %.200s: found %s, expected finite weights",
             info.path, (unsigned long long)offset, sum->tensor->name, found);
    const tess_problem problem = {.kind = TESS_PROBLEM_NONFINITE,
                                  .offset = (int64_t)offset,
                                  .file = info.path,
                                  .tensor = sum->tensor->name,
                                  .found = found,
                                  .expected = "finite weights",
                                  .message = message};
    show_problem(in, &problem);
}

static void show_damage(inspection *in, const tess_tensor_checksum *sum)
{
    tess_error err;
    tess_checkpoint_refuse_damage(in->checkpoint, sum, &err);
    const tess_problem problem = {.kind = TESS_PROBLEM_DAMAGED,
                                  .offset = err.offset,
                                  .file = err.file,
                                  .tensor = err.field,
                                  .found = err.found,
                                  .expected = err.expected,
                                  .message = err.message};
    show_problem(in, &problem);
}

static void take_tensor(void *context, const tess_tensor_checksum *sum)
{
    inspection *in = context;
    cli_progress_clear(&in->bar);
    if (cli_interrupted()) return; /* perhaps while nobody read: nothing more is printed */
    if (in->tensors)
        json_array_append_new(in->tensors, inspect_tensor_json(in->checkpoint, sum->tensor, sum));
    else
        inspect_print_tensor(in->checkpoint, sum->tensor, sum);
    if (sum->n_nonfinite) show_nonfinite(in, sum);
    if (sum->is_damaged) show_damage(in, sum);
    if (sum->n_nonfinite || sum->is_damaged || !sum->is_readable) in->n_wrong++;
}

static void take_shard(void *context, int shard, const char *sha256)
{
    inspection *in = context;
    tess_shard_info info;
    tess_checkpoint_get_shard(in->checkpoint, shard, &info);
    inspect_digests_take(&in->digests, shard, sha256);
    if (cli_interrupted()) return;
    if (in->common.json) {
        json_t *entry = json_array_get(json_object_get(in->root, "shards"), (size_t)shard);
        json_object_set_new(entry, "sha256", json_string(sha256));
        json_object_set_new(entry, "digest_from", json_string(in->digests.is_recalled ? "ledger" : "bytes"));
    } else {
        printf("%s  %s\n", sha256, CLI_SAFE(info.name));
    }
}

static bool recall_shard(void *context, int shard, tess_tensor_checksum *sum, char sha256[65])
{
    inspection *in = context;
    return inspect_digests_recall(&in->digests, shard, sum, sha256);
}

static tess_status sum_matching(inspection *in, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < tess_checkpoint_get_tensor_count(in->checkpoint) && status == TESS_OK; i++) {
        const tess_tensor *t = tess_checkpoint_get_tensor(in->checkpoint, i);
        tess_tensor_checksum sum;
        if (!matches(in, t)) continue;
        status = tess_checkpoint_checksum_tensor(in->checkpoint, t, &in->bar.unseen, &sum, err);
        if (status == TESS_OK) take_tensor(in, &sum);
    }
    return status;
}

static void show_identity(const inspection *in, const char *name, const char *sha256)
{
    if (in->common.json)
        json_object_set_new(in->root, name, *sha256 ? json_string(sha256) : json_null());
    else
        printf("%s  %s\n", *sha256 ? sha256 : "unknown", name);
}

static tess_status sum_all(inspection *in, tess_error *err)
{
    char weights[65] = "", config[65] = "";
    const tess_checksum_listener listener = {.tensor = take_tensor,
                                             .shard = take_shard,
                                             .progress = &in->bar.drawn_bar,
                                             .recall = recall_shard,
                                             .context = in};
    tess_status status = tess_checkpoint_checksum(in->checkpoint, &listener, weights, err);
    cli_progress_clear(&in->bar);
    if (status != TESS_OK) return status;
    if (!*weights && !in->n_wrong) in->n_wrong++; /* a shard that could not be read */
    inspect_digests_take_weights(&in->digests, weights);
    json_t *files = in->common.json ? json_array() : NULL;
    if (files) json_object_set_new(in->root, "files", files);
    status = inspect_digests_take_files(&in->digests, files, err);
    if (tess_checkpoint_get_config_sha256(in->checkpoint, config, NULL) != TESS_OK) *config = 0;
    show_identity(in, "weights_sha256", weights);
    show_identity(in, "config_sha256", config);
    if (!in->common.quiet) inspect_digests_remark(&in->digests, "--rehash");
    return status;
}

/* ---------------------------------------------------------------------------------------------------------
 */

static tess_status show_all(inspection *in, tess_error *err)
{
    tess_status status = TESS_OK;
    if (in->common.json) inspect_add_summary(in->checkpoint, in->root);
    if (in->check)
        status = check_problems(in, err);
    else
        show_opening(in);
    if (status != TESS_OK) return status;
    in->problem_out = in->common.json ? NULL : stderr;
    in->most_shown = SIZE_MAX;
    if (in->checksum) {
        cli_catch_interrupt(&in->common);
        cli_interrupt_waits(true);
        cli_progress_init(&in->bar, &in->common);
        return in->glob ? sum_matching(in, err) : sum_all(in, err);
    }
    if (in->glob)
        list_tensors(in);
    else if (!in->check && !in->common.json)
        inspect_print_summary(in->checkpoint);
    return TESS_OK;
}

static int inspect_folder(inspection *in)
{
    tess_error err, config_err;
    bool has_config = tess_checkpoint_get_config_status(in->checkpoint, &config_err) == TESS_OK;
    if (!has_config && (in->check || tess_checkpoint_get_tensor_count(in->checkpoint) == 0)) {
        int code = cli_check_checkpoint(in->self, &in->common, in->dir);
        return code < 0 ? cli_report(in->self, &in->common, &config_err) : code;
    }
    if (!has_config) cli_remark(in->self, "%s", config_err.message);
    cli_remark_template(in->self, &in->common, in->dir);
    if (in->common.json) {
        in->root = json_object();
        in->problems = json_array();
        json_object_set_new(in->root, "model", cli_text(in->dir, strlen(in->dir)));
        json_object_set_new(in->root, "config",
                            has_config ? json_string("usable")
                                       : cli_text(config_err.message, strlen(config_err.message)));
        json_object_set_new(in->root, "problems", in->problems);
        if (in->glob || in->checksum) {
            in->tensors = json_array();
            json_object_set_new(in->root, "tensor_list", in->tensors);
        }
    }
    tess_status status = show_all(in, &err);
    if (status != TESS_OK) {
        json_decref(in->root);
        return cli_report(in->self, &in->common, &err);
    }
    if (in->common.json) cli_print_json(in->root);
    return in->n_wrong ? CLI_DIFFERENT : CLI_DONE;
}

static void remark_reads(const inspection *in)
{
    tess_shard_info info;
    for (int i = 0; i < tess_checkpoint_get_shard_count(in->checkpoint); i++) {
        tess_checkpoint_get_shard(in->checkpoint, i, &info);
        if (info.is_refused_direct) {
            cli_remark_buffered(in->self, info.path);
            return;
        }
    }
}

static int run_inspect(const cli_command *self, int argc, char **argv)
{
    inspection in = {.self = self, .common = CLI_COMMON_DEFAULT};
    const char *direct = "auto";
    const cli_option options[] = {
        {"model", CLI_NAME, &in.dir, "DIR",
         "checkpoint folder: as published, or a packed store (or as a word)"},
        {"check", CLI_FLAG, &in.check, NULL,
         "compare with all that config.json implies; exit 1 if anything is wrong"},
        {"tensors", CLI_TEXT, &in.glob, "GLOB", "list the tensors whose names match, as '*.mlp.gate.*'"},
        {"checksum", CLI_FLAG, &in.checksum, NULL,
         "SHA-256 by tensor and shard; exit 1 if a weight is NaN or infinite"},
        {"rehash", CLI_FLAG, &in.digests.rehash, NULL,
         "with --checksum, read every shard even if the ledger knows its digests"},
        CLI_LEDGER_PLACE_OPTION(&in.digests.ledger),
        {"direct", CLI_TEXT, &direct, "MODE", "direct I/O: auto, on or off; default auto"},
    };
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &in.common, argc, argv, &words, &n_word);
    if (code >= 0) return code;
    code = cli_check_names(self, &in.common, "the folder of a checkpoint", words, n_word);
    if (code >= 0) return code;
    if (n_word > 0 && !in.dir) {
        in.dir = *words++;
        n_word--;
    }
    if (n_word > 0) return cli_usage(self, &in.common, "%s: unexpected word", words[0]);
    if (!in.dir) return cli_usage(self, &in.common, "no checkpoint folder is given");
    if (in.digests.rehash && !in.checksum)
        return cli_usage(self, &in.common, "--rehash belongs to --checksum, which is missing");
    if (in.digests.rehash && in.glob)
        return cli_usage(self, &in.common,
                         "--rehash is about whole shards; single tensors (--tensors) are always read");
    tess_direct mode;
    code = cli_choose_direct(self, &in.common, direct, &mode);
    if (code >= 0) return code;
    tess_error err;
    if (tess_checkpoint_open(in.dir, mode, &in.checkpoint, &err) != TESS_OK)
        return cli_report(self, &in.common, &err);
    if (in.checksum && !in.glob) inspect_digests_begin(&in.digests, self, &in.common, in.dir, in.checkpoint);
    code = inspect_folder(&in);
    if (in.checksum && !in.common.quiet) remark_reads(&in);
    inspect_digests_end(&in.digests);
    tess_checkpoint_close(in.checkpoint);
    return code;
}

const cli_command cli_inspect = {
    .name = "inspect",
    .summary = "Shows what is in a checkpoint, and what is wrong with it.",
    .arguments = "[options] DIR",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS | CLI_HAS_DIFFERENCE,
    .examples = {"tessera inspect --check Qwen3-Omni-30B-A3B-Instruct",
                 "tessera inspect demo/checkpoint --tensors '*.layers.0.mlp.experts.*' --checksum"},
    .run = run_inspect,
};
