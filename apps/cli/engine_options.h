/* Options common to everything that computes, and opening an engine with them. */
#ifndef TESS_APPS_CLI_ENGINE_OPTIONS_H
#define TESS_APPS_CLI_ENGINE_OPTIONS_H

#include "cli/cli.h"
#include "cli/ledger.h"
#include "cli/progress.h"

typedef struct cli_engine {
    tess_engine_options options;
    const char *dtype, *direct, *resident;
    uint64_t seed;
    bool has_remarked_reads;
    cli_progress bar;
    cli_ledger ledger;
} cli_engine;
#define CLI_ENGINE_DEFAULT ((cli_engine){.dtype = "f32", .direct = "auto", .resident = "auto"})

#define CLI_ENGINE_OPTIONS(e)                                                                                \
    {"model", CLI_NAME, &(e)->options.model_dir, "DIR",                                                      \
     "checkpoint folder: as published, or a packed store (required)"},                                       \
        {"memory", CLI_SIZE, &(e)->options.memory_bytes, "SIZE",                                             \
         "bound on the peak resident memory, as 8GiB, 1.5GB or 12g; default 70 % of what machine and "       \
         "control groups "                                                                                   \
         "leave"},                                                                                           \
        {"context", CLI_SOME, &(e)->options.n_context, "N",                                                  \
         "positions, prompt and answer; default 4096, or what the request needs"},                           \
        {"threads", CLI_THREADS, &(e)->options.n_thread, "N",                                                \
         "threads; default: CPUs in the affinity mask, at most the CPU quota rounded up"},                   \
        {"isa", CLI_TEXT, &(e)->options.isa, "NAME",                                                         \
         "auto, reference, avx2, avx512 or neon; can only lower"},                                           \
        {"dtype", CLI_TEXT, &(e)->dtype, "TYPE", "f32 or bf16 (the original's roundings); default f32"},     \
        {"chunk", CLI_SOME, &(e)->options.n_chunk, "N",                                                      \
         "most positions of a prefill step; default: the plan's"},                                           \
        {"expert-slots", CLI_SOME, &(e)->options.n_expert_slot, "N",                                         \
         "most experts that stay in memory; default: the plan's"},                                           \
        {"resident", CLI_TEXT, &(e)->resident, "FORM",                                                       \
         "weights that stay in memory: plain, packed (three quarters of the bytes, the same bits) or auto; " \
         "default auto"},                                                                                    \
        {"direct", CLI_TEXT, &(e)->direct, "MODE", "direct I/O: auto, on or off; default auto"},             \
        CLI_LEDGER_PLACE_OPTION(&(e)->ledger)

/* Two that every command with an engine takes; text NULL where they change nothing. */
#define CLI_SEED_OPTION(e, text)                                                                             \
    {                                                                                                        \
        "seed", CLI_U64, &(e)->seed, "N", text                                                               \
    }
#define CLI_LEDGER_TEXT_OPTION(e, text)                                                                      \
    {                                                                                                        \
        "ledger-text", CLI_FLAG, &(e)->ledger.keep_text, NULL, text                                          \
    }
#define CLI_LEDGER_TEXT_HELP "record prompts as text; default: as their SHA-256 only"

/* Checks what the option table cannot, and connects progress and Ctrl-C. Returns -1 or an exit code. */
int cli_engine_check(cli_engine *engine, const cli_command *self, const cli_common *common);

/* In which form weights stay: "resident" of all but experts, and "experts_resident". */
void cli_put_residency(json_t *root, const tess_plan *plan);

/* Says once, unless quiet, that direct reads are refused. For after the opening, and for the end: a read may
 * be the first to be refused. */
void cli_engine_remark_reads(cli_engine *engine, const cli_command *self, const cli_common *common,
                             const tess_engine *opened);

#endif
