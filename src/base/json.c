#include "base/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/whole_file.h"

int64_t tess_json_find_too_deep(const char *text, size_t size, size_t *length)
{
    int depth = 0;
    bool in_string = false;
    size_t i = 0;
    for (; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > TESS_JSON_MAX_DEPTH) return (int64_t)i;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            continue;
        }
        if (!in_string && depth <= 0) break;
    }
    *length = i < size ? i + 1 : size;
    return -1;
}

/* jansson 2.14 ignores it when the buffer of a token cannot grow: the token lacks characters, and without its
 * closing quote the scan writes past the end of the next buffer. So memory for all that parsing needs is
 * asked for beforehand: what is refused is refused here. */
static bool has_memory_to_parse(size_t size)
{
    enum { TREE_PER_TEXT = 16, LEAST = 4096 };
    void *probe = size < SIZE_MAX / TREE_PER_TEXT - LEAST ? malloc(size * TREE_PER_TEXT + LEAST) : NULL;
    free(probe);
    return probe != NULL;
}

json_t *tess_json_decode(const char *text, size_t size, size_t flags, json_error_t *problem, bool *no_memory)
{
    *no_memory = !has_memory_to_parse(size);
    if (*no_memory) return NULL;
    errno = 0;
    json_t *value = json_loadb(text, size, flags, problem);
    *no_memory = errno == ENOMEM ||
                 (!value && (!problem->text[0] || json_error_code(problem) == json_error_out_of_memory));
    if (!*no_memory) return value;
    json_decref(value);
    return NULL;
}

/* The name that jansson stopped behind because it occurs twice. Its own text leaves long names out. */
static void name_before(const char *text, size_t position, char *out, size_t size)
{
    size_t end = position ? position - 1 : 0, begin = end;
    while (begin > 0 && (text[begin - 1] != '"' || (begin > 1 && text[begin - 2] == '\\'))) begin--;
    snprintf(out, size, "%.*s", (int)(end - begin < size ? end - begin : size - 1), text + begin);
}

tess_status tess_json_refuse_depth(const char *file, const char *field, int64_t offset, tess_error *err)
{
    char expected[48];
    snprintf(expected, sizeof expected, "at most %d levels of nesting", TESS_JSON_MAX_DEPTH);
    return tess_refuse(err, file, field, offset, expected, "one more");
}

static tess_status parse_object(const char *file, uint64_t offset, const char *text, size_t size,
                                size_t flags, json_t **out, tess_error *err)
{
    size_t length;
    int64_t deep = tess_json_find_too_deep(text, size, &length);
    if (deep >= 0) return tess_json_refuse_depth(file, "JSON", (int64_t)offset + deep, err);
    json_error_t problem;
    bool no_memory;
    json_t *root = tess_json_decode(text, size, flags | JSON_REJECT_DUPLICATES, &problem, &no_memory);
    if (!root) {
        if (no_memory)
            return tess_fail(err, TESS_ENOMEM, "%s: no memory to parse %zu bytes of JSON", file, size);
        char name[128] = "JSON";
        if (json_error_code(&problem) == json_error_duplicate_key)
            name_before(text, (size_t)problem.position, name, sizeof name);
        return tess_refuse(err, file, name, (int64_t)offset + problem.position, "valid JSON", "%s (line %d)",
                           problem.text, problem.line);
    }
    if (!json_is_object(root)) {
        const char *type = tess_json_type_name(root);
        json_decref(root);
        return tess_refuse(err, file, "JSON", (int64_t)offset, "an object at the top", "%s", type);
    }
    *out = root;
    return TESS_OK;
}

tess_status tess_json_parse(const char *file, uint64_t offset, const char *text, size_t size, json_t **out,
                            tess_error *err)
{
    return parse_object(file, offset, text, size, 0, out, err);
}

static tess_status load_object(const char *file, size_t max_bytes, size_t flags, json_t **out,
                               tess_error *err)
{
    char *text;
    size_t size;
    tess_status status = tess_whole_file_read(file, "a JSON file", max_bytes, &text, &size, err);
    if (status != TESS_OK) return status;
    status = parse_object(file, 0, text, size, flags, out, err);
    free(text);
    return status;
}

tess_status tess_json_load(const char *file, size_t max_bytes, json_t **out, tess_error *err)
{
    return load_object(file, max_bytes, 0, out, err);
}

tess_status tess_json_load_reals(const char *file, size_t max_bytes, json_t **out, tess_error *err)
{
    return load_object(file, max_bytes, JSON_DECODE_INT_AS_REAL, out, err);
}

const char *tess_json_type_name(const json_t *value)
{
    if (!value) return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

tess_status tess_json_refuse(const tess_json_section *s, const char *key, const char *expected,
                             const char *found, tess_error *err)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s%s", s->path, *s->path ? "." : "", key);
    return tess_refuse(err, s->file, name, -1, expected, "%s", found);
}

