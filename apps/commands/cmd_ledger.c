/* tessera ledger: the record of what was run, verified and learned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/ledger.h"
#include "commands/commands.h"
#include "reports/ledger_report.h"

typedef struct request {
    const cli_command *self;
    cli_common common;
    const char *place;
    int n_last;
    bool all, yes;
    tess_ledger *ledger;
    char *path;
} request;

static void keep_last(json_t **entries, size_t n)
{
    size_t n_all = json_array_size(*entries);
    if (n_all <= n) return;
    json_t *kept = json_array();
    for (size_t i = n_all - n; i < n_all; i++) json_array_append(kept, json_array_get(*entries, i));
    json_decref(*entries);
    *entries = kept;
}

static int list_entries(const request *r)
{
    tess_error err;
    json_t *entries = ledger_part_json(r->ledger, TESS_LEDGER_ENTRIES, 0, &err);
    if (!entries) return cli_report(r->self, &r->common, &err);
    const bool is_empty = json_array_size(entries) == 0;
    if (r->n_last >= 0) keep_last(&entries, (size_t)r->n_last);
    if (r->common.json) {
        cli_print_json(
            json_pack("{s:o, s:o}", "ledger", cli_text(r->path, strlen(r->path)), "entries", entries));
        return CLI_DONE;
    }
    if (json_array_size(entries))
        ledger_print_list(entries);
    else if (is_empty && !r->common.quiet)
        fprintf(stderr, "tessera ledger: nothing is recorded in %s\n", r->path);
    json_decref(entries);
    return CLI_DONE;
}

static int refuse_id(const request *r, int64_t id)
{
    return cli_usage(r->self, &r->common, "there is no entry %lld in %s; 'tessera ledger list' shows all",
                     (long long)id, r->path);
}

static int show_entry(const request *r, int64_t id)
{
    tess_error err;
    const char *kind;
    tess_status status = tess_ledger_get_kind(r->ledger, id, &kind, &err);
    if (status != TESS_OK) return cli_report(r->self, &r->common, &err);
    if (!*kind) return refuse_id(r, id);
    json_t *entry = ledger_entry_json(r->ledger, id, &err);
    if (!entry) return cli_report(r->self, &r->common, &err);
    if (r->common.json) {
        cli_print_json(entry);
        return CLI_DONE;
    }
    ledger_print_entry(entry);
    json_decref(entry);
    return CLI_DONE;
}

/* Entry by entry, so that memory does not grow with the ledger. With --json they are one object. */
static int export(const request *r)
{
    tess_error err;
    json_t *entries = ledger_part_json(r->ledger, TESS_LEDGER_ENTRIES, 0, &err);
    if (!entries) return cli_report(r->self, &r->common, &err);
    size_t i;
    const json_t *head;
    int code = CLI_DONE;
    if (r->common.json) fputs("{\"entries\":[", stdout);
    json_array_foreach(entries, i, head)
    {
        json_t *entry = ledger_entry_json(r->ledger, json_integer_value(json_object_get(head, "id")), &err);
        if (!entry) {
            /* What has been printed cannot be taken back; the reader sees that it does not end. */
            cli_common as_text = {.quiet = r->common.quiet, .progress = r->common.progress};
            code = cli_report(r->self, &as_text, &err);
            break;
        }
        if (r->common.json && i) putchar(',');
        cli_write_json(entry, JSON_REAL_PRECISION(17));
        if (!r->common.json) putchar('\n');
        json_decref(entry);
    }
    if (r->common.json && code == CLI_DONE) puts("]}");
    json_decref(entries);
    return code;
}

