/* tessera chat: several turns with one model.
 *
 * Every turn renders the whole conversation and feeds what the session does not hold yet: the template
 * decides what a turn looks like later (it drops earlier reasoning), and nothing is computed twice.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/system.h"
#include "base/utf8.h"
#include "cli/editor.h"
#include "cli/engine_options.h"
#include "cli/generate.h"
#include "cli/help.h"
#include "cli/prompt.h"
#include "cli/standard_output.h"
#include "commands/commands.h"

typedef struct chat {
    const cli_command *self;
    cli_common common;
    cli_engine engine_options;
    cli_sampling sampling;
    const char *system, *history; /* as given: a file, "off", NULL for the user's own */
    int max_new;
    bool plain;
    cli_editor *editor; /* NULL: questions come line by line, unedited */
    char *line;         /* the last of these, owned */
    size_t room;
    unsigned long n_line;
    int refused; /* the exit code of the first question that could not be asked; 0: all could */
    tess_tokenizer *tokenizer;
    tess_engine *engine;
    tess_session *session;
    tess_conversation talk;
    const char *thinking; /* "on", "off"; NULL: not said */
    double fps;
    bool use_audio_in_video;
    bool has_draft;       /* the last turn of talk is a question with media whose text is still to come */
    uint64_t media_bytes; /* --media-memory; 0: not said */
    int n_media_tok;      /* tokens of media that the plan provides for in a turn; 0: there is no room */
    uint64_t row_bytes;   /* that a token of media takes until it is run */
    uint64_t used_bytes;  /* of the budget, by all but media of the conversation */
    uint64_t least_bytes; /* the smallest budget with room for media at all; 0: this one has some */
} chat;

static tess_status start_over(chat *c, tess_error *err)
{
    tess_conversation_truncate(&c->talk, 0);
    c->has_draft = false;
    if (!c->system) return TESS_OK;
    tess_status status = cli_check_text("--system", c->system, strlen(c->system), err);
    return status == TESS_OK ? tess_conversation_say(&c->talk, "system", c->system, strlen(c->system), err)
                             : status;
}

/* ---- questions ----------------------------------------------------------------------------------------- */

/* One line of input without its end; it may hold NULs. */
static cli_typed read_line(chat *c, const char **text, size_t *n_byte)
{
    cli_interrupt_waits(true);
    ssize_t n = getline(&c->line, &c->room, stdin);
    cli_interrupt_waits(false);
    c->n_line++;
    if (cli_interrupted()) return CLI_TYPED_NOTHING; /* what was read may be half a question */
    if (n < 0) return CLI_TYPED_END;
    if (n > 0 && c->line[n - 1] == '\n') n--;
    if (n > 0 && c->line[n - 1] == '\r') n--;
    c->line[n] = 0;
    *text = c->line;
    *n_byte = (size_t)n;
    return CLI_TYPED_LINE;
}

static bool is_blank(const char *text, size_t n_byte)
{
    while (n_byte > 0 && isspace((unsigned char)text[n_byte - 1])) n_byte--;
    return n_byte == 0;
}

static cli_typed read_typed(chat *c, const char **text, size_t *n_byte)
{
    tess_error err;
    if (cli_editor_is_end_typed()) { /* during the last answer */
        puts("");
        return CLI_TYPED_END;
    }
    cli_typed typed = cli_editor_read(c->editor, text, n_byte);
    if (typed == CLI_TYPED_LINE && !is_blank(*text, *n_byte) &&
        cli_editor_remember(c->editor, *text, &err) != TESS_OK && !c->common.quiet)
        cli_remark(c->self, "what is typed is not kept: %s", err.message);
    return typed;
}

