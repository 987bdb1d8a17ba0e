#include "base/json_walk.h"

#include <string.h>

/* What a message names: the present member, else the one that this object is the value of. */
static const char *field_of(const tess_json_walk *walk)
{
    while (!walk->key && walk->outer) walk = walk->outer;
    return walk->key ? walk->key : "JSON";
}

static void skip_blanks(tess_json_walk *walk)
{
    while (walk->pos < walk->size && walk->text[walk->pos] && strchr(" \t\r\n", walk->text[walk->pos]))
        walk->pos++;
}

static tess_status refuse_here(const tess_json_walk *walk, const char *expected, tess_error *err)
{
    int64_t offset = (int64_t)(walk->offset + walk->pos);
    const char *field = field_of(walk);
    if (walk->pos >= walk->size)
        return tess_refuse(err, walk->file, field, offset, expected, "the end of the text");
    unsigned char c = (unsigned char)walk->text[walk->pos];
    return c > ' ' && c < 0x7f ? tess_refuse(err, walk->file, field, offset, expected, "'%c'", c)
                               : tess_refuse(err, walk->file, field, offset, expected, "byte 0x%02x", c);
}

/* Steps over one character of punctuation, blanks before it skipped. */
static tess_status step_over(tess_json_walk *walk, char c, const char *expected, tess_error *err)
{
    skip_blanks(walk);
    if (walk->pos >= walk->size || walk->text[walk->pos] != c) return refuse_here(walk, expected, err);
    walk->pos++;
    return TESS_OK;
}

tess_status tess_json_walk_init(tess_json_walk *walk, const char *file, uint64_t offset, const char *text,
                                size_t size, tess_error *err)
{
    *walk = (tess_json_walk){.file = file, .offset = offset, .text = text, .size = size, .is_first = true};
    return step_over(walk, '{', "a JSON object", err);
}

void tess_json_walk_release(tess_json_walk *walk)
{
    json_decref(walk->key_owner);
    walk->key_owner = NULL;
    walk->key = NULL;
}

/* Parses the one value that stands at pos, and steps over it. */
static tess_status parse_here(tess_json_walk *walk, json_t **out, tess_error *err)
{
    skip_blanks(walk);
    const char *text = walk->text + walk->pos;
    size_t left = walk->size - walk->pos;
    int64_t here = (int64_t)(walk->offset + walk->pos);
    const char *field = field_of(walk);
    size_t length;
    int64_t deep = tess_json_find_too_deep(text, left, &length);
    if (deep >= 0) return tess_json_refuse_depth(walk->file, field, here + deep, err);
    json_error_t problem;
    bool no_memory;
    /* A number has no end before its parser finds it. */
    size_t most = length > 1 ? length : left < 512 ? left : 512;
    json_t *value = tess_json_decode(
        text, most, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &problem, &no_memory);
    if (no_memory) return tess_fail(err, TESS_ENOMEM, "%s: no memory to parse JSON", walk->file);
    if (!value)
        return tess_refuse(err, walk->file, field, here + problem.position, "valid JSON", "%s", problem.text);
    walk->pos += (size_t)problem.position;
    *out = value;
    return TESS_OK;
}

/* After the last member: the outer walk goes on behind it, or nothing but blanks follows. */
static tess_status leave(tess_json_walk *walk, tess_error *err)
{
    if (walk->outer) {
        walk->outer->pos = walk->pos;
        return TESS_OK;
    }
    skip_blanks(walk);
    return walk->pos == walk->size ? TESS_OK : refuse_here(walk, "nothing after the object", err);
}

tess_status tess_json_walk_next(tess_json_walk *walk, tess_error *err)
{
    tess_json_walk_release(walk);
    skip_blanks(walk);
    if (walk->pos < walk->size && walk->text[walk->pos] == '}') {
        walk->pos++;
        return leave(walk, err);
    }
    tess_status status = TESS_OK;
    if (!walk->is_first) status = step_over(walk, ',', "',' or '}'", err);
    walk->is_first = false;
    if (status != TESS_OK) return status;
    skip_blanks(walk);
    walk->key_offset = walk->offset + walk->pos;
    if (walk->pos >= walk->size || walk->text[walk->pos] != '"') return refuse_here(walk, "a name", err);
    status = parse_here(walk, &walk->key_owner, err);
    if (status != TESS_OK) return status;
    walk->key = json_string_value(walk->key_owner);
    return step_over(walk, ':', "':'", err);
}

tess_status tess_json_walk_value(tess_json_walk *walk, json_t **value, tess_error *err)
{
    return parse_here(walk, value, err);
}

tess_status tess_json_walk_skip(tess_json_walk *walk, size_t *begin, size_t *length, tess_error *err)
{
    skip_blanks(walk);
    *begin = walk->pos;
    int64_t here = (int64_t)(walk->offset + walk->pos);
    if (walk->pos < walk->size && strchr("{[\"", walk->text[walk->pos])) {
        int64_t deep = tess_json_find_too_deep(walk->text + walk->pos, walk->size - walk->pos, length);
        if (deep >= 0) return tess_json_refuse_depth(walk->file, field_of(walk), here + deep, err);
        walk->pos += *length;
        return TESS_OK;
    }
    json_t *value = NULL;
    tess_status status = parse_here(walk, &value, err);
    json_decref(value);
    *length = walk->pos - *begin;
    return status;
}

tess_status tess_json_walk_enter(tess_json_walk *walk, tess_json_walk *inner, tess_error *err)
{
    *inner = *walk;
    inner->outer = walk;
    inner->is_first = true;
    inner->key = NULL;
    inner->key_owner = NULL;
    return step_over(inner, '{', "a JSON object", err);
}

tess_status tess_json_walk_init_array(tess_json_walk *walk, const char *file, const char *name,
                                      uint64_t offset, const char *text, size_t size, tess_error *err)
{
    *walk = (tess_json_walk){
        .key = name, .file = file, .offset = offset, .text = text, .size = size, .is_first = true};
    return step_over(walk, '[', "an array", err);
}

tess_status tess_json_walk_next_item(tess_json_walk *walk, bool *is_there, tess_error *err)
{
    skip_blanks(walk);
    *is_there = walk->pos >= walk->size || walk->text[walk->pos] != ']';
    if (!*is_there) {
        walk->pos++;
        return leave(walk, err);
    }
    tess_status status = walk->is_first ? TESS_OK : step_over(walk, ',', "',' or ']'", err);
    walk->is_first = false;
    return status;
}
