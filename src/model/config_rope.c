/* Rotary parameters in one of two spellings: rope_theta beside rope_scaling, as version 4 of transformers
 * writes it, or both within rope_parameters, as version 5 does. A file of one with a block copied for the
 * other has both.
 */
#include <stdio.h>
#include <string.h>

#include "model/config_keys.h"

typedef struct rope_section {
    tess_json_section inner; /* the object that counts */
    const char *key;         /* its name; NULL without one */
    const json_t *other;     /* a second object, NULL without one; nothing in it may say anything else */
} rope_section;

/* QUIRK: where both objects are there, the original takes rope_scaling, unless it is empty. */
static tess_status enter_rope(const tess_json_section *s, bool is_required, rope_section *out,
                              tess_error *err)
{
    const json_t *scaling = json_object_get(s->object, "rope_scaling");
    const json_t *parameters = json_object_get(s->object, "rope_parameters");
    if (!json_is_object(parameters)) parameters = NULL;
    bool is_said = scaling && !json_is_null(scaling);
    if (parameters && json_is_object(scaling) && !json_object_size(scaling)) is_said = false;
    *out = (rope_section){.other = is_said ? parameters : NULL};
    if (is_said || (is_required && !parameters))
        out->key = "rope_scaling";
    else if (parameters)
        out->key = "rope_parameters";
    else
        return TESS_OK;
    return tess_json_enter(s, out->key, &out->inner, err);
}

static const char *find_type_key(const json_t *object)
{
    return !json_object_get(object, "rope_type") && json_object_get(object, "type") ? "type" : "rope_type";
}

/* Refuses what `other`, the object `other_name`, says otherwise than `value`. */
static tess_status compare_rope(const tess_json_section *s, const char *key, const json_t *value,
                                const json_t *other, const char *other_name, tess_error *err)
{
    if (!value || !other || tess_json_is_same(value, other)) return TESS_OK;
    char found[128], spelled[96], expected[160];
    tess_json_spell(value, found, sizeof found);
    tess_json_spell(other, spelled, sizeof spelled);
    snprintf(expected, sizeof expected, "%s, as in %s", spelled, other_name);
    return tess_json_refuse(s, key, expected, found, err);
}

static tess_status compare_ropes(const rope_section *r, tess_error *err)
{
    static const char name[] = "rope_parameters";
    const char *key;
    json_t *value;
    const char *type = find_type_key(r->inner.object);
    tess_status status = compare_rope(&r->inner, type, json_object_get(r->inner.object, type),
                                      json_object_get(r->other, find_type_key(r->other)), name, err);
    json_object_foreach((json_t *)(uintptr_t)r->inner.object, key, value)
    {
        if (status == TESS_OK && strcmp(key, type) != 0)
            status = compare_rope(&r->inner, key, value, json_object_get(r->other, key), name, err);
    }
    return status;
}

static tess_status read_theta(const tess_json_section *s, const rope_section *r, double *theta,
                              tess_error *err)
{
    const json_t *outside = json_object_get(s->object, "rope_theta");
    const json_t *inside = r->key ? json_object_get(r->inner.object, "rope_theta") : NULL;
    tess_status status = tess_config_read_real(inside ? &r->inner : s, "rope_theta", 1, 1e15, theta, err);
    if (status == TESS_OK) status = compare_rope(s, "rope_theta", outside, inside, r->key, err);
    if (status == TESS_OK && !inside)
        status = compare_rope(s, "rope_theta", outside, json_object_get(r->other, "rope_theta"),
                              "rope_parameters", err);
    return status;
}

tess_status tess_config_read_rope(const tess_json_section *s, double *theta, int *mrope_section,
                                  tess_error *err)
{
    static const tess_fixed_key streams[] = {{"mrope_interleaved", "true", true},
                                             {"interleaved", "true", true}};
    static const tess_fixed_key plain[] = {{"partial_rotary_factor", "1.0", false}};
    rope_section r;
    tess_status status = enter_rope(s, mrope_section != NULL, &r, err);
    if (status == TESS_OK) status = tess_config_check_fixed(s, plain, 1, err);
    if (status == TESS_OK && r.key) {
        const tess_fixed_key type = {find_type_key(r.inner.object), "\"default\"", true};
        status = tess_config_check_fixed(&r.inner, &type, 1, err);
    }
    if (status == TESS_OK) status = read_theta(s, &r, theta, err);
    if (status != TESS_OK || !r.key) return status;
    status = tess_config_check_fixed(&r.inner, plain, 1, err);
    if (status == TESS_OK && mrope_section) {
        status = tess_config_check_fixed(&r.inner, streams, 2, err);
        if (status == TESS_OK)
            status = tess_config_read_int_array(&r.inner, "mrope_section", 3, 3, 0, TESS_MAX_HEAD_WIDTH,
                                                mrope_section, NULL, err);
    }
    return status == TESS_OK && r.other ? compare_ropes(&r, err) : status;
}
