/* Reading a list of known answers. Past this file every field is what answers.h says.
 *
 * Keys that a kind does not have are refused: a misspelt `weights` would otherwise check nothing.
 */
#include "verify/answers/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dialog/conversation.h"

enum { MAX_BYTES = 1 << 20, MAX_ANSWERS = 10000, MAX_ITEMS = 4096, MAX_NEW = 65536 };
#define FORMAT "tessera known answers"

static const char *const kinds[] = {"tensors", "tokens", "router", "rank", "chat"};
static const char *const texts[] = {"equals", "begins", "contains"};

const char *tess_known_kind_name(tess_known_kind kind)
{
    return kinds[kind];
}

const char *tess_known_text_name(tess_known_text how)
{
    return texts[how];
}

const char *tess_known_verdict_name(tess_known_verdict verdict)
{
    static const char *const names[] = {"confirmed", "different", "reported"};
    return names[verdict];
}

/* `known` lists the keys there may be, separated and surrounded by blanks. */
static tess_status check_keys(const tess_json_section *s, const char *known, tess_error *err)
{
    for (void *i = json_object_iter((json_t *)s->object); i;
         i = json_object_iter_next((json_t *)s->object, i)) {
        const char *key = json_object_iter_key(i);
        char word[64];
        int length = snprintf(word, sizeof word, " %s ", key);
        if (length < (int)sizeof word && !strchr(key, ' ') && strstr(known, word)) continue;
        char expected[192];
        snprintf(expected, sizeof expected, "one of:%.180s", known);
        return tess_json_refuse(s, key, expected, "a key that nothing reads", err);
    }
    return TESS_OK;
}

/* An array of at least one integer of 0 or more, that fit an int32_t. */
static tess_status read_ids(const tess_json_section *s, const char *key, const json_t **out, tess_error *err)
{
    tess_status status = tess_json_array(s, key, MAX_ITEMS, out, err);
    if (status != TESS_OK) return status;
    if (json_array_size(*out) == 0) return tess_json_refuse(s, key, "at least one integer", "none", err);
    for (size_t i = 0; i < json_array_size(*out); i++) {
        const json_t *item = json_array_get(*out, i);
        if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) > INT32_MAX)
            return tess_json_refuse(s, key, "integers of 0 or more", "something else among them", err);
    }
    return TESS_OK;
}

/* Fills the scope of a.of; false if it is none. */
static bool find_scope(tess_known_answer *a)
{
    a->scope = TESS_KNOWN_TENSOR;
    if (strchr(a->of, '.')) return true;
    a->scope = TESS_KNOWN_ALL;
    if (!strcmp(a->of, "all")) return true;
    for (int i = 0; i < TESS_COMPONENT_OTHER; i++) {
        const char *name = tess_component_name((tess_component)i);
        size_t length = strlen(name);
        if (strncmp(a->of, name, length)) continue;
        a->component = (tess_component)i;
        a->scope = a->of[length] ? TESS_KNOWN_EXPERTS : TESS_KNOWN_COMPONENT;
        if (!a->of[length] || !strcmp(a->of + length, " experts")) return true;
    }
    return false;
}

static tess_status read_tensors(const tess_json_section *s, tess_known_answer *a, tess_error *err)
{
    tess_status status = check_keys(s, " kind name source of tensors parameters bytes ", err);
    if (status == TESS_OK) status = tess_json_filled_text(s, "of", &a->of, err);
    if (status == TESS_OK && !find_scope(a))
        status =
            tess_json_refuse(s, "of", "all, a component, a component's experts, or a tensor", a->of, err);
    if (status == TESS_OK) status = tess_json_int(s, "tensors", 0, INT64_MAX, &a->n_tensor, err);
    if (status == TESS_OK) status = tess_json_int(s, "parameters", 0, INT64_MAX, &a->n_parameter, err);
    if (status == TESS_OK) status = tess_json_int(s, "bytes", 0, INT64_MAX, &a->n_byte, err);
    return status;
}

static tess_status read_tokens(const tess_json_section *s, tess_known_answer *a, tess_error *err)
{
    tess_status status = check_keys(s, " kind name source prompt ids ", err);
    if (status == TESS_OK) status = tess_json_filled_text(s, "prompt", &a->prompt, err);
    return status == TESS_OK ? read_ids(s, "ids", &a->ids, err) : status;
}

static tess_status check_distinct(const tess_json_section *s, const json_t *experts, tess_error *err)
{
    for (size_t i = 0; i < json_array_size(experts); i++)
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_array_get(experts, i), json_array_get(experts, j)))
                return tess_json_refuse(s, "experts", "every expert once", "one of them twice", err);
    return TESS_OK;
}

