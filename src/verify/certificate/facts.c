/* What a certificate says of its checkpoint and of its goldens' making. Like a case, each object is made from
 * the files themselves both when a certificate is written and when it is checked, and then compared. */
#include "verify/certificate/certificate.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/config.h"
#include "tessera/checkpoint.h"
#include "verify/trace/reader.h"

/* Hands the object over if all of it could be put. */
static tess_status hand_over(json_t *object, bool ok, json_t **out, tess_error *err)
{
    if (ok) {
        *out = object;
        return TESS_OK;
    }
    json_decref(object);
    return tess_fail(err, TESS_ENOMEM, "no memory for a certificate");
}

static void put_configuration(json_t *checkpoint, const tess_config *config, bool *ok)
{
    const tess_decoder_config *text = &config->thinker.text;
    const struct {
        const char *name;
        int value;
    } sizes[] = {{"layers", text->n_layer},
                 {"hidden", text->d_model},
                 {"heads", text->n_head},
                 {"kv_heads", text->n_kv_head},
                 {"head_width", text->d_head},
                 {"experts", text->n_expert},
                 {"experts_per_token", text->n_expert_used},
                 {"expert_width", text->d_expert},
                 {"vocabulary", text->n_vocab}};
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        tess_json_put(object, sizes[i].name, json_integer(sizes[i].value), ok);
    tess_json_put(object, "speech", json_boolean(config->has_talker), ok);
    tess_json_put(checkpoint, "configuration", object, ok);
}

static tess_status describe_checkpoint(const tess_checkpoint *checkpoint, const tess_config *config,
                                       const char *folder, const char *weights_sha256, json_t **out,
                                       tess_error *err)
{
    char sha256[TESS_SHA256_HEX];
    tess_checkpoint_summary summary;
    tess_status status = tess_checkpoint_get_config_sha256(checkpoint, sha256, err);
    if (status != TESS_OK) return status;
    bool ok = true;
    json_t *object = json_object();
    tess_checkpoint_summarise(checkpoint, &summary);
    tess_json_put(object, "folder", json_string(folder), &ok);
    tess_json_put(object, "config_sha256", json_string(sha256), &ok);
    tess_json_put(object, "weights_sha256", json_string(weights_sha256), &ok);
    tess_json_put(object, "shards", json_integer(tess_checkpoint_get_shard_count(checkpoint)), &ok);
    tess_json_put(object, "tensors", json_integer((json_int_t)summary.all.n_tensor), &ok);
    tess_json_put(object, "parameters", json_integer((json_int_t)summary.all.n_parameter), &ok);
    tess_json_put(object, "bytes", json_integer((json_int_t)summary.all.n_byte), &ok);
    put_configuration(object, config, &ok);
    return hand_over(object, ok, out, err);
}

tess_status tess_certificate_checkpoint_json(const char *model_dir, const char *folder,
                                             const char *weights_sha256, json_t **out, tess_error *err)
{
    tess_config *config;
    tess_checkpoint *checkpoint = NULL;
    tess_status status = tess_config_new(model_dir, &config, err);
    if (status != TESS_OK) return status;
    status = tess_checkpoint_open(model_dir, TESS_DIRECT_OFF, &checkpoint, err);
    if (status == TESS_OK) status = describe_checkpoint(checkpoint, config, folder, weights_sha256, out, err);
    tess_checkpoint_close(checkpoint);
    free(config);
    return status;
}

tess_status tess_certificate_reference_json(const char *path, json_t **out, tess_error *err)
{
    tess_trace_reader reader;
    tess_status status = tess_trace_reader_open(path, &reader, err);
    if (status != TESS_OK) return status;
    bool ok = true;
    json_t *object = json_object();
    for (size_t i = 0; i < tess_safetensors_get_metadata_count(reader.st); i++) {
        const char *key, *value;
        tess_safetensors_get_metadata_at(reader.st, i, &key, &value);
        if (strcmp(key, "messages") && strcmp(key, "raw"))
            tess_json_put(object, key, json_string(value), &ok);
    }
    tess_trace_reader_close(&reader);
    return hand_over(object, ok, out, err);
}
