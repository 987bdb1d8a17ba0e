/* Reading JSON files that nobody vouches for: size, depth and duplicate keys are checked, and every getter
 * names file and field when it refuses. Built on jansson, whose own limits refuse numbers that do not fit. */
#ifndef TESS_BASE_JSON_H
#define TESS_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* One object of a file while it is read, and where it stands: what refuses one of its members names the
 * place.
 */
typedef struct tess_json_section {
    const json_t *object; /* borrowed */
    const char *file;
    char path[128]; /* dotted; "" at the root */
} tess_json_section;

/* Parses `size` bytes. `file` is for messages; `offset` is where the text starts in that file.
 * The root must be an object. The caller owns *out (json_decref). */
tess_status tess_json_parse(const char *file, uint64_t offset, const char *text, size_t size, json_t **out,
                            tess_error *err);
/* Reads and parses a whole file of at most max_bytes. */
tess_status tess_json_load(const char *file, size_t max_bytes, json_t **out, tess_error *err);
/* The same with all numbers as reals: for files that may hold integers beyond 64 bits, of which none is asked
 * for.
 */
tess_status tess_json_load_reals(const char *file, size_t max_bytes, json_t **out, tess_error *err);

/* Deep enough for every file of the published layout, shallow enough for any stack. */
enum { TESS_JSON_MAX_DEPTH = 64 };

/* The offset of the bracket that nests the value `text` begins with deeper than that, or -1. jansson
 * would recurse up to 2,048 levels; this counts brackets outside strings before it is asked. *length is set
 * to the bytes of an object, array or string, blanks before it included; of other values to the first only.
 */
int64_t tess_json_find_too_deep(const char *text, size_t size, size_t *length);
/* Refuses `field` of a file for the bracket at `offset`. */
tess_status tess_json_refuse_depth(const char *file, const char *field, int64_t offset, tess_error *err);

/* json_loadb() that fails safely without memory: *no_memory then, and NULL. */
json_t *tess_json_decode(const char *text, size_t size, size_t flags, json_error_t *problem, bool *no_memory);

/* Getters of a member. One that is missing or of another type is refused by name. */
tess_status tess_json_int(const tess_json_section *section, const char *key, int64_t least, int64_t most,
                          int64_t *out, tess_error *err);
tess_status tess_json_number(const tess_json_section *section, const char *key, double *out, tess_error *err);
tess_status tess_json_bool(const tess_json_section *section, const char *key, bool *out, tess_error *err);
/* The text lives as long as the object. */
tess_status tess_json_text(const tess_json_section *section, const char *key, const char **out,
                           tess_error *err);
tess_status tess_json_filled_text(const tess_json_section *section, const char *key, const char **out,
                                  tess_error *err); /* an empty one is refused */
tess_status tess_json_array(const tess_json_section *section, const char *key, size_t most,
                            const json_t **out, tess_error *err); /* most SIZE_MAX: of any length */
/* A member that is an object, and item i of one that is the array `array`. */
tess_status tess_json_enter(const tess_json_section *outer, const char *key, tess_json_section *inner,
                            tess_error *err);
tess_status tess_json_enter_item(const tess_json_section *outer, const char *key, const json_t *array,
                                 size_t i, tess_json_section *inner, tess_error *err);

/* Refuses a member for what the getters do not know. */
tess_status tess_json_refuse(const tess_json_section *section, const char *key, const char *expected,
                             const char *found, tess_error *err);

/* Refuses a member that says neither `value` nor `other` (JSON; other NULL: there is none). */
tess_status tess_json_expect(const tess_json_section *section, const char *key, const char *value,
                             const char *other, tess_error *err);

/* Whether two values are equal, numbers by their value: 1 is 1.0. NULL equals nothing. */
bool tess_json_is_same(const json_t *a, const json_t *b);
/* A value as it is written, in ASCII and cut to `size` bytes; "nothing" for NULL. For messages. */
void tess_json_spell(const json_t *value, char *out, size_t size);

/* Puts a member or an item and takes `value`. NULL or no memory: *ok becomes false. */
void tess_json_put(json_t *object, const char *key, json_t *value, bool *ok);
void tess_json_append(json_t *array, json_t *value, bool *ok);

/* The word for a value's type: "a number", "null". */
const char *tess_json_type_name(const json_t *value);

#endif
