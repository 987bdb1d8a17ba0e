/* Folders that were named as a checkpoint's and hold none. */
#ifndef TESS_APPS_CLI_FOLDER_H
#define TESS_APPS_CLI_FOLDER_H

#include "cli/cli.h"

/* Refuses a folder without a config.json, and names one just inside it that has one. What is no folder at all
 * is left to whoever opens it. Returns -1 or an exit code. */
int cli_check_checkpoint(const cli_command *self, const cli_common *common, const char *dir);

/* Whether a file stands there that pack or unpack has not finished. */
bool cli_has_part(const char *dir);

#endif
