/* Speaking an answer into a file while its text comes; options of it. For run and chat. */
#ifndef TESS_APPS_CLI_SPEECH_H
#define TESS_APPS_CLI_SPEECH_H

#include "cli/engine_options.h"
#include "cli/voice.h"

typedef struct cli_speech {
    const char *out; /* NULL: nothing is spoken; "-": standard output */
    cli_voice voice;

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
#define CLI_SPEECH_DEFAULT ((cli_speech){.voice = CLI_VOICE_DEFAULT})

#define CLI_SPEECH_OPTIONS(s)                                                                                \
    {"speak", CLI_NAME, &(s)->out, "OUT.wav",                                                                \
     "speak the answer into a file: .wav, .flac, .mp3 or .opus; - is standard output, and the text goes to " \
     "standard error"},                                                                                      \
        CLI_VOICE_OPTIONS(&(s)->voice)

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
