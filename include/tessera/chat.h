/* The chat template: messages to the text (or ids) that the model was trained to answer.
 *
 * Rendered by fixed rules, those of the published template; a template file in a model folder is never
 * executed (tess_tokenizer_get_warning tells when one is there that may say something else). No system text
 * is added on its own. Content goes in as it is: special tokens spelled out in it become special tokens, as
 * in the original, unless TESS_CHAT_PLAIN is given.
 */
#ifndef TESSERA_CHAT_H
#define TESSERA_CHAT_H

#include "tessera/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Bytes [begin, end) of a content that are the template's own: placeholders of media. */
typedef struct tess_own_bytes {
    size_t begin, end;
} tess_own_bytes;

typedef struct tess_message {
    const char *role;    /* "system", "user", "assistant" or "tool" (the answer of a tool) */
    const char *content; /* UTF-8, `n_content` bytes; may be NULL if that is 0 */
    size_t n_content;
    const char
        *reasoning; /* of an assistant, ends with a NUL; NULL: what stands before </think> in content */
    bool from_list; /* the content was a list of items, written here one after the other; a user message like
                       that is not the one that reasoning is kept after */
    bool has_tool_calls;       /* refused */
    const tess_own_bytes *own; /* [n_own] ascending; tokens for TESS_CHAT_PLAIN as well */
    size_t n_own;
} tess_message;

enum {
    TESS_CHAT_GENERATE = 1,    /* end with the start of the assistant's turn */
    TESS_CHAT_NO_THINKING = 2, /* with TESS_CHAT_GENERATE: an empty block of reasoning after it */
    TESS_CHAT_TOOLS = 4,       /* tools are offered to the model: refused */
    /* for ids: control tokens spelled out in contents stay text, only the template's own are tokens (the
     * original's sanitize_control_tokens). Control tokens are the special ones and those that the template
     * writes, as <think>. */
    TESS_CHAT_PLAIN = 8,
};

/* Appends the rendered text of at least one message. On failure `text` keeps its old count.
 * Errors: TESS_EINPUT        no message, or a role that is none of the four (err->field names the message);
 *         TESS_EUNSUPPORTED  tools or tool calls;
 *         TESS_ENOMEM.
 */
tess_status tess_chat_render(const tess_message *messages, size_t n_messages, unsigned flags, tess_text *text,
                             tess_error *err);

/* Renders and appends the ids. On failure `ids` keeps its old count.
 * Errors: those of tess_chat_render and tess_tokenizer_encode;
 *         TESS_EINPUT  the tokenizer lacks <|im_start|> or <|im_end|>.
 */
tess_status tess_chat_encode(const tess_tokenizer *tokenizer, const tess_message *messages, size_t n_messages,
                             unsigned flags, tess_ids *ids, tess_error *err);

/* Appends one sentence to `warning` for each chat_template.json or chat_template.jinja of a model folder, or
 * else for the chat_template of tokenizer_config.json, that is not known to say what is rendered here;
 * nothing if there is none. Errors: TESS_EINPUT  a file that cannot be one; TESS_EIO, TESS_ENOMEM. */
tess_status tess_template_check(const char *folder, tess_text *warning, tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
