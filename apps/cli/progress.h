/* A progress line on standard error: what, bar, share, rate, time left. */
#ifndef TESS_APPS_CLI_PROGRESS_H
#define TESS_APPS_CLI_PROGRESS_H

#include "cli/cli.h"

typedef struct cli_progress {
    tess_progress drawn_bar; /* for calls of the library: draws the line, and stops on Ctrl-C */
    tess_progress unseen;    /* the same for what shows by itself: only stops on Ctrl-C */
    bool shown;              /* drawn at all */
    bool has_escapes;        /* the terminal erases; else blanks do */
    bool dirty;              /* a line stands on the terminal, */
    int n_column;            /* of so many columns */
    double started, drawn; /* seconds of the monotonic clock: since when it stands, when it was last drawn */
    uint64_t n_begun;      /* what was done when it began to stand */
} cli_progress;

/* Its two members point to it: it must stay where it is. */
void cli_progress_init(cli_progress *progress, const cli_common *common);
/* Removes the line. */
void cli_progress_clear(cli_progress *progress);

#endif
