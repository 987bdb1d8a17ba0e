#include "cli/speech.h"

#include <string.h>

#include "base/system.h"
#include "cli/screen.h"

static tess_sampling sampling_of(const cli_speech *s, uint64_t seed)
{
    return (tess_sampling){.temperature = s->temperature,
                           .top_k = s->top_k,
                           .top_p = s->top_p,
                           .repetition_penalty = s->repetition_penalty,
                           .seed = seed};
}

/* The library's names of the talker's options are those of the text's. */
static int check_sampling(const cli_speech *s, const cli_command *self, const cli_common *common)
{
    static const char *const options[][2] = {{"temperature", "--talker-temperature"},
                                             {"top_k", "--talker-top-k"},
                                             {"top_p", "--talker-top-p"},
                                             {"repetition_penalty", "--talker-repetition-penalty"}};
    const tess_sampling sampling = sampling_of(s, 0);
    tess_error err;
    if (tess_sampling_check(&sampling, &err) == TESS_OK) return -1;
    const char *option = err.field;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (!strcmp(err.field, options[i][0])) option = options[i][1];
    return cli_usage(self, common, "%s: found %s, expected %s", option, err.found, err.expected);
}

/* Options of a voice that nobody would hear. */
static int check_unused(const cli_speech *s, const cli_command *self, const cli_common *common)
{
    const cli_speech usual = CLI_SPEECH_DEFAULT;
    bool is_usual = s->temperature == usual.temperature && s->top_k == usual.top_k &&
                    s->top_p == usual.top_p && s->repetition_penalty == usual.repetition_penalty &&
                    s->max_step == usual.max_step;
    if (is_usual && !s->speaker && !s->is_float) return -1;
    return cli_usage(self, common,
                     "--speaker, --float and the talker's options say how an answer is spoken; nothing is "
                     "spoken without --speak");
}

int cli_speech_open(cli_speech *s, const cli_command *self, const cli_common *common,
                    tess_engine_options *engine)
{
    if (!s->out) return check_unused(s, self, common);
    int code = check_sampling(s, self, common);
    if (code >= 0) return code;
    if (common->json && !strcmp(s->out, "-"))
        return cli_usage(self, common, "--speak - and --json both want standard output");
    tess_error err;
    tess_status status = tess_speech_check_speaker(engine->model_dir, s->speaker, &err);
    const tess_sound_options sound = {.rate_hz = TESS_SPEECH_RATE_HZ, .is_float = s->is_float};
    cli_catch_termination(); /* what is begun of the file must go, or be ended */
    if (status == TESS_OK) status = tess_sound_writer_open(s->out, &sound, &s->writer, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    engine->n_speech_step = s->max_step;
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
                                         .speaker = s->speaker,
                                         .sampling = sampling_of(s, seed),
                                         .max_step = s->max_step,
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
                   s->max_step, seconds_of(s));
    if (s->n_sample == 0 || common->json) return;
    char line[640];
    snprintf(line, sizeof line, "[spoken %.2f s to %s in %.2f s, %.2f times as long as it sounds]",
             seconds_of(s), CLI_SAFE(s->out), s->seconds, s->seconds / seconds_of(s));
    cli_print_wrapped(stderr, line);
}
