/* What the library asks of jansson where it reads a checkpoint, for programs that run in an emulator, for
 * whose processor no jansson is installed: files that were found valid are parsed, nothing is checked. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct node node;
typedef struct member {
    node *value;
    size_t at;
    char key[];
} member;

struct node {
    json_t json;
    member **item; /* [count] of an object or, without keys, of an array */
    size_t count;
    char *text;
    json_int_t integer;
    double real;
};

typedef struct reader {
    const char *at, *end;
} reader;

static node *parse(reader *r);

static void skip_blanks(reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at)) r->at++;
}

static bool takes(reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static node *make(json_type type)
{
    node *made = calloc(1, sizeof *made);
    if (!made) abort();
    made->json = (json_t){.type = type, .refcount = 1};
    return made;
}

static char *parse_text(reader *r)
{
    char *text = calloc((size_t)(r->end - r->at) + 1, 1), *out = text;
    if (!text || r->at == r->end || *r->at++ != '"') abort();
    for (; r->at < r->end && *r->at != '"'; r->at++) {
        if (*r->at == '\\') r->at++; /* names and words of a configuration have no other escapes */
        *out++ = *r->at;
    }
    r->at++;
    return text;
}

static void append(node *to, const char *key, node *value)
{
    member *added = malloc(sizeof *added + strlen(key) + 1);
    if (to->count % 64 == 0) to->item = realloc(to->item, (to->count + 64) * sizeof(member *));
    if (!added || !to->item) abort();
    *added = (member){.value = value, .at = to->count};
    strcpy(added->key, key);
    to->item[to->count++] = added;
}

static node *parse_items(reader *r, json_type type, char end)
{
    node *made = make(type);
    while (!takes(r, end)) {
        skip_blanks(r);
        char *key = type == JSON_OBJECT ? parse_text(r) : calloc(1, 1);
        if (type == JSON_OBJECT && !takes(r, ':')) abort();
        append(made, key, parse(r));
        free(key);
        takes(r, ',');
    }
    return made;
}

static node *parse_number(reader *r)
{
    char text[64] = "";
    size_t n = 0;
    while (r->at < r->end && n < sizeof text - 1 && strchr("+-0123456789.eE", *r->at)) text[n++] = *r->at++;
    if (n == 0) abort();
    node *made = make(strpbrk(text, ".eE") ? JSON_REAL : JSON_INTEGER);
    made->integer = strtoll(text, NULL, 10);
    made->real = strtod(text, NULL);
    return made;
}

static node *parse(reader *r)
{
    static const struct {
        const char *word;
        json_type type;
    } words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};
    if (takes(r, '{')) return parse_items(r, JSON_OBJECT, '}');
    if (takes(r, '[')) return parse_items(r, JSON_ARRAY, ']');
    if (r->at < r->end && *r->at == '"') {
        node *made = make(JSON_STRING);
        made->text = parse_text(r);
        return made;
    }
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i].word);
        if ((size_t)(r->end - r->at) < n || memcmp(r->at, words[i].word, n)) continue;
        r->at += n;
        return make(words[i].type);
    }
    return parse_number(r);
}

/* ---- jansson's names ---- */

static const node *of(const json_t *json)
{
    return (const node *)json;
}

json_t *json_loadb(const char *text, size_t size, size_t flags, json_error_t *error)
{
    (void)flags;
    reader r = {text, text + size};
    node *made = parse(&r);
    if (error) error->position = (int)(r.at - text);
    return &made->json;
}

json_t *json_loads(const char *text, size_t flags, json_error_t *error)
{
    return json_loadb(text, strlen(text), flags, error);
}

void json_delete(json_t *json)
{
    node *freed = (node *)json;
    for (size_t i = 0; i < freed->count; i++) {
        json_decref(&freed->item[i]->value->json);
        free(freed->item[i]);
    }
    free(freed->item);
    free(freed->text);
    free(freed);
}

json_t *json_object_get(const json_t *object, const char *key)
{
    for (size_t i = 0; object && i < of(object)->count; i++)
        if (!strcmp(of(object)->item[i]->key, key)) return &of(object)->item[i]->value->json;
    return NULL;
}

size_t json_object_size(const json_t *object)
{
    return object ? of(object)->count : 0;
}

void *json_object_iter(json_t *object)
{
    return json_object_size(object) ? of(object)->item[0] : NULL;
}

void *json_object_iter_next(json_t *object, void *iter)
{
    size_t next = iter ? ((const member *)iter)->at + 1 : SIZE_MAX;
    return next < of(object)->count ? of(object)->item[next] : NULL;
}

const char *json_object_iter_key(void *iter)
{
    return iter ? ((const member *)iter)->key : NULL;
}

json_t *json_object_iter_value(void *iter)
{
    return iter ? &((member *)iter)->value->json : NULL;
}

void *json_object_key_to_iter(const char *key)
{
    return key ? (void *)(uintptr_t)(key - offsetof(member, key)) : NULL;
}

size_t json_array_size(const json_t *array)
{
    return json_object_size(array);
}

json_t *json_array_get(const json_t *array, size_t i)
{
    return i < json_array_size(array) ? &of(array)->item[i]->value->json : NULL;
}

const char *json_string_value(const json_t *json)
{
    return json ? of(json)->text : NULL;
}

json_int_t json_integer_value(const json_t *json)
{
    return json_is_integer(json) ? of(json)->integer : 0;
}

double json_number_value(const json_t *json)
{
    return json_is_number(json) ? of(json)->real : 0;
}

/* Of what has no items. */
int json_equal(const json_t *a, const json_t *b)
{
    if (json_typeof(a) != json_typeof(b)) return 0;
    return json_is_string(a) ? !strcmp(of(a)->text, of(b)->text) : of(a)->real == of(b)->real;
}

char *json_dumps(const json_t *json, size_t flags)
{
    (void)json, (void)flags;
    return NULL;
}
