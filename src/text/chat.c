/* The published chat template, without its branch for tools, as code.
 *
 * Reasoning of the assistant is dropped from turns before the last question and kept after it, so that a
 * model in the middle of using tools still sees what it thought. The last question is the last user message
 * given as a text (not as a list of items) that is not the answer of a tool.
 */
#include "tessera/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

static const char think_end[] = "</think>", think_start[] = "<think>";

typedef struct span {
    const char *data;
    size_t n;
} span;

static span span_of(const char *text)
{
    return (span){text, strlen(text)};
}

static span content_of(const tess_message *message)
{
    return (span){message->n_content ? message->content : "", message->n_content};
}

/* The first place of `what` in `s`, or s.n. */
static size_t find_text(span s, const char *what)
{
    const char *at = memmem(s.data, s.n, what, strlen(what));
    return at ? (size_t)(at - s.data) : s.n;
}

/* What stands after the last `what`, or all. */
static span after_last(span s, const char *what)
{
    for (size_t at; (at = find_text(s, what)) < s.n;) {
        s.data += at + strlen(what);
        s.n -= at + strlen(what);
    }
    return s;
}

static span strip_left(span s)
{
    while (s.n && *s.data == '\n') s.data++, s.n--;
    return s;
}

static span strip_right(span s)
{
    while (s.n && s.data[s.n - 1] == '\n') s.n--;
    return s;
}

static tess_status put_span(tess_text *text, span s, tess_error *err)
{
    return tess_text_append(text, s.data, s.n, err);
}

/* Appends several pieces. */
static tess_status put_all(tess_text *text, const span *pieces, size_t n, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n && status == TESS_OK; i++) status = put_span(text, pieces[i], err);
    return status;
}
#define PUT(text, err, ...)                                                                                  \
    put_all(text, (const span[]){__VA_ARGS__}, sizeof((const span[]){__VA_ARGS__}) / sizeof(span), err)

static bool has_role(const tess_message *message, const char *role)
{
    return !strcmp(message->role, role);
}

static bool is_tool_answer(span s)
{
    static const char start[] = "<tool_response>", end[] = "</tool_response>";
    enum { N_START = sizeof start - 1, N_END = sizeof end - 1 };
    return s.n >= N_END && !memcmp(s.data, start, N_START) && !memcmp(s.data + s.n - N_END, end, N_END);
}

/* The index of the last question, or of the last message if there is none. */
static size_t find_question(const tess_message *messages, size_t n)
{
    for (size_t i = n; i-- > 0;)
        if (has_role(&messages[i], "user") && !messages[i].from_list &&
            !is_tool_answer(content_of(&messages[i])))
            return i;
    return n - 1;
}

static tess_status render_assistant(const tess_message *message, bool after_question, bool last,
                                    tess_text *text, tess_error *err)
{
    span content = content_of(message), reasoning = {"", 0};
    if (message->reasoning) {
        reasoning = span_of(message->reasoning);
    } else if (find_text(content, think_end) < content.n) {
        reasoning = strip_right((span){content.data, find_text(content, think_end)});
        reasoning = strip_left(after_last(reasoning, think_start));
        content = strip_left(after_last(content, think_end));
    }
    if (after_question && (last || reasoning.n))
        return PUT(text, err, span_of("<|im_start|>assistant\n<think>\n"), strip_left(strip_right(reasoning)),
                   span_of("\n</think>\n\n"), strip_left(content), span_of("<|im_end|>\n"));
    return PUT(text, err, span_of("<|im_start|>assistant\n"), content, span_of("<|im_end|>\n"));
}

/* Answers of tools that follow each other share one user turn. */
static tess_status render_tool(const tess_message *messages, size_t n, size_t i, tess_text *text,
                               tess_error *err)
{
    bool first = i == 0 || !has_role(&messages[i - 1], "tool");
    bool last = i + 1 == n || !has_role(&messages[i + 1], "tool");
    return PUT(text, err, span_of(first ? "<|im_start|>user" : ""), span_of("\n<tool_response>\n"),
               content_of(&messages[i]), span_of("\n</tool_response>"), span_of(last ? "<|im_end|>\n" : ""));
}

static tess_status check_messages(const tess_message *messages, size_t n, unsigned flags, tess_error *err)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    if (!n) return tess_refuse(err, "", "messages", -1, "at least one message", "none");
    if (flags & TESS_CHAT_TOOLS)
        return tess_fail(err, TESS_EUNSUPPORTED,
                         "tools: this chat template does not offer tools to the model");
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t r = 0; r < sizeof roles / sizeof roles[0]; r++) known |= has_role(&messages[i], roles[r]);
        char field[48];
        snprintf(field, sizeof field, "messages[%zu].role", i);
        if (!known)
            return tess_refuse(err, "", field, -1, "system, user, assistant or tool", "\"%.60s\"",
                               messages[i].role);
        if (messages[i].has_tool_calls)
            return tess_fail(err, TESS_EUNSUPPORTED, "messages[%zu]: tool calls are not supported", i);
    }
    return TESS_OK;
}

