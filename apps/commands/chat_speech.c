/* tessera chat --speak: answers played, or written into a folder, one file each.
 *
 * Files are named by the answers of a chat, turn-1.wav and so on. In a folder that holds such files already,
 * of a chat before, the numbers go on behind the largest: no file is replaced. An answer that is not spoken
 * leaves its number out.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/chat.h"

static bool plays(const chat *c)
{
    return c->speak && !*c->speak;
}

/* ---- the folder ---- */

/* The number of "turn-12.wav"; 0 of any other name. */
static unsigned number_of(const char *name)
{
    char *end;
    if (strncmp(name, "turn-", 5) || name[5] < '1' || name[5] > '9') return 0;
    errno = 0;
    unsigned long n = strtoul(name + 5, &end, 10);
    return !errno && n < UINT_MAX / 2 && !strcmp(end, ".wav") ? (unsigned)n : 0;
}

static int report_folder(const chat *c, const char *what)
{
    tess_error err = {.status = TESS_EIO, .os_errno = errno, .offset = -1};
    snprintf(err.file, sizeof err.file, "%.250s", c->speak);
    snprintf(err.message, sizeof err.message, "%.1000s: cannot %s: %s", c->speak, what, strerror(errno));
    return cli_report(c->self, &c->common, &err);
}

static int open_folder(chat *c)
{
    if (strlen(c->speak) + sizeof "/turn-4294967295.wav" > sizeof c->speech_file) {
        errno = ENAMETOOLONG;
        return report_folder(c, "write into this folder");
    }
    if (mkdir(c->speak, 0777) && errno != EEXIST) return report_folder(c, "make this folder");
    DIR *folder = opendir(c->speak);
    if (!folder) return report_folder(c, "open this folder");
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        unsigned n = number_of(entry->d_name);
        if (n > c->n_before) c->n_before = n;
    }
    closedir(folder);
    return access(c->speak, W_OK | X_OK) ? report_folder(c, "write into this folder") : -1;
}

/* Another chat may write into the folder at the same time. */
static void name_file(chat *c)
{
    const char *slash = c->speak[strlen(c->speak) - 1] == '/' ? "" : "/";
    struct stat there;
    do
        snprintf(c->speech_file, sizeof c->speech_file, "%s%sturn-%u.wav", c->speak, slash,
                 c->n_before + c->n_turn);
    while (lstat(c->speech_file, &there) == 0 && ++c->n_before);
    c->speech.file = c->speech_file;
}

/* ---- opening ---- */

static int open_player(chat *c)
{
    int code = cli_speech_open_player(&c->speech, c->self, &c->common);
    if (code >= 0 && !c->common.quiet) fputs("chat --speak=DIR writes answers into files.\n", stderr);
    return code;
}

int chat_speech_open(chat *c)
{
    tess_engine_options *engine = &c->engine_options.options;
    int code = cli_voice_check(&c->speech.voice, c->speak != NULL, c->self, &c->common, engine->model_dir);
    if (code >= 0 || !c->speak) return code;
    if (plays(c) && c->speech.voice.is_float)
        return cli_usage(c->self, &c->common, "--float is about files, as --speak=DIR writes them");
    if (!strcmp(c->speak, "-"))
        return cli_usage(c->self, &c->common, "--speak=-: standard output holds the answers; name a folder");
    engine->n_speech_step = c->speech.voice.max_step;
    cli_tidy_at_termination();
    return plays(c) ? open_player(c) : open_folder(c);
}

/* ---- an answer ---- */

/* What fails beside the text stops no chat. A device or a disk that failed is not tried again unasked. */
static void take_failure(chat *c, int code)
{
    chat_note_refusal(c, code);
    if (code != CLI_SYSTEM) return;
    c->is_silent = true;
    if (!c->common.quiet) fputs("Nothing more is spoken; /speak on tries again.\n", stderr);
}

void chat_speech_begin(chat *c, const tess_feed *whole)
{
    c->n_turn++;
    c->speech.said = (cli_spoken){0};
    if (!c->speak || c->is_silent) return;
    int code = -1;
    if (!plays(c)) {
        name_file(c);
        code = cli_speech_open_file(&c->speech, c->self, &c->common, &c->engine_options.bar);
    }
    if (code < 0)
        code = cli_speech_begin(&c->speech, c->self, &c->common, c->session, whole, c->engine_options.seed,
                                &c->engine_options.bar);
    if (code < 0) return;
    tess_sound_writer_cancel(c->speech.writer);
    c->speech.writer = NULL;
    c->speech.said = (cli_spoken){0};
    take_failure(c, code);
}

int chat_speech_end(chat *c, int code)
{
    if (code == CLI_INTERRUPTED) cli_speech_interrupt(&c->speech);
    int spoken = cli_speech_finish(&c->speech, c->self, &c->common);
    if (spoken == CLI_INTERRUPTED) return spoken;
    if (spoken >= 0) take_failure(c, spoken);
    return code;
}

/* ---- commands ---- */

static bool can_speak(chat *c, const char *order)
{
    if (c->speak) return true;
    fprintf(stderr, "%s is for a chat that was begun with --speak, which plans memory for it.\n", order);
    chat_note_refusal(c, CLI_USAGE);
    return false;
}

void chat_speech_switch(chat *c, const char *argument)
{
    if (!can_speak(c, "/speak")) return;
    bool is_on = !strcasecmp(argument, "on");
    if (!is_on && strcasecmp(argument, "off")) {
        fprintf(stderr, "/speak on or /speak off; it is %s.\n", c->is_silent ? "off" : "on");
        if (*argument) chat_note_refusal(c, CLI_USAGE);
        return;
    }
    int code = is_on && plays(c) && !c->speech.player ? open_player(c) : -1;
    if (code >= 0) {
        chat_note_refusal(c, code);
        return;
    }
    c->is_silent = !is_on;
    fprintf(stderr, "Answers are %s.\n", is_on ? "spoken" : "not spoken");
}

void chat_speech_choose(chat *c, const char *speaker)
{
    if (!can_speak(c, "/speaker")) return;
    tess_error err;
    tess_status status = tess_speech_check_speaker(c->engine_options.options.model_dir, speaker, &err);
    if (status != TESS_OK) {
        chat_note_refusal(c, cli_report(c->self, &c->common, &err));
        return;
    }
    snprintf(c->speaker, sizeof c->speaker, "%s", speaker);
    c->speech.voice.speaker = c->speaker;
    fprintf(stderr, "%s speaks from here on.\n", c->speaker);
}
