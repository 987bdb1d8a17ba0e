/* Lines typed on a terminal: editing, pasted text of several lines as one, history kept in a file. */
#ifndef TESS_APPS_CLI_EDITOR_H
#define TESS_APPS_CLI_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "tessera.h"

typedef struct cli_editor cli_editor;

typedef enum cli_typed {
    CLI_TYPED_LINE,
    CLI_TYPED_NOTHING, /* Ctrl-C dropped what was typed */
    CLI_TYPED_END      /* Ctrl-D on an empty line, or the terminal went away */
} cli_typed;

enum {
    CLI_EDITOR_MAX_ENTRIES = 1000,         /* of the history; older ones are forgotten */
    CLI_EDITOR_MAX_ENTRY_BYTES = 16 * 1024 /* longer lines are not remembered */
};

/* Whether a file can be kept as a history: one that is not there, is empty, or is one already. */
bool cli_editor_may_keep(const char *path);

/* Takes standard input and output, which are a terminal. `history` (a path, may be NULL) is read if it is
 * there. NULL if the system has no locale whose characters are UTF-8, or no memory: lines then come unedited.
 * Changes the process's LC_CTYPE. */
cli_editor *cli_editor_open(const char *history);
void cli_editor_close(cli_editor *editor); /* NULL is allowed */

/* Reads one line, which may hold newlines that were pasted or typed, without its end; *line lives until the
 * next call. Between calls the terminal is as it was. */
cli_typed cli_editor_read(cli_editor *editor, const char **line, size_t *n_byte);

/* Lets a line join the history, and writes its file (mode 0600). Errors: TESS_EIO; the line has joined. */
tess_status cli_editor_remember(cli_editor *editor, const char *line, tess_error *err);

/* Whether Ctrl-D was typed while nobody read. */
bool cli_editor_is_end_typed(void);

#endif