static tess_status render_messages(const tess_message *messages, size_t n, unsigned flags, tess_text *text,
                                   tess_error *err)
{
    size_t question = find_question(messages, n);
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n && status == TESS_OK; i++) {
        if (has_role(&messages[i], "assistant"))
            status = render_assistant(&messages[i], i > question, i + 1 == n, text, err);
        else if (has_role(&messages[i], "tool"))
            status = render_tool(messages, n, i, text, err);
        else
            status = PUT(text, err, span_of("<|im_start|>"), span_of(messages[i].role), span_of("\n"),
                         content_of(&messages[i]), span_of("<|im_end|>\n"));
    }
    if (status == TESS_OK && (flags & TESS_CHAT_GENERATE))
        status = put_span(text, span_of("<|im_start|>assistant\n"), err);
    if (status == TESS_OK && (flags & TESS_CHAT_GENERATE) && (flags & TESS_CHAT_NO_THINKING))
        status = put_span(text, span_of("<think>\n\n</think>\n\n"), err);
    return status;
}

tess_status tess_chat_render(const tess_message *messages, size_t n_messages, unsigned flags, tess_text *text,
                             tess_error *err)
{
    size_t before = text->count;
    tess_status status = check_messages(messages, n_messages, flags, err);
    if (status != TESS_OK) return status;
    status = render_messages(messages, n_messages, flags, text, err);
    if (status != TESS_OK && text->data) {
        text->count = before;
        text->data[before] = 0;
    }
    return status;
}

/* ---- ids ---- */

/* Stand around control tokens of contents that are to stay text. No UTF-8 has these bytes, so nobody can
 * spell them. Where the template cuts a content at such a token, one of them is left alone; it still keeps
 * what stands on its sides apart. */
static const char mark_start = '\xfe', mark_end = '\xff';

static bool is_mark(char byte)
{
    return byte == mark_start || byte == mark_end;
}

/* Added tokens that are not special but that the template writes; others, as <|fim_prefix|>, say nothing
 * about turns and stay what they are, as in the original. */
static bool is_control_token(const tess_added_token *token)
{
    static const char *const written[] = {"<think>",      "</think>",        "<tool_call>",
                                          "</tool_call>", "<tool_response>", "</tool_response>"};
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++)
        if (token->n == strlen(written[i]) && !memcmp(token->content, written[i], token->n)) return true;
    return token->special;
}

/* How long the control token is that `s` begins with, the longest of several; 0: none. */
static size_t measure_control_token(const tess_tokenizer *tokenizer, span s)
{
    size_t longest = 0;
    for (size_t i = 0; i < tokenizer->vocab.n_added; i++) {
        const tess_added_token *token = &tokenizer->vocab.added[i];
        if (token->n > longest && token->n <= s.n && *token->content == *s.data &&
            !memcmp(token->content, s.data, token->n) && is_control_token(token))
            longest = token->n;
    }
    return longest;
}

/* Marks the control tokens of a piece of a content. */
static tess_status mark_piece(const tess_tokenizer *tokenizer, span s, tess_text *out, tess_error *err)
{
    size_t said = 0;
    tess_status status = TESS_OK;
    for (size_t at = 0, n; at < s.n && status == TESS_OK; at += n ? n : 1) {
        n = measure_control_token(tokenizer, (span){s.data + at, s.n - at});
        if (!n) continue;
        status = PUT(out, err, (span){s.data + said, at - said}, (span){&mark_start, 1},
                     (span){s.data + at, n}, (span){&mark_end, 1});
        said = at + n;
    }
    return status == TESS_OK ? put_span(out, (span){s.data + said, s.n - said}, err) : status;
}

/* What the template itself wrote into the content stays as it is. */
static tess_status mark_content(const tess_tokenizer *tokenizer, span s, const tess_own_bytes *own,
                                size_t n_own, tess_text *out, tess_error *err)
{
    size_t invalid = tess_utf8_find_invalid((const uint8_t *)s.data, s.n), at = 0;
    if (invalid < s.n)
        return tess_refuse(err, "", "text", (int64_t)invalid, "UTF-8", "byte 0x%02x",
                           (unsigned)(uint8_t)s.data[invalid]);
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n_own && status == TESS_OK; at = own[i++].end) {
        TESS_ASSERT(own[i].begin >= at && own[i].end >= own[i].begin && own[i].end <= s.n);
        status = mark_piece(tokenizer, (span){s.data + at, own[i].begin - at}, out, err);
        if (status == TESS_OK)
            status = put_span(out, (span){s.data + own[i].begin, own[i].end - own[i].begin}, err);
    }
    return status == TESS_OK ? mark_piece(tokenizer, (span){s.data + at, s.n - at}, out, err) : status;
}

