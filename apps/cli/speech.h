/* Speaking an answer while its text comes, into a file or to ears. For run and chat. */
#ifndef TESS_APPS_CLI_SPEECH_H
#define TESS_APPS_CLI_SPEECH_H

#include "cli/engine_options.h"
#include "cli/voice.h"

/* What came of an answer's speech. */
typedef struct cli_spoken {
    bool has_begun;
    double seconds; /* that speaking took */
    int n_frame;
    int64_t n_sample;
    tess_speech_finish finish;
    bool is_interrupted;
    tess_status status; /* of speaking; it may fail while text comes */
    tess_error err;
} cli_spoken;

typedef struct cli_speech {
    cli_voice voice;
    const char *file; /* of the answer at hand, "-": standard output; NULL: none */
    bool ends_text;   /* a failure of speech ends the text, too */

    tess_sound_writer *writer; /* open for the answer to come, or */
    tess_player *player;       /* for all of them */
    tess_speech *speech;       /* NULL: nothing is being spoken */
    cli_progress *bar;         /* not drawn while text comes */
    bool text_is_complete;
    tess_progress progress;
    cli_spoken said; /* of the last answer */
} cli_speech;
#define CLI_SPEECH_DEFAULT ((cli_speech){.voice = CLI_VOICE_DEFAULT})

/* Opens where the next answer's sound goes, before anything is computed: file s->file, or what plays here.
 * Returns -1 or an exit code. End in either case with cli_speech_end. */
int cli_speech_open_file(cli_speech *s, const cli_command *self, const cli_common *common, cli_progress *bar);
int cli_speech_open_player(cli_speech *s, const cli_command *self, const cli_common *common);

/* Speech of the answer to a prompt that the session was fed, with the prompt's feed; without file and player
 * there is none. Returns -1 or an exit code. */
int cli_speech_begin(cli_speech *s, const cli_command *self, const cli_common *common, tess_session *session,
                     const tess_feed *prompt, uint64_t seed, cli_progress *bar);

/* The next token of the answer, not the one that ends it; speaks what can be spoken. False: the text ends. */
bool cli_speech_take(cli_speech *s, int32_t id);

/* Nothing more is spoken. */
void cli_speech_interrupt(cli_speech *s);
/* Speaks the rest; ends the file, which stays where anything was said, or waits until all is heard. A player
 * that failed is closed. Returns -1, 130 after Ctrl-C, or another exit code after a message. */
int cli_speech_finish(cli_speech *s, const cli_command *self, const cli_common *common);

/* Where the answer's text is printed: standard output, unless the sound goes there. s may be NULL. */
FILE *cli_speech_text_file(const cli_speech *s);
/* Whether a failure of speech, which finishing will tell, has ended the text. s may be NULL. */
bool cli_speech_has_ended_text(const cli_speech *s);

/* What was said for JSON, and on standard error unless --quiet. */
json_t *cli_speech_describe(const cli_speech *s);
void cli_speech_remark(const cli_speech *s, const cli_command *self, const cli_common *common);

/* Gives up what has not been finished. */
void cli_speech_end(cli_speech *s);

#endif
