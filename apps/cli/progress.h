/* A progress line on standard error: what, bar, share, rate, time left. */
#ifndef TESS_APPS_CLI_PROGRESS_H
#define TESS_APPS_CLI_PROGRESS_H

#include "cli/cli.h"

typedef struct cli_progress {
    bool shown;    /* drawn at all */
    bool dirty;    /* a line stands on the terminal */
    bool in_bytes; /* the unit is bytes */
    const char *unit;
    double started, drawn; /* seconds of the monotonic clock */
} cli_progress;

/* unit: "tokens", or "bytes", shown with binary prefixes. */
void cli_progress_init(cli_progress *progress, const cli_common *common, const char *unit);
/* Redraws at most ten times a second. */
void cli_progress_update(cli_progress *progress, const char *what, uint64_t done, uint64_t total);
/* Removes the line. */
void cli_progress_clear(cli_progress *progress);

#endif
