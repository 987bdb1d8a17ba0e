#include "cli/help.h"
#include "cli/screen.h"

#include <string.h>

bool cli_option_is_offered(const cli_option *option)
{
    return option->kind != CLI_ELSEWHERE && option->help;
}

static void print_option(const cli_option *option)
{
    if (!cli_option_is_offered(option)) return;
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", option->name,
             option->argument && option->kind != CLI_MAYBE ? " " : "",
             option->argument ? option->argument : "");
    char lead[72];
    snprintf(lead, sizeof lead, "  %-26s ", left);
    cli_print_behind(lead, 29, option->help);
}

void cli_exit_codes_print(FILE *out, unsigned has)
{
    fputs("Exit codes:\n    0  done", out);
    if (has & CLI_HAS_DIFFERENCE)
        fputs("; compared and found to agree\n    1  found something different or wrong", out);
    fputs("\n    2  wrong usage\n    3  bad input: a checkpoint, a request, a trace\n"
          "    4  the system failed: reading, writing, memory, a closed pipe\n",
          out);
    if (has & CLI_HAS_BUDGET)
        fputs("    5  the memory budget cannot work; the smallest that can is told\n", out);
    fputs("  130  interrupted\n", out);
}

/* Where a line of a command of at most `room` characters may end: before an option or a bar, outside of
 * quotes. NULL: it fits, or there is no such place. */
static const char *find_break(const char *text, size_t room)
{
    const char *last = NULL;
    char quote = 0;
    for (const char *at = text; *at; at++) {
        if ((size_t)(at - text) > room) return last;
        if (quote ? *at == quote : *at == '"' || *at == '\'') quote = quote ? 0 : *at;
        if (!quote && at > text && *at == ' ' && (at[1] == '|' || (at[1] == '-' && at[2] == '-'))) last = at;
    }
    return NULL;
}

/* A command line over as many lines as it needs, that can be taken as it stands. */
static void print_example(const char *text)
{
    enum { INDENT = 2, FURTHER = 6 };
    int indent = INDENT;
    for (const char *end; (end = find_break(text, (size_t)(CLI_COLUMNS - indent - 2))); indent = FURTHER) {
        printf("%*s%.*s \\\n", indent, "", (int)(end - text), text);
        text = end + 1;
    }
    printf("%*s%s\n", indent, "", text);
}

void cli_help_print(const cli_command *self, const cli_option *options, size_t n_option)
{
    cli_print_sentence("Usage: tessera %s %s", self->name, self->arguments);
    putchar('\n');
    cli_print_sentence("%s", self->summary);
    putchar('\n');
    puts("Options:");
    for (size_t i = 0; i < n_option; i++) print_option(&options[i]);
    putchar('\n');
    if (self->notes) printf("%s\n", self->notes);
    cli_exit_codes_print(stdout, self->has);
    puts("\nExamples:");
    for (int i = 0; i < CLI_MOST_EXAMPLES && self->examples[i]; i++) print_example(self->examples[i]);
}

enum { MAX_GUESSED = 32 }; /* letters of a word; longer ones are like no name */

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Letters that are missing, too many, other, or two neighbours that changed places. */
static int count_changes(const char *a, size_t n_a, const char *b, size_t n_b)
{
    int row[3][MAX_GUESSED + 1]; /* of the prefixes of a with two, one and no letters less */
    int *before = row[0], *last = row[1], *next = row[2];
    for (size_t j = 0; j <= n_b; j++) last[j] = (int)j;
    for (size_t i = 1; i <= n_a; i++) {
        next[0] = (int)i;
        for (size_t j = 1; j <= n_b; j++) {
            next[j] = least(least(last[j], next[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                next[j] = least(next[j], before[j - 2] + 1);
        }
        int *free_row = before;
        before = last;
        last = next;
        next = free_row;
    }
    return last[n_b];
}

void cli_guess_offer(cli_guess *guess, const char *name)
{
    size_t n_word = strlen(guess->word), n_name = strlen(name);
    if (n_word < 2 || n_word > MAX_GUESSED || n_name > MAX_GUESSED) return;
    bool is_beginning = strncmp(name, guess->word, n_word) == 0;
    int distance = is_beginning ? 0 : count_changes(guess->word, n_word, name, n_name);
    int most = least((int)(n_word + 2) / 3, 3);
    if (distance > most || (guess->best && distance >= guess->distance)) return;
    guess->best = name;
    guess->distance = distance;
}
