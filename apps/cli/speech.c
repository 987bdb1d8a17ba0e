#include "cli/speech.h"

#include <string.h>

#include "base/system.h"
#include "cli/screen.h"

int cli_speech_open(cli_speech *s, const cli_command *self, const cli_common *common,
                    tess_engine_options *engine)
{
    int code = cli_voice_check(&s->voice, s->out != NULL, self, common, engine->model_dir);
    if (code >= 0 || !s->out) return code;
    if (common->json && !strcmp(s->out, "-"))
        return cli_usage(self, common, "--speak - and --json both want standard output");
    tess_error err;
    const tess_sound_options sound = cli_voice_get_sound(&s->voice);
    cli_catch_termination(); /* what is begun of the file must go, or be ended */
    if (tess_sound_writer_open(s->out, &sound, &s->writer, &err) != TESS_OK)
        return cli_report(self, common, &err);
    engine->n_speech_step = s->voice.max_step;
    return -1;
}

/* ---- speaking ---- */

static tess_status write_samples(void *context, const float *samples, size_t n, tess_error *err)
{
    cli_speech *s = context;
    s->n_sample += (int64_t)n;
    return tess_sound_writer_write(s->writer, samples, n, err);
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
    if (!s->out) return -1;
    s->bar = bar;
    s->progress = (tess_progress){tell, s};
    const tess_speech_options options = {.n_prompt = prompt->n_tok,
                                         .speaker = s->voice.speaker,
                                         .sampling = cli_voice_get_sampling(&s->voice, seed),
                                         .max_step = s->voice.max_step,
                                         .media = prompt->media,
                                         .n_media = prompt->n_media,
                                         .on_samples = write_samples,
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
    while (s->status == TESS_OK && state == TESS_SPEECH_FRAME)
        s->status = tess_speech_step(s->speech, &state, &s->err);
    s->seconds += tess_system_seconds() - start;
    tess_speech_get_codes(s->speech, &s->n_frame);
}

bool cli_speech_take(cli_speech *s, int32_t id)
{
    if (s->status == TESS_OK) s->status = tess_speech_add(s->speech, id, &s->err);
    if (s->status == TESS_OK) speak(s);
    return s->status == TESS_OK;
}

/* A file of nothing is none. What was spoken before a failure stays. */
static tess_status end_file(cli_speech *s, tess_error *err)
{
    tess_sound_writer *writer = s->writer;
    s->writer = NULL;
    if (s->n_sample > 0) return tess_sound_writer_finish(writer, err);
    tess_sound_writer_cancel(writer);
    return TESS_OK;
}

void cli_speech_interrupt(cli_speech *s)
{
    if (s->status == TESS_OK) s->status = TESS_EINTERRUPTED;
}

int cli_speech_finish(cli_speech *s, const cli_command *self, const cli_common *common)
{
    if (!s->speech) return -1;
    tess_error err;
    tess_speech_end(s->speech);
    s->text_is_complete = true;
    if (s->status == TESS_OK) speak(s);
    cli_progress_clear(s->bar);
    s->finish = tess_speech_get_finish(s->speech);
    s->is_interrupted = s->status == TESS_EINTERRUPTED;
    tess_status status = end_file(s, &err);
    if (cli_speech_has_failed(s)) return cli_report(self, common, &s->err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    return s->is_interrupted ? CLI_INTERRUPTED : -1;
}

void cli_speech_end(cli_speech *s)
{
    tess_speech_free(s->speech);
    tess_sound_writer_cancel(s->writer);
    s->speech = NULL;
    s->writer = NULL;
}

/* ---- what was said ---- */

FILE *cli_speech_text_file(const cli_speech *speech)
{
    return speech && speech->out && !strcmp(speech->out, "-") ? stderr : stdout;
}

bool cli_speech_has_failed(const cli_speech *speech)
{
    return speech && speech->status != TESS_OK && speech->status != TESS_EINTERRUPTED;
}

static double seconds_of(const cli_speech *s)
{
    return (double)s->n_sample / TESS_SPEECH_RATE_HZ;
}

json_t *cli_speech_describe(const cli_speech *s)
{
    static const char *const names[] = {[TESS_SPEECH_FINISH_NONE] = "none",
                                        [TESS_SPEECH_FINISH_STOP] = "stop",
                                        [TESS_SPEECH_FINISH_LIMIT] = "step limit"};
    json_t *object = json_object();
    json_object_set_new(object, "file", s->n_sample ? cli_text(s->out, strlen(s->out)) : json_null());
    json_object_set_new(object, "frames", json_integer(s->n_frame));
    json_object_set_new(object, "seconds", cli_number(seconds_of(s)));
    json_object_set_new(object, "finish_reason",
                        json_string(s->is_interrupted ? "interrupted" : names[s->finish]));
    return object;
}

void cli_speech_remark(const cli_speech *s, const cli_command *self, const cli_common *common)
{
    if (common->quiet || !s->out) return;
    if (s->n_sample == 0 && !s->is_interrupted)
        cli_remark(self, "there was nothing to say: no sound was made");
    if (s->finish == TESS_SPEECH_FINISH_LIMIT)
        cli_remark(self,
                   "the speech was cut at its step limit of %d, after %.1f s; --talker-max-new N allows more",
                   s->voice.max_step, seconds_of(s));
    if (s->n_sample == 0 || common->json) return;
    char line[640];
    const char *where = strcmp(s->out, "-") ? CLI_SAFE(s->out) : "standard output";
    snprintf(line, sizeof line, "[spoken %.2f s to %s in %.2f s, %.2f times as long as it sounds]",
             seconds_of(s), where, s->seconds, s->seconds / seconds_of(s));
    cli_print_wrapped(stderr, line);
}
