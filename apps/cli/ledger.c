#include "cli/ledger.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"

/* ---- the place ----------------------------------------------------------------------------------------- */

/* Makes the folders on the way to the file, for the user alone. */
static tess_status make_folders(char *path, tess_error *err)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int failed = mkdir(path, 0700) && errno != EEXIST ? errno : 0;
        /* A folder that is there may lie in one that cannot be written. */
        if (failed && access(path, F_OK) == 0) failed = 0;
        if (failed) tess_fail_system(err, failed, path, -1, "make the ledger's folder");
        *slash = '/';
        if (failed) return TESS_EIO;
    }
    return TESS_OK;
}

/* A file of the user's own data; snprintf's result, 0 if nothing says where such files lie. */
static int find_own(const char *name, char *path, size_t size)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data == '/') return snprintf(path, size, "%s/tessera/%s", data, name);
    if (home && *home == '/') return snprintf(path, size, "%s/.local/share/tessera/%s", home, name);
    return 0;
}

char *cli_ledger_find_neighbour(const char *name)
{
    char path[PATH_MAX];
    int n = find_own(name, path, sizeof path);
    return n > 0 && (size_t)n < sizeof path && make_folders(path, NULL) == TESS_OK ? strdup(path) : NULL;
}

char *cli_ledger_find(const char *place, bool make_folder, tess_error *err)
{
    char path[PATH_MAX];
    int n = place ? snprintf(path, sizeof path, "%s", place) : find_own("ledger.sqlite", path, sizeof path);
    if (!place && n == 0) {
        tess_fail(err, TESS_EUSAGE,
                  "neither XDG_DATA_HOME nor HOME says where the ledger is; --ledger FILE does, or "
                  "--ledger off");
        return NULL;
    }
    if (n < 1 || (size_t)n >= sizeof path) {
        tess_fail(err, TESS_EUSAGE, "--ledger: found a name of %d bytes, expected 1 to %d", n, PATH_MAX - 1);
        return NULL;
    }
    if (!place && make_folder && make_folders(path, err) != TESS_OK) return NULL;
    char *copy = strdup(path);
    if (!copy) tess_fail(err, TESS_ENOMEM, "no memory for the ledger's name");
    return copy;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

void cli_ledger_say_unrecorded(const cli_ledger *l, const char *what, const tess_error *err)
{
    if (l->is_quiet) return;
    cli_remark(l->self, "%s is not recorded in the ledger: %s", what, err->message);
}

void cli_ledger_give_up(cli_ledger *l, const char *what, const tess_error *err)
{
    cli_ledger_say_unrecorded(l, what, err);
    tess_ledger_close(l->ledger);
    l->ledger = NULL;
}

void cli_ledger_open(cli_ledger *l, const cli_command *self, const cli_common *common)
{
    tess_error err;
    l->self = self;
    l->is_quiet = common->quiet;
    if (l->place && !strcmp(l->place, "off")) return;
    char *path = cli_ledger_find(l->place, true, &err);
    if (!path || tess_ledger_open(path, TESS_LEDGER_WRITE, &l->ledger, &err) != TESS_OK) {
        l->ledger = NULL;
        if (!l->is_quiet)
            cli_remark(self, "what this command does is not recorded in the ledger: %s%s", err.message,
                       path ? "; --ledger FILE names another place, --ledger off none" : "");
    }
    free(path);
}

static void forget_prompt(cli_ledger *l)
{
    free(l->prompt_text);
    free(l->system_text);
    l->prompt_text = l->system_text = NULL;
    l->prompt_kind = NULL;
}

void cli_ledger_close(cli_ledger *l)
{
    forget_prompt(l);
    tess_ledger_close(l->ledger);
    tess_routing_free(l->routing);
    l->ledger = NULL;
    l->routing = NULL;
}

/* ---- runs ---------------------------------------------------------------------------------------------- */

/* The digest of all that was noted so far. */
static void end_prompt(cli_ledger *l)
{
    tess_sha256 sha = l->prompt;
    tess_sha256_finish(&sha, l->prompt_sha256);
}

static const char *kind_with_media(const char *kind)
{
    static const char *const kinds[][2] = {
        {"chat", "chat with media"}, {"messages", "messages with media"}, {"ids", "ids with media"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strcmp(kinds[i][0], kind)) return kinds[i][1];
    return kind;
}

void cli_ledger_note_media(cli_ledger *l, const tess_features *const *media, int n)
{
    static const unsigned char unknown[sizeof media[0]->digest];
    if (!l->ledger || !l->prompt_kind || n == 0) return;
    l->prompt_kind = kind_with_media(l->prompt_kind);
    for (int i = 0; i < n; i++)
        if (memcmp(media[i]->digest, unknown, sizeof unknown) != 0)
            tess_sha256_add(&l->prompt, media[i]->digest, sizeof media[i]->digest);
    end_prompt(l);
}

void cli_ledger_note_prompt(cli_ledger *l, const char *kind, const void *bytes, size_t n_byte,
                            const char *system)
{
    if (!l->ledger) return;
    forget_prompt(l);
    l->prompt_kind = kind;
    tess_sha256_init(&l->prompt);
    tess_sha256_add(&l->prompt, bytes, n_byte);
    end_prompt(l);
    if (system) tess_sha256_bytes(system, strlen(system), l->system_sha256);
    if (!system) *l->system_sha256 = 0;
    if (!l->keep_text || !strcmp(kind, "ids")) return;
    /* Without memory for a copy the text is not kept; its digest is. */
    l->prompt_text = malloc(n_byte + 1);
    l->n_prompt_text = n_byte;
    if (l->prompt_text) memcpy(l->prompt_text, bytes, n_byte);
    l->system_text = system ? strdup(system) : NULL;
    l->n_system_text = system ? strlen(system) : 0;
}

static tess_status find_checkpoint(cli_ledger *l, const tess_engine_options *options, tess_error *err)
{
    tess_ledger_checkpoint checkpoint;
    /* Anew for every run: a chat can outlast what it was begun with, by a change of the folder or a forget.
     */
    tess_status status = tess_ledger_note_checkpoint(l->ledger, options->model_dir, &checkpoint, err);
    if (status != TESS_OK) return status;
    l->checkpoint = checkpoint.id;
    /* A configuration that cannot be used is for the engine to refuse. */
    if (!l->routing && tess_routing_new(options->model_dir, &l->routing, NULL) != TESS_OK) l->routing = NULL;
    return TESS_OK;
}

/* A folder without a configuration is no checkpoint, and opening it will fail with a better message. */
static bool is_checkpoint(const char *dir)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/config.json", dir);
    return n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
}

void cli_ledger_begin_run(cli_ledger *l, const tess_engine_options *options, uint64_t seed)
{
    if (!l->ledger || !is_checkpoint(options->model_dir)) return;
    tess_error err;
    tess_status status = find_checkpoint(l, options, &err);
    const tess_ledger_run run = {.checkpoint = l->checkpoint,
                                 .command = l->self->name,
                                 .precision = options->precision,
                                 .seed = seed,
                                 .prompt_kind = l->prompt_kind,
                                 .prompt_sha256 = l->prompt_kind ? l->prompt_sha256 : NULL,
                                 .system_sha256 =
                                     l->prompt_kind && *l->system_sha256 ? l->system_sha256 : NULL,
                                 .prompt_text = l->prompt_text,
                                 .n_prompt_text = l->n_prompt_text,
                                 .system_text = l->system_text,
                                 .n_system_text = l->n_system_text};
    if (status == TESS_OK) status = tess_ledger_begin_run(l->ledger, &run, &l->run, &err);
    if (status != TESS_OK) cli_ledger_say_unrecorded(l, "this run", &err);
    if (l->routing) tess_routing_clear(l->routing);
}

const tess_tap_listener *cli_ledger_get_listener(const cli_ledger *l)
{
    return l->run && l->routing ? tess_routing_get_listener(l->routing) : NULL;
}

void cli_ledger_end_run(cli_ledger *l, const tess_engine *engine, tess_ledger_run_end *end)
{
    if (!l->run) return;
    if (engine) {
        const tess_plan *plan = tess_engine_get_plan(engine);
        uint64_t bytes_read = tess_engine_get_bytes_read(engine);
        end->isa = tess_engine_get_isa(engine);
        end->n_thread = plan->n_thread;
        end->n_context = plan->n_context;
        end->n_chunk = plan->n_chunk;
        end->budget_bytes = plan->budget_bytes;
        end->bytes_read = bytes_read - l->bytes_read;
        l->bytes_read = bytes_read;
    }
    end->peak_rss_bytes = tess_peak_rss_bytes();
    tess_error err;
    tess_status status = tess_ledger_end_run(l->ledger, l->run, end, l->routing, &err);
    l->run = 0;
    if (status != TESS_OK) cli_ledger_say_unrecorded(l, "how this run ended", &err);
}

void cli_ledger_fail_run(cli_ledger *l, const tess_engine *engine, int exit_code)
{
    tess_ledger_run_end end = {.finish = exit_code == CLI_INTERRUPTED ? "interrupted" : "failed",
                               .exit_code = exit_code,
                               .n_prompt = -1,
                               .n_new = -1,
                               .prefill_seconds = -1,
                               .decode_seconds = -1};
    cli_ledger_end_run(l, engine, &end);
}

const char *cli_finish_name(tess_finish finish)
{
    static const char *const names[] = {"stop", "length", "interrupted"};
    return names[finish];
}

void cli_ledger_open_measuring(cli_ledger *l, const cli_command *self, const tess_engine_options *options)
{
    l->self = self;
    if (l->place && !strcmp(l->place, "off")) return;
    if (tess_ledger_open(NULL, TESS_LEDGER_WRITE, &l->ledger, NULL) != TESS_OK) {
        l->ledger = NULL;
        return;
    }
    cli_ledger_note_prompt(l, "raw", "", 0, NULL);
    cli_ledger_begin_run(l, options, 0);
    l->run = 0;
}
