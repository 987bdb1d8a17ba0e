#include "cli/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/utf8.h"

static const char ellipsis[] = "…", separators[] = "./";

int cli_screen_columns(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)) return CLI_COLUMNS;
    return size.ws_col > CLI_COLUMNS ? size.ws_col : CLI_COLUMNS;
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

void cli_print_behind(const char *lead, int indent, const char *text)
{
    int room = cli_screen_columns() - indent;
    for (; *text; lead = "") {
        const char *end = skip_characters(text, room), *at = end;
        if (*end) {
            while (at > text && *at != ' ') at--;
            if (at == text) at = end + strcspn(end, " "); /* a word longer than the line is not cut */
        }
        printf("%-*s%.*s\n", indent, lead, (int)(at - text), text);
        text = at + strspn(at, " ");
    }
}

static bool has_colours(void)
{
    const char *without = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(without && *without) && term && *term && strcmp(term, "dumb") && isatty(STDOUT_FILENO);
}

const char *cli_colour_begin(cli_colour colour)
{
    static const char *const codes[] = {
        [CLI_GOOD] = "\033[32m", [CLI_BAD] = "\033[1;31m", [CLI_BAR] = "\033[33m"};
    return has_colours() ? codes[colour] : "";
}

const char *cli_colour_end(void)
{
    return has_colours() ? "\033[0m" : "";
}
