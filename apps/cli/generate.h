/* Generating an answer and showing it as it comes; sampling options. For run and chat. */
#ifndef TESS_APPS_CLI_GENERATE_H
#define TESS_APPS_CLI_GENERATE_H

#include "cli/speech.h"

typedef struct cli_sampling {
    double temperature, top_p, repetition_penalty;
    int top_k;
    uint64_t seed;
} cli_sampling;
#define CLI_SAMPLING_DEFAULT ((cli_sampling){.top_p = 1, .repetition_penalty = 1})

#define CLI_SAMPLING_OPTIONS(s)                                                                              \
    {"temperature", CLI_NUMBER, &(s)->temperature, "X", "0 is greedy; default 0"},                           \
        {"top-k", CLI_COUNT, &(s)->top_k, "N", "draw among the N likeliest; default off"},                   \
        {"top-p", CLI_NUMBER, &(s)->top_p, "X", "draw among the likeliest that hold X together; default 1"}, \
    {                                                                                                        \
        "repetition-penalty", CLI_NUMBER, &(s)->repetition_penalty, "X",                                     \
            "over 1 discourages repeats; default 1"                                                          \
    }

/* Refuses values out of range and top-k or top-p without a temperature. Returns -1 or an exit code. */
int cli_sampling_check(cli_sampling *sampling, const cli_command *self, const cli_common *common,
                       uint64_t seed);

typedef struct cli_answer {
    tess_answer made;
    bool may_reason; /* what it begins with can be reasoning */
    double seconds;
} cli_answer;

/* Generates up to max_new tokens after what the session holds, and prints the text as it comes unless --json
 * was given. `listener` (may be NULL) hears taps of what is fed; `speech` (may be NULL) has begun and takes
 * the tokens. Ends at im_end_token_id and <|endoftext|>, and on Ctrl-C. Returns 0, 130 after Ctrl-C, or
 * another exit code after a message. Release answer->made in any case. */
int cli_answer_make(const cli_command *self, const cli_common *common, tess_engine *engine,
                    tess_session *session, const tess_tokenizer *tokenizer, const cli_sampling *sampling,
                    const tess_tap_listener *listener, const tess_progress *progress, int max_new,
                    cli_speech *speech, cli_answer *answer);

/* Says on standard error that an answer was cut, and which option allows a longer one; nothing with --quiet.
 */
void cli_answer_remark(const cli_answer *answer, const cli_command *self, const cli_common *common,
                       int max_new);

/* The answer for JSON: "text", and "reasoning" where the model is one that thinks and did so first. */
void cli_answer_put(json_t *object, const cli_answer *answer);

#endif