/* "BEFORE1 checkpoint, 12 runs", or a sentence if it is nothing at all. */
static void print_forgotten(FILE *out, const char *before, const tess_ledger_forgotten *gone)
{
    const struct {
        const char *one, *many;
        int64_t n;
    } parts[] = {{"checkpoint", "checkpoints", gone->n_checkpoint},
                 {"file's digest", "files' digests", gone->n_file},
                 {"tensor's digest", "tensors' digests", gone->n_tensor},
                 {"run", "runs", gone->n_run},
                 {"routing count", "routing counts", gone->n_routing},
                 {"verification", "verifications", gone->n_verification},
                 {"tap", "taps", gone->n_tap}};
    bool is_empty = true;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!parts[i].n) continue;
        fprintf(out, "%s%lld %s", is_empty ? before : ", ", (long long)parts[i].n,
                parts[i].n == 1 ? parts[i].one : parts[i].many);
        is_empty = false;
    }
    if (is_empty) fputs("nothing was recorded", out);
}

/* Whoever sits at a terminal is asked before more goes than the one entry that was named; where nobody can be
 * asked, more goes only with --yes. Returns -1 or an exit code. */
static int ask_first(const request *r, int64_t id)
{
    tess_error err;
    tess_ledger_forgotten going;
    if (r->yes) return -1;
    bool is_asked = isatty(STDIN_FILENO);
    if (!is_asked && r->all)
        return cli_usage(r->self, &r->common,
                         "--all forgets every entry, and nobody can be asked; --yes says so");
    tess_status status = tess_ledger_count_forgotten(r->ledger, id, &going, &err);
    if (status == TESS_EUSAGE) return refuse_id(r, id);
    if (status != TESS_OK) return cli_report(r->self, &r->common, &err);
    if (going.n_checkpoint + going.n_run + going.n_verification < 2) return -1;
    if (!is_asked)
        return cli_usage(
            r->self, &r->common,
            "%lld is a checkpoint, and its %lld runs and %lld verifications go with it; nobody can "
            "be asked, --yes says so",
            (long long)id, (long long)going.n_run, (long long)going.n_verification);
    print_forgotten(stderr, "this forgets ", &going);
    fputs("; go on? [y/N] ", stderr);
    char answer[16];
    if (fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y')) return -1;
    fputs("tessera ledger: nothing is forgotten\n", stderr);
    return CLI_INTERRUPTED;
}

static int forget_entry(const request *r, int64_t id)
{
    tess_error err;
    tess_ledger_forgotten gone;
    int code = ask_first(r, id);
    if (code >= 0) return code;
    tess_status status = tess_ledger_forget(r->ledger, id, &gone, &err);
    if (status == TESS_EUSAGE) return refuse_id(r, id);
    if (status != TESS_OK) return cli_report(r->self, &r->common, &err);
    if (!gone.is_overwritten)
        fprintf(
            stderr,
            "tessera ledger: another process has %s open; what is forgotten can still be read in it until "
            "that ends\n",
            r->path);
    if (r->common.json) {
        cli_print_json(json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:b}", "forgotten", "checkpoints",
                                 (json_int_t)gone.n_checkpoint, "files", (json_int_t)gone.n_file, "tensors",
                                 (json_int_t)gone.n_tensor, "runs", (json_int_t)gone.n_run, "routing",
                                 (json_int_t)gone.n_routing, "verifications", (json_int_t)gone.n_verification,
                                 "taps", (json_int_t)gone.n_tap, "overwritten", gone.is_overwritten));
        return CLI_DONE;
    }
    print_forgotten(stdout, "forgotten: ", &gone);
    putchar('\n');
    return CLI_DONE;
}

/* The user's own ledger that does not exist yet is an empty one; a file that was named must be there. */
static int open_ledger(request *r, tess_ledger_access access_wanted)
{
    tess_error err;
    if (r->place && !strcmp(r->place, "off"))
        return cli_usage(r->self, &r->common, "--ledger off: there is nothing to show without one");
    r->path = cli_ledger_find(r->place, false, &err);
    if (!r->path) return cli_report(r->self, &r->common, &err);
    bool is_missing = access(r->path, F_OK) != 0;
    tess_status status;
    if (is_missing && !r->place)
        status = tess_ledger_open(NULL, TESS_LEDGER_WRITE, &r->ledger, &err);
    else
        status = tess_ledger_open(r->path, is_missing ? TESS_LEDGER_READ : access_wanted, &r->ledger, &err);
    return status == TESS_OK ? -1 : cli_report(r->self, &r->common, &err);
}

