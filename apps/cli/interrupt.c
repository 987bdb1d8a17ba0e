/* Ctrl-C and its like: one is a wish that is granted in good order, a second one is granted at once.
 *
 * Whoever asks twice does not want to wait for the good order, which removes what is unfinished: then the
 * handler does it, with calls that are allowed in one. */
#include "cli/cli.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static struct timespec first_interrupt; /* of those since the flag was cleared */
enum { SECOND_WISH_MS = 100 };

static const char said[] = "tessera: interrupted\n";
static bool is_quiet;
static char own_folder[PATH_MAX]; /* that goes with all that is in it; "" while there is none */

/* ---- in the handler ---- */

static int64_t milliseconds_between(const struct timespec *from, const struct timespec *to)
{
    return (int64_t)(to->tv_sec - from->tv_sec) * 1000 + (to->tv_nsec - from->tv_nsec) / 1000000;
}

/* "/proc/self/fd/17" */
static void name_descriptor(int fd, char out[32])
{
    char digits[12];
    int n = 0;
    do digits[n++] = (char)('0' + fd % 10);
    while (fd /= 10);
    strcpy(out, "/proc/self/fd/");
    char *end = out + strlen(out);
    while (n) *end++ = digits[--n];
    *end = 0;
}

/* Whether a name is one that outputs have until they are whole: "PATH.0123ab.part". */
static bool is_part(const char *name, size_t n)
{
    static const char end[] = ".part";
    enum { N_END = sizeof end - 1, N_HEX = 6 };
    if (n < 1 + N_HEX + N_END + 1 || memcmp(name + n - N_END, end, N_END) != 0) return false;
    const char *hex = name + n - N_END - N_HEX;
    return hex[-1] == '.' && strspn(hex, "0123456789abcdef") == N_HEX;
}

/* Every output that is unfinished is open, for writing, and closed in a program that would be started: what
 * was inherited never is the latter. */
static void remove_parts(void)
{
    enum { MOST_FD = 1024 };
    for (int fd = STDERR_FILENO + 1; fd < MOST_FD; fd++) {
        char link[32], name[PATH_MAX];
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || !(flags & FD_CLOEXEC) || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY) continue;
        name_descriptor(fd, link);
        ssize_t n = readlink(link, name, sizeof name - 1);
        if (n <= 0) continue;
        name[n] = 0;
        if (is_part(name, (size_t)n)) unlink(name);
    }
}

static void remove_own_folder(void)
{
    struct entry { /* as the system call has it */
        uint64_t inode;
        int64_t next;
        unsigned short size;
        unsigned char type;
        char name[];
    };
    _Alignas(struct entry) char entries[4096];
    int folder = *own_folder ? open(own_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder < 0) return;
    for (;;) {
        long n = syscall(SYS_getdents64, folder, entries, sizeof entries);
        if (n <= 0) break;
        for (long at = 0; at < n;) {
            const struct entry *entry = (const struct entry *)(const void *)(entries + at);
            unlinkat(folder, entry->name, 0); /* "." and ".." are refused */
            at += entry->size;
        }
    }
    rmdir(own_folder);
}

static void note_interrupt(int signal_number)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    /* A pair at once, as to the process and to its group, is one wish. SIGTERM always leaves the orderly end
     * its time. */
    if (interrupted && signal_number == SIGINT &&
        milliseconds_between(&first_interrupt, &now) >= SECOND_WISH_MS) {
        remove_parts();
        remove_own_folder();
        if (!is_quiet) (void)!write(STDERR_FILENO, said, sizeof said - 1);
        _exit(CLI_INTERRUPTED);
    }
    if (!interrupted) first_interrupt = now;
    interrupted = 1;
}

/* The signal does what it always does, once it is let through at the handler's end; what is unfinished goes
 * first.
 */
static void quit_at_once(int signal_number)
{
    remove_parts();
    remove_own_folder();
    raise(signal_number);
}

/* ---- outside ---- */

void cli_catch_interrupt(const cli_common *common)
{
    /* A write that waits goes on: stopped, it would lose text and look like a failure. */
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = SA_RESTART};
    is_quiet = common->quiet;
    sigaction(SIGINT, &action, NULL);
}

void cli_interrupt_owns(const char *folder)
{
    size_t n = strlen(folder);
    if (n < sizeof own_folder) memcpy(own_folder, folder, n + 1);
}

static void quit_tidily(int signal_number)
{
    struct sigaction quitting = {.sa_handler = quit_at_once, .sa_flags = (int)SA_RESETHAND}, before;
    sigaction(signal_number, NULL, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal_number, &quitting, NULL);
}

void cli_catch_termination(void)
{
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    quit_tidily(SIGQUIT);
}

void cli_tidy_at_termination(void)
{
    quit_tidily(SIGTERM);
    quit_tidily(SIGHUP);
    quit_tidily(SIGQUIT);
}

bool cli_interrupted(void)
{
    return interrupted;
}

int cli_interrupt_end(int code)
{
    if (code != CLI_INTERRUPTED && !is_quiet) fputs(said, stderr);
    return CLI_INTERRUPTED;
}

void cli_interrupt_waits(bool on)
{
    static const int stopping[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++) {
        struct sigaction action;
        sigaction(stopping[i], NULL, &action);
        action.sa_flags = on ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
        sigaction(stopping[i], &action, NULL);
    }
}

void cli_clear_interrupt(void)
{
    interrupted = 0;
}
