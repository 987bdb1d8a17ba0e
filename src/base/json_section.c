#include "base/json_section.h"

tess_status tess_section_refuse(const tess_section *s, const char *key, const char *expected,
                                const char *found, tess_error *err)
{
    char name[256];
    tess_json_name(&s->place, key, name, sizeof name);
    return tess_refuse(err, s->place.file, name, -1, expected, "%s", found);
}

tess_status tess_section_text(const tess_section *s, const char *key, const char **out, tess_error *err)
{
    tess_status status = tess_json_text(s->object, &s->place, key, out, err);
    if (status != TESS_OK || **out) return status;
    return tess_section_refuse(s, key, "a text", "an empty one", err);
}
