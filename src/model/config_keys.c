#include "model/config_keys.h"

#include <stdio.h>
#include <string.h>

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
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n && status == TESS_OK; i++) {
        const json_t *found = json_object_get(s->object, keys[i].name);
        if (found || keys[i].is_required)
            status = tess_json_expect(s, keys[i].name, keys[i].value, NULL, err);
    }
    return status;
}

tess_status tess_config_check_optional(const tess_json_section *s, const tess_fixed_key *keys, size_t n,
                                       tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n && status == TESS_OK; i++) {
        const json_t *found = json_object_get(s->object, keys[i].name);
        if (found && !json_is_null(found))
            status = tess_json_expect(s, keys[i].name, keys[i].value, NULL, err);
    }
    return status;
}

/* Keys that the original looks at in any section, and what they must say for it to compute what is computed
 * here. Not among them, since the original's results do not depend on them: dropouts of every name and
 * whatever else only training looks at; dtype below the root; ids of tokens in text_config and sampling
 * options, which its generate() is given by the caller; names of implementations of attention and experts. */
tess_status tess_config_check_section(const tess_json_section *s, tess_error *err)
{
    static const tess_fixed_key keys[] = {
        {"quantization_config", "null", false},    {"per_layer_config", "null", false},
        {"attention_chunk_size", "null", false},   {"kv_sharing_modes", "null", false},
        {"fusion_config", "null", false},          {"transformers_weights", "null", false},
        {"tie_last_hidden_states", "true", false}, {"is_encoder_decoder", "false", false},
    };
    return tess_config_check_optional(s, keys, sizeof keys / sizeof *keys, err);
}

tess_status tess_config_check_layer_types(const tess_json_section *s, int n_layer, tess_error *err)
{
    const json_t *types = json_object_get(s->object, "layer_types");
    if (!types || json_is_null(types)) return TESS_OK;
    char expected[64], found[64];
    size_t i;
    json_t *type;
    snprintf(expected, sizeof expected, "\"full_attention\" for each of %d layers", n_layer);
    if (!json_is_array(types))
        return tess_json_refuse(s, "layer_types", expected, tess_json_type_name(types), err);
    json_array_foreach(types, i, type)
    {
        const char *name = json_string_value(type);
        if (name && !strcmp(name, "full_attention")) continue;
        tess_json_spell(type, found, sizeof found);
        return tess_json_refuse(s, "layer_types", expected, found, err);
    }
    if (i == (size_t)n_layer) return TESS_OK;
    snprintf(found, sizeof found, "%zu", i);
    return tess_json_refuse(s, "layer_types", expected, found, err);
}

tess_status tess_config_check_repeated(const tess_json_section *s, const tess_repeated_key *keys, size_t n,
                                       tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < n && status == TESS_OK; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", keys[i].value);
        status = tess_config_check_fixed(s, &(tess_fixed_key){keys[i].name, value, false}, 1, err);
    }
    return status;
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
