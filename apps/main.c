/* The tessera binary: finds the command and runs it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/standard_output.h"
#include "commands/commands.h"

static const cli_command *const commands[] = {CLI_COMMANDS};

/* Names cli.md reserves; they are refused by name until they exist. */
static const char *const reserved[] = {CLI_RESERVED};

static void print_overview(FILE *out)
{
    fputs("Usage: tessera COMMAND [options]\n\n"
          "Runs Qwen3-Omni whole in small memory, and shows that it computes what the\n"
          "original computes.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    putc('\n', out);
    cli_exit_codes_print(out, ~0u);
    fputs("\n'tessera help COMMAND' explains one command, with examples; 'tessera version'\nprints the "
          "version.\n",
          out);
}

static const char *const help_words[] = {"help", "--help", "-h", NULL};
static const char *const version_words[] = {"version", "--version", "-V", "-v", NULL};

/* A word that is no command. */
static int refuse_command(const char *name)
{
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (!strcmp(name, reserved[i])) {
            fprintf(stderr, "tessera: the command '%s' is not part of this version (%s)\n", name,
                    TESS_VERSION);
            return CLI_USAGE;
        }
    char safe[128];
    cli_guess guess = {.word = name};
    for (size_t i = 0; commands[i]; i++) cli_guess_offer(&guess, commands[i]->name);
    /* The first two of each are words, which are guessed; letters are all alike. */
    for (size_t i = 0; i < 2; i++) cli_guess_offer(&guess, help_words[i]);
    for (size_t i = 0; i < 2; i++) cli_guess_offer(&guess, version_words[i]);
    cli_escape(name, strlen(name), safe, sizeof safe);
    fprintf(stderr, "tessera: '%s' is no command; ", safe);
    if (guess.best)
        fprintf(stderr, "did you mean '%s'?\n", guess.best);
    else
        fputs("'tessera help' lists them\n", stderr);
    return CLI_USAGE;
}

/* Several spellings of the same wish. */
static bool is_one_of(const char *word, const char *const *spellings)
{
    while (*spellings && strcmp(word, *spellings) != 0) spellings++;
    return *spellings != NULL;
}

static const cli_command *find_command(const char *name)
{
    size_t i = 0;
    while (commands[i] && strcmp(name, commands[i]->name) != 0) i++;
    return commands[i];
}

static int refuse_extra(const char *asked, const char *word)
{
    char safe[128];
    cli_escape(word, strlen(word), safe, sizeof safe);
    fprintf(stderr, "tessera: '%s' is too much after '%s'\n", safe, asked);
    return CLI_USAGE;
}

/* The version, as JSON with --json as everywhere. */
static int print_version(int argc, char **argv)
{
    bool is_json = argc > 2 && !strcmp(argv[2], "--json");
    if (argc > 2 + is_json) return refuse_extra(argv[1], argv[2 + is_json]);
    puts(is_json ? "{\"version\":\"" TESS_VERSION "\"}" : "tessera " TESS_VERSION);
    return CLI_DONE;
}

/* "help", and "help COMMAND"; that of help and version is the overview. */
static int print_help(int argc, char **argv)
{
    if (argc > 3) return refuse_extra("help COMMAND", argv[3]);
    if (argc == 2 || is_one_of(argv[2], help_words) || is_one_of(argv[2], version_words)) {
        print_overview(stdout);
        return CLI_DONE;
    }
    const cli_command *command = find_command(argv[2]);
    if (!command) return refuse_command(argv[2]);
    char flag[] = "--help", *ask[] = {argv[2], flag, NULL};
    return command->run(command, 2, ask);
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (is_one_of(argv[1], help_words)) return print_help(argc, argv);
    if (is_one_of(argv[1], version_words)) return print_version(argc, argv);
    const cli_command *command = find_command(argv[1]);
    return command ? command->run(command, argc - 1, argv + 1) : refuse_command(argv[1]);
}

/* A closed standard stream gets a descriptor of its own, the wrong way round, so that reading or writing it
 * still fails: else the next file that is opened would take its place, and be written into. */
static void occupy_closed_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    occupy_closed_streams();
    /* A reader that went away shows as a write error, which ends the command quietly with exit code 4. */
    signal(SIGPIPE, SIG_IGN);
    /* So does a file that may not grow, instead of a death that leaves a temporary file behind. */
    signal(SIGXFSZ, SIG_IGN);
    return cli_stdout_end(run_command(argc, argv));
}
