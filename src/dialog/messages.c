/* Messages from JSON and back. Nobody vouches for the JSON: its size, depth, names that occur twice and every
 * member's type are checked, and what is refused is named by its path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/whole_file.h"
#include "dialog/conversation.h"

/* Refuses a member for what it is; a text is quoted. */
static tess_status refuse_member(const tess_json_section *s, const char *key, const char *expected,
                                 tess_error *err)
{
    char found[64];
    const json_t *value = json_object_get(s->object, key);
    if (!json_is_string(value)) return tess_json_refuse(s, key, expected, tess_json_type_name(value), err);
    tess_json_spell(value, found, sizeof found);
    return tess_json_refuse(s, key, expected, found, err);
}

/* The member, if it is a text that can be handed on as one that ends with a NUL. */
static const char *get_plain_text(const tess_json_section *s, const char *key)
{
    const json_t *value = json_object_get(s->object, key);
    const char *text = json_string_value(value);
    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* ---- parts ---- */

/* The template drops a part that has a text and no type, and the original's processor wants the type, too. */
static tess_status read_kind(const tess_json_section *s, tess_content_kind *kind, tess_error *err)
{
    const char *type = get_plain_text(s, "type");
    *kind = TESS_CONTENT_TEXT;
    for (; type && *kind <= TESS_CONTENT_VIDEO; (*kind)++)
        if (!strcmp(type, tess_content_kind_name(*kind))) return TESS_OK;
    return refuse_member(s, "type", "text, image, audio or video", err);
}

/* What the original's loaders heed in a part and would change what the network is given. */
static tess_status refuse_wishes(const tess_json_section *s, tess_error *err)
{
    static const char *const wishes[] = {"fps",           "nframes",     "min_frames",   "max_frames",
                                         "min_pixels",    "max_pixels",  "total_pixels", "resized_height",
                                         "resized_width", "video_start", "video_end",    "audio_start",
                                         "audio_end"};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        const json_t *value = json_object_get(s->object, wishes[i]);
        if (!value || json_is_null(value)) continue;
        char found[64];
        tess_json_spell(value, found, sizeof found);
        tess_json_refuse(s, wishes[i],
                         i == 0 ? "none in a part: --fps holds for all films"
                                : "none: media are taken whole, in the sizes of preprocessor_config.json",
                         found, err);
        if (err) err->status = TESS_EUNSUPPORTED;
        return TESS_EUNSUPPORTED;
    }
    return TESS_OK;
}

static tess_status read_medium(const tess_json_section *s, tess_content_kind kind, tess_conversation *c,
                               tess_error *err)
{
    const char *key = tess_content_kind_name(kind);
    bool has_path = json_object_get(s->object, "path");
    if (has_path && json_object_get(s->object, key))
        return refuse_member(s, "path", "the path once; it stands under the part's type as well", err);
    if (has_path) key = "path";
    const char *source = get_plain_text(s, key);
    if (!source || !*source) return refuse_member(s, key, "the path of a file", err);
    tess_status status = refuse_wishes(s, err);
    return status == TESS_OK ? tess_conversation_add_medium(c, kind, source, err) : status;
}

static tess_status read_part(const tess_json_section *s, tess_conversation *c, tess_error *err)
{
    tess_content_kind kind;
    tess_status status = read_kind(s, &kind, err);
    if (status != TESS_OK) return status;
    if (kind != TESS_CONTENT_TEXT) return read_medium(s, kind, c, err);
    const char *text;
    status = tess_json_text(s, "text", &text, err);
    size_t n_byte = json_string_length(json_object_get(s->object, "text"));
    return status == TESS_OK ? tess_conversation_add_text(c, text, n_byte, err) : status;
}

static tess_status read_parts(const tess_json_section *s, const char *role, tess_conversation *c,
                              tess_error *err)
{
    const json_t *list;
    tess_status status = tess_json_array(s, "content", TESS_CONVERSATION_MAX_PARTS, &list, err);
    if (status == TESS_OK) status = tess_conversation_begin_list(c, role, err);
    for (size_t k = 0; status == TESS_OK && k < json_array_size(list); k++) {
        tess_json_section part;
        status = tess_json_enter_item(s, "content", list, k, &part, err);
        if (status == TESS_OK) status = read_part(&part, c, err);
    }
    return status;
}

/* ---- messages ---- */

static tess_status read_content(const tess_json_section *s, const char *role, tess_conversation *c,
                                tess_error *err)
{
    const json_t *content = json_object_get(s->object, "content");
    if (json_is_array(content)) return read_parts(s, role, c, err);
    if (!json_is_string(content)) return refuse_member(s, "content", "a text or a list of parts", err);
    return tess_conversation_say(c, role, json_string_value(content), json_string_length(content), err);
}

static tess_status read_reasoning(const tess_json_section *s, tess_conversation *c, tess_error *err)
{
    static const char key[] = "reasoning_content";
    const json_t *reasoning = json_object_get(s->object, key);
    if (!reasoning || json_is_null(reasoning)) return TESS_OK;
    const char *text = get_plain_text(s, key);
    if (!text) return refuse_member(s, key, "a text without NUL", err);
    return tess_conversation_set_reasoning(c, text, err);
}

