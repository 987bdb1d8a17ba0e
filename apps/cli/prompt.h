/* What is asked: options of run and trace that say it, and the token ids it becomes. */
#ifndef TESS_APPS_PROMPT_H
#define TESS_APPS_PROMPT_H

#include "cli/engine_options.h"
#include "cli/media.h"

typedef struct cli_prompt {
    const char *text, *system, *messages; /* NULL: not given; messages is a file */
    bool raw;                             /* no chat template */
    const char *output, *output_option;   /* of the command, as "--out"; no medium may be it. NULL: none */
    const char *thinking;                 /* "on", "off"; NULL: not said */
    bool plain;                           /* control tokens spelled in the text stay text */
    tess_tokenizer *tokenizer;
    cli_media_options media;
    tess_conversation talk; /* empty with --raw */
    tess_prompt made;       /* its media are those of talk */
    char *input;            /* what came from standard input */
    tess_text json;         /* what --messages said, as compact JSON */
    cli_media_room room;    /* that media ask for */
    tess_error refusal;     /* TESS_EBUDGET: they have no room; their sizes are known, and nothing else */
    const char *kind;       /* of what was encoded: "chat", "raw" or "messages" */
    const char *said;       /* what was encoded, n_said bytes: text, input or json */
    size_t n_said;
} cli_prompt;

#define CLI_PLAIN_OPTION(plain)                                                                              \
    {                                                                                                        \
        "plain", CLI_FLAG, plain, NULL,                                                                      \
            "control tokens spelled in the text, as <|im_end|>, stay text; without it they become tokens"    \
    }

#define CLI_THINKING_OPTION(thinking)                                                                        \
    {                                                                                                        \
        "think", CLI_TEXT, thinking, "on|off",                                                               \
            "off: a Thinking checkpoint answers without reasoning first; default on"                         \
    }

#define CLI_PROMPT_OPTIONS(p)                                                                                \
    {"prompt", CLI_TEXT, &(p)->text, "TEXT",                                                                 \
     "the question; default: standard input, less one final newline"},                                       \
        {"system", CLI_TEXT, &(p)->system, "TEXT", "a system message before it; default none"},              \
        {"messages", CLI_NAME, &(p)->messages, "FILE",                                                       \
         "instead of both: a JSON array of messages; see below"},                                            \
        {"raw", CLI_FLAG, &(p)->raw, NULL, "the text as it is, without the chat template"},                  \
        CLI_THINKING_OPTION(&(p)->thinking), CLI_PLAIN_OPTION(&(p)->plain), CLI_MEDIA_OPTIONS(&(p)->media)

/* For the help of commands that take a prompt. */
#define CLI_PROMPT_NOTES                                                                                     \
    "Messages, with media or without:\n"                                                                     \
    "  [{\"role\": \"system\", \"content\": \"Answer briefly.\"},\n"                                         \
    "   {\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"photo.jpg\"},\n"               \
    "                                {\"type\": \"text\", \"text\": \"What is it?\"}]}]\n"                   \
    "\"audio\" and \"video\" as \"image\"; paths are seen from the working directory.\n\n" CLI_MEDIA_NOTES   \
    "They stand before the question.\n"

#define CLI_PROMPT_DEFAULT ((cli_prompt){.media = CLI_MEDIA_DEFAULT})

/* What --think asks of the template; 0 unless it is "off". */
unsigned cli_thinking_flag(const char *thinking);
/* Refuses --think of a checkpoint that does not think, and words other than on and off. Returns -1 or an exit
 * code. */
int cli_thinking_check(const char *thinking, const cli_command *self, const cli_common *common,
                       const char *model_dir);

/* Whether a folder is the Captioner's, which nothing but its name tells: a part of its real path says so. */
bool cli_is_captioner(const char *model_dir);

/* Media alone, as a conversation of one turn whose sizes are known, with what is said of them; *n_tok the
 * tokens they take, which must have room beside n_text_tok. Returns -1 or an exit code. */
int cli_prompt_take_media(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                          cli_engine *engine, int64_t n_text_tok, int64_t *n_tok);
/* Opens the model's tokenizer, reads --messages or, where no --prompt was given either, standard input,
 * prepares media and says on standard error what they are taken as, renders and encodes. Media that have no
 * room are refused when the engine is opened, when it is known what the model asks for as well. Returns -1 or
 * an exit code. Release in either case. */
int cli_prompt_encode(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                      cli_engine *engine);
/* Plans for a prompt whose media are not prepared: what they will take counts, and the smallest budget is one
 * for them and the model. Errors: those of tess_plan_make. */
tess_status cli_prompt_plan(const cli_prompt *prompt, const tess_engine_options *options, tess_plan *out,
                            tess_error *err);
/* Opens the engine for a prompt, or refuses its media. Errors: those of tess_engine_open. */
tess_status cli_prompt_open_engine(const cli_prompt *prompt, const tess_engine_options *options,
                                   tess_engine **out, tess_error *err);
/* The media of the prompt for JSON, in its order. */
json_t *cli_prompt_list_parts(const cli_prompt *prompt);
/* Refuses bytes that are no UTF-8 by the option that a text came by. */
tess_status cli_check_text(const char *option, const char *text, size_t n_byte, tess_error *err);
/* One line on standard error for a chat template in the folder that is not the published one, unless --quiet.
 */
void cli_remark_template(const cli_command *self, const cli_common *common, const char *model_dir);
void cli_prompt_release(cli_prompt *prompt);

#endif
