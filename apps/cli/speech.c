#include "cli/speech.h"

#include <string.h>

#include "base/system.h"
#include "cli/screen.h"

int cli_speech_open_file(cli_speech *s, const cli_command *self, const cli_common *common, cli_progress *bar)
{
    tess_error err;
    tess_sound_options sound = cli_voice_get_sound(&s->voice);
    sound.progress = &bar->unseen;
    tess_status status = tess_sound_writer_open(s->file, &sound, &s->writer, &err);
    return status == TESS_OK ? -1 : cli_report(self, common, &err);
}

int cli_speech_open_player(cli_speech *s, const cli_command *self, const cli_common *common)
{
    tess_error err;
    tess_status status = tess_player_open(TESS_SPEECH_RATE_HZ, &s->player, &err);
    return status == TESS_OK ? -1 : cli_report(self, common, &err);
}

/* ---- speaking ---- */

static tess_status take_samples(void *context, const float *samples, size_t n, tess_error *err)
{
    cli_speech *s = context;
    s->said.n_sample += (int64_t)n;
    return s->writer ? tess_sound_writer_write(s->writer, samples, n, err)
                     : tess_player_write(s->player, samples, n, &s->progress, err);
}

static bool tell(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    const cli_speech *s = context;
    const tess_progress *to = s->text_is_complete ? &s->bar->drawn_bar : &s->bar->unseen;
    return to->tell(to->context, activity, done, total);
}

int cli_speech_begin(cli_speech *s, const cli_command *self, const cli_common *common, tess_session *session,
                     const tess_feed *prompt, uint64_t seed, cli_progress *bar)
{
    if (!s->writer && !s->player) return -1;
    s->bar = bar;
    s->text_is_complete = false;
    s->progress = (tess_progress){tell, s};
    s->said = (cli_spoken){.has_begun = true};
    const tess_speech_options options = {.n_prompt = prompt->n_tok,
                                         .speaker = s->voice.speaker,
                                         .sampling = cli_voice_get_sampling(&s->voice, seed),
                                         .max_step = s->voice.max_step,
                                         .media = prompt->media,
                                         .n_media = prompt->n_media,
                                         .on_samples = take_samples,
                                         .context = s,
                                         .progress = &s->progress};
    tess_error err;
    tess_status status = tess_speech_new(session, &options, &s->speech, &err);
    return status == TESS_OK ? -1 : cli_report(self, common, &err);
}

/* Frames as long as there is text for them. */
static void speak(cli_speech *s)
{
    tess_speech_state state = TESS_SPEECH_FRAME;
    double start = tess_system_seconds();
    while (s->said.status == TESS_OK && state == TESS_SPEECH_FRAME)
        s->said.status = tess_speech_step(s->speech, &state, &s->said.err);
    s->said.seconds += tess_system_seconds() - start;
    tess_speech_get_codes(s->speech, &s->said.n_frame);
}

static bool has_failed(const cli_spoken *said)
{
    return said->status != TESS_OK && said->status != TESS_EINTERRUPTED;
}

bool cli_speech_take(cli_speech *s, int32_t id)
{
    if (s->said.status == TESS_OK) s->said.status = tess_speech_add(s->speech, id, &s->said.err);
    if (s->said.status == TESS_OK) speak(s);
    return s->said.status == TESS_OK || (has_failed(&s->said) && !s->ends_text);
}

void cli_speech_interrupt(cli_speech *s)
{
    if (s->said.status == TESS_OK) s->said.status = TESS_EINTERRUPTED;
}

/* ---- ending ---- */

/* A file of nothing is none. What was spoken before a failure stays; of a pipe that nobody reads the rest is
 * given up by who stops. */
static tess_status end_file(cli_speech *s, tess_error *err)
{
    tess_sound_writer *writer = s->writer;
    s->writer = NULL;
    if (s->said.n_sample == 0) {
        tess_sound_writer_cancel(writer);
        return TESS_OK;
    }
    tess_status status = tess_sound_writer_finish(writer, err);
    if (status != TESS_EINTERRUPTED) return status;
    s->said.status = TESS_EINTERRUPTED;
    return TESS_OK;
}

