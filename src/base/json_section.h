/* One object of a JSON file while it is read: what refuses it knows its place. */
#ifndef TESS_BASE_JSON_SECTION_H
#define TESS_BASE_JSON_SECTION_H

#include "base/json.h"

typedef struct tess_section {
    const json_t *object;
    tess_json_place place;
} tess_section;

/* Refuses the member `key`; a sentence's parts. */
tess_status tess_section_refuse(const tess_section *s, const char *key, const char *expected,
                                const char *found, tess_error *err);
/* A text that is not empty; lives as long as the object. */
tess_status tess_section_text(const tess_section *s, const char *key, const char **out, tess_error *err);

#endif