static tess_status check_weights(const tess_json_section *s, const tess_known_answer *a, tess_error *err)
{
    if (json_array_size(a->weights) != json_array_size(a->experts))
        return tess_json_refuse(s, "weights", "as many as experts", "another number", err);
    for (size_t i = 0; i < json_array_size(a->weights); i++)
        if (!json_is_number(json_array_get(a->weights, i)))
            return tess_json_refuse(s, "weights", "numbers", "something else among them", err);
    return TESS_OK;
}

static tess_status read_router(const tess_json_section *s, tess_known_answer *a, tess_error *err)
{
    a->last_id = -1;
    tess_status status = check_keys(s, " kind name source prompt last_id layer experts weights ", err);
    if (status == TESS_OK) status = tess_json_filled_text(s, "prompt", &a->prompt, err);
    if (status == TESS_OK) status = tess_json_int(s, "layer", 0, INT32_MAX, &a->layer, err);
    if (status == TESS_OK && json_object_get(s->object, "last_id"))
        status = tess_json_int(s, "last_id", 0, INT32_MAX, &a->last_id, err);
    if (status == TESS_OK) status = read_ids(s, "experts", &a->experts, err);
    if (status == TESS_OK) status = check_distinct(s, a->experts, err);
    if (status != TESS_OK || !json_object_get(s->object, "weights")) return status;
    status = tess_json_array(s, "weights", MAX_ITEMS, &a->weights, err);
    return status == TESS_OK ? check_weights(s, a, err) : status;
}

