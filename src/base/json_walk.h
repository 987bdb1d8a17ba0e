/* Walking through a large JSON object member by member, without a tree of the whole.
 *
 * Members are parsed one at a time (by jansson), so memory stays that of one member, every member knows its
 * byte offset, and a name that occurs twice is seen twice: the caller decides what that means.
 *
 *     tess_json_walk w;
 *     status = tess_json_walk_init(&w, file, offset, text, size, err);
 *     while (status == TESS_OK && (status = tess_json_walk_next(&w, err)) == TESS_OK && w.key) {
 *         status = tess_json_walk_value(&w, &value, err);   or tess_json_walk_enter(&w, &inner, err)
 *         …
 *         json_decref(value);
 *     }
 *     tess_json_walk_release(&w);
 */
#ifndef TESS_BASE_JSON_WALK_H
#define TESS_BASE_JSON_WALK_H

#include "base/json.h"

typedef struct tess_json_walk tess_json_walk;
struct tess_json_walk {
    const char *key;     /* of the present member, NULL at the end; lives until the next call */
    uint64_t key_offset; /* where it stands in the file */
    const char *file;    /* for messages */
    uint64_t offset;     /* of text in the file */
    const char *text;    /* borrowed */
    size_t size, pos;    /* pos: of the next unread byte */
    bool is_first;       /* no member was read yet */
    json_t *key_owner;
    tess_json_walk *outer; /* the walk this one was entered from, or NULL */
};

/* `text` must be an object and nothing but blanks after it. Borrowed until release. */
tess_status tess_json_walk_init(tess_json_walk *walk, const char *file, uint64_t offset, const char *text,
                                size_t size, tess_error *err);
void tess_json_walk_release(tess_json_walk *walk); /* after init, also after a failure */

/* Goes to the next member: walk->key, or NULL after the last, when also the outer text was checked to end or
 * go on there. Every member's value must be taken, by one of the next two, before going on. */
tess_status tess_json_walk_next(tess_json_walk *walk, tess_error *err);
/* The member's value; the caller owns *value. */
tess_status tess_json_walk_value(tess_json_walk *walk, json_t **value, tess_error *err);
/* The member's value as it stands in walk->text, from *begin on *length bytes, not parsed: only its brackets
 * and strings are looked at. */
tess_status tess_json_walk_skip(tess_json_walk *walk, size_t *begin, size_t *length, tess_error *err);
/* The member's value is an object, walked by `inner` (release it too); `walk` rests until inner's end. */
tess_status tess_json_walk_enter(tess_json_walk *walk, tess_json_walk *inner, tess_error *err);

/* The same for a large array: `text` must be one and nothing but blanks after it; messages call it `name`,
 * which must live as long as the walk. Each item's value must be taken by tess_json_walk_value. */
tess_status tess_json_walk_init_array(tess_json_walk *walk, const char *file, const char *name,
                                      uint64_t offset, const char *text, size_t size, tess_error *err);
/* *is_there: there is a next item. */
tess_status tess_json_walk_next_item(tess_json_walk *walk, bool *is_there, tess_error *err);

#endif
