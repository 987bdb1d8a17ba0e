#include "cli/screen.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/utf8.h"

static const char ellipsis[] = "…", separators[] = "./";

static int columns_of(int fd)
{
    struct winsize size;
    if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &size)) return CLI_COLUMNS;
    return size.ws_col > CLI_COLUMNS ? size.ws_col : CLI_COLUMNS;
}

int cli_screen_columns(void)
{
    return columns_of(STDOUT_FILENO);
}

int cli_text_columns(const char *text)
{
    int n = 0;
    for (; *text; text++) n += !tess_utf8_goes_on(*text);
    return n;
}

/* Behind the first n characters. */
static const char *skip_characters(const char *text, int n)
{
    while (*text && (n > 0 || tess_utf8_goes_on(*text))) n -= !tess_utf8_goes_on(*text++);
    return text;
}

void cli_text_shorten(const char *text, int n, char *out, size_t size)
{
    int n_all = cli_text_columns(text);
    if (n_all <= n) {
        snprintf(out, size, "%s", text);
        return;
    }
    int n_head = (int)strcspn(text, separators);
    if (n_head > n / 3) n_head = n / 3;
    int n_tail = n - n_head - 1;
    const char *head_end = skip_characters(text, n_head), *tail = skip_characters(text, n_all - n_tail);
    const char *word = tail;
    if (!strchr(separators, tail[-1])) word += strcspn(word, separators) + 1;
    if (word < text + strlen(text) && cli_text_columns(word) >= n_tail / 2) tail = word;
    snprintf(out, size, "%.*s%s%s", (int)(head_end - text), text, ellipsis, tail);
}

void cli_print_below(int indent, const char *text)
{
    cli_print_behind("", indent, text);
}

/* Where a line of at most `room` characters ends. */
static const char *find_line_end(const char *text, int room)
{
    const char *end = skip_characters(text, room), *at = end;
    if (!*end) return end;
    while (at > text && *at != ' ') at--;
    return at > text ? at : end + strcspn(end, " "); /* a word longer than the line is not cut */
}

void cli_print_behind(const char *lead, int indent, const char *text)
{
    for (; *text; lead = "") {
        const char *end = find_line_end(text, cli_screen_columns() - indent);
        printf("%-*s%.*s\n", indent, lead, (int)(end - text), text);
        text = end + strspn(end, " ");
    }
}

void cli_print_wrapped(FILE *out, const char *text)
{
    int columns = out != stderr || isatty(STDERR_FILENO) ? columns_of(fileno(out)) : INT_MAX, indent = 0;
    do {
        const char *end = find_line_end(text, columns - indent);
        fprintf(out, "%*s%.*s\n", indent, "", (int)(end - text), text);
        text = end + strspn(end, " ");
        indent = 4;
    } while (*text);
}

void cli_print_sentence(const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_print_wrapped(stdout, text);
}

bool cli_screen_has_escapes(void)
{
    const char *term = getenv("TERM");
    return term && *term && strcmp(term, "dumb") != 0;
}

static bool has_colours(void)
{
    const char *without = getenv("NO_COLOR");
    return !(without && *without) && cli_screen_has_escapes() && isatty(STDOUT_FILENO);
}

const char *cli_colour_begin(cli_colour colour)
{
    static const char *const codes[] = {
        [CLI_GOOD] = "\033[32m", [CLI_BAD] = "\033[1;31m", [CLI_BAR] = "\033[33m", [CLI_DIM] = "\033[2m"};
    return has_colours() ? codes[colour] : "";
}

const char *cli_colour_end(void)
{
    return has_colours() ? "\033[0m" : "";
}
