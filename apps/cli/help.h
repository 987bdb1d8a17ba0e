/* What the program says about itself: the help of a command, exit codes, and the name that was probably
 * meant. */
#ifndef TESS_APPS_CLI_HELP_H
#define TESS_APPS_CLI_HELP_H

#include <stdio.h>

#include "cli/cli.h"

/* Whether help and hints may name it. */
bool cli_option_is_offered(const cli_option *option);

/* Usage, options with their defaults, exit codes and examples of one command. */
void cli_help_print(const cli_command *self, const cli_option *options, size_t n_option);

/* The exit codes that `has`, bits of cli_feature, allows; all of them with ~0u. */
void cli_exit_codes_print(FILE *out, unsigned has);

/* Looks for the name that is spelled most like a word: offer names one by one, and there is a guess if one of
 * them is close. */
typedef struct cli_guess {
    const char *word, *best; /* best NULL: none is close */
    int distance;            /* letters to be changed, of best */
} cli_guess;
void cli_guess_offer(cli_guess *guess, const char *name);

#endif
