/* Dialogue: a conversation with its media, what it is to the model, feeding a session only what is new of it,
 * and the answer as text. Whoever asks the model something builds a conversation.
 *
 *     tess_conversation talk = {0};
 *     tess_conversation_begin_list(&talk, "user", &err);
 *     tess_conversation_add_medium(&talk, TESS_CONTENT_IMAGE, "photo.jpg", &err);
 *     tess_conversation_add_text(&talk, question, strlen(question), &err);
 *     tess_conversation_prepare(&talk, &use, &err);                          decodes photo.jpg
 *     tess_prompt_make(&talk, tokenizer, model_dir, TESS_CHAT_GENERATE, &prompt, &err);
 *     const tess_feed feed = tess_prompt_get_feed(&prompt);                  for plan, engine and session
 *     tess_session_feed_rest(session, &feed, &n_fed, &err);
 *     tess_answer_generate(session, tokenizer, &request, &answer, &err);
 *     tess_conversation_say(&talk, "assistant", answer.text.data, answer.text.count, &err);
 *
 * Threads: a conversation, a stream and an answer belong to one thread at a time.
 */
#ifndef TESSERA_DIALOG_H
#define TESSERA_DIALOG_H

#include "tessera/chat.h"
#include "tessera/engine.h"
#include "tessera/media.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- conversations ---- */

enum {
    TESS_CONVERSATION_MAX_TURNS = 4096,
    TESS_CONVERSATION_MAX_PARTS = 4096,        /* of one turn */
    TESS_CONVERSATION_MAX_JSON_BYTES = 1 << 24 /* of messages as JSON */
};

typedef enum tess_content_kind {
    TESS_CONTENT_TEXT,
    TESS_CONTENT_IMAGE,
    TESS_CONTENT_AUDIO,
    TESS_CONTENT_VIDEO
} tess_content_kind;

typedef struct tess_content {
    tess_content_kind kind;
    char *data;        /* a text in UTF-8, or where a medium comes from; ends with a NUL beyond n_byte */
    size_t n_byte;     /* a text may hold NULs */
    const void *bytes; /* a medium in memory, borrowed; NULL: data says where it comes from */
    size_t n_bytes;    /* of them */
    bool is_prepared;  /* a medium: features have rows */
    const tess_features *features; /* of a medium whose sizes are known; else NULL */
    int64_t n_tok;                 /* that it takes in a prompt, with the sound inside it; likewise */
    tess_medium *medium, *sound;   /* owned; NULL: there is none, or features came from the caller */
} tess_content;

typedef struct tess_turn {
    const char *role;      /* "system", "user", "assistant" or "tool"; a static string */
    bool is_list;          /* the content was given as a list; else it is one text */
    tess_content *content; /* [n_content] in the order of the prompt */
    size_t n_content, capacity;
    char *reasoning; /* NULL: none was given */
} tess_turn;

/* What was said, in order. Start from {0}; functions append copies; the caller releases. To be read freely;
 * what changes it are the functions below. */
typedef struct tess_conversation {
    tess_turn *turn;
    size_t count, capacity;
} tess_conversation;

/* Each of these leaves the conversation as it was if it fails.
 * Errors: TESS_EINPUT  an unknown role, text that is no UTF-8 (err->offset says where in it);
 *         TESS_EUSAGE  more turns or parts than there may be; TESS_ENOMEM.
 */

/* Appends a turn whose content is one text. */
tess_status tess_conversation_say(tess_conversation *c, const char *role, const char *text, size_t n_byte,
                                  tess_error *err);
/* Appends a turn whose content is a list, empty so far: parts of the next calls join it. A question given as
 * a list is not the one that reasoning is kept after; see tess_message.from_list. */
tess_status tess_conversation_begin_list(tess_conversation *c, const char *role, tess_error *err);
tess_status tess_conversation_add_text(tess_conversation *c, const char *text, size_t n_byte,
                                       tess_error *err);
/* A medium by its source: a path, "-" or a data URL; by bytes in memory, which are borrowed until the
 * conversation is released or truncated, with a name for messages; or by features of the caller, borrowed
 * likewise. */
tess_status tess_conversation_add_medium(tess_conversation *c, tess_content_kind kind, const char *source,
                                         tess_error *err);
tess_status tess_conversation_add_medium_bytes(tess_conversation *c, tess_content_kind kind, const char *name,
                                               const void *bytes, size_t n_byte, tess_error *err);
tess_status tess_conversation_add_features(tess_conversation *c, const tess_features *features,
                                           tess_error *err);
/* Drops the last part of the last turn, which has one. */
void tess_conversation_drop_part(tess_conversation *c);
/* What the assistant thought before the last turn. */
tess_status tess_conversation_set_reasoning(tess_conversation *c, const char *reasoning, tess_error *err);

/* Drops the turns from `n_turn` on (n_turn <= count). */
void tess_conversation_truncate(tess_conversation *c, size_t n_turn);
void tess_conversation_release(tess_conversation *c);

