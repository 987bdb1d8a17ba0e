#include "cli/voice.h"

#include <string.h>

tess_sampling cli_voice_get_sampling(const cli_voice *voice, uint64_t seed)
{
    return (tess_sampling){.temperature = voice->temperature,
                           .top_k = voice->top_k,
                           .top_p = voice->top_p,
                           .repetition_penalty = voice->repetition_penalty,
                           .seed = seed};
}

tess_sound_options cli_voice_get_sound(const cli_voice *voice)
{
    return (tess_sound_options){.rate_hz = TESS_SPEECH_RATE_HZ, .is_float = voice->is_float};
}

/* The library's names of the talker's options are those of the text's. */
static int check_sampling(const cli_voice *voice, const cli_command *self, const cli_common *common)
{
    static const char *const options[][2] = {{"temperature", "--talker-temperature"},
                                             {"top_k", "--talker-top-k"},
                                             {"top_p", "--talker-top-p"},
                                             {"repetition_penalty", "--talker-repetition-penalty"}};
    const tess_sampling sampling = cli_voice_get_sampling(voice, 0);
    tess_error err;
    if (tess_sampling_check(&sampling, &err) == TESS_OK) return -1;
    const char *option = err.field;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (!strcmp(err.field, options[i][0])) option = options[i][1];
    return cli_usage(self, common, "%s: found %s, expected %s", option, err.found, err.expected);
}

static int check_unused(const cli_voice *voice, const cli_command *self, const cli_common *common)
{
    const cli_voice usual = CLI_VOICE_DEFAULT;
    bool is_usual = voice->temperature == usual.temperature && voice->top_k == usual.top_k &&
                    voice->top_p == usual.top_p && voice->repetition_penalty == usual.repetition_penalty &&
                    voice->max_step == usual.max_step;
    if (is_usual && !voice->speaker && !voice->is_float) return -1;
    return cli_usage(self, common,
                     "--speaker, --float and the talker's options say how an answer is spoken; nothing is "
                     "spoken without --speak");
}

int cli_voice_check(const cli_voice *voice, bool is_spoken, const cli_command *self, const cli_common *common,
                    const char *model_dir)
{
    if (!is_spoken) return check_unused(voice, self, common);
    int code = check_sampling(voice, self, common);
    if (code >= 0) return code;
    tess_error err;
    tess_status status = tess_speech_check_speaker(model_dir, voice->speaker, &err);
    return status == TESS_OK ? -1 : cli_report(self, common, &err);
}
