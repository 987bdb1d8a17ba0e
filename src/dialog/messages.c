/* Messages from JSON and back. Nobody vouches for the JSON: its size, depth, names that occur twice and every
 * member's type are checked, and what is refused is named by its path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dialog/conversation.h"
#include "io/file.h"

/* Where in a document the reading is. */
typedef struct message_place {
    const char *file, *path; /* of the list */
    size_t i;                /* which message */
    long part;               /* which part of its content, -1: none */
} message_place;

static void name_member(const message_place *at, const char *key, char *out, size_t size)
{
    int n = snprintf(out, size, "%.80s[%zu]", at->path, at->i);
    if (at->part >= 0) n += snprintf(out + n, size - (size_t)n, ".content[%ld]", at->part);
    if (*key) snprintf(out + n, size - (size_t)n, ".%s", key);
}

static tess_status refuse_member(const message_place *at, const char *key, const char *expected,
                                 const json_t *found, tess_error *err)
{
    char name[160];
    name_member(at, key, name, sizeof name);
    if (json_is_string(found))
        return tess_refuse(err, at->file, name, -1, expected, "\"%.60s\"", json_string_value(found));
    return tess_refuse(err, at->file, name, -1, expected, "%s",
                       found ? tess_json_type_name(found) : "no such member");
}