static tess_status refuse_type(const tess_json_section *s, const char *key, const char *expected,
                               const json_t *value, tess_error *err)
{
    return tess_json_refuse(s, key, expected, tess_json_type_name(value), err);
}

tess_status tess_json_int(const tess_json_section *s, const char *key, int64_t least, int64_t most,
                          int64_t *out, tess_error *err)
{
    char expected[96];
    snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)least, (long long)most);
    const json_t *value = json_object_get(s->object, key);
    if (!json_is_integer(value)) return refuse_type(s, key, expected, value, err);
    int64_t number = json_integer_value(value);
    if (number < least || number > most) {
        char found[32];
        snprintf(found, sizeof found, "%lld", (long long)number);
        return tess_json_refuse(s, key, expected, found, err);
    }
    *out = number;
    return TESS_OK;
}

tess_status tess_json_number(const tess_json_section *s, const char *key, double *out, tess_error *err)
{
    const json_t *value = json_object_get(s->object, key);
    if (!json_is_number(value)) return refuse_type(s, key, "a number", value, err);
    *out = json_number_value(value);
    return TESS_OK;
}

tess_status tess_json_bool(const tess_json_section *s, const char *key, bool *out, tess_error *err)
{
    const json_t *value = json_object_get(s->object, key);
    if (!json_is_boolean(value)) return refuse_type(s, key, "true or false", value, err);
    *out = json_is_true(value);
    return TESS_OK;
}

tess_status tess_json_text(const tess_json_section *s, const char *key, const char **out, tess_error *err)
{
    const json_t *value = json_object_get(s->object, key);
    if (!json_is_string(value)) return refuse_type(s, key, "a string", value, err);
    *out = json_string_value(value);
    return TESS_OK;
}

tess_status tess_json_filled_text(const tess_json_section *s, const char *key, const char **out,
                                  tess_error *err)
{
    tess_status status = tess_json_text(s, key, out, err);
    if (status != TESS_OK || **out) return status;
    return tess_json_refuse(s, key, "a text", "an empty one", err);
}

tess_status tess_json_array(const tess_json_section *s, const char *key, size_t most, const json_t **out,
                            tess_error *err)
{
    char expected[64] = "an array";
    if (most < SIZE_MAX) snprintf(expected, sizeof expected, "an array of at most %zu items", most);
    const json_t *value = json_object_get(s->object, key);
    if (!json_is_array(value)) return refuse_type(s, key, expected, value, err);
    if (json_array_size(value) > most) {
        char found[32];
        snprintf(found, sizeof found, "%zu", json_array_size(value));
        return tess_json_refuse(s, key, expected, found, err);
    }
    *out = value;
    return TESS_OK;
}

static tess_status enter_object(const tess_json_section *outer, const char *key, const json_t *object,
                                tess_json_section *inner, tess_error *err)
{
    if (!json_is_object(object)) return refuse_type(outer, key, "an object", object, err);
    tess_json_section entered = {.object = object, .file = outer->file};
    size_t n = strlen(outer->path);
    memcpy(entered.path, outer->path, n);
    snprintf(entered.path + n, sizeof entered.path - n, "%s%s", n ? "." : "", key);
    *inner = entered;
    return TESS_OK;
}

tess_status tess_json_enter(const tess_json_section *outer, const char *key, tess_json_section *inner,
                            tess_error *err)
{
    return enter_object(outer, key, json_object_get(outer->object, key), inner, err);
}

tess_status tess_json_enter_item(const tess_json_section *outer, const char *key, const json_t *array,
                                 size_t i, tess_json_section *inner, tess_error *err)
{
    char item[128];
    snprintf(item, sizeof item, "%.90s[%zu]", key, i);
    return enter_object(outer, item, json_array_get(array, i), inner, err);
}

bool tess_json_is_same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return a && b && json_equal(a, b);
}

void tess_json_spell(const json_t *value, char *out, size_t size)
{
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    snprintf(out, size, "%s", text ? text : tess_json_type_name(value));
    free(text);
}

tess_status tess_json_expect(const tess_json_section *s, const char *key, const char *value,
                             const char *other, tess_error *err)
{
    const json_t *found = json_object_get(s->object, key);
    const char *const texts[] = {value, other};
    for (int i = 0; i < 2 && texts[i]; i++) {
        json_t *expected = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        if (!expected) return tess_fail(err, TESS_ENOMEM, "%s: no memory to check it", s->file);
        bool is_equal = tess_json_is_same(found, expected);
        json_decref(expected);
        if (is_equal) return TESS_OK;
    }
    char text[128];
    tess_json_spell(found, text, sizeof text);
    return tess_json_refuse(s, key, value, text, err);
}

void tess_json_put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value)) *ok = false;
}

void tess_json_append(json_t *array, json_t *value, bool *ok)
{
    if (json_array_append_new(array, value)) *ok = false;
}
