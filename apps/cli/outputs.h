/* Outputs must not replace what a command reads. */
#ifndef TESS_APPS_CLI_OUTPUTS_H
#define TESS_APPS_CLI_OUTPUTS_H

#include "cli/cli.h"

/* Refuses an output (NULL: none) that is one of n files the command reads or writes otherwise (members may be
 * NULL), or a file of the model's folder (NULL: none). `option` as "--out". Returns -1 or an exit code after
 * a message. */
int cli_output_check(const cli_command *self, const cli_common *common, const char *option,
                     const char *output, const char *const *others, size_t n, const char *model_dir);

#endif
