/* The tokenizer is opened for the check alone and given back, so that its memory is there for the run. */
#include "verify/golden/prompt_check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "tessera/chat.h"

enum { MAX_MESSAGES = 4096 };

/* The messages of a golden; contents given as lists are joined in `joined`. */
typedef struct conversation {
    json_t *root;
    tess_message *message; /* [n] */
    size_t n;
    tess_text *joined; /* [n] */
} conversation;

static void release_conversation(conversation *c)
{
    for (size_t i = 0; i < c->n; i++) tess_text_release(&c->joined[i]);
    free(c->joined);
    free(c->message);
    json_decref(c->root);
}

static tess_status refuse(const char *golden, size_t i, const char *what, const char *expected,
                          const json_t *found, tess_error *err)
{
    char field[64];
    snprintf(field, sizeof field, "messages[%zu].%s", i, what);
    return tess_refuse(err, golden, field, -1, expected, "%s",
                       found ? tess_json_type_name(found) : "no such member");
}

/* A content as a list: its texts one after the other. */
static tess_status join(const char *golden, size_t i, const json_t *list, conversation *c, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t k = 0; k < json_array_size(list) && status == TESS_OK; k++) {
        const json_t *item = json_array_get(list, k), *text = json_object_get(item, "text");
        const char *type = json_string_value(json_object_get(item, "type"));
        if (!type || !strcmp(type, "text")) {
            if (!json_is_string(text)) return refuse(golden, i, "content", "items with a text", text, err);
            status = tess_text_append(&c->joined[i], json_string_value(text), json_string_length(text), err);
        } else {
            status =
                tess_fail(err, TESS_EUNSUPPORTED,
                          "%s: messages[%zu].content: an item of type \"%.40s\"; this version renders text",
                          golden, i, type);
        }
    }
    c->message[i].content = c->joined[i].data;
    c->message[i].n_content = c->joined[i].count;
    c->message[i].from_list = true;
    return status;
}

static tess_status read_message(const char *golden, size_t i, conversation *c, tess_error *err)
{
    const json_t *item = json_array_get(c->root, i), *role = json_object_get(item, "role");
    const json_t *content = json_object_get(item, "content");
    const json_t *reasoning = json_object_get(item, "reasoning_content");
    tess_message *m = &c->message[i];
    if (!json_is_string(role)) return refuse(golden, i, "role", "a text", role, err);
    m->role = json_string_value(role);
    m->reasoning = json_string_value(reasoning);
    m->has_tool_calls = json_array_size(json_object_get(item, "tool_calls")) > 0;
    if (json_is_array(content)) return join(golden, i, content, c, err);
    if (!json_is_string(content)) return refuse(golden, i, "content", "a text or a list", content, err);
    m->content = json_string_value(content);
    m->n_content = json_string_length(content);
    return TESS_OK;
}

static tess_status read_conversation(const char *golden, const char *text, conversation *c, tess_error *err)
{
    json_error_t problem;
    bool no_memory = false;
    size_t n_byte = strlen(text), length;
    if (tess_json_find_too_deep(text, n_byte, &length) >= 0)
        return tess_refuse(err, golden, "messages", -1, "a JSON array", "nesting deeper than 64 levels");
    c->root = tess_json_decode(text, n_byte, 0, &problem, &no_memory);
    if (no_memory) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its messages", golden);
    size_t n = json_array_size(c->root);
    if (!json_is_array(c->root) || n == 0 || n > MAX_MESSAGES)
        return tess_refuse(err, golden, "messages", -1, "a JSON array of 1 to 4096 messages", "%s",
                           !c->root ? problem.text : tess_json_type_name(c->root));
    c->message = calloc(n, sizeof *c->message);
    c->joined = calloc(n, sizeof *c->joined);
    if (!c->message || !c->joined)
        return tess_fail(err, TESS_ENOMEM, "%s: no memory for its messages", golden);
    c->n = n;
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n && status == TESS_OK; i++) status = read_message(golden, i, c, err);
    return status;
}