/* A question that is no UTF-8 is refused by its place in the input, and the others are asked. */
static bool is_text(chat *c, const char *text, size_t n_byte)
{
    size_t invalid = tess_utf8_find_invalid((const uint8_t *)text, n_byte);
    if (invalid == n_byte) return true;
    tess_error err = {.status = TESS_EINPUT, .offset = (int64_t)invalid, .expected = "UTF-8"};
    snprintf(err.field, sizeof err.field, "line %lu", c->n_line);
    snprintf(err.found, sizeof err.found, "byte 0x%02x", (unsigned)(uint8_t)text[invalid]);
    snprintf(err.message, sizeof err.message,
             "line %lu, byte %zu: found %s, expected UTF-8; it was not asked", c->n_line, invalid, err.found);
    int code = cli_report(c->self, &c->common, &err);
    if (!c->refused) c->refused = code;
    return false;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

/* Feeds what the session does not hold of the conversation; *n_fed tokens of it. */
static tess_status feed_rest(chat *c, int *n_fed, tess_error *err)
{
    tess_prompt prompt = {0};
    unsigned flags = TESS_CHAT_GENERATE | (c->plain ? TESS_CHAT_PLAIN : 0) | cli_thinking_flag(c->thinking);
    tess_status status =
        tess_prompt_make(&c->talk, c->tokenizer, c->engine_options.options.model_dir, flags, &prompt, err);
    if (status == TESS_OK) {
        tess_feed whole = tess_prompt_get_feed(&prompt);
        whole.listener = cli_ledger_get_listener(&c->engine_options.ledger);
        whole.last_logits = true;
        whole.progress = &c->engine_options.bar.drawn_bar;
        status = tess_session_feed_rest(c->session, &whole, n_fed, err);
    }
    cli_progress_clear(&c->engine_options.bar);
    tess_prompt_release(&prompt);
    return status;
}

static void print_answer_json(const chat *c, const tess_answer *answer)
{
    json_t *tokens = json_array();
    for (size_t i = 0; i < answer->ids.count; i++)
        json_array_append_new(tokens, json_integer(answer->ids.data[i]));
    json_t *root = json_object();
    cli_answer_put(root, &answer->text, c->engine_options.options.model_dir);
    json_object_set_new(root, "tokens", tokens);
    json_object_set_new(root, "finish_reason", json_string(cli_finish_name(answer->finish)));
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

/* Says what was answered, and lets it join the conversation. */
static int end_turn(chat *c, const tess_answer *answer, int code)
{
    tess_error err;
    const char *text = answer->text.data ? answer->text.data : "";
    if (c->common.json)
        print_answer_json(c, answer);
    else
        puts(answer->finish == TESS_FINISH_INTERRUPTED ? " …" : "");
    if (!cli_stdout_flush()) return CLI_SYSTEM; /* which is told at the end */
    if (tess_conversation_say(&c->talk, "assistant", text, answer->text.count, &err) != TESS_OK)
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
                               &c->engine_options.bar.unseen, c->max_new, NULL, &answer);
    if (code == CLI_DONE || code == CLI_INTERRUPTED) {
        record_answer(c, &answer, n_fed, prefill_seconds, code);
        code = end_turn(c, &answer.made, code);
        cli_answer_remark(&answer, c->self, &c->common, c->max_new);
    }
    tess_answer_release(&answer.made);
    return code;
}

static int ask(chat *c, const char *question, size_t n_byte)
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

/* ---- media --------------------------------------------------------------------------------------------- */

/* Shares of the budget, a 16th each, that the plan keeps for the rows of media and for media themselves: most
 * turns bring none. */
#define MEDIA_SHARE 16

static uint64_t in_budget(uint64_t share_bytes)
{
    return share_bytes < UINT64_MAX / MEDIA_SHARE ? share_bytes * MEDIA_SHARE : UINT64_MAX;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A budget in which a turn's medium that failed has room, whatever the plan does with the rest. */
static uint64_t enough_for(const chat *c, uint64_t most_bytes)
{
    const tess_turn *turn = &c->talk.turn[c->talk.count - 1];
    const uint64_t n_tok = (uint64_t)turn->content[turn->n_content - 1].n_tok;
    const uint64_t room = larger(in_budget(most_bytes), in_budget(n_tok * c->row_bytes));
    return larger(room, c->least_bytes);
}

static tess_status add_medium(chat *c, tess_content_kind kind, const char *source, tess_error *err)
{
    const tess_media_use use = {.model_dir = c->engine_options.options.model_dir,
                                .fps = c->fps,
                                .use_audio_in_video = c->use_audio_in_video && kind == TESS_CONTENT_VIDEO};
    tess_status status = c->has_draft ? TESS_OK : tess_conversation_begin_list(&c->talk, "user", err);
    if (status != TESS_OK) return status;
    c->has_draft = true;
    status = tess_conversation_add_medium(&c->talk, kind, source, err);
    if (status != TESS_OK) return status;
    status = cli_media_prepare(&c->talk, use, tess_engine_get_plan(c->engine)->budget_bytes, c->used_bytes,
                               &c->engine_options.bar, err);
    if (status == TESS_EBUDGET) err->smallest_budget_bytes = enough_for(c, err->smallest_budget_bytes);
    if (status != TESS_OK) tess_conversation_drop_part(&c->talk);
    return status;
}

/* What is refused while nobody looks shows in the exit code. */
static void note_refusal(chat *c, int code)
{
    if (!c->editor && !c->refused) c->refused = code;
}

/* Ctrl-C while nobody looks means all that is to come: the question would be asked without its medium. */
static bool ends_here(const chat *c, tess_status status)
{
    return status == TESS_EINTERRUPTED && !c->editor;
}

/* "/image FILE": the medium joins the next question. Returns false to leave. */
static bool attach(chat *c, tess_content_kind kind, const char *text, size_t n_byte)
{
    size_t begin = 1;
    while (begin < n_byte && isalpha((unsigned char)text[begin])) begin++;
    while (begin < n_byte && isspace((unsigned char)text[begin])) begin++;
    while (n_byte > begin && isspace((unsigned char)text[n_byte - 1])) n_byte--;
    tess_error err;
    char source[4096];
    if (begin == n_byte || n_byte - begin >= sizeof source) {
        fputs("Say which file: /image photo.jpg, /audio question.wav or /video clip.mp4.\n", stderr);
        note_refusal(c, CLI_USAGE);
        return true;
    }
    snprintf(source, sizeof source, "%.*s", (int)(n_byte - begin), text + begin);
    if (!strcmp(source, "-")) { /* reading it to its end would take the questions */
        fputs("Questions come by standard input; a medium needs a file.\n", stderr);
        note_refusal(c, CLI_USAGE);
        return true;
    }
    tess_status status = add_medium(c, kind, source, &err);
    if (status != TESS_OK) {
        note_refusal(c, cli_report(c->self, &c->common, &err));
        return !ends_here(c, status);
    }
    const tess_turn *turn = &c->talk.turn[c->talk.count - 1];
    const tess_content *content = &turn->content[turn->n_content - 1];
    if (c->common.quiet) return true;
    cli_media_show(c->self, content);
    fputs("It joins your next question.\n", stderr);
    return true;
}

/* ---- commands ------------------------------------------------------------------------------------------ */

typedef enum chat_order {
    NO_ORDER,
    ORDER_QUIT,
    ORDER_RESET,
    ORDER_HELP,
    ORDER_IMAGE, /* from here on a name follows */
    ORDER_AUDIO,
    ORDER_VIDEO,
    ORDER_LATER,
    ORDER_SLIP /* nearly one of those with a name */
} chat_order;

static const struct {
    const char *word;
    chat_order order;
} orders[] = {{"/quit", ORDER_QUIT},   {"/exit", ORDER_QUIT},   {"/reset", ORDER_RESET},
              {"/help", ORDER_HELP},   {"/image", ORDER_IMAGE}, {"/audio", ORDER_AUDIO},
              {"/video", ORDER_VIDEO}, {"/speak", ORDER_LATER}};

/* The command before a file's name that a word, "/imge" of "/imge photo.jpg", is most like; NULL: none. */
static const char *guess_order(const char *text, size_t n)
{
    char word[16];
    if (n >= sizeof word) return NULL;
    snprintf(word, sizeof word, "%.*s", (int)n, text);
    cli_guess guess = {.word = word};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        if (orders[i].order >= ORDER_IMAGE && orders[i].order != ORDER_LATER)
            cli_guess_offer(&guess, orders[i].word);
    return guess.best;
}

/* Letters of a command, the stroke included. */
static size_t count_letters(const char *text, size_t n_byte)
{
    size_t n = 1;
    while (n < n_byte && isalpha((unsigned char)text[n])) n++;
    return n;
}

/* Commands are whole words: "/usr/bin holds what?" is a question. At a terminal a lone word that is none, and
 * one that is nearly one that a file's name follows, is more likely a slip than a question. */
static chat_order find_order(const chat *c, const char *text, size_t n_byte)
{
    if (*text != '/') return NO_ORDER;
    size_t n = count_letters(text, n_byte);
    bool is_alone = is_blank(text + n, n_byte - n), ends = is_alone || text[n] == ' ' || text[n] == '\t';
    for (size_t i = 0; i < sizeof orders / sizeof orders[0] && ends; i++)
        if (strlen(orders[i].word) == n && !memcmp(orders[i].word, text, n) &&
            (is_alone || orders[i].order >= ORDER_IMAGE))
            return orders[i].order;
    if (!c->editor || !ends) return NO_ORDER;
    if (is_alone) return ORDER_HELP;
    return guess_order(text, n) ? ORDER_SLIP : NO_ORDER;
}

static void say_help(const chat *c)
{
    fputs("/reset starts over, /quit leaves (so does Ctrl-D); Ctrl-C stops an answer.\n", stderr);
    if (c->n_media_tok > 0)
        fputs("/image FILE, /audio FILE and /video FILE join the next question.\n", stderr);
    if (c->editor)
        fputs("Enter asks; Alt-Enter, or Ctrl-V Ctrl-J, begins a new line;\n"
              "the up arrow brings back what was typed.\n",
              stderr);
}

/* Returns false to leave. */
static bool obey(chat *c, chat_order order, const char *text, size_t n_byte)
{
    switch (order) {
    case ORDER_QUIT:
        return false;
    case ORDER_RESET:
        if (start_over(c, NULL) != TESS_OK) return false;
        fputs("The conversation starts over.\n", stderr);
        break;
    case ORDER_IMAGE:
        return attach(c, TESS_CONTENT_IMAGE, text, n_byte);
    case ORDER_AUDIO:
        return attach(c, TESS_CONTENT_AUDIO, text, n_byte);
    case ORDER_VIDEO:
        return attach(c, TESS_CONTENT_VIDEO, text, n_byte);
    case ORDER_LATER:
        fprintf(stderr, "%.6s is not part of this version (%s).\n", text, TESS_VERSION);
        break;
    case ORDER_SLIP:
        fprintf(stderr, "Did you mean %s? A question that begins like that may begin with a blank.\n",
                guess_order(text, count_letters(text, n_byte)));
        break;
    case ORDER_HELP:
    case NO_ORDER:
        say_help(c);
    }
    return true;
}

/* ---- the conversation ---------------------------------------------------------------------------------- */

static void greet(const chat *c)
{
    if (!c->editor || c->common.quiet) return;
    char budget[32];
    const tess_plan *plan = tess_engine_get_plan(c->engine);
    cli_format_bytes(plan->budget_bytes, budget, sizeof budget);
    fprintf(stderr, "%s, at most %s of memory, %d positions of context.\n",
            CLI_SAFE(c->engine_options.options.model_dir), budget, plan->n_context);
    say_help(c);
}

/* Asks what was read; *go_on becomes false to leave. Returns 0 or an exit code to end with. */
static int take_line(chat *c, const char *text, size_t n_byte, bool *go_on)
{
    if (is_blank(text, n_byte)) return CLI_DONE;
    chat_order order = find_order(c, text, n_byte);
    if (order == NO_ORDER) return is_text(c, text, n_byte) ? ask(c, text, n_byte) : CLI_DONE;
    *go_on = obey(c, order, text, n_byte);
    return CLI_DONE;
}

static int converse(chat *c)
{
    int code = CLI_DONE;
    bool go_on = true;
    tess_error err;
    if (start_over(c, &err) != TESS_OK) return cli_report(c->self, &c->common, &err);
    greet(c);
    while (code == CLI_DONE && go_on) {
        const char *text;
        size_t n_byte;
        cli_clear_interrupt();
        cli_typed typed = c->editor ? read_typed(c, &text, &n_byte) : read_line(c, &text, &n_byte);
        if (typed == CLI_TYPED_END) break;
        if (typed == CLI_TYPED_LINE)
            code = take_line(c, text, n_byte, &go_on);
        else if (!c->editor)
            return CLI_INTERRUPTED;
        else if (!c->common.quiet)
            fputs("Ctrl-D or /quit leaves.\n", stderr);
    }
    return code == CLI_DONE ? c->refused : code;
}

/* Only where questions are typed and answers are read by the same person. */
static void open_editor(chat *c, char **own_history)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || c->common.json) return;
    const char *path = c->history;
    if (!path) path = *own_history = cli_ledger_find_neighbour("chat-history");
    if (path && !strcmp(path, "off")) path = NULL;
    c->editor = cli_editor_open(path);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

enum { LEAST_MEDIA_TOKENS = 256, MOST_MEDIA_TOKENS = 16384 };

/* The largest media that a turn may bring. */
typedef struct provision {
    tess_features clip, image;
    const tess_features *media[2];
    tess_feed expected[2];
} provision;

/* A clip or a picture of this many tokens. */
static void provide(const tess_model_facts *model, int n_tok, provision *out)
{
    int merge = model->spatial_merge_size, patch = model->patch_size * model->patch_size;
    out->clip = (tess_features){
        .kind = TESS_MEDIA_AUDIO, .width = model->num_mel_bins, .n_frame = (int64_t)n_tok * 100 / 13 + 1};
    out->image = (tess_features){.kind = TESS_MEDIA_IMAGE,
                                 .width = model->in_channels * model->temporal_patch_size * patch,
                                 .n_step = 1,
                                 .n_high = merge,
                                 .n_wide = n_tok * merge};
    out->media[0] = &out->clip;
    out->media[1] = &out->image;
    for (int i = 0; i < 2; i++) out->expected[i] = (tess_feed){.media = out->media + i, .n_media = 1};
}

/* Tokens of media whose rows have room in a share of the budget. */
static int choose_media_tokens(uint64_t budget_bytes, uint64_t row_bytes)
{
    uint64_t n_tok = budget_bytes / MEDIA_SHARE / row_bytes;
    return n_tok < LEAST_MEDIA_TOKENS  ? LEAST_MEDIA_TOKENS
           : n_tok > MOST_MEDIA_TOKENS ? MOST_MEDIA_TOKENS
                                       : (int)n_tok;
}

/* Media come later, if at all: the plan provides for the largest that are modest, else for the least that are
 * of use, else for none. What they take while they are prepared, and hold from then on, is not the engine's.
 */
static tess_status open_engine(chat *c, tess_error *err)
{
    tess_engine_options options = c->engine_options.options;
    tess_model_facts model;
    provision most;
    tess_status status = tess_model_get_facts(options.model_dir, &model, err);
    if (status != TESS_OK) return status;
    const uint64_t budget = options.memory_bytes ? options.memory_bytes : tess_budget_get_default();
    const uint64_t room = larger(budget / MEDIA_SHARE, c->media_bytes);
    c->row_bytes = model.media_row_bytes;
    options.expected = most.expected;
    options.n_expected = 2;
    options.other_bytes = cli_add_bytes(room, CLI_MEDIA_LIBRARY_BYTES);
    const int choices[] = {choose_media_tokens(budget, c->row_bytes), LEAST_MEDIA_TOKENS};
    for (int i = 0; i < 2; i++) {
        c->n_media_tok = choices[i];
        provide(&model, c->n_media_tok, &most);
        status = tess_engine_open(&options, &c->engine, err);
        if (status == TESS_OK) c->used_bytes = tess_engine_get_plan(c->engine)->sum_bytes - room;
        if (status != TESS_EBUDGET) return status;
    }
    c->n_media_tok = 0;
    c->used_bytes = budget;
    /* The room grows with the budget: what is beside it fits the other shares. */
    c->least_bytes =
        (err->smallest_budget_bytes - budget / MEDIA_SHARE) / (MEDIA_SHARE - 1) * MEDIA_SHARE + MEDIA_SHARE;
    return tess_engine_open(&c->engine_options.options, &c->engine, err);
}

static int open_and_converse(chat *c)
{
    tess_error err;
    tess_status status = tess_tokenizer_open(c->engine_options.options.model_dir, &c->tokenizer, &err);
    if (status == TESS_OK) cli_remark_template(c->self, &c->common, c->engine_options.options.model_dir);
    if (status == TESS_OK) cli_ledger_open(&c->engine_options.ledger, c->self, &c->common);
    if (status == TESS_OK) status = open_engine(c, &err);
    cli_progress_clear(&c->engine_options.bar);
    if (status == TESS_OK) status = tess_session_new(c->engine, &c->session, &err);
    if (status == TESS_OK) cli_engine_remark_reads(&c->engine_options, c->self, &c->common, c->engine);
    char *own_history = NULL;
    if (status == TESS_OK) open_editor(c, &own_history);
    int code = status == TESS_OK ? converse(c) : cli_report(c->self, &c->common, &err);
    cli_editor_close(c->editor);
    free(own_history);
    free(c->line);
    if (status == TESS_OK) cli_engine_remark_reads(&c->engine_options, c->self, &c->common, c->engine);
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
              .fps = CLI_MEDIA_DEFAULT.fps,
              .max_new = 1024};
    const cli_option options[] = {
        {"use-audio-in-video", CLI_FLAG, &c.use_audio_in_video, NULL, "hear the films of /video as well"},
        {"image", CLI_ELSEWHERE, NULL, "FILE", "in the chat, /image FILE joins the next question"},
        {"audio", CLI_ELSEWHERE, NULL, "FILE", "in the chat, /audio FILE joins the next question"},
        {"video", CLI_ELSEWHERE, NULL, "FILE", "in the chat, /video FILE joins the next question"},
        {"prompt", CLI_ELSEWHERE, NULL, "TEXT", "questions are asked in the chat, or by run --prompt"},
        {"messages", CLI_ELSEWHERE, NULL, "FILE", "run --messages answers a conversation of a file"},
        {"fps", CLI_NUMBER, &c.fps, "N", "frames of a film taken a second; default 2"},
        {"system", CLI_TEXT, &c.system, "TEXT", "a system message before the first turn; default none"},
        {"media-memory", CLI_SIZE, &c.media_bytes, "SIZE",
         "of --memory, at least as much for the media of the conversation; default a 16th"},
        CLI_PLAIN_OPTION(&c.plain),
        CLI_THINKING_OPTION(&c.thinking),
        {"history", CLI_NAME, &c.history, "FILE",
         "keep what is typed on a terminal here, or \"off\"; default $XDG_DATA_HOME/tessera/chat-history"},
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
    if (n_word > 0)
        return cli_unexpected_word(self, &c.common, words[0],
                                   "questions are asked in the chat, or by run --prompt");
    if (c.history && strcmp(c.history, "off") != 0 && !cli_editor_may_keep(c.history))
        return cli_usage(self, &c.common, "--history: %s is no history and would be lost; name another",
                         c.history);
    code = cli_engine_check(&c.engine_options, self, &c.common);
    if (code < 0 && cli_is_captioner(c.engine_options.options.model_dir))
        code = cli_usage(self, &c.common, "the Captioner describes one clip: tessera run --audio FILE");
    if (code < 0) code = cli_thinking_check(c.thinking, self, &c.common, c.engine_options.options.model_dir);
    if (code < 0) code = cli_sampling_check(&c.sampling, self, &c.common, c.engine_options.seed);
    if (code >= 0) return code;
    return open_and_converse(&c);
}

const cli_command cli_chat = {
    .name = "chat",
    .summary = "Holds a conversation of several turns.",
    .arguments = "[options] --model DIR",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS | CLI_HAS_BUDGET,
    .examples =
        {"tessera chat --model Qwen3-Omni-30B-A3B-Instruct --memory 12GiB --temperature 0.6 --top-p 0.95",
         "tessera chat --model demo/checkpoint --system \"Answer briefly.\"",
         "printf '/image tests/data/media/images/420.jpg\\nWhat is it?\\n' | tessera chat --model "
         "demo/checkpoint"},
    .run = run_chat,
    .notes = "In the chat:\n"
             "  /image FILE   a picture joins the next question\n"
             "  /audio FILE   a sound does\n"
             "  /video FILE   a film does\n"
             "  /reset        the conversation starts over\n"
             "  /help         what can be typed\n"
             "  /quit         leaves, as /exit and Ctrl-D do; Ctrl-C stops an answer\n"
             "From a pipe every line is a question or one of these.\n\n" CLI_MEDIA_NOTES,
};
