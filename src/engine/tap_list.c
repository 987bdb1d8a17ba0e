/* Which taps a feed reaches: those of the towers that its media go through, then the thinker's; and those of
 * speaking. */
#include <stdlib.h>

#include "model/audio_tower.h"
#include "model/code2wav.h"
#include "model/code_predictor.h"
#include "model/placeholders.h"
#include "model/talker_prompt.h"
#include "model/taps.h"
#include "model/vision_tower.h"
#include "tessera/speech.h"

typedef struct visitor {
    void (*visit)(void *context, const tess_tap *tap);
    void *context;
} visitor;

/* Images and videos go through the vision tower one after the other; `room` holds as many as there are. */
static void visit_towers(const tess_thinker_config *config, const tess_media_list *media,
                         const tess_features **room, const visitor *v)
{
    int n = tess_media_gather(media, TESS_MEDIA_AUDIO, room);
    if (n > 0) tess_audio_taps_visit(&config->audio, room, n, v->visit, v->context);
    int n_image = tess_media_gather(media, TESS_MEDIA_IMAGE, room);
    if (n_image > 0) tess_vision_taps_visit(&config->vision, room, n_image, 0, v->visit, v->context);
    n = tess_media_gather(media, TESS_MEDIA_VIDEO, room);
    if (n > 0) tess_vision_taps_visit(&config->vision, room, n, n_image > 0 ? 1 : 0, v->visit, v->context);
}

static tess_status visit_all(const tess_config *config, const tess_feed *feed, const visitor *v,
                             tess_error *err)
{
    const tess_media_list media = tess_media_of_feed(feed);
    tess_status status = tess_media_check(&config->thinker, &media, err);
    if (status != TESS_OK) return status;
    const tess_features **room = malloc((size_t)(media.n + 1) * sizeof *room);
    if (!room) return tess_fail(err, TESS_ENOMEM, "no memory for a list of %d media", media.n);
    visit_towers(&config->thinker, &media, room, v);
    free(room);
    const tess_tap_sink sink = {.decoder = "thinker",
                                .config = &config->thinker.text,
                                .n_tok = feed->n_tok,
                                .last_logits = feed->last_logits};
    tess_taps_visit(&sink, TESS_TAP_LM_HEAD, v->visit, v->context);
    return TESS_OK;
}

tess_status tess_speech_list_taps(const char *model_dir, const int32_t *ids, int n_prompt,
                                  void (*visit)(void *context, const tess_tap *tap), void *context,
                                  tess_error *err)
{
    tess_config *config;
    tess_status status = tess_config_new(model_dir, &config, err);
    if (status != TESS_OK) return status;
    if (config->has_talker) {
        const tess_tap_sink sink = {.decoder = "talker",
                                    .config = &config->talker.text,
                                    .n_tok = tess_talker_count_rows(config, ids, n_prompt)};
        tess_taps_visit(&sink, TESS_TAP_CODEC_HEAD, visit, context);
        tess_code_predictor_taps_visit(&config->talker.code_predictor, visit, context);
    } else {
        status = tess_config_refuse_speech(err);
    }
    free(config);
    return status;
}

tess_status tess_codes_list_taps(const char *model_dir, int64_t n_frame,
                                 void (*visit)(void *context, const tess_tap *tap), void *context,
                                 tess_error *err)
{
    tess_config *config;
    tess_status status = tess_config_new(model_dir, &config, err);
    if (status != TESS_OK) return status;
    if (config->has_talker)
        tess_code2wav_taps_visit(&config->code2wav, n_frame, visit, context);
    else
        status = tess_config_refuse_speech(err);
    free(config);
    return status;
}

tess_status tess_model_list_taps(const char *model_dir, const tess_feed *feed,
                                 void (*visit)(void *context, const tess_tap *tap), void *context,
                                 tess_error *err)
{
    tess_config *config;
    tess_status status = tess_config_new(model_dir, &config, err);
    if (status != TESS_OK) return status;
    const visitor v = {visit, context};
    status = visit_all(config, feed, &v, err);
    free(config);
    return status;
}
