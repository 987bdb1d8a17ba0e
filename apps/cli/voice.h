/* How answers are spoken: options of run, chat and plan. */
#ifndef TESS_APPS_CLI_VOICE_H
#define TESS_APPS_CLI_VOICE_H

#include "cli/cli.h"

typedef struct cli_voice {
    const char *speaker; /* NULL: the default one */
    bool is_float;
    double temperature, top_p, repetition_penalty; /* of the first codebook */
    int top_k, max_step;
} cli_voice;
#define CLI_VOICE_DEFAULT                                                                                    \
    ((cli_voice){.temperature = TESS_SPEECH_SAMPLING.temperature,                                            \
                 .top_k = TESS_SPEECH_SAMPLING.top_k,                                                        \
                 .top_p = TESS_SPEECH_SAMPLING.top_p,                                                        \
                 .repetition_penalty = TESS_SPEECH_SAMPLING.repetition_penalty,                              \
                 .max_step = TESS_SPEECH_STEPS})

/* What libraries take that encode sound: 30 to 35 MB measured. */
#define CLI_SOUND_LIBRARY_BYTES (40ull << 20)

#define CLI_VOICE_OPTIONS(v)                                                                                 \
    {"float", CLI_FLAG, &(v)->is_float, NULL, "32-bit floats in a .wav; default 16-bit integers"},           \
        {"speaker", CLI_TEXT, &(v)->speaker, "NAME", "who speaks, in any case; default ethan"},              \
        {"talker-temperature", CLI_NUMBER, &(v)->temperature, "X",                                           \
         "0 is greedy in all codebooks; default 0.9"},                                                       \
        {"talker-top-k", CLI_COUNT, &(v)->top_k, "N", "of the first codebook; default 50"},                  \
        {"talker-top-p", CLI_NUMBER, &(v)->top_p, "X", "likewise; default 1"},                               \
        {"talker-repetition-penalty", CLI_NUMBER, &(v)->repetition_penalty, "X", "likewise; default 1.05"},  \
    {                                                                                                        \
        "talker-max-new", CLI_SOME, &(v)->max_step, "N", "most frames of 80 ms, and one; default 4096"       \
    }

/* Refuses values out of range, an unknown speaker and a checkpoint without a talker; where nothing is spoken,
 * all of the options. Returns -1 or an exit code. */
int cli_voice_check(const cli_voice *voice, bool is_spoken, const cli_command *self, const cli_common *common,
                    const char *model_dir);

tess_sampling cli_voice_get_sampling(const cli_voice *voice, uint64_t seed);
/* Of a file. */
tess_sound_options cli_voice_get_sound(const cli_voice *voice);

#endif
