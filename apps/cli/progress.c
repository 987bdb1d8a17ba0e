#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/system.h"

enum { BAR_WIDTH = 24 };

void cli_progress_init(cli_progress *progress, const cli_common *common, const char *unit)
{
    bool terminal = isatty(STDERR_FILENO);
    *progress =
        (cli_progress){.unit = unit, .in_bytes = !strcmp(unit, "bytes"), .started = tess_system_seconds()};
    progress->shown = !common->quiet && (!strcmp(common->progress, "always") ||
                                         (terminal && !strcmp(common->progress, "auto")));
}

static void format_amount(const cli_progress *progress, double amount, char *out, size_t size)
{
    if (progress->in_bytes)
        cli_format_bytes((uint64_t)amount, out, size);
    else
        snprintf(out, size, amount < 10 ? "%.2f %s" : "%.0f %s", amount, progress->unit);
}

void cli_progress_update(cli_progress *progress, const char *what, uint64_t done, uint64_t total)
{
    double t = tess_system_seconds();
    if (!progress->shown || (progress->dirty && done < total && t - progress->drawn < 0.1)) return;
    if (done == 0) progress->started = t;
    progress->drawn = t;
    progress->dirty = true;
    double share = total ? (double)done / (double)total : 1, seconds = t - progress->started;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char bar[3 * BAR_WIDTH + 1] = "", amount[32], speed[32];
    for (int i = 0; i < BAR_WIDTH; i++) strcat(bar, i < (int)(share * BAR_WIDTH) ? "█" : "░");
    format_amount(progress, (double)done, amount, sizeof amount);
    format_amount(progress, rate, speed, sizeof speed);
    fprintf(stderr, "\r%s %s %3.0f %%  %s  %s/s", what, bar, share * 100, amount, speed);
    if (rate > 0 && done < total) fprintf(stderr, "  %.0f s left", (double)(total - done) / rate);
    fputs("\033[K", stderr);
    fflush(stderr);
}

void cli_progress_clear(cli_progress *progress)
{
    if (!progress->dirty) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->dirty = false;
}
