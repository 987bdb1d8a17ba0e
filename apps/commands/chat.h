/* What the files of tessera chat share: one conversation in progress. */
#ifndef TESS_APPS_COMMANDS_CHAT_H
#define TESS_APPS_COMMANDS_CHAT_H

#include <limits.h>

#include "cli/editor.h"
#include "cli/generate.h"

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
    const char *speak;    /* as given: NULL: nothing is spoken; "": it is played; else a folder of files */
    cli_speech speech;
    bool is_silent;             /* /speak off */
    char speaker[64];           /* of /speaker NAME */
    char speech_file[PATH_MAX]; /* of the last answer */
    unsigned n_before, n_turn;  /* the largest number of a file that was there before, and answers since */
} chat;

/* Shares of the budget, a 16th each, that the plan keeps for the rows of media and for media themselves: most
 * turns bring none. */
enum { CHAT_MEDIA_SHARE = 16 };

/* Nothing has been said but --system. */
tess_status chat_start_over(chat *c, tess_error *err);

/* What is refused while nobody looks shows in the exit code: the first of all. */
void chat_note_refusal(chat *c, int code);

/* How the conversation is rendered: TESS_CHAT_GENERATE and what options add. */
unsigned chat_get_flags(const chat *c);

/* chat_answer.c: asks, and lets the answer join the conversation. Returns 0 or an exit code to end with. */
int chat_ask(chat *c, const char *question, size_t n_byte);

/* ---- chat_speech.c ---- */

/* Refuses options; makes the folder or opens the player, before anything is computed; sets what the engine
 * needs. Returns -1 or an exit code. */
int chat_speech_open(chat *c);
/* The speech of an answer to what the session was fed. What cannot be spoken is told, and the text goes on.
 */
void chat_speech_begin(chat *c, const tess_feed *whole);
/* Ends it behind a text that ended with `code`. Returns that, or 130 after Ctrl-C. */
int chat_speech_end(chat *c, int code);
/* /speak on and off, /speaker NAME. */
void chat_speech_switch(chat *c, const char *argument);
void chat_speech_choose(chat *c, const char *speaker);

/* ---- chat_orders.c: what begins with a stroke ---- */

typedef enum chat_order {
    NO_ORDER,
    ORDER_QUIT,
    ORDER_RESET,
    ORDER_HELP,
    ORDER_IMAGE, /* from here on a name follows */
    ORDER_AUDIO,
    ORDER_VIDEO,
    ORDER_SPEAK,
    ORDER_SPEAKER,
    ORDER_SLIP /* nearly one of those with a name */
} chat_order;

bool chat_is_blank(const char *text, size_t n_byte);
chat_order chat_find_order(const chat *c, const char *text, size_t n_byte);
void chat_say_help(const chat *c);
/* Returns false to leave. */
bool chat_obey(chat *c, chat_order order, const char *text, size_t n_byte);

#endif
