/* What is asked: options of run and trace that say it, and the token ids it becomes. */
#ifndef TESS_APPS_PROMPT_H
#define TESS_APPS_PROMPT_H

#include "cli/cli.h"

typedef struct cli_prompt {
    const char *text, *system, *messages; /* NULL: not given; messages is a file */
    bool raw;                             /* no chat template */
    bool plain;                           /* control tokens spelled in the text stay text */
    tess_tokenizer *tokenizer;
    tess_conversation talk; /* empty with --raw */
    tess_ids ids;
    char *input;      /* what came from standard input */
    tess_text json;   /* what --messages said, as compact JSON */
    const char *kind; /* of what was encoded: "chat", "raw" or "messages" */
    const char *said; /* what was encoded, n_said bytes: text, input or json */
    size_t n_said;
} cli_prompt;

#define CLI_PLAIN_OPTION(plain)                                                                              \
    {                                                                                                        \
        "plain", CLI_FLAG, plain, NULL,                                                                      \
            "control tokens spelled in the text, as <|im_end|>, stay text; without it they become tokens"    \
    }

/* Media is refused by name until it is built in. */
#define CLI_PROMPT_OPTIONS(p)                                                                                \
    {"prompt", CLI_TEXT, &(p)->text, "TEXT",                                                                 \
     "the question; default: standard input, less one final newline"},                                       \
        {"system", CLI_TEXT, &(p)->system, "TEXT", "a system message before it; default none"},              \
        {"messages", CLI_NAME, &(p)->messages, "FILE",                                                       \
         "instead of both: a JSON array of messages with role and content"},                                 \
        {"raw", CLI_FLAG, &(p)->raw, NULL, "the text as it is, without the chat template"},                  \
        CLI_PLAIN_OPTION(&(p)->plain), {"audio", CLI_LATER, NULL, "FILE", NULL},                             \
        {"image", CLI_LATER, NULL, "FILE", NULL}, {"video", CLI_LATER, NULL, "FILE", NULL},                  \
        {"use-audio-in-video", CLI_LATER, NULL, NULL, NULL},                                                 \
    {                                                                                                        \
        "fps", CLI_LATER, NULL, "N", NULL                                                                    \
    }

/* Opens the model's tokenizer, reads --messages or, where no --prompt was given either, standard input,
 * renders and encodes. Returns -1 or an exit code. Release in either case. */
int cli_prompt_encode(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                      const char *model_dir);
/* One line on standard error for a chat template in the folder that is not the published one, unless --quiet.
 */
void cli_remark_template(const cli_command *self, const cli_common *common, const char *model_dir);
void cli_prompt_release(cli_prompt *prompt);

#endif
