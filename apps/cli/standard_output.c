#include "cli/standard_output.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static int reason; /* the errno of the first failure that has one; 0: none so far */

bool cli_stdout_flush(void)
{
    if (ferror(stdout) && cli_interrupted()) return false; /* else it would be waited for once more */
    /* What could not be written is thrown away: the next call succeeds, and knows of no reason. */
    if (fflush(stdout) && !reason) reason = errno;
    return !ferror(stdout);
}

static bool has_lost_reader(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return reason ? reason == EPIPE : poll(&output, 1, 0) > 0 && output.revents & POLLERR;
}

int cli_stdout_end(int code)
{
    cli_interrupt_waits(true);
    const bool is_printed = cli_stdout_flush();
    __fpurge(stdout); /* at its end a process would wait for the reader again */
    if (is_printed) return code;
    if (cli_interrupted() && (!reason || reason == EINTR)) return cli_interrupt_end(code);
    if (!has_lost_reader())
        fprintf(stderr, "tessera: cannot write standard output%s%s\n", reason ? ": " : "",
                reason ? strerror(reason) : "");
    return CLI_SYSTEM;
}
