/* Text on a screen: how much room a line has, names that are shortened to it, colours. Tables are laid out
 * for a terminal, and for 80 columns where there is none, so that what is piped is the same everywhere. */
#ifndef TESS_APPS_CLI_SCREEN_H
#define TESS_APPS_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { CLI_COLUMNS = 80 };

/* Columns of standard output: the terminal's, if it is one with more than CLI_COLUMNS, else those. */
int cli_screen_columns(void);

/* Columns that a text takes: its characters. */
int cli_text_columns(const char *text);

/* `text` in at most n columns. What is too long is shortened in the middle with "…", at dots and slashes
 * where that leaves enough: a tap keeps its part, layer and module, a path its last folders. */
void cli_text_shorten(const char *text, int n, char *out, size_t size);

/* Prints `text` on lines of its own, broken at blanks, each behind `indent` blanks. */
void cli_print_below(int indent, const char *text);
/* The same behind `lead`, which stands on the first line and is at least `indent` columns wide. */
void cli_print_behind(const char *lead, int indent, const char *text);

/* Prints a sentence on lines of its own, broken at blanks; what goes on is indented by four. On standard
 * error it is broken only on a terminal: what is kept of it elsewhere is searched by lines. */
void cli_print_wrapped(FILE *out, const char *text);
/* The same on standard output. */
void cli_print_sentence(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether TERM names a terminal that is steered by escape sequences: it is neither absent nor "dumb". */
bool cli_screen_has_escapes(void);

typedef enum cli_colour { CLI_GOOD, CLI_BAD, CLI_BAR, CLI_DIM } cli_colour;

/* What begins and ends a colour on standard output; "" where it is no terminal, has no escapes, or NO_COLOR
 * is set. */
const char *cli_colour_begin(cli_colour colour);
const char *cli_colour_end(void);

#endif
