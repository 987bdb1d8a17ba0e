/* tessera chat: a turn, from the question to the end of its answer. */
#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "cli/prompt.h"
#include "cli/standard_output.h"
#include "commands/chat.h"

unsigned chat_get_flags(const chat *c)
{
    return TESS_CHAT_GENERATE | (c->plain ? TESS_CHAT_PLAIN : 0) | cli_thinking_flag(c->thinking);
}

/* Feeds what the session does not hold of the conversation, *n_fed tokens of it; the answer's speech begins.
 */
static tess_status feed_rest(chat *c, int *n_fed, tess_error *err)
{
    tess_prompt prompt = {0};
    tess_status status = tess_prompt_make(&c->talk, c->tokenizer, c->engine_options.options.model_dir,
                                          chat_get_flags(c), &prompt, err);
    if (status == TESS_OK) {
        tess_feed whole = tess_prompt_get_feed(&prompt);
        whole.listener = cli_ledger_get_listener(&c->engine_options.ledger);
        whole.last_logits = true;
        whole.progress = &c->engine_options.bar.drawn_bar;
        status = tess_session_feed_rest(c->session, &whole, n_fed, err);
        if (status == TESS_OK) chat_speech_begin(c, &whole);
    }
    cli_progress_clear(&c->engine_options.bar);
    tess_prompt_release(&prompt);
    return status;
}

static void print_answer_json(const chat *c, const cli_answer *answer)
{
    json_t *tokens = json_array();
    for (size_t i = 0; i < answer->made.ids.count; i++)
        json_array_append_new(tokens, json_integer(answer->made.ids.data[i]));
    json_t *root = json_object();
    cli_answer_put(root, answer);
    json_object_set_new(root, "tokens", tokens);
    json_object_set_new(root, "finish_reason", json_string(cli_finish_name(answer->made.finish)));
    if (c->speech.said.has_begun) json_object_set_new(root, "speech", cli_speech_describe(&c->speech));
    cli_print_json(root);
}

/* Every turn is a run of its own in the ledger. */
static void begin_turn(chat *c, const char *question, size_t n_byte)
{
    cli_ledger *ledger = &c->engine_options.ledger;
    const tess_turn *draft = c->has_draft ? &c->talk.turn[c->talk.count - 1] : NULL;
    cli_ledger_note_prompt(ledger, "chat", question, n_byte, c->system);
    for (size_t i = 0; draft && i < draft->n_content; i++) {
        const tess_content *content = &draft->content[i];
        const tess_features *sound = content->sound ? tess_medium_get_features(content->sound) : NULL;
        if (content->features) cli_ledger_note_media(ledger, &content->features, 1);
        if (sound) cli_ledger_note_media(ledger, &sound, 1);
    }
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

/* Ends the line of the text and speaks what is left of it. Returns the turn's exit code. */
static int end_text(chat *c, const tess_answer *answer, int code)
{
    if (!c->common.json) puts(answer->finish == TESS_FINISH_INTERRUPTED ? " …" : "");
    if (!cli_stdout_flush()) return CLI_SYSTEM; /* which is told at the end */
    return chat_speech_end(c, code);
}

/* Says what was answered, and lets it join the conversation. */
static int end_turn(chat *c, const cli_answer *answer, int code)
{
    tess_error err;
    const tess_text *text = &answer->made.text;
    if (c->common.json) print_answer_json(c, answer);
    if (!cli_stdout_flush()) return CLI_SYSTEM;
    if (tess_conversation_say(&c->talk, "assistant", text->data ? text->data : "", text->count, &err) !=
        TESS_OK)
        return cli_report(c->self, &c->common, &err);
    return c->editor ? CLI_DONE : code;
}

/* Takes back a question that does not fit or was interrupted. Returns 0 or the exit code to end with. */
static int forget_question(chat *c, const tess_error *err)
{
    bool is_stopped = err->status == TESS_EINTERRUPTED;
    int code = CLI_INTERRUPTED;
    tess_conversation_truncate(&c->talk, c->talk.count - 1);
    c->has_draft = false;
    if (is_stopped) {
        fputs("stopped; the question is forgotten\n", stderr);
    } else {
        code = cli_report(c->self, &c->common, err);
        fputs("The question is forgotten; /reset starts over.\n", stderr);
    }
    cli_ledger_fail_run(&c->engine_options.ledger, c->engine, code);
    if (c->editor) return CLI_DONE;
    if (is_stopped) return code;
    if (!c->refused) c->refused = code;
    return CLI_DONE;
}

/* Whether the question is at fault, and another may be asked: it is too long, was stopped, or spells the pad
 * tokens of media. */
static bool may_go_on(const tess_error *err)
{
    return err->status == TESS_EINTERRUPTED || err->status == TESS_EUSAGE ||
           (err->status == TESS_EINPUT && !strcmp(err->field, "input_ids"));
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
    if (status != TESS_OK && may_go_on(&err)) return forget_question(c, &err);
    if (status != TESS_OK) return cli_report(c->self, &c->common, &err);
    cli_answer answer = {0};
    int code = cli_answer_make(c->self, &c->common, c->engine, c->session, c->tokenizer, &c->sampling,
                               cli_ledger_get_listener(&c->engine_options.ledger),
                               &c->engine_options.bar.unseen, c->max_new, &c->speech, &answer);
    if (code == CLI_DONE || code == CLI_INTERRUPTED) {
        code = end_text(c, &answer.made, code);
        record_answer(c, &answer, n_fed, prefill_seconds, code);
        code = end_turn(c, &answer, code);
        cli_answer_remark(&answer, c->self, &c->common, c->max_new);
        cli_speech_remark(&c->speech, c->self, &c->common);
    }
    tess_answer_release(&answer.made);
    return code;
}

int chat_ask(chat *c, const char *question, size_t n_byte)
{
    tess_error err;
    begin_turn(c, question, n_byte);
    tess_status status = c->has_draft ? tess_conversation_add_text(&c->talk, question, n_byte, &err)
                                      : tess_conversation_say(&c->talk, "user", question, n_byte, &err);
    if (status == TESS_OK) c->has_draft = false;
    int code = status == TESS_OK ? answer_turn(c) : cli_report(c->self, &c->common, &err);
    cli_ledger_fail_run(&c->engine_options.ledger, c->engine, code);
    return code;
}
