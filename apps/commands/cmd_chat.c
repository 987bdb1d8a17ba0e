/* tessera chat: several turns with one model.
 *
 * Every turn renders the whole conversation and feeds what the session does not hold yet: the template
 * decides what a turn looks like later (it drops earlier reasoning), and nothing is computed twice.
 */
#include <editline/readline.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/system.h"
#include "cli/engine_options.h"
#include "cli/generate.h"
#include "commands/commands.h"

typedef struct conversation {
    tess_message *message;
    size_t n_message;
} conversation;

typedef struct chat {
    const cli_command *self;
    cli_common common;
    cli_engine engine_options;
    cli_sampling sampling;
    const char *system;
    int max_new;
    bool interactive;
    tess_tokenizer *tokenizer;
    tess_engine *engine;
    tess_session *session;
    conversation talk;
} chat;

static bool say(conversation *talk, const char *role, const char *text, size_t n_byte)
{
    tess_message *grown = realloc(talk->message, (talk->n_message + 1) * sizeof *grown);
    if (!grown) return false;
    talk->message = grown;
    char *copy = malloc(n_byte + 1);
    if (!copy) return false;
    memcpy(copy, text, n_byte);
    copy[n_byte] = 0;
    talk->message[talk->n_message++] = (tess_message){.role = role, .content = copy, .n_content = n_byte};
    return true;
}

static void forget(conversation *talk, size_t n_keep)
{
    while (talk->n_message > n_keep) free((char *)talk->message[--talk->n_message].content);
}

static bool start_over(chat *c)
{
    forget(&c->talk, 0);
    return !c->system || say(&c->talk, "system", c->system, strlen(c->system));
}

/* One line of input without its end, NULL at the end of input; caller frees. */
static char *read_question(const chat *c)
{
    if (c->interactive) {
        char *line = readline("> ");
        while (!line && cli_interrupted()) { /* Ctrl-C at the prompt drops the line, not the program */
            cli_clear_interrupt();
            puts("");
            line = readline("> ");
        }
        if (line && *line) add_history(line);
        return line;
    }
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, stdin);
    if (n < 0) {
        free(line);
        return NULL;
    }
    if (n > 0 && line[n - 1] == '\n') line[n - 1] = 0;
    return line;
}

/* Feeds the conversation from where the session's tokens end to agree with it; *n_fed tokens of it. */
static tess_status feed(chat *c, int *n_fed, tess_error *err)
{
    tess_ids ids = {0};
    tess_status status =
        tess_chat_encode(c->tokenizer, c->talk.message, c->talk.n_message, TESS_CHAT_GENERATE, &ids, err);
    if (status == TESS_OK) {
        const int32_t *held = tess_session_get_ids(c->session);
        int same = 0, length = tess_session_get_length(c->session);
        /* at least one token is fed, so that there are logits */
        while (same < length && (size_t)same + 1 < ids.count && held[same] == ids.data[same]) same++;
        tess_session_truncate(c->session, same);
        tess_feed rest = {.ids = ids.data + same,
                          .n_tok = (int)ids.count - same,
                          .listener = cli_ledger_get_listener(&c->engine_options.ledger),
                          .last_logits = true,
                          .progress = &c->engine_options.bar.drawn_bar};
        *n_fed = rest.n_tok;
        status = tess_session_feed(c->session, &rest, err);
    }
    cli_progress_clear(&c->engine_options.bar);
    tess_ids_release(&ids);
    return status;
}

static void print_answer_json(const cli_answer *answer)
{
    json_t *tokens = json_array();
    for (int i = 0; i < answer->n_new; i++) json_array_append_new(tokens, json_integer(answer->ids[i]));
    json_t *text = json_stringn(answer->text.data ? answer->text.data : "", answer->text.count);
    cli_print_json(json_pack("{s:o, s:o, s:s}", "text", text, "tokens", tokens, "finish_reason",
                             cli_finish_name(answer->finish)));
}

/* Every turn is a run of its own in the ledger. */
static void begin_turn(chat *c, const char *question)
{
    cli_ledger *ledger = &c->engine_options.ledger;
    cli_ledger_note_prompt(ledger, "chat", question, strlen(question), c->system);
    cli_ledger_begin_run(ledger, &c->engine_options.options, c->engine_options.seed);
}

static void record_answer(chat *c, const cli_answer *answer, int n_fed, double prefill_seconds, int code)
{
    tess_ledger_run_end end = {.finish = cli_finish_name(answer->finish),
                               .exit_code = code,
                               .n_prompt = n_fed,
                               .n_new = answer->n_new,
                               .prefill_seconds = prefill_seconds,
                               .decode_seconds = answer->seconds};
    cli_ledger_end_run(&c->engine_options.ledger, c->engine, &end);
}

