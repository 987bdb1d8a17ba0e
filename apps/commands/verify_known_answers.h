/* tessera verify --known-answers. */
#ifndef TESS_APPS_COMMANDS_VERIFY_KNOWN_ANSWERS_H
#define TESS_APPS_COMMANDS_VERIFY_KNOWN_ANSWERS_H

#include "cli/engine_options.h"

/* Checks the answers of a list (NULL: the built-in one) against the checkpoint of `engine`, whose options
 * have been checked, and prints them as they come. Returns 0 if none differs, 1 if one does, or the exit code
 * of an error. */
int cli_known_answers(const cli_command *self, const cli_common *common, cli_engine *engine,
                      const char *answers_path);

#endif
