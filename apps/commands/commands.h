/* The commands of this binary, in the order of the overview. */
#ifndef TESS_APPS_COMMANDS_COMMANDS_H
#define TESS_APPS_COMMANDS_COMMANDS_H

#include "cli/cli.h"

/* Declared here, written in apps/commands/cmd_NAME.c. */
extern const cli_command cli_inspect, cli_plan, cli_tokenize, cli_detokenize, cli_run, cli_chat, cli_trace,
    cli_compare, cli_verify, cli_preprocess, cli_pack, cli_unpack, cli_ledger_command;

#define CLI_COMMANDS                                                                                         \
    &cli_inspect, &cli_plan, &cli_tokenize, &cli_detokenize, &cli_run, &cli_chat, &cli_trace, &cli_compare,  \
        &cli_verify, &cli_preprocess, &cli_pack, &cli_unpack, &cli_ledger_command, NULL /* ends the list */

/* Names of commands to come: refused by name, so that nobody takes silence for success. */
#define CLI_RESERVED "bench", "experts", "doctor", "fetch", "serve"

#endif