/* A text that can be handed on as one that ends with a NUL. */
static bool is_plain_text(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

/* ---- parts ---- */

/* A part without a type is a text. */
static tess_status read_kind(const message_place *at, const json_t *item, tess_content_kind *kind,
                             tess_error *err)
{
    const json_t *type = json_object_get(item, "type");
    *kind = TESS_CONTENT_TEXT;
    if (!type && json_object_get(item, "text")) return TESS_OK;
    for (*kind = TESS_CONTENT_TEXT; is_plain_text(type) && *kind <= TESS_CONTENT_VIDEO; (*kind)++)
        if (!strcmp(json_string_value(type), tess_content_kind_name(*kind))) return TESS_OK;
    return refuse_member(at, "type", "text, image, audio or video", type, err);
}

static tess_status read_medium(const message_place *at, const json_t *item, tess_content_kind kind,
                               tess_conversation *c, tess_error *err)
{
    const char *key = tess_content_kind_name(kind);
    const json_t *source = json_object_get(item, key), *path = json_object_get(item, "path");
    if (source && path)
        return refuse_member(at, "path", "the path of the file once; it stands under its type as well", path,
                             err);
    if (path) key = "path", source = path;
    if (!is_plain_text(source) || !json_string_length(source))
        return refuse_member(at, key, "the path of a file", source, err);
    return tess_conversation_add_medium(c, kind, json_string_value(source), err);
}

static tess_status read_part(const message_place *at, const json_t *item, tess_conversation *c,
                             tess_error *err)
{
    if (!json_is_object(item)) return refuse_member(at, "", "an object with a type", item, err);
    tess_content_kind kind;
    tess_status status = read_kind(at, item, &kind, err);
    if (status != TESS_OK) return status;
    if (kind != TESS_CONTENT_TEXT) return read_medium(at, item, kind, c, err);
    const json_t *text = json_object_get(item, "text");
    if (!json_is_string(text)) return refuse_member(at, "text", "a text", text, err);
    return tess_conversation_add_text(c, json_string_value(text), json_string_length(text), err);
}

static tess_status read_parts(message_place *at, const char *role, const json_t *list, tess_conversation *c,
                              tess_error *err)
{
    size_t n = json_array_size(list);
    if (n > TESS_CONVERSATION_MAX_PARTS) {
        char name[160], expected[64];
        name_member(at, "content", name, sizeof name);
        snprintf(expected, sizeof expected, "at most %d parts", TESS_CONVERSATION_MAX_PARTS);
        return tess_refuse(err, at->file, name, -1, expected, "%zu", n);
    }
    tess_status status = tess_conversation_begin_list(c, role, err);
    for (size_t k = 0; k < n && status == TESS_OK; k++) {
        at->part = (long)k;
        status = read_part(at, json_array_get(list, k), c, err);
    }
    at->part = -1;
    return status;
}

/* ---- messages ---- */

static tess_status read_role(const message_place *at, const json_t *item, const char **out, tess_error *err)
{
    const json_t *role = json_object_get(item, "role");
    *out = is_plain_text(role) ? tess_role_find(json_string_value(role)) : NULL;
    return *out ? TESS_OK : refuse_member(at, "role", TESS_ROLES, role, err);
}

static tess_status read_reasoning(const message_place *at, const json_t *item, tess_conversation *c,
                                  tess_error *err)
{
    const json_t *reasoning = json_object_get(item, "reasoning_content");
    if (!reasoning || json_is_null(reasoning)) return TESS_OK;
    if (!is_plain_text(reasoning))
        return refuse_member(at, "reasoning_content", "a text without NUL", reasoning, err);
    return tess_conversation_set_reasoning(c, json_string_value(reasoning), err);
}

static tess_status read_message(message_place *at, const json_t *item, tess_conversation *c, tess_error *err)
{
    const char *role;
    if (!json_is_object(item)) return refuse_member(at, "", "an object with role and content", item, err);
    tess_status status = read_role(at, item, &role, err);
    if (status != TESS_OK) return status;
    if (json_array_size(json_object_get(item, "tool_calls")) > 0) {
        char name[160];
        name_member(at, "tool_calls", name, sizeof name);
        tess_refuse(err, at->file, name, -1, "none: tool calls are not supported", "an array");
        if (err) err->status = TESS_EUNSUPPORTED;
        return TESS_EUNSUPPORTED;
    }
    const json_t *content = json_object_get(item, "content");
    if (json_is_array(content))
        status = read_parts(at, role, content, c, err);
    else if (json_is_string(content))
        status = tess_conversation_say(c, role, json_string_value(content), json_string_length(content), err);
    else
        status = refuse_member(at, "content", "a text or a list of parts", content, err);
    return status == TESS_OK ? read_reasoning(at, item, c, err) : status;
}

tess_status tess_conversation_take(tess_conversation *c, const json_t *messages, const char *file,
                                   const char *path, tess_error *err)
{
    size_t before = c->count, n = json_array_size(messages);
    char expected[64];
    snprintf(expected, sizeof expected, "a JSON array of 1 to %d messages", TESS_CONVERSATION_MAX_TURNS);
    if (!json_is_array(messages))
        return tess_refuse(err, file, path, -1, expected, "%s", tess_json_type_name(messages));
    if (n == 0 || n > TESS_CONVERSATION_MAX_TURNS - before)
        return tess_refuse(err, file, path, -1, expected, "%zu", n);
    message_place at = {.file = file, .path = path, .part = -1};
    tess_status status = TESS_OK;
    for (; at.i < n && status == TESS_OK; at.i++)
        status = read_message(&at, json_array_get(messages, at.i), c, err);
    if (status != TESS_OK) tess_conversation_truncate(c, before);
    return status;
}

tess_status tess_conversation_parse(tess_conversation *c, const char *file, const char *json, size_t n_byte,
                                    tess_error *err)
{
    static const char field[] = "messages";
    if (n_byte > TESS_CONVERSATION_MAX_JSON_BYTES) {
        char expected[64];
        snprintf(expected, sizeof expected, "at most %d bytes", TESS_CONVERSATION_MAX_JSON_BYTES);
        return tess_refuse(err, file, field, -1, expected, "%zu", n_byte);
    }
    size_t length;
    if (tess_json_find_too_deep(json, n_byte, &length) >= 0)
        return tess_refuse(err, file, field, -1, "a JSON array", "nesting deeper than 64 levels");
    json_error_t problem;
    bool no_memory;
    json_t *root =
        tess_json_decode(json, n_byte, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem, &no_memory);
    if (no_memory) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its messages", file);
    if (!root)
        return tess_refuse(err, file, field, problem.position, "a JSON array", "%s (line %d)", problem.text,
                           problem.line);
    tess_status status = tess_conversation_take(c, root, file, field, err);
    json_decref(root);
    return status;
}

tess_status tess_conversation_load(tess_conversation *c, const char *path, tess_error *err)
{
    tess_file *file;
    tess_status status = tess_file_open(path, TESS_DIRECT_OFF, &file, err);
    if (status != TESS_OK) return status;
    /* what is too large is refused by its size, and not read */
    uint64_t size = tess_file_get_size(file);
    bool is_read = size <= TESS_CONVERSATION_MAX_JSON_BYTES;
    char *json = is_read ? malloc((size_t)size + 1) : NULL;
    if (is_read && !json) status = tess_fail(err, TESS_ENOMEM, "%s: no memory for it", path);
    if (is_read && json) status = tess_file_read(file, 0, json, (size_t)size, err);
    tess_file_close(file);
    if (status == TESS_OK) status = tess_conversation_parse(c, path, json, (size_t)size, err);
    free(json);
    return status;
}

/* ---- writing ---- */

/* Adds a member, unless an earlier one could not be; takes the value. */
static void put_member(json_t *object, const char *key, json_t *value, bool *ok)
{
    *ok = !json_object_set_new(object, key, value) && *ok;
}

static json_t *write_part(const tess_content *part, bool *ok)
{
    json_t *object = json_object();
    put_member(object, "type", json_string(tess_content_kind_name(part->kind)), ok);
    put_member(object, tess_content_kind_name(part->kind), json_stringn(part->data, part->n_byte), ok);
    return object;
}

static json_t *write_turn(const tess_turn *turn, bool *ok)
{
    json_t *object = json_object(), *content;
    put_member(object, "role", json_string(turn->role), ok);
    if (turn->is_list) {
        content = json_array();
        for (size_t k = 0; k < turn->n_content; k++)
            *ok = !json_array_append_new(content, write_part(&turn->content[k], ok)) && *ok;
    } else {
        content = json_stringn(turn->content[0].data, turn->content[0].n_byte);
    }
    put_member(object, "content", content, ok);
    if (turn->reasoning) put_member(object, "reasoning_content", json_string(turn->reasoning), ok);
    return object;
}

tess_status tess_conversation_write(const tess_conversation *c, tess_text *json, tess_error *err)
{
    bool ok = true;
    json_t *messages = json_array();
    for (size_t i = 0; i < c->count; i++)
        ok = !json_array_append_new(messages, write_turn(&c->turn[i], &ok)) && ok;
    char *text = ok ? json_dumps(messages, JSON_COMPACT) : NULL;
    json_decref(messages);
    if (!text) return tess_fail(err, TESS_ENOMEM, "no memory for messages as JSON");
    tess_status status = tess_text_append(json, text, strlen(text), err);
    free(text);
    return status;
}