static int refuse_action(const request *r, const char *action)
{
    static const char *const actions[] = {"list", "show", "export", "forget"};
    cli_guess guess = {.word = action};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) cli_guess_offer(&guess, actions[i]);
    if (guess.best)
        return cli_usage(r->self, &r->common, "\"%s\": no such word; did you mean %s?", action, guess.best);
    return cli_usage(r->self, &r->common, "found \"%s\", expected list, show, export or forget", action);
}

/* "list", "export", "show ID", "forget ID" or "forget --all". Returns -1 or an exit code; *id 0 without one.
 */
static int check_words(const request *r, char **words, int n_word, int64_t *id)
{
    if (!n_word)
        return cli_usage(r->self, &r->common,
                         "say what to do: list, show ID, export, forget ID or forget --all");
    const char *action = words[0];
    bool is_show = !strcmp(action, "show"), is_forget = !strcmp(action, "forget");
    if (strcmp(action, "list") && strcmp(action, "export") && !is_show && !is_forget)
        return refuse_action(r, action);
    if ((r->all || r->yes) && !is_forget)
        return cli_usage(r->self, &r->common, "--%s is for forget", r->all ? "all" : "yes");
    if (r->n_last >= 0 && strcmp(action, "list")) return cli_usage(r->self, &r->common, "--last is for list");
    bool wants_id = is_show || (is_forget && !r->all);
    if (n_word != (wants_id ? 2 : 1))
        return cli_usage(r->self, &r->common,
                         is_show    ? "%s: expected the number of one entry"
                         : wants_id ? "%s: expected the number of one entry, or --all"
                                    : "%s: unexpected word",
                         wants_id ? action : words[1]);
    *id = 0;
    if (!wants_id) return -1;
    char *end;
    *id = strtoll(words[1], &end, 10);
    if (*end || *id < 1 || *id == INT64_MAX)
        return cli_usage(r->self, &r->common, "found \"%s\", expected the number of an entry", words[1]);
    return -1;
}

static int run_ledger(const cli_command *self, int argc, char **argv)
{
    request r = {.self = self, .common = CLI_COMMON_DEFAULT, .n_last = -1};
    const cli_option options[] = {
        {"ledger", CLI_NAME, &r.place, "FILE",
         "the ledger; default $XDG_DATA_HOME/tessera/ledger.sqlite, else "
         "~/.local/share/tessera/ledger.sqlite"},
        {"last", CLI_COUNT, &r.n_last, "N", "with list, the latest N entries; default all"},
        {"all", CLI_FLAG, &r.all, NULL, "with forget, every entry"},
        {"yes", CLI_FLAG, &r.yes, NULL,
         "with forget, do not ask: a checkpoint takes its runs and verifications with it, which needs this "
         "where there is no terminal, as --all does"},
    };
    char **words;
    int n_word;
    int64_t id = 0;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &r.common, argc, argv, &words, &n_word);
    if (code < 0) code = check_words(&r, words, n_word, &id);
    if (code >= 0) return code;
    bool is_forget = !strcmp(words[0], "forget");
    code = open_ledger(&r, is_forget ? TESS_LEDGER_WRITE : TESS_LEDGER_READ);
    if (code < 0)
        code = is_forget                     ? forget_entry(&r, id)
               : !strcmp(words[0], "show")   ? show_entry(&r, id)
               : !strcmp(words[0], "export") ? export(&r)
                                             : list_entries(&r);
    tess_ledger_close(r.ledger);
    free(r.path);
    return code;
}

const cli_command cli_ledger_command = {
    .name = "ledger",
    .summary = "Shows what was run, verified and learned, and forgets it.",
    .arguments = "[options] list | show ID | export | forget (ID | --all)",
    .has = CLI_HAS_REMARKS,
    .examples = {"tessera ledger list --last 20", "tessera ledger export > ledger.jsonl"},
    .run = run_ledger,
};
