/* Reading JSON files that nobody vouches for: size, depth and duplicate keys are checked, and every getter
 * names file and field when it refuses. Built on jansson, whose own limits refuse numbers that do not fit. */
#ifndef TESS_BASE_JSON_H
#define TESS_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Where a value stands, for messages: file, and dotted path of the object ("" at the root). */
typedef struct tess_json_place {
    const char *file;
    char path[128];
} tess_json_place;

/* Parses `size` bytes. `file` is for messages; `offset` is where the text starts in that file.
 * The root must be an object. The caller owns *out (json_decref). */
tess_status tess_json_parse(const char *file, uint64_t offset, const char *text, size_t size, json_t **out,
                            tess_error *err);
/* Reads and parses a whole file of at most max_bytes. */
tess_status tess_json_load(const char *file, size_t max_bytes, json_t **out, tess_error *err);

/* The offset of the bracket that nests the value `text` begins with deeper than 64 levels, or -1. jansson
 * would recurse up to 2,048 levels; this counts brackets outside strings before it is asked. *length is set
 * to the bytes of an object, array or string, blanks before it included; of other values to the first only.
 */
int64_t tess_json_find_too_deep(const char *text, size_t size, size_t *length);

/* json_loadb() that fails safely without memory: *no_memory then, and NULL. */
json_t *tess_json_decode(const char *text, size_t size, size_t flags, json_error_t *problem, bool *no_memory);

/* Getters of a member of `object`. A missing member or another type is refused by name. */
tess_status tess_json_int(const json_t *object, const tess_json_place *place, const char *key, int64_t least,
                          int64_t most, int64_t *out, tess_error *err);
tess_status tess_json_number(const json_t *object, const tess_json_place *place, const char *key, double *out,
                             tess_error *err);
tess_status tess_json_bool(const json_t *object, const tess_json_place *place, const char *key, bool *out,
                           tess_error *err);
/* The text lives as long as `object`. */
tess_status tess_json_text(const json_t *object, const tess_json_place *place, const char *key,
                           const char **out, tess_error *err);
/* Borrowed object or array; for an object `inner` becomes its place. */
tess_status tess_json_object(const json_t *object, const tess_json_place *place, const char *key,
                             const json_t **out, tess_json_place *inner, tess_error *err);
tess_status tess_json_array(const json_t *object, const tess_json_place *place, const char *key, size_t most,
                            const json_t **out, tess_error *err);

/* "path.key" for messages. */
void tess_json_name(const tess_json_place *place, const char *key, char *out, size_t size);

/* The word for a value's type: "a number", "null". */
const char *tess_json_type_name(const json_t *value);

#endif
