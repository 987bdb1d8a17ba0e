/* Keys of config.json, read by tables that say which there are, where they go and what is allowed. */
#ifndef TESS_MODEL_CONFIG_KEYS_H
#define TESS_MODEL_CONFIG_KEYS_H

#include "base/json.h"

enum { TESS_MAX_HEAD_WIDTH = 1 << 12 };

/* An integer and the struct member it goes to. */
typedef struct tess_int_key {
    const char *name;
    size_t member; /* offset of an int */
    int least, most;
} tess_int_key;

/* A key whose value is given: any other is not implemented. */
typedef struct tess_fixed_key {
    const char *name, *value; /* value as JSON */
    bool is_required;         /* else absent means this value */
} tess_fixed_key;

/* Each key's integer to its member of *out. */
tess_status tess_config_read_ints(const tess_json_section *section, const tess_int_key *keys, size_t n,
                                  void *out, tess_error *err);
tess_status tess_config_check_fixed(const tess_json_section *section, const tess_fixed_key *keys, size_t n,
                                    tess_error *err);
/* The same of keys that need not be there; null is absence. */
tess_status tess_config_check_optional(const tess_json_section *section, const tess_fixed_key *keys, size_t n,
                                       tess_error *err);
/* What every section of a configuration may say and only in one way. */
tess_status tess_config_check_section(const tess_json_section *section, tess_error *err);
/* layer_types, if it is there: as many as there are layers, all of one kind. */
tess_status tess_config_check_layer_types(const tess_json_section *section, int n_layer, tess_error *err);

/* A second name of what another key has said; it need not be there. */
typedef struct tess_repeated_key {
    const char *name;
    int value;
} tess_repeated_key;

tess_status tess_config_check_repeated(const tess_json_section *section, const tess_repeated_key *keys,
                                       size_t n, tess_error *err);
/* A finite number in [least, most]. */
tess_status tess_config_read_real(const tess_json_section *section, const char *key, double least,
                                  double most, double *out, tess_error *err);
/* An array of min_items … max_items integers in [least, most]; n_out may be NULL. */
tess_status tess_config_read_int_array(const tess_json_section *section, const char *key, int min_items,
                                       int max_items, int least, int most, int *out, int *n_out,
                                       tess_error *err);
/* Refuses an integer that was read. */
tess_status tess_config_refuse_int(const tess_json_section *section, const char *key, const char *expected,
                                   int64_t found, tess_error *err);

/* The base of the rotation, and the sections of its three streams. mrope_section NULL: a plain rotation, for
 * which neither rope_scaling nor rope_parameters need be there. */
tess_status tess_config_read_rope(const tess_json_section *section, double *theta, int *mrope_section,
                                  tess_error *err);

#endif