/* ---- who is at fault ---- */

/* Whether the text, as the tokenizer gives it back, stands in `whole`. */
static bool holds(const tess_tokenizer *tokenizer, const tess_text *whole, const tess_message *m)
{
    tess_ids ids = {0};
    tess_text text = {0};
    bool found = tess_tokenizer_encode(tokenizer, m->content ? m->content : "", m->n_content, 0, &ids,
                                       NULL) == TESS_OK &&
                 tess_tokenizer_decode(tokenizer, ids.data, ids.count, 0, &text, NULL) == TESS_OK &&
                 text.count > 0 && memmem(whole->data, whole->count, text.data, text.count) != NULL;
    tess_ids_release(&ids);
    tess_text_release(&text);
    return found;
}

/* A tokenizer that turns the golden's ids into a text in which something said can be found, if anything was,
 * and that text into the same ids again, is the golden's: then the template rendered something else. */
static bool is_own_tokenizer(const tess_tokenizer *tokenizer, const tess_trace_inputs *inputs,
                             const conversation *c)
{
    tess_text text = {0};
    tess_ids again = {0};
    size_t n = (size_t)inputs->n_tok;
    bool is_own = tess_tokenizer_decode(tokenizer, inputs->ids, n, 0, &text, NULL) == TESS_OK &&
                  tess_tokenizer_encode(tokenizer, text.data, text.count, 0, &again, NULL) == TESS_OK &&
                  again.count == n && !memcmp(again.data, inputs->ids, n * sizeof *again.data);
    bool is_found = false, is_said = false;
    for (size_t i = 0; is_own && i < c->n; i++) {
        is_said |= c->message[i].n_content > 0;
        is_found |= holds(tokenizer, &text, &c->message[i]);
    }
    tess_text_release(&text);
    tess_ids_release(&again);
    return is_own && (is_found || !is_said);
}

/* ---- the check ---- */

static tess_status encode(const tess_tokenizer *tokenizer, const char *golden,
                          const tess_trace_inputs *inputs, tess_prompt_check *out, tess_error *err)
{
    out->component = "tokenizer";
    if (inputs->raw)
        return tess_tokenizer_encode(tokenizer, inputs->raw, strlen(inputs->raw), 0, &out->ids, err);
    conversation c = {0};
    tess_status status = read_conversation(golden, inputs->messages, &c, err);
    tess_text text = {0};
    if (status == TESS_OK) status = tess_chat_render(c.message, c.n, TESS_CHAT_GENERATE, &text, err);
    tess_text_release(&text);
    if (status == TESS_OK) {
        status = tess_chat_encode(tokenizer, c.message, c.n, TESS_CHAT_GENERATE, &out->ids, err);
        /* What can be rendered and not encoded lacks the template's tokens: another tokenizer, and no ids. */
        if (status == TESS_EINPUT) status = TESS_OK;
    }
    if (status == TESS_OK && is_own_tokenizer(tokenizer, inputs, &c)) out->component = "chat_template";
    release_conversation(&c);
    return status;
}

tess_status tess_prompt_check_make(const char *model_dir, const char *golden, const tess_trace_inputs *inputs,
                                   tess_prompt_check *out, tess_error *err)
{
    *out = (tess_prompt_check){0};
    if (!inputs->raw && !inputs->messages) return TESS_OK;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/vocab.json", model_dir);
    if (access(path, F_OK)) return TESS_OK;
    tess_tokenizer *tokenizer;
    tess_status status = tess_tokenizer_open(model_dir, &tokenizer, err);
    if (status != TESS_OK) return status;
    status = encode(tokenizer, golden, inputs, out, err);
    tess_tokenizer_close(tokenizer);
    out->is_checked = status == TESS_OK;
    return status;
}

void tess_prompt_check_release(tess_prompt_check *check)
{
    tess_ids_release(&check->ids);
    *check = (tess_prompt_check){0};
}
