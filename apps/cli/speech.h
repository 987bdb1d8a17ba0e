/* Speaking an answer into a file while its text comes; options of it. For run and chat. */
#ifndef TESS_APPS_CLI_SPEECH_H
#define TESS_APPS_CLI_SPEECH_H

#include "cli/engine_options.h"

typedef struct cli_speech {
    const char *out;     /* NULL: nothing is spoken; "-": standard output */
    const char *speaker; /* NULL: the default one */
    bool is_float;
    double temperature, top_p, repetition_penalty; /* of the first codebook */
    int top_k, max_step;

    tess_sound_writer *writer;
    tess_speech *speech;
    cli_progress *bar; /* not drawn while text comes */
    bool text_is_complete;
    tess_progress progress;
    double seconds; /* that speaking took */
    int n_frame;
    int64_t n_sample;
    tess_speech_finish finish;
    bool is_interrupted;
    tess_status status; /* of speaking; it may fail while text comes */
    tess_error err;
} cli_speech;
#define CLI_SPEECH_DEFAULT                                                                                   \
    ((cli_speech){.temperature = TESS_SPEECH_SAMPLING.temperature,                                           \
                  .top_k = TESS_SPEECH_SAMPLING.top_k,                                                       \
                  .top_p = TESS_SPEECH_SAMPLING.top_p,                                                       \
                  .repetition_penalty = TESS_SPEECH_SAMPLING.repetition_penalty,                             \
                  .max_step = TESS_SPEECH_STEPS})

#define CLI_SPEECH_OPTIONS(s)                                                                                \
    {"speak", CLI_NAME, &(s)->out, "OUT.wav",                                                                \
     "speak the answer into a file: .wav, .flac, .mp3 or .opus; - is standard output, and the text goes to " \
     "standard error"},                                                                                      \
        {"float", CLI_FLAG, &(s)->is_float, NULL, "32-bit floats in the .wav; default 16-bit integers"},     \
        CLI_VOICE_OPTIONS(s)
#define CLI_VOICE_OPTIONS(s)                                                                                 \
    {"speaker", CLI_NAME, &(s)->speaker, "NAME", "who speaks, in any case; default ethan"},                  \
        {"talker-temperature", CLI_NUMBER, &(s)->temperature, "X",                                           \
         "0 is greedy in all codebooks; default 0.9"},                                                       \
        {"talker-top-k", CLI_COUNT, &(s)->top_k, "N", "of the first codebook; default 50"},                  \
        {"talker-top-p", CLI_NUMBER, &(s)->top_p, "X", "likewise; default 1"},                               \
        {"talker-repetition-penalty", CLI_NUMBER, &(s)->repetition_penalty, "X", "likewise; default 1.05"},  \
    {                                                                                                        \
        "talker-max-new", CLI_SOME, &(s)->max_step, "N", "most frames of 80 ms, and one; default 4096"       \
    }

/* Refuses values out of range, and options of a voice without --speak; opens the file, before anything is
 * computed. Sets what the engine needs. Returns -1 or an exit code. End in either case with cli_speech_end.
 */
int cli_speech_open(cli_speech *speech, const cli_command *self, const cli_common *common,
                    tess_engine_options *engine);

/* Speech of the answer to a prompt that the session was fed, with the prompt's feed. Returns -1 or an exit
 * code.
 */
int cli_speech_begin(cli_speech *speech, const cli_command *self, const cli_common *common,
                     tess_session *session, const tess_feed *prompt, uint64_t seed, cli_progress *bar);

/* The next token of the answer, not the one that ends it; speaks what can be spoken. False: it failed. */
bool cli_speech_take(cli_speech *speech, int32_t id);

/* Nothing more is spoken. */
void cli_speech_interrupt(cli_speech *speech);
/* Speaks the rest, and ends the file, which stays where anything was said. Returns -1, 130 after Ctrl-C, or
 * another exit code after a message. */
int cli_speech_finish(cli_speech *speech, const cli_command *self, const cli_common *common);

/* Where the answer's text is printed: standard output, unless the sound goes there. speech may be NULL. */
FILE *cli_speech_text_file(const cli_speech *speech);
bool cli_speech_has_failed(const cli_speech *speech); /* but for Ctrl-C; speech may be NULL */

/* What was said for JSON, and on standard error unless --quiet. */
json_t *cli_speech_describe(const cli_speech *speech);
void cli_speech_remark(const cli_speech *speech, const cli_command *self, const cli_common *common);

/* Gives up what has not been finished. */
void cli_speech_end(cli_speech *speech);

#endif
