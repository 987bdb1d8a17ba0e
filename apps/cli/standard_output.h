/* Standard output that cannot be written: told once, at the end of the command, whatever it was doing. */
#ifndef TESS_APPS_CLI_STANDARD_OUTPUT_H
#define TESS_APPS_CLI_STANDARD_OUTPUT_H

#include <stdbool.h>

/* Sends what was printed on its way. False: it cannot be written. */
bool cli_stdout_flush(void);

/* The exit code of a command that ends with `code`: another after a message where what it printed has not
 * arrived. A reader that went away is no news, and gets none; one that does not read is waited for until
 * Ctrl-C. */
int cli_stdout_end(int code);

#endif