/* What was spoken before a failure is heard, what is stopped is not. */
static tess_status end_playing(cli_speech *s, tess_error *err)
{
    tess_status status = s->said.status == TESS_EINTERRUPTED
                             ? TESS_EINTERRUPTED
                             : tess_player_drain(s->player, &s->progress, err);
    if (status == TESS_EINTERRUPTED) {
        s->said.status = TESS_EINTERRUPTED;
        tess_player_stop(s->player);
        return TESS_OK;
    }
    if (status != TESS_OK) {
        tess_player_close(s->player);
        s->player = NULL;
    }
    return status;
}

int cli_speech_finish(cli_speech *s, const cli_command *self, const cli_common *common)
{
    if (!s->speech) return -1;
    tess_error err;
    tess_speech_end(s->speech);
    s->text_is_complete = true;
    if (s->said.status == TESS_OK) speak(s);
    s->said.finish = tess_speech_get_finish(s->speech);
    tess_speech_free(s->speech);
    s->speech = NULL;
    cli_progress_clear(s->bar);
    tess_status status = s->writer ? end_file(s, &err) : end_playing(s, &err);
    s->said.is_interrupted = s->said.status == TESS_EINTERRUPTED;
    if (has_failed(&s->said)) return cli_report(self, common, &s->said.err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    return s->said.is_interrupted ? CLI_INTERRUPTED : -1;
}

void cli_speech_end(cli_speech *s)
{
    tess_speech_free(s->speech);
    tess_sound_writer_cancel(s->writer);
    tess_player_close(s->player);
    s->speech = NULL;
    s->writer = NULL;
    s->player = NULL;
}

/* ---- what was said ---- */

FILE *cli_speech_text_file(const cli_speech *s)
{
    return s && s->file && !strcmp(s->file, "-") ? stderr : stdout;
}

bool cli_speech_has_ended_text(const cli_speech *s)
{
    return s && s->ends_text && has_failed(&s->said);
}

static double seconds_of(const cli_spoken *said)
{
    return (double)said->n_sample / TESS_SPEECH_RATE_HZ;
}

json_t *cli_speech_describe(const cli_speech *s)
{
    static const char *const names[] = {[TESS_SPEECH_FINISH_NONE] = "none",
                                        [TESS_SPEECH_FINISH_STOP] = "stop",
                                        [TESS_SPEECH_FINISH_LIMIT] = "step limit"};
    const cli_spoken *said = &s->said;
    const char *file = said->n_sample && s->file ? s->file : "";
    json_t *object = json_object();
    json_object_set_new(object, "file", cli_text_or_null(file));
    json_object_set_new(object, "frames", json_integer(said->n_frame));
    json_object_set_new(object, "seconds", cli_number(seconds_of(said)));
    json_object_set_new(object, "finish_reason",
                        json_string(said->is_interrupted ? "interrupted" : names[said->finish]));
    return object;
}

void cli_speech_remark(const cli_speech *s, const cli_command *self, const cli_common *common)
{
    const cli_spoken *said = &s->said;
    if (common->quiet || !said->has_begun) return;
    if (said->n_sample == 0 && !said->is_interrupted && said->finish != TESS_SPEECH_FINISH_LIMIT)
        cli_remark(self, "there was nothing to say: no sound was made");
    if (said->finish == TESS_SPEECH_FINISH_LIMIT)
        cli_remark(self,
                   "the speech was cut at its step limit of %d, after %.1f s; --talker-max-new N allows more",
                   s->voice.max_step, seconds_of(said));
    if (said->n_sample == 0 || !s->file || common->json) return;
    char line[640];
    const char *where = strcmp(s->file, "-") ? CLI_SAFE(s->file) : "standard output";
    snprintf(line, sizeof line, "[spoken %.2f s to %s in %.2f s, %.2f times as long as it sounds]",
             seconds_of(said), where, said->seconds, said->seconds / seconds_of(said));
    cli_print_wrapped(stderr, line);
}