static tess_status read_message(const tess_json_section *s, tess_conversation *c, tess_error *err)
{
    const char *role = get_plain_text(s, "role");
    role = role ? tess_role_find(role) : NULL;
    if (!role) return refuse_member(s, "role", TESS_ROLES, err);
    const json_t *calls = json_object_get(s->object, "tool_calls");
    bool is_empty = json_is_array(calls) && json_array_size(calls) == 0;
    if (calls && !json_is_null(calls) && !is_empty) {
        refuse_member(s, "tool_calls", "none: tool calls are not supported", err);
        if (err) err->status = TESS_EUNSUPPORTED;
        return TESS_EUNSUPPORTED;
    }
    tess_status status = read_content(s, role, c, err);
    return status == TESS_OK ? read_reasoning(s, c, err) : status;
}

tess_status tess_conversation_take(tess_conversation *c, const tess_json_section *outer, const char *key,
                                   tess_error *err)
{
    const json_t *list;
    size_t before = c->count;
    tess_status status = tess_json_array(outer, key, TESS_CONVERSATION_MAX_TURNS - before, &list, err);
    if (status == TESS_OK && json_array_size(list) == 0)
        status = tess_json_refuse(outer, key, "at least one message", "none", err);
    for (size_t i = 0; status == TESS_OK && i < json_array_size(list); i++) {
        tess_json_section message;
        status = tess_json_enter_item(outer, key, list, i, &message, err);
        if (status == TESS_OK) status = read_message(&message, c, err);
    }
    if (status != TESS_OK) tess_conversation_truncate(c, before);
    return status;
}

/* ---- texts and files ---- */

static const char list_name[] = "messages";

/* Takes the list from an object around it, so that it has a name. */
static tess_status take_list(tess_conversation *c, const char *file, json_t *list, tess_error *err)
{
    json_t *document = json_object();
    tess_status status;
    if (json_object_set_new(document, list_name, list)) {
        status = tess_fail(err, TESS_ENOMEM, "%s: no memory for its messages", file);
    } else {
        tess_json_section outer = {.object = document, .file = file};
        status = tess_conversation_take(c, &outer, list_name, err);
    }
    json_decref(document);
    return status;
}

tess_status tess_conversation_parse(tess_conversation *c, const char *file, const char *json, size_t n_byte,
                                    tess_error *err)
{
    if (n_byte > TESS_CONVERSATION_MAX_JSON_BYTES) {
        char expected[64];
        snprintf(expected, sizeof expected, "at most %d bytes", TESS_CONVERSATION_MAX_JSON_BYTES);
        return tess_refuse(err, file, list_name, -1, expected, "%zu", n_byte);
    }
    size_t length;
    int64_t deep = tess_json_find_too_deep(json, n_byte, &length);
    if (deep >= 0) return tess_json_refuse_depth(file, list_name, deep, err);
    json_error_t problem;
    bool no_memory;
    json_t *list =
        tess_json_decode(json, n_byte, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem, &no_memory);
    if (no_memory) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its messages", file);
    if (!list)
        return tess_refuse(err, file, list_name, problem.position, "a JSON array", "%s (line %d)",
                           problem.text, problem.line);
    return take_list(c, file, list, err);
}

tess_status tess_conversation_load(tess_conversation *c, const char *path, tess_error *err)
{
    char *json;
    size_t n_byte;
    tess_status status = tess_whole_file_read(path, "a JSON file of messages",
                                              TESS_CONVERSATION_MAX_JSON_BYTES, &json, &n_byte, err);
    if (status != TESS_OK) return status;
    status = tess_conversation_parse(c, path, json, n_byte, err);
    free(json);
    return status;
}

/* ---- writing ---- */

static json_t *write_part(const tess_content *part, bool *ok)
{
    const char *kind = tess_content_kind_name(part->kind);
    json_t *object = json_object();
    tess_json_put(object, "type", json_string(kind), ok);
    tess_json_put(object, kind, json_stringn(part->data, part->n_byte), ok);
    return object;
}

static json_t *write_content(const tess_turn *turn, bool *ok)
{
    if (!turn->is_list) return json_stringn(turn->content[0].data, turn->content[0].n_byte);
    json_t *list = json_array();
    for (size_t k = 0; k < turn->n_content; k++)
        tess_json_append(list, write_part(&turn->content[k], ok), ok);
    return list;
}

static json_t *write_turn(const tess_turn *turn, bool *ok)
{
    json_t *object = json_object();
    tess_json_put(object, "role", json_string(turn->role), ok);
    tess_json_put(object, "content", write_content(turn, ok), ok);
    if (turn->reasoning) tess_json_put(object, "reasoning_content", json_string(turn->reasoning), ok);
    return object;
}

tess_status tess_conversation_write(const tess_conversation *c, tess_text *json, tess_error *err)
{
    bool ok = true;
    json_t *messages = json_array();
    for (size_t i = 0; i < c->count; i++) tess_json_append(messages, write_turn(&c->turn[i], &ok), &ok);
    char *text = ok ? json_dumps(messages, JSON_COMPACT) : NULL;
    json_decref(messages);
    if (!text) return tess_fail(err, TESS_ENOMEM, "no memory for messages as JSON");
    tess_status status = tess_text_append(json, text, strlen(text), err);
    free(text);
    return status;
}