static tess_status check_seen(const tess_json_section *s, const json_t *seen, tess_error *err)
{
    for (size_t i = 0; i < json_array_size(seen); i++) {
        tess_json_section item;
        const char *text;
        int64_t rank;
        tess_status status = tess_json_enter_item(s, "seen", seen, i, &item, err);
        if (status == TESS_OK) status = check_keys(&item, " rank where source ", err);
        if (status == TESS_OK) status = tess_json_int(&item, "rank", 1, INT32_MAX, &rank, err);
        if (status == TESS_OK) status = tess_json_filled_text(&item, "where", &text, err);
        if (status == TESS_OK) status = tess_json_filled_text(&item, "source", &text, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static tess_status read_rank(const tess_json_section *s, tess_known_answer *a, tess_error *err)
{
    tess_status status = check_keys(s, " kind name source prompt token rank seen ", err);
    if (status == TESS_OK) status = tess_json_filled_text(s, "prompt", &a->prompt, err);
    if (status == TESS_OK) status = tess_json_filled_text(s, "token", &a->token, err);
    if (status == TESS_OK && json_object_get(s->object, "rank"))
        status = tess_json_int(s, "rank", 1, INT32_MAX, &a->rank, err);
    if (status != TESS_OK || !json_object_get(s->object, "seen")) return status;
    status = tess_json_array(s, "seen", MAX_ITEMS, &a->seen, err);
    return status == TESS_OK ? check_seen(s, a->seen, err) : status;
}

static tess_status read_messages(const tess_json_section *s, tess_conversation *out, tess_error *err)
{
    const json_t *messages;
    tess_status status = tess_json_array(s, "messages", MAX_ITEMS, &messages, err);
    for (size_t i = 0; status == TESS_OK && i < json_array_size(messages); i++) {
        tess_json_section item;
        status = tess_json_enter_item(s, "messages", messages, i, &item, err);
        if (status == TESS_OK) status = check_keys(&item, " role content ", err);
    }
    return status == TESS_OK ? tess_conversation_take(out, s, "messages", err) : status;
}

static tess_status read_chat(const tess_json_section *s, tess_known_answer *a, tess_error *err)
{
    tess_status status = check_keys(s, " kind name source messages equals begins contains max_new ", err);
    if (status == TESS_OK) status = read_messages(s, &a->talk, err);
    if (status == TESS_OK) status = tess_json_int(s, "max_new", 1, MAX_NEW, &a->max_new, err);
    int n = 0;
    for (int how = 0; how < 3; how++) {
        if (!json_object_get(s->object, texts[how])) continue;
        n++;
        a->how = (tess_known_text)how;
    }
    if (status == TESS_OK && n != 1)
        return tess_json_refuse(s, "equals", "one of equals, begins and contains", n ? "several" : "none",
                                err);
    return status == TESS_OK ? tess_json_filled_text(s, texts[a->how], &a->text, err) : status;
}

static tess_status read_answer(const tess_json_section *s, tess_known_answer *a, tess_error *err)
{
    static tess_status (*const readers[])(const tess_json_section *, tess_known_answer *, tess_error *) = {
        read_tensors, read_tokens, read_router, read_rank, read_chat};
    const char *kind;
    snprintf(a->field, sizeof a->field, "%.31s", s->path);
    tess_status status = tess_json_filled_text(s, "kind", &kind, err);
    if (status == TESS_OK) status = tess_json_filled_text(s, "name", &a->name, err);
    if (status == TESS_OK) status = tess_json_filled_text(s, "source", &a->source, err);
    if (status != TESS_OK) return status;
    for (int k = 0; k < TESS_N_KNOWN_KIND; k++) {
        if (strcmp(kind, kinds[k])) continue;
        a->kind = (tess_known_kind)k;
        return readers[k](s, a, err);
    }
    char found[64];
    snprintf(found, sizeof found, "\"%.50s\"", kind);
    return tess_json_refuse(s, "kind", "tensors, tokens, router, rank or chat", found, err);
}

static tess_status read_answers(const tess_json_section *root, tess_known_answers *out, tess_error *err)
{
    const json_t *array;
    tess_status status = tess_json_array(root, "answers", MAX_ANSWERS, &array, err);
    if (status != TESS_OK) return status;
    if (json_array_size(array) == 0)
        return tess_json_refuse(root, "answers", "at least one answer", "none", err);
    out->answer = calloc(json_array_size(array), sizeof *out->answer);
    if (!out->answer) return tess_fail(err, TESS_ENOMEM, "no memory for known answers");
    for (; out->n_answer < json_array_size(array) && status == TESS_OK; out->n_answer++) {
        tess_json_section item;
        status = tess_json_enter_item(root, "answers", array, out->n_answer, &item, err);
        if (status == TESS_OK) status = read_answer(&item, &out->answer[out->n_answer], err);
    }
    return status;
}

static tess_status read_checkpoint(const tess_json_section *root, tess_known_answers *out, tess_error *err)
{
    tess_json_section s, values;
    const char *source;
    tess_status status = tess_json_enter(root, "checkpoint", &s, err);
    if (status == TESS_OK) status = check_keys(&s, " name source configuration ", err);
    if (status == TESS_OK) status = tess_json_filled_text(&s, "name", &out->checkpoint, err);
    if (status == TESS_OK) status = tess_json_filled_text(&s, "source", &source, err);
    if (status == TESS_OK) status = tess_json_enter(&s, "configuration", &values, err);
    if (status != TESS_OK) return status;
    if (json_object_size(values.object) == 0)
        return tess_json_refuse(&s, "configuration", "at least one value", "none", err);
    for (void *i = json_object_iter((json_t *)values.object); i;
         i = json_object_iter_next((json_t *)values.object, i)) {
        const json_t *value = json_object_iter_value(i);
        if (!json_is_object(value) && !json_is_array(value)) continue;
        return tess_json_refuse(&values, json_object_iter_key(i), "a number, a text, true, false or null",
                                tess_json_type_name(value), err);
    }
    out->configuration = values.object;
    return TESS_OK;
}

static tess_status read_list(tess_known_answers *out, tess_error *err)
{
    tess_json_section root = {.object = out->root, .file = out->path};
    const char *format;
    int64_t version;
    tess_status status = check_keys(&root, " format version checkpoint answers ", err);
    if (status == TESS_OK) status = tess_json_filled_text(&root, "format", &format, err);
    if (status == TESS_OK && strcmp(format, FORMAT))
        status = tess_json_refuse(&root, "format", "\"" FORMAT "\"", "another format", err);
    if (status == TESS_OK) status = tess_json_int(&root, "version", 1, 1, &version, err);
    if (status == TESS_OK) status = read_checkpoint(&root, out, err);
    return status == TESS_OK ? read_answers(&root, out, err) : status;
}

static tess_status load_list(const char *path, json_t **out, tess_error *err)
{
    if (path) return tess_json_load(path, MAX_BYTES, out, err);
    size_t n_byte;
    const char *text = tess_known_answers_builtin(&n_byte);
    return tess_json_parse("built-in known answers", 0, text, n_byte, out, err);
}

tess_status tess_known_answers_read(const char *path, tess_known_answers **out, tess_error *err)
{
    tess_known_answers *answers = calloc(1, sizeof *answers);
    if (!answers) return tess_fail(err, TESS_ENOMEM, "no memory for known answers");
    answers->path = strdup(path ? path : "built-in known answers");
    tess_status status = answers->path ? load_list(path, &answers->root, err)
                                       : tess_fail(err, TESS_ENOMEM, "no memory for known answers");
    if (status == TESS_OK) status = read_list(answers, err);
    if (status != TESS_OK) {
        tess_known_answers_free(answers);
        return status;
    }
    *out = answers;
    return TESS_OK;
}

void tess_known_answers_free(tess_known_answers *answers)
{
    if (!answers) return;
    json_decref(answers->root);
    for (size_t i = 0; i < answers->n_answer; i++) tess_conversation_release(&answers->answer[i].talk);
    free(answers->answer);
    free(answers->path);
    free(answers);
}

const char *tess_known_answers_get_checkpoint(const tess_known_answers *answers)
{
    return answers->checkpoint;
}

size_t tess_known_answers_get_count(const tess_known_answers *answers)
{
    return answers->n_answer;
}