/* Appends the turns of a JSON array of messages, {"role", "content", "reasoning_content"}: content is a text
 * or a list of parts in any order, {"type": "text", "text": TEXT} or {"type": "image", "image": PATH},
 * likewise "audio" and "video"; the path may stand under "path"; every part has its type. Other
 * members are not looked at.
 *   file  where the JSON comes from, for messages
 * Errors: TESS_EINPUT        with the path of the member, as "messages[2].content[0].type";
 *         TESS_EUNSUPPORTED  tool calls; TESS_ENOMEM.
 */
tess_status tess_conversation_parse(tess_conversation *c, const char *file, const char *json, size_t n_byte,
                                    tess_error *err);
/* The same, of a whole file. Also TESS_EIO. */
tess_status tess_conversation_load(tess_conversation *c, const char *path, tess_error *err);
/* Appends the conversation as compact JSON, which tess_conversation_parse reads back. */
tess_status tess_conversation_write(const tess_conversation *c, tess_text *json, tess_error *err);

/* Appends what the chat template makes of it: text, or ids, with one pad token for each medium, prepared or
 * not. flags: TESS_CHAT_…
 * Errors: those of tess_chat_render and tess_chat_encode; TESS_EINPUT  a medium in a turn that takes none
 * (err->field: its path). */
tess_status tess_conversation_render(const tess_conversation *c, unsigned flags, tess_text *text,
                                     tess_error *err);
tess_status tess_conversation_encode(const tess_conversation *c, const tess_tokenizer *tokenizer,
                                     unsigned flags, tess_ids *ids, tess_error *err);

/* ---- media ---- */

/* How media are prepared. */
typedef struct tess_media_use {
    const char *model_dir;
    const char *folder;      /* where relative paths are seen from; NULL: the working directory */
    double fps;              /* frames of a video that are taken in a second; 0: 2 */
    bool use_audio_in_video; /* the sound of videos is heard with their frames; each must have some */
    uint64_t max_bytes; /* what all media of the conversation may take while they are prepared; 0: 4 GiB */
    int n_context;      /* positions that its prompt may take; 0: as many as the model has */
    int64_t n_text_tok; /* of them those that no medium takes, as far as they are known */
    const tess_progress *progress; /* may be NULL */
} tess_media_use;

/* Opens all media that are not prepared yet, then decodes them. Those that are stay as they are: media of
 * earlier turns cost nothing. Tokens are summed when files are open, and once more when sounds have been
 * heard, before a picture is decoded.
 * Errors: TESS_EUSAGE  more tokens than positions (err->field "n_tok", or "n_context" where the model has
 * more; err->found names the parts of the sum); those of tess_medium_open and tess_media_prepare, of
 * tess_preprocessor_load and tess_preprocessor_check; err->field begins with the part's path where the
 * medium's own error has no field.
 * TESS_EBUDGET  err->smallest_budget_bytes: the max_bytes that are enough for all. They are then counted. */
tess_status tess_conversation_prepare(tess_conversation *c, const tess_media_use *use, tess_error *err);
/* Opens them as well, and hears sounds to their end, so that all sizes are known: a prompt can be made then,
 * and planned with, but not run. Nothing is kept of what is decoded. Errors: those of tess_medium_open and
 * tess_medium_count, and as above. */
tess_status tess_conversation_count(tess_conversation *c, const tess_media_use *use, tess_error *err);
/* Bytes that media whose sizes are known hold once they are prepared, and the most that they take at a time
 * until then: the max_bytes in which that can be done. What is prepared already is held. Features of the
 * caller count nothing. Errors: TESS_ENOMEM. */
tess_status tess_conversation_count_bytes(const tess_conversation *c, uint64_t *held, uint64_t *most,
                                          tess_error *err);
/* What is known of a medium; NULL: it is not opened, or its features are the caller's. */
const tess_medium_facts *tess_content_get_facts(const tess_content *content);

/* A conversation as the model takes it. */
typedef struct tess_prompt {
    tess_ids ids;                /* a pad token for each row of a medium */
    const tess_features **media; /* [n_media] in the order of the prompt; of the conversation */
    int n_media;
} tess_prompt;

/* Renders, encodes, and puts media in their places; the sizes of all must be known. Release *out after
 * success; it is good as long as the conversation keeps its media.
 * Errors: those of tess_conversation_encode and tess_model_expand_media; TESS_ENOMEM. */
tess_status tess_prompt_make(const tess_conversation *c, const tess_tokenizer *tokenizer,
                             const char *model_dir, unsigned flags, tess_prompt *out, tess_error *err);
/* The media of a prompt alone, without ids: for a plan that needs no tokenizer. Release likewise. */
tess_status tess_prompt_list_media(const tess_conversation *c, tess_prompt *out, tess_error *err);
void tess_prompt_release(tess_prompt *prompt); /* zeroed is fine */
/* The feed of a prompt, whose ids and media it borrows. */
tess_feed tess_prompt_get_feed(const tess_prompt *prompt);
/* ---- feeding what is new ---- */

