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

#include "base/utf8.h"
#include "cli/media.h"
#include "cli/prompt.h"
#include "commands/chat.h"
#include "commands/commands.h"

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

/* ---- the conversation ---------------------------------------------------------------------------------- */

static void greet(const chat *c)
{
    if (!c->editor || c->common.quiet) return;
    char budget[32];
    const tess_plan *plan = tess_engine_get_plan(c->engine);
    cli_format_bytes(plan->budget_bytes, budget, sizeof budget);
    fprintf(stderr, "%s, at most %s of memory, %d positions of context.\n",
            CLI_SAFE(c->engine_options.options.model_dir), budget, plan->n_context);
    chat_say_help(c);
}

/* Asks what was read; *go_on becomes false to leave. Returns 0 or an exit code to end with. */
static int take_line(chat *c, const char *text, size_t n_byte, bool *go_on)
{
    if (chat_is_blank(text, n_byte)) return CLI_DONE;
    chat_order order = chat_find_order(c, text, n_byte);
    if (order == NO_ORDER) return is_text(c, text, n_byte) ? chat_ask(c, text, n_byte) : CLI_DONE;
    *go_on = chat_obey(c, order, text, n_byte);
    return CLI_DONE;
}

static int converse(chat *c)
{
    int code = CLI_DONE;
    bool go_on = true;
    tess_error err;
    if (chat_start_over(c, &err) != TESS_OK) return cli_report(c->self, &c->common, &err);
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
    uint64_t n_tok = budget_bytes / CHAT_MEDIA_SHARE / row_bytes;
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
    const uint64_t room =
        budget / CHAT_MEDIA_SHARE > c->media_bytes ? budget / CHAT_MEDIA_SHARE : c->media_bytes;
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
        (err->smallest_budget_bytes - budget / CHAT_MEDIA_SHARE) / (CHAT_MEDIA_SHARE - 1) * CHAT_MEDIA_SHARE +
        CHAT_MEDIA_SHARE;
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
              .speech = CLI_SPEECH_DEFAULT,
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
        {"speak", CLI_MAYBE, &c.speak, "[=DIR]",
         "play each answer, or write it into this folder: turn-1.wav and so on, behind the files of chats "
         "before"},
        CLI_VOICE_OPTIONS(&c.speech.voice),
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
    if (n_word > 0 && c.speak && !*c.speak)
        return cli_usage(self, &c.common,
                         "%s: unexpected word; a folder follows --speak with =, as --speak=spoken", words[0]);
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
    if (code < 0) code = chat_speech_open(&c);
    if (code < 0) code = open_and_converse(&c);
    cli_speech_end(&c.speech);
    return code;
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
         "demo/checkpoint",
         "echo Hello | tessera chat --model demo/checkpoint --speak=spoken"},
    .run = run_chat,
    .notes = "In the chat:\n"
             "  /image FILE   a picture joins the next question\n"
             "  /audio FILE   a sound does\n"
             "  /video FILE   a film does\n"
             "  /speak off    answers are not spoken until /speak on (with --speak)\n"
             "  /speaker NAME who speaks from here on (with --speak)\n"
             "  /reset        the conversation starts over\n"
             "  /help         what can be typed\n"
             "  /quit         leaves, as /exit and Ctrl-D do; Ctrl-C stops an answer\n"
             "From a pipe every line is a question or one of these.\n\n" CLI_MEDIA_NOTES,
};
