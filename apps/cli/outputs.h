/* Outputs must not replace what a command reads. */
#ifndef TESS_APPS_CLI_OUTPUTS_H
#define TESS_APPS_CLI_OUTPUTS_H

#include "cli/cli.h"

/* Each refuses an output (NULL: none) that is a file which the command reads or writes otherwise, whatever
 * name or link leads to it. `option` as "--out". Returns -1 or an exit code after a message. */

/* One of n files (members may be NULL), or a file of the model's folder (NULL: none). */
int cli_output_check(const cli_command *self, const cli_common *common, const char *option,
                     const char *output, const char *const *others, size_t n, const char *model_dir);
/* A medium of a conversation, whose relative paths are seen from `folder` (NULL: the working directory). */
int cli_output_check_media(const cli_command *self, const cli_common *common, const char *option,
                           const char *output, const tess_conversation *talk, const char *folder);
/* A medium of the messages of a trace or golden (NULL: it has none), seen from where that lies. */
int cli_output_check_messages(const cli_command *self, const cli_common *common, const char *option,
                              const char *output, const char *messages, const char *golden);
/* The ledger: `place` as given. */
int cli_output_check_ledger(const cli_command *self, const cli_common *common, const char *option,
                            const char *output, const char *place);

/* Standard output, where `used_for` goes, by another name: a file, a pipe or a socket, in which both would
 * mix or one be lost. Not a terminal or a device. */
int cli_output_check_standard(const cli_command *self, const cli_common *common, const char *option,
                              const char *output, const char *used_for);

/* The folder of a file, "." if its name has none; `out` of PATH_MAX bytes. */
void cli_folder_of(const char *path, char *out);

#endif
