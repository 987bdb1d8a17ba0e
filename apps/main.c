/* The tessera binary: finds the command and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "commands/commands.h"

static const cli_command *const commands[] = {CLI_COMMANDS};

/* Names cli.md reserves; they are refused by name until they exist. */
static const char *const reserved[] = {CLI_RESERVED};

static void print_overview(FILE *out)
{
    fputs("Usage: tessera COMMAND [options]\n\n"
          "Runs Qwen3-Omni whole in small memory, and shows that it computes what the original computes.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n'tessera COMMAND --help' explains one command; 'tessera --version' prints the version.\n", out);
}

static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    if (!strcmp(name, "--help") || !strcmp(name, "help")) {
        print_overview(argc > 1 ? stdout : stderr);
        return argc > 1 ? CLI_DONE : CLI_USAGE;
    }
    if (!strcmp(name, "--version")) {
        puts("tessera " TESS_VERSION);
        return CLI_DONE;
    }
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(name, commands[i]->name)) return commands[i]->run(commands[i], argc - 1, argv + 1);
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (!strcmp(name, reserved[i])) {
            fprintf(stderr, "tessera: the command '%s' is not part of this version (%s)\n", name,
                    TESS_VERSION);
            return CLI_USAGE;
        }
    fprintf(stderr, "tessera: '%s' is no command; 'tessera --help' lists them\n", name);
    return CLI_USAGE;
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
    int code = run_command(argc, argv);
    errno = 0;
    if (fflush(stdout) || ferror(stdout)) {
        if (errno && errno != EPIPE)
            fprintf(stderr, "tessera: cannot write standard output: %s\n", strerror(errno));
        return CLI_SYSTEM;
    }
    return code;
}
