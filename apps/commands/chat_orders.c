/* tessera chat: what is typed that is no question, media among it. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/help.h"
#include "cli/media.h"
#include "commands/chat.h"

bool chat_is_blank(const char *text, size_t n_byte)
{
    while (n_byte > 0 && isspace((unsigned char)text[n_byte - 1])) n_byte--;
    return n_byte == 0;
}

/* Letters of a command, the stroke included. */
static size_t count_letters(const char *text, size_t n_byte)
{
    size_t n = 1;
    while (n < n_byte && isalpha((unsigned char)text[n])) n++;
    return n;
}

/* ---- media --------------------------------------------------------------------------------------------- */

static uint64_t in_budget(uint64_t share_bytes)
{
    return share_bytes < UINT64_MAX / CHAT_MEDIA_SHARE ? share_bytes * CHAT_MEDIA_SHARE : UINT64_MAX;
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

/* Ctrl-C while nobody looks means all that is to come: the question would be asked without its medium. */
static bool ends_here(const chat *c, tess_status status)
{
    return status == TESS_EINTERRUPTED && !c->editor;
}

/* What follows the word of a command, without blanks around it. False: more than there is room for. */
static bool find_argument(const char *text, size_t n_byte, char *out, size_t size)
{
    size_t begin = count_letters(text, n_byte);
    while (begin < n_byte && isspace((unsigned char)text[begin])) begin++;
    while (n_byte > begin && isspace((unsigned char)text[n_byte - 1])) n_byte--;
    *out = 0;
    if (n_byte - begin >= size) return false;
    snprintf(out, size, "%.*s", (int)(n_byte - begin), text + begin);
    return true;
}

/* "/image FILE": the medium joins the next question. Returns false to leave. */
static bool attach(chat *c, tess_content_kind kind, const char *text, size_t n_byte)
{
    tess_error err;
    char source[4096];
    if (!find_argument(text, n_byte, source, sizeof source) || !*source) {
        fputs("Say which file: /image photo.jpg, /audio question.wav or /video clip.mp4.\n", stderr);
        chat_note_refusal(c, CLI_USAGE);
        return true;
    }
    if (!strcmp(source, "-")) { /* reading it to its end would take the questions */
        fputs("Questions come by standard input; a medium needs a file.\n", stderr);
        chat_note_refusal(c, CLI_USAGE);
        return true;
    }
    tess_status status = add_medium(c, kind, source, &err);
    if (status != TESS_OK) {
        chat_note_refusal(c, cli_report(c->self, &c->common, &err));
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

static const struct {
    const char *word;
    chat_order order;
} orders[] = {{"/quit", ORDER_QUIT},   {"/exit", ORDER_QUIT},   {"/reset", ORDER_RESET},
              {"/help", ORDER_HELP},   {"/image", ORDER_IMAGE}, {"/audio", ORDER_AUDIO},
              {"/video", ORDER_VIDEO}, {"/speak", ORDER_SPEAK}, {"/speaker", ORDER_SPEAKER}};

/* The command before a file's name that a word, "/imge" of "/imge photo.jpg", is most like; NULL: none. */
static const char *guess_order(const char *text, size_t n)
{
    char word[16];
    if (n >= sizeof word) return NULL;
    snprintf(word, sizeof word, "%.*s", (int)n, text);
    cli_guess guess = {.word = word};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        if (orders[i].order >= ORDER_IMAGE) cli_guess_offer(&guess, orders[i].word);
    return guess.best;
}

/* Commands are whole words: "/usr/bin holds what?" is a question. At a terminal a lone word that is none, and
 * one that is nearly one that a file's name follows, is more likely a slip than a question. */
chat_order chat_find_order(const chat *c, const char *text, size_t n_byte)
{
    if (*text != '/') return NO_ORDER;
    size_t n = count_letters(text, n_byte);
    bool is_alone = chat_is_blank(text + n, n_byte - n), ends = is_alone || text[n] == ' ' || text[n] == '\t';
    for (size_t i = 0; i < sizeof orders / sizeof orders[0] && ends; i++)
        if (strlen(orders[i].word) == n && !memcmp(orders[i].word, text, n) &&
            (is_alone || orders[i].order >= ORDER_IMAGE))
            return orders[i].order;
    if (!c->editor || !ends) return NO_ORDER;
    if (is_alone) return ORDER_HELP;
    return guess_order(text, n) ? ORDER_SLIP : NO_ORDER;
}

void chat_say_help(const chat *c)
{
    fputs("/reset starts over, /quit leaves (so does Ctrl-D); Ctrl-C stops an answer.\n", stderr);
    if (c->n_media_tok > 0)
        fputs("/image FILE, /audio FILE and /video FILE join the next question.\n", stderr);
    if (c->speak)
        fputs("/speak off and /speak on, and /speaker NAME: whether and by whom it is spoken.\n", stderr);
    if (c->editor)
        fputs("Enter asks; Alt-Enter, or Ctrl-V Ctrl-J, begins a new line;\n"
              "the up arrow brings back what was typed.\n",
              stderr);
}

static void switch_speech(chat *c, chat_order order, const char *text, size_t n_byte)
{
    char argument[1024];
    if (!find_argument(text, n_byte, argument, sizeof argument)) snprintf(argument, sizeof argument, "?");
    if (order == ORDER_SPEAK)
        chat_speech_switch(c, argument);
    else
        chat_speech_choose(c, argument);
}

/* Returns false to leave. */
bool chat_obey(chat *c, chat_order order, const char *text, size_t n_byte)
{
    switch (order) {
    case ORDER_QUIT:
        return false;
    case ORDER_RESET:
        if (chat_start_over(c, NULL) != TESS_OK) return false;
        fputs("The conversation starts over.\n", stderr);
        break;
    case ORDER_IMAGE:
        return attach(c, TESS_CONTENT_IMAGE, text, n_byte);
    case ORDER_AUDIO:
        return attach(c, TESS_CONTENT_AUDIO, text, n_byte);
    case ORDER_VIDEO:
        return attach(c, TESS_CONTENT_VIDEO, text, n_byte);
    case ORDER_SPEAK:
    case ORDER_SPEAKER:
        switch_speech(c, order, text, n_byte);
        break;
    case ORDER_SLIP:
        fprintf(stderr, "Did you mean %s? A question that begins like that may begin with a blank.\n",
                guess_order(text, count_letters(text, n_byte)));
        break;
    case ORDER_HELP:
    case NO_ORDER:
        chat_say_help(c);
    }
    return true;
}