/* Messages whose control tokens are marked. */
typedef struct marking {
    tess_message *message; /* [n] */
    tess_text *content, *reasoning;
    size_t n;
} marking;

static void release_marking(marking *m)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->content) tess_text_release(&m->content[i]);
        if (m->reasoning) tess_text_release(&m->reasoning[i]);
    }
    free(m->message);
    free(m->content);
    free(m->reasoning);
}

static tess_status mark_messages(const tess_tokenizer *tokenizer, const tess_message *messages, marking *m,
                                 tess_error *err)
{
    m->message = calloc(m->n, sizeof *m->message);
    m->content = calloc(m->n, sizeof *m->content);
    m->reasoning = calloc(m->n, sizeof *m->reasoning);
    if (!m->message || !m->content || !m->reasoning)
        return tess_fail(err, TESS_ENOMEM, "no memory for %zu messages", m->n);
    tess_status status = TESS_OK;
    for (size_t i = 0; i < m->n && status == TESS_OK; i++) {
        m->message[i] = messages[i];
        status = mark_content(tokenizer, content_of(&messages[i]), messages[i].own, messages[i].n_own,
                              &m->content[i], err);
        m->message[i].content = m->content[i].data;
        m->message[i].n_content = m->content[i].count;
        if (status != TESS_OK || !messages[i].reasoning) continue;
        status = mark_content(tokenizer, span_of(messages[i].reasoning), NULL, 0, &m->reasoning[i], err);
        m->message[i].reasoning = m->reasoning[i].data;
    }
    return status;
}

/* The ids of a text with marks. */
static tess_status encode_marked(const tess_tokenizer *tokenizer, const tess_text *text, tess_ids *ids,
                                 tess_error *err)
{
    tess_status status = TESS_OK;
    size_t before = ids->count;
    for (size_t at = 0; at < text->count && status == TESS_OK;) {
        /* The text ends with a NUL but may hold others, so its pieces are found by length. */
        size_t n = 0;
        while (at + n < text->count && !is_mark(text->data[at + n])) n++;
        span piece = {text->data + at, n};
        bool is_token = at > 0 && piece.data[-1] == mark_start && at + n < text->count &&
                        piece.data[n] == mark_end && measure_control_token(tokenizer, piece) == n;
        status = tess_tokenizer_encode(tokenizer, piece.data, n, is_token ? TESS_ENCODE_PLAIN : 0, ids, err);
        at += n + 1;
    }
    if (status != TESS_OK) ids->count = before;
    return status;
}

static tess_status encode_plain(const tess_tokenizer *tokenizer, const tess_message *messages, size_t n,
                                unsigned flags, tess_ids *ids, tess_error *err)
{
    marking m = {.n = n};
    tess_text text = {0};
    tess_status status = mark_messages(tokenizer, messages, &m, err);
    if (status == TESS_OK) status = tess_chat_render(m.message, n, flags, &text, err);
    if (status == TESS_OK) status = encode_marked(tokenizer, &text, ids, err);
    tess_text_release(&text);
    release_marking(&m);
    return status;
}

tess_status tess_chat_encode(const tess_tokenizer *tokenizer, const tess_message *messages, size_t n_messages,
                             unsigned flags, tess_ids *ids, tess_error *err)
{
    static const char *const needed[] = {"<|im_start|>", "<|im_end|>"};
    for (size_t i = 0; i < 2; i++) {
        int32_t id = tess_tokenizer_get_id(tokenizer, needed[i], strlen(needed[i]));
        if (id < 0 || !tess_tokenizer_is_added(tokenizer, id))
            return tess_refuse(err, "", "chat template", -1, "a tokenizer with <|im_start|> and <|im_end|>",
                               "none with %s", needed[i]);
    }
    tess_text text = {0};
    tess_status status = check_messages(messages, n_messages, flags, err);
    if (status != TESS_OK) return status;
    if (flags & TESS_CHAT_PLAIN) return encode_plain(tokenizer, messages, n_messages, flags, ids, err);
    status = tess_chat_render(messages, n_messages, flags, &text, err);
    if (status == TESS_OK) status = tess_tokenizer_encode(tokenizer, text.data, text.count, 0, ids, err);
    tess_text_release(&text);
    return status;
}