/* Makes the session hold exactly the tokens of `whole`, whose logits are then at hand: keeps the longest
 * beginning that the session already holds, less the last token, and feeds the rest, *n_fed tokens. The clips
 * of a message are run together, apart from those of other messages: the bits are those of a fresh session,
 * whatever this one holds. With positions of its own nothing is kept and all clips are run together; what the
 * session holds must have been fed without any, and by this function where it has clips. `whole->listener`
 * hears what is fed only, in a feed for each message with clips.
 * Errors: those of tess_session_feed, TESS_ENOMEM; the session then holds a beginning of `whole`, without
 * logits. *n_fed is set in any case. */
tess_status tess_session_feed_rest(tess_session *session, const tess_feed *whole, int *n_fed,
                                   tess_error *err);

/* ---- text as it comes ---- */

enum { TESS_STOP_MAX_TEXTS = 16, TESS_STOP_MAX_BYTES = 1024 };

/* Text from token ids that come one at a time: whole characters, without special tokens, up to the first
 * stop text. A stop text may be spread over tokens in any way: what could be its beginning is held back until
 * it is known. Of several stop texts the one that is complete first ends the text. */
typedef struct tess_text_stream tess_text_stream;

/* The tokenizer must outlive the stream; stop texts are copied.
 * Errors: TESS_EUSAGE  more than TESS_STOP_MAX_TEXTS stop texts, or one that is empty, longer than
 * TESS_STOP_MAX_BYTES or no UTF-8 (err->field: "stop_texts[2]"); TESS_ENOMEM. */
tess_status tess_text_stream_new(const tess_tokenizer *tokenizer, const char *const *stop_texts,
                                 int n_stop_text, tess_text_stream **out, tess_error *err);
void tess_text_stream_free(tess_text_stream *stream); /* NULL is allowed */

/* *text (may be empty) lives until the next call. After the stop text every call gives an empty text. An id
 * without a token gives no text. Errors: TESS_ENOMEM. */
tess_status tess_text_stream_push(tess_text_stream *stream, int32_t id, const char **text, size_t *n_byte,
                                  tess_error *err);
/* The end of the ids: what was held back; U+FFFD where a character stayed incomplete. */
tess_status tess_text_stream_flush(tess_text_stream *stream, const char **text, size_t *n_byte,
                                   tess_error *err);
/* Which stop text has ended the text, or -1. */
int tess_text_stream_get_stop(const tess_text_stream *stream);

/* ---- answers ---- */

enum { TESS_STOP_MAX_IDS = 2 };

/* The ids that end an answer: im_end_token_id and, with a tokenizer that has it, <|endoftext|>; tokenizer
 * NULL: the first only, as the original stops. Returns how many. Cost: one pass over the vocabulary. */
int tess_stop_ids_get(const tess_engine *engine, const tess_tokenizer *tokenizer,
                      int32_t ids[TESS_STOP_MAX_IDS]);

typedef struct tess_answer_request {
    tess_sampling sampling;
    int max_new;             /* most tokens */
    const int32_t *stop_ids; /* [n_stop_id]; kept in the answer's ids */
    int n_stop_id;
    const char *const *stop_texts; /* [n_stop_text]; only with a tokenizer */
    int n_stop_text;
    /* Takes pieces of text as they come, whole characters and never empty; false ends the answer
     * (TESS_FINISH_INTERRUPTED). May be NULL; only with a tokenizer. */
    bool (*on_text)(void *context, const char *text, size_t n_byte);
    /* Takes every token behind its text, but not one that ends the answer; likewise. */
    bool (*on_id)(void *context, int32_t id);
    void *context;
    const tess_tap_listener *listener; /* hears the taps of every token that is fed; may be NULL */
    const tess_progress *progress;     /* decode, and generating after every token; may be NULL */
} tess_answer_request;

typedef struct tess_answer {
    tess_ids ids;   /* all that were generated: the end token and those of a stop text included */
    tess_text text; /* without special tokens, up to the stop text; empty without a tokenizer */
    tess_finish finish;
    int stop_text; /* which stop text ended it, -1: none */
} tess_answer;

/* The parts of an answer that thinks first, "<think>\nREASONING\n</think>\n\nTEXT": places in its text. */
typedef struct tess_answer_parts {
    bool has_reasoning;                    /* it begins with <think>, or has a </think> */
    size_t reasoning_begin, reasoning_end; /* without the line breaks around it */
    size_t text_begin;                     /* of what is said, to the end; the end while it still thinks */
} tess_answer_parts;
tess_answer_parts tess_answer_get_parts(const tess_text *answer);

/* Generates from the logits the session has at hand. Interrupted by on_text or by progress, it ends with
 * what there is (TESS_OK, TESS_FINISH_INTERRUPTED). `tokenizer` NULL: ids only. The last token is not fed.
 * Release *out in any case. Errors: those of tess_session_generate and tess_text_stream_new; TESS_ENOMEM.
 * Bits: the ids do not depend on stop texts, but for where they end. */
tess_status tess_answer_generate(tess_session *session, const tess_tokenizer *tokenizer,
                                 const tess_answer_request *request, tess_answer *out, tess_error *err);
void tess_answer_release(tess_answer *answer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
