/* Recording what a command does in the ledger: where it lies, what of a prompt is kept, and that a ledger
 * that cannot be written never stops a command or changes its exit code: what was not recorded is said on
 * standard error, once for every run, unless --quiet was given.
 *
 *     cli_ledger_open(&l, self, &common);        before memory is planned, which it then counts in
 *     cli_ledger_note_prompt(&l, "raw", text, n, NULL);
 *     cli_ledger_begin_run(&l, &options, seed);
 *     feed.listener = cli_ledger_get_listener(&l);
 *     cli_ledger_end_run(&l, engine, &end);
 *     cli_ledger_fail_run(&l, engine, code);     where it came to nothing
 *     cli_ledger_close(&l);
 */
#ifndef TESS_APPS_CLI_LEDGER_H
#define TESS_APPS_CLI_LEDGER_H

#include "base/digest.h"
#include "cli/cli.h"

typedef struct cli_ledger {
    const char *place; /* as given: a file, "off", NULL for the user's own */
    bool keep_text;
    const cli_command *self;
    bool is_quiet;       /* nothing is said about what is not recorded */
    tess_ledger *ledger; /* NULL: nothing is recorded */
    tess_routing *routing;
    int64_t checkpoint, run; /* entries; 0: none */
    uint64_t bytes_read;     /* by the engine, up to the end of the last run */
    const char *prompt_kind; /* NULL: no prompt was noted */
    tess_sha256 prompt;      /* so far: media may still join it */
    char prompt_sha256[65], system_sha256[65];
    char *prompt_text, *system_text; /* NULL unless they are kept */
    size_t n_prompt_text, n_system_text;
} cli_ledger;

#define CLI_LEDGER_PLACE_OPTION(l)                                                                           \
    {                                                                                                        \
        "ledger", CLI_NAME, &(l)->place, "FILE",                                                             \
            "record in this ledger, or \"off\"; default $XDG_DATA_HOME/tessera/ledger.sqlite"                \
    }
/* The place of the ledger: `place`, or the user's own by XDG_DATA_HOME and HOME, whose folder is made if
 * `make_folder`. NULL and a reason in err if there is none. Caller frees. */
char *cli_ledger_find(const char *place, bool make_folder, tess_error *err);
/* A file beside the user's own ledger, whose folder is made; NULL if there is no such place. Caller frees. */
char *cli_ledger_find_neighbour(const char *name);

void cli_ledger_open(cli_ledger *l, const cli_command *self, const cli_common *common);
/* Takes the room of a ledger and records nothing: for planning what a run needs. */
void cli_ledger_open_measuring(cli_ledger *l, const cli_command *self, const tess_engine_options *options);
void cli_ledger_close(cli_ledger *l); /* also after an open that failed */

/* What will be run: "chat", "raw", "messages" (as JSON), "say" or "ids", and its bytes; `system` may be NULL.
 */
void cli_ledger_note_prompt(cli_ledger *l, const char *kind, const void *bytes, size_t n_byte,
                            const char *system);
/* Media of the prompt just noted: its kind tells of them, and the digests that are known join its own. */
void cli_ledger_note_media(cli_ledger *l, const tess_features *const *media, int n);
void cli_ledger_begin_run(cli_ledger *l, const tess_engine_options *options, uint64_t seed);
/* Who hears the routers of this run; NULL if nothing is recorded. */
const tess_tap_listener *cli_ledger_get_listener(const cli_ledger *l);
/* Fills what the engine says (NULL: there is none) into `end` and records it. Without a run nothing happens.
 */
void cli_ledger_end_run(cli_ledger *l, const tess_engine *engine, tess_ledger_run_end *end);
/* Records that the run ended without a result, or was interrupted; nothing if its end is recorded. */
void cli_ledger_fail_run(cli_ledger *l, const tess_engine *engine, int exit_code);
/* "stop", "length" or "interrupted". */
const char *cli_finish_name(tess_finish finish);

/* Says on standard error that something is not recorded, and why; nothing with --quiet. */
void cli_ledger_say_unrecorded(const cli_ledger *l, const char *what, const tess_error *err);
/* The same, and nothing more is tried. */
void cli_ledger_give_up(cli_ledger *l, const char *what, const tess_error *err);

#endif