/* Answers the last message; the answer joins the conversation. Returns 0 or the exit code to end with. */
static int answer_turn(chat *c)
{
    tess_error err;
    int n_fed = 0;
    cli_clear_interrupt();
    double start = tess_system_seconds();
    tess_status status = feed(c, &n_fed, &err);
    double prefill_seconds = tess_system_seconds() - start;
    if (status == TESS_EINTERRUPTED || status == TESS_EUSAGE) {
        forget(&c->talk, c->talk.n_message - 1);
        err = cli_translate(&err);
        fprintf(stderr, "%s%s\n", status == TESS_EUSAGE ? err.message : "stopped; the question is forgotten",
                status == TESS_EUSAGE ? ", or start over with /reset" : "");
        int code = status == TESS_EUSAGE ? CLI_USAGE : CLI_INTERRUPTED;
        cli_ledger_fail_run(&c->engine_options.ledger, c->engine, code);
        return c->interactive ? CLI_DONE : code;
    }
    if (status != TESS_OK) return cli_report(c->self, &c->common, &err);
    cli_answer answer = {0};
    int code = cli_answer_make(c->self, &c->common, c->engine, c->session, c->tokenizer, &c->sampling,
                               cli_ledger_get_listener(&c->engine_options.ledger),
                               &c->engine_options.bar.unseen, c->max_new, &answer);
    if (code == CLI_DONE || code == CLI_INTERRUPTED) {
        record_answer(c, &answer, n_fed, prefill_seconds, code);
        const char *text = answer.text.data ? answer.text.data : "";
        if (c->common.json)
            print_answer_json(&answer);
        else
            puts(answer.finish == TESS_FINISH_INTERRUPTED ? " …" : "");
        fflush(stdout);
        if (!say(&c->talk, "assistant", text, answer.text.count))
            code = CLI_SYSTEM;
        else if (c->interactive)
            code = CLI_DONE;
    }
    cli_answer_release(&answer);
    return code;
}

static int ask(chat *c, const char *question)
{
    if (!say(&c->talk, "user", question, strlen(question))) return CLI_SYSTEM;
    begin_turn(c, question);
    int code = answer_turn(c);
    cli_ledger_fail_run(&c->engine_options.ledger, c->engine, code);
    return code;
}

/* A line that begins with a slash. Returns false to leave. */
static bool obey(chat *c, const char *line)
{
    static const char *const media[] = {"/image", "/audio", "/video", "/speak"};
    if (!strcmp(line, "/quit") || !strcmp(line, "/exit")) return false;
    if (!strcmp(line, "/reset")) {
        if (!start_over(c)) return false;
        fputs("The conversation starts over.\n", stderr);
        return true;
    }
    for (size_t i = 0; i < sizeof media / sizeof media[0]; i++)
        if (!strncmp(line, media[i], strlen(media[i]))) {
            fprintf(stderr, "%s is not part of this version (%s).\n", media[i], TESS_VERSION);
            return true;
        }
    fputs("/reset starts over, /quit leaves (so does Ctrl-D); Ctrl-C stops an answer.\n", stderr);
    return true;
}

static int converse(chat *c)
{
    int code = CLI_DONE;
    if (!start_over(c)) return CLI_SYSTEM;
    while (code == CLI_DONE) {
        cli_clear_interrupt();
        char *line = read_question(c);
        if (!line) break;
        bool go_on = true;
        if (line[0] == '/')
            go_on = obey(c, line);
        else if (*line)
            code = ask(c, line);
        free(line);
        if (!go_on) break;
    }
    if (c->interactive && code == CLI_DONE) puts("");
    return code;
}

static int open_and_converse(chat *c)
{
    tess_error err;
    tess_status status = tess_tokenizer_open(c->engine_options.options.model_dir, &c->tokenizer, &err);
    if (status == TESS_OK) cli_ledger_open(&c->engine_options.ledger, c->self);
    if (status == TESS_OK) status = tess_engine_open(&c->engine_options.options, &c->engine, &err);
    cli_progress_clear(&c->engine_options.bar);
    if (status == TESS_OK) status = tess_session_new(c->engine, &c->session, &err);
    int code = status == TESS_OK ? converse(c) : cli_report(c->self, &c->common, &err);
    forget(&c->talk, 0);
    free(c->talk.message);
    tess_session_free(c->session);
    tess_engine_close(c->engine);
    tess_tokenizer_close(c->tokenizer);
    cli_ledger_close(&c->engine_options.ledger);
    return code;
}

static int run_chat(const cli_command *self, int argc, char **argv)
{
    chat c = {.self = self,
              .common = CLI_COMMON_DEFAULT,
              .engine_options = CLI_ENGINE_DEFAULT,
              .sampling = CLI_SAMPLING_DEFAULT,
              .max_new = 1024};
    const cli_option options[] = {
        {"system", CLI_TEXT, &c.system, "TEXT", "a system message before the first turn; default none"},
        {"max-new", CLI_COUNT, &c.max_new, "N", "most tokens of one answer; default 1024"},
        CLI_SAMPLING_OPTIONS(&c.sampling),
        CLI_ENGINE_OPTIONS(&c.engine_options),
    };
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &c.common, argc, argv, &words, &n_word);
    if (code >= 0) return code;
    if (n_word > 0) return cli_usage(self, &c.common, "%s: unexpected word", words[0]);
    code = cli_engine_check(&c.engine_options, self, &c.common);
    if (code < 0) code = cli_sampling_check(&c.sampling, self, &c.common, c.engine_options.seed);
    if (code >= 0) return code;
    c.interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    return open_and_converse(&c);
}

const cli_command cli_chat = {
    .name = "chat",
    .summary = "Holds a conversation of several turns.",
    .arguments = "[options] --model DIR",
    .examples =
        {"tessera chat --model Qwen3-Omni-30B-A3B-Instruct --memory 12GiB --temperature 0.6 --top-p 0.95",
         "tessera chat --model demo/checkpoint --system \"Answer briefly.\""},
    .run = run_chat,
};
