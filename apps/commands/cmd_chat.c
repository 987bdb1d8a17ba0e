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
    tess_conversation talk;
} chat;

static tess_status start_over(chat *c, tess_error *err)
{
    tess_conversation_truncate(&c->talk, 0);
    return c->system ? tess_conversation_say(&c->talk, "system", c->system, strlen(c->system), err) : TESS_OK;
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

/* Feeds what the session does not hold of the conversation; *n_fed tokens of it. */
static tess_status feed_rest(chat *c, int *n_fed, tess_error *err)
{
    tess_ids ids = {0};
    tess_status status = tess_conversation_encode(&c->talk, c->tokenizer, TESS_CHAT_GENERATE, &ids, err);
    if (status == TESS_OK) {
        tess_feed whole = {.ids = ids.data,
                           .n_tok = (int)ids.count,
                           .listener = cli_ledger_get_listener(&c->engine_options.ledger),
                           .last_logits = true,
                           .progress = &c->engine_options.bar.drawn_bar};
        status = tess_session_feed_rest(c->session, &whole, n_fed, err);
    }
    cli_progress_clear(&c->engine_options.bar);
    tess_ids_release(&ids);
    return status;
}

static void print_answer_json(const tess_answer *answer)
{
    json_t *tokens = json_array();
    for (size_t i = 0; i < answer->ids.count; i++)
        json_array_append_new(tokens, json_integer(answer->ids.data[i]));
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
    tess_ledger_run_end end = {.finish = cli_finish_name(answer->made.finish),
                               .exit_code = code,
                               .n_prompt = n_fed,
                               .n_new = (int64_t)answer->made.ids.count,
                               .prefill_seconds = prefill_seconds,
                               .decode_seconds = answer->seconds};
    cli_ledger_end_run(&c->engine_options.ledger, c->engine, &end);
}

/* Says what was answered, and lets it join the conversation. */
static int end_turn(chat *c, const tess_answer *answer, int code)
{
    tess_error err;
    const char *text = answer->text.data ? answer->text.data : "";
    if (c->common.json)
        print_answer_json(answer);
    else
        puts(answer->finish == TESS_FINISH_INTERRUPTED ? " …" : "");
    fflush(stdout);
    if (tess_conversation_say(&c->talk, "assistant", text, answer->text.count, &err) != TESS_OK)
        return cli_report(c->self, &c->common, &err);
    return c->interactive ? CLI_DONE : code;
}

/* Answers the last message; the answer joins the conversation. Returns 0 or the exit code to end with. */
static int answer_turn(chat *c)
{
    tess_error err;
    int n_fed = 0;
    cli_clear_interrupt();
    double start = tess_system_seconds();
    tess_status status = feed_rest(c, &n_fed, &err);
    double prefill_seconds = tess_system_seconds() - start;
    if (status == TESS_EINTERRUPTED || status == TESS_EUSAGE) {
        tess_conversation_truncate(&c->talk, c->talk.count - 1);
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
        code = end_turn(c, &answer.made, code);
    }
    tess_answer_release(&answer.made);
    return code;
}

static int ask(chat *c, const char *question)
{
    tess_error err;
    begin_turn(c, question);
    tess_status status = tess_conversation_say(&c->talk, "user", question, strlen(question), &err);
    int code = status == TESS_OK ? answer_turn(c) : cli_report(c->self, &c->common, &err);
    cli_ledger_fail_run(&c->engine_options.ledger, c->engine, code);
    return code;
}

/* A line that begins with a slash. Returns false to leave. */
static bool obey(chat *c, const char *line)
{
    static const char *const media[] = {"/image", "/audio", "/video", "/speak"};
    if (!strcmp(line, "/quit") || !strcmp(line, "/exit")) return false;
    if (!strcmp(line, "/reset")) {
        if (start_over(c, NULL) != TESS_OK) return false;
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
    tess_error err;
    if (start_over(c, &err) != TESS_OK) return cli_report(c->self, &c->common, &err);
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
    tess_conversation_release(&c->talk);
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
        CLI_SEED_OPTION(&c.engine_options, "seed of the sampler; default 0"),
        CLI_LEDGER_TEXT_OPTION(&c.engine_options, CLI_LEDGER_TEXT_HELP),
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
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS | CLI_HAS_BUDGET,
    .examples =
        {"tessera chat --model Qwen3-Omni-30B-A3B-Instruct --memory 12GiB --temperature 0.6 --top-p 0.95",
         "tessera chat --model demo/checkpoint --system \"Answer briefly.\""},
    .run = run_chat,
};
