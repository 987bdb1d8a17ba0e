#include "model/config_keys.h"

#include <stdio.h>

tess_status tess_config_refuse_int(const tess_json_section *s, const char *key, const char *expected,
                                   int64_t found, tess_error *err)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)found);
    return tess_json_refuse(s, key, expected, text, err);
}

tess_status tess_config_read_ints(const tess_json_section *s, const tess_int_key *keys, size_t n, void *out,
                                  tess_error *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t value;
        tess_status status = tess_json_int(s, keys[i].name, keys[i].least, keys[i].most, &value, err);
        if (status != TESS_OK) return status;
        *(int *)(void *)((char *)out + keys[i].member) = (int)value;
    }
    return TESS_OK;
}

tess_status tess_config_check_fixed(const tess_json_section *s, const tess_fixed_key *keys, size_t n,
                                    tess_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *found = json_object_get(s->object, keys[i].name);
        if (!found && !keys[i].is_required) continue;
        json_t *expected = json_loads(keys[i].value, JSON_DECODE_ANY, NULL);
        if (!expected) return tess_fail(err, TESS_ENOMEM, "%s: no memory to check it", s->file);
        bool is_equal = tess_json_is_same(found, expected);
        json_decref(expected);
        if (is_equal) continue;
        char text[128];
        tess_json_spell(found, text, sizeof text);
        return tess_json_refuse(s, keys[i].name, keys[i].value, text, err);
    }
    return TESS_OK;
}

tess_status tess_config_read_real(const tess_json_section *s, const char *key, double least, double most,
                                  double *out, tess_error *err)
{
    double value;
    tess_status status = tess_json_number(s, key, &value, err);
    if (status != TESS_OK) return status;
    if (value >= least && value <= most) {
        *out = value;
        return TESS_OK;
    }
    char expected[80], found[40];
    snprintf(expected, sizeof expected, "a number from %g to %g", least, most);
    tess_spell_number(value, found);
    return tess_json_refuse(s, key, expected, found, err);
}

tess_status tess_config_read_int_array(const tess_json_section *s, const char *key, int min_items,
                                       int max_items, int least, int most, int *out, int *n_out,
                                       tess_error *err)
{
    const json_t *array;
    tess_status status = tess_json_array(s, key, (size_t)max_items, &array, err);
    if (status != TESS_OK) return status;
    int n = (int)json_array_size(array);
    char expected[112], found[128];
    snprintf(expected, sizeof expected, "%d to %d integers from %d to %d", min_items, max_items, least, most);
    tess_json_spell(array, found, sizeof found);
    if (n < min_items) return tess_json_refuse(s, key, expected, found, err);
    for (int i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, (size_t)i);
        int64_t value = json_integer_value(item);
        if (!json_is_integer(item) || value < least || value > most)
            return tess_json_refuse(s, key, expected, found, err);
        out[i] = (int)value;
    }
    if (n_out) *n_out = n;
    return TESS_OK;
}
