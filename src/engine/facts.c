/* What a model's configuration says to those who prepare a request for it. */
#include <stdlib.h>

#include "base/fpenv.h"
#include "model/placeholders.h"
#include "tessera/engine.h"

tess_status tess_model_get_facts(const char *model_dir, tess_model_facts *out, tess_error *err)
{
    tess_config *config;
    tess_status status = tess_config_new(model_dir, &config, err);
    if (status != TESS_OK) return status;
    const tess_vision_config *v = &config->thinker.vision;
    *out = (tess_model_facts){.has_talker = config->has_talker,
                              .n_code_group = config->has_talker ? config->talker.n_code_group : 0,
                              .media_row_bytes =
                                  (uint64_t)v->d_output * sizeof(float) * (uint64_t)(1 + v->n_deepstack),
                              .max_positions = config->thinker.text.max_positions,
                              .num_mel_bins = config->thinker.audio.n_mel,
                              .patch_size = v->patch_size,
                              .spatial_merge_size = v->spatial_merge_size,
                              .temporal_patch_size = v->temporal_patch_size,
                              .in_channels = v->n_channel};
    free(config);
    return TESS_OK;
}

tess_status tess_model_get_smallest_features(const char *model_dir, tess_media_kind kind, tess_features *out,
                                             tess_error *err)
{
    tess_config *config;
    tess_status status = tess_config_new(model_dir, &config, err);
    if (status != TESS_OK) return status;
    *out = tess_features_make_smallest(&config->thinker, kind);
    free(config);
    return TESS_OK;
}

tess_status tess_model_expand_media(const char *model_dir, const int32_t *ids, int64_t n_id,
                                    const tess_features *const *media, int n_media, int32_t *out,
                                    int64_t capacity, int64_t *n_out, tess_error *err)
{
    tess_config *config;
    tess_status status = tess_config_new(model_dir, &config, err);
    if (status != TESS_OK) return status;
    const tess_media_list list = {media, n_media};
    tess_fpenv saved = tess_fpenv_enter();
    status = tess_media_check(&config->thinker, &list, err);
    if (status == TESS_OK)
        status = tess_placeholders_expand(&config->thinker, ids, n_id, &list, out, capacity, n_out, err);
    tess_fpenv_leave(saved);
    free(config);
    return status;
}
