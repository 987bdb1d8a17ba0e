#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/system.h"
#include "cli/screen.h"

enum { BAR_WIDTH = 24 };

/* What is shown of an activity; nothing without a word. */
static const struct {
    const char *word, *unit; /* unit NULL: bytes, shown with binary prefixes */
} activities[] = {
    [TESS_ACTIVITY_LOADING] = {"loading", NULL},
    [TESS_ACTIVITY_CHECKSUMS] = {"checksums", NULL},
    [TESS_ACTIVITY_PACKING] = {"packing", NULL},
    [TESS_ACTIVITY_UNPACKING] = {"unpacking", NULL},
    [TESS_ACTIVITY_PREFILL] = {"prefill", "tokens"},
    [TESS_ACTIVITY_DECODE] = {NULL, NULL}, /* a token shows when it is there */
    [TESS_ACTIVITY_GENERATING] = {"generating", "tokens"},
    [TESS_ACTIVITY_LOOKING] = {"looking", NULL},
    [TESS_ACTIVITY_PREPARING] = {"preparing", "frames"},
    [TESS_ACTIVITY_SPEAKING] = {"speaking", "frames"},
    [TESS_ACTIVITY_ENCODING] = {"media", "tokens"},
    [TESS_ACTIVITY_PLAYING] = {NULL, NULL},
    [TESS_ACTIVITY_WAITING] = {NULL, NULL},
};

static void format_amount(const char *unit, double amount, char *out, size_t size)
{
    if (!unit)
        cli_format_bytes((uint64_t)amount, out, size);
    else
        snprintf(out, size, amount < 10 ? "%.2f %s" : "%.0f %s", amount, unit);
}

/* In the place of the line that stands there. */
static void show_line(cli_progress *progress, const char *line)
{
    const int n_column = cli_text_columns(line), n_left = progress->dirty ? progress->n_column - n_column : 0;
    fprintf(stderr, "\r%s", line);
    if (progress->has_escapes)
        fputs("\033[K", stderr);
    else if (n_left > 0)
        fprintf(stderr, "%*s", n_left, "");
    fflush(stderr);
    progress->n_column = n_column;
    progress->dirty = true;
}

/* Sound is told in seconds of it, and in how long one takes, since the line stands there: the text that comes
 * between takes its time as well. */
static void draw_speech(cli_progress *progress, uint64_t n_frame)
{
    const double spoken = (double)n_frame * TESS_SPEECH_FRAME_SECONDS,
                 timed = (double)(n_frame - progress->n_begun) * TESS_SPEECH_FRAME_SECONDS,
                 seconds = progress->drawn - progress->started;
    char line[128], factor[48] = "";
    if (timed > 0) snprintf(factor, sizeof factor, "  real-time factor %.2f", seconds / timed);
    snprintf(line, sizeof line, "%s %.1f s of sound%s", activities[TESS_ACTIVITY_SPEAKING].word, spoken,
             factor);
    show_line(progress, line);
}

static void draw_line(cli_progress *progress, tess_activity activity, uint64_t done, uint64_t total)
{
    if (activity == TESS_ACTIVITY_SPEAKING) {
        draw_speech(progress, done);
        return;
    }
    const char *unit = activities[activity].unit;
    double share = total ? (double)done / (double)total : 1, seconds = progress->drawn - progress->started;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char bar[3 * BAR_WIDTH + 1] = "", amount[32], speed[32], part[64] = "", pace[48] = "", rest[48] = "";
    char line[sizeof bar + 256];
    for (int i = 0; i < BAR_WIDTH; i++) strcat(bar, i < (int)(share * BAR_WIDTH) ? "█" : "░");
    if (unit)
        snprintf(amount, sizeof amount, "%llu %s", (unsigned long long)done, unit);
    else
        cli_format_bytes(done, amount, sizeof amount);
    format_amount(unit, rate, speed, sizeof speed);
    if (total) snprintf(part, sizeof part, " %3.0f %%  ", share * 100);
    if (rate > 0) snprintf(pace, sizeof pace, "  %s/s", speed);
    if (rate > 0 && done < total) snprintf(rest, sizeof rest, "  %.0f s left", (double)(total - done) / rate);
    snprintf(line, sizeof line, "%s %s%s%s%s%s", activities[activity].word, total ? bar : "", part, amount,
             pace, rest);
    show_line(progress, line);
}

/* Redraws at most ten times a second. */
static bool tell_drawn(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    cli_progress *progress = context;
    double now = tess_system_seconds();
    bool is_due = !progress->dirty || (total && done >= total) || now - progress->drawn >= 0.1;
    /* How long a sound is shows at its end. */
    bool is_told = total > 0 || activity == TESS_ACTIVITY_PREPARING || activity == TESS_ACTIVITY_SPEAKING;
    if (progress->shown && activities[activity].word && is_told && is_due) {
        if (done == 0 || done < progress->n_begun || !progress->dirty) {
            progress->started = now;
            progress->n_begun = done;
        }
        progress->drawn = now;
        draw_line(progress, activity, done, total);
    }
    if (total && done >= total) cli_progress_clear(progress);
    return !cli_interrupted();
}

static bool tell_unseen(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)context;
    (void)activity;
    (void)done;
    (void)total;
    return !cli_interrupted();
}

void cli_progress_init(cli_progress *progress, const cli_common *common)
{
    bool is_seen = isatty(STDERR_FILENO) && cli_screen_has_escapes();
    *progress = (cli_progress){.drawn_bar = {tell_drawn, progress},
                               .unseen = {tell_unseen, progress},
                               .has_escapes = cli_screen_has_escapes(),
                               .started = tess_system_seconds()};
    progress->shown = !common->quiet &&
                      (!strcmp(common->progress, "always") || (is_seen && !strcmp(common->progress, "auto")));
}

void cli_progress_clear(cli_progress *progress)
{
    if (!progress->dirty) return;
    if (progress->has_escapes)
        fputs("\r\033[K", stderr);
    else
        fprintf(stderr, "\r%*s\r", progress->n_column, "");
    fflush(stderr);
    progress->dirty = false;
}
