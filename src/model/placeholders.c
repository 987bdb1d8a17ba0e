#include "model/placeholders.h"

#include <inttypes.h>
#include <stdio.h>

#include "model/audio_tower.h"
#include "model/vision_tower.h"

tess_media_list tess_media_of_feed(const tess_feed *feed)
{
    return (tess_media_list){.item = feed->media, .n = feed->media ? feed->n_media : 0};
}

/* ---- counting ---- */

int64_t tess_placeholder_count(const tess_thinker_config *config, const tess_features *features)
{
    if (features->kind == TESS_MEDIA_AUDIO) return tess_audio_count_tokens(&config->audio, features->n_frame);
    return tess_vision_count_tokens(&config->vision, features);
}

int64_t tess_media_count_tokens(const tess_thinker_config *config, const tess_media_list *media,
                                tess_media_kind kind)
{
    int64_t n = 0;
    for (int i = 0; i < media->n; i++)
        if (media->item[i]->kind == kind) n += tess_placeholder_count(config, media->item[i]);
    return n;
}

int tess_media_gather(const tess_media_list *media, tess_media_kind kind, const tess_features **out)
{
    int n = 0;
    for (int i = 0; i < media->n; i++)
        if (media->item[i]->kind == kind) out[n++] = media->item[i];
    return n;
}

int tess_media_find_next(const tess_media_list *media, tess_media_kind kind, int after)
{
    for (int i = after + 1; i < media->n; i++)
        if (media->item[i]->kind == kind) return i;
    return -1;
}

int32_t tess_media_pad_token(const tess_thinker_config *config, tess_media_kind kind)
{
    const int32_t token[] = {[TESS_MEDIA_AUDIO] = config->audio_token,
                             [TESS_MEDIA_IMAGE] = config->image_token,
                             [TESS_MEDIA_VIDEO] = config->video_token};
    return token[kind];
}

int tess_media_find_kind(const tess_thinker_config *config, const tess_media_list *media, int32_t token)
{
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++)
        if (token == tess_media_pad_token(config, kind) && tess_media_find_next(media, kind, -1) >= 0)
            return (int)kind;
    return -1;
}

const char *tess_media_kind_name(tess_media_kind kind)
{
    static const char *const names[] = {
        [TESS_MEDIA_AUDIO] = "audio", [TESS_MEDIA_IMAGE] = "image", [TESS_MEDIA_VIDEO] = "video"};
    return names[kind];
}

/* Numbers of a row as a tower takes them. */
static int width_of(const tess_thinker_config *config, tess_media_kind kind)
{
    return kind == TESS_MEDIA_AUDIO ? config->audio.n_mel : tess_vision_patch_width(&config->vision);
}

tess_features tess_features_make_smallest(const tess_thinker_config *config, tess_media_kind kind)
{
    int merge = config->vision.spatial_merge_size;
    bool is_audio = kind == TESS_MEDIA_AUDIO;
    return (tess_features){.kind = kind,
                           .width = width_of(config, kind),
                           .n_frame = is_audio ? 1 : 0,
                           .n_step = is_audio ? 0 : 1,
                           .n_high = is_audio ? 0 : merge,
                           .n_wide = is_audio ? 0 : merge,
                           .seconds_per_grid = kind == TESS_MEDIA_VIDEO ? 1 : 0};
}

/* ---- checking ---- */

/* More rows than any context has positions; sums of them do not overflow. */
#define MOST_ROWS ((int64_t)1 << 31)
enum { MOST_SIDE = 1 << 20 };

static bool is_grid(const tess_vision_config *vision, const tess_features *f)
{
    int merge = vision->spatial_merge_size;
    return f->n_step >= 1 && f->n_high >= merge && f->n_wide >= merge && f->n_high % merge == 0 &&
           f->n_wide % merge == 0 && f->n_step <= MOST_SIDE && f->n_high <= MOST_SIDE &&
           f->n_wide <= MOST_SIDE && (f->kind == TESS_MEDIA_VIDEO || f->n_step == 1) &&
           (int64_t)f->n_high * f->n_wide <= MOST_ROWS / f->n_step;
}

static tess_status check_features(const tess_thinker_config *config, const tess_features *f,
                                  const char *field, tess_error *err)
{
    const tess_vision_config *v = &config->vision;
    bool is_audio = f->kind == TESS_MEDIA_AUDIO;
    char expected[96];
    if ((unsigned)f->kind > TESS_MEDIA_VIDEO)
        return tess_refuse(err, "", field, -1, "audio, an image or a video", "kind %d", (int)f->kind);
    if (f->is_inside_video && !is_audio)
        return tess_refuse(err, "", field, -1, "audio as the sound inside a video", "%s",
                           tess_media_kind_name(f->kind));
    int width = width_of(config, f->kind);
    tess_status status = is_audio ? tess_audio_check_config(&config->audio, err) : TESS_OK;
    if (status != TESS_OK) return status;
    if (f->width != width) {
        snprintf(expected, sizeof expected, "rows of %d, as the configuration's %s tower takes them", width,
                 is_audio ? "audio" : "vision");
        return tess_refuse(err, "", field, -1, expected, "rows of %d", f->width);
    }
    if (is_audio && (f->n_frame < 1 || f->n_frame > MOST_ROWS))
        return tess_refuse(err, "", field, -1, "1 to 2^31 frames", "%" PRId64 " frames", f->n_frame);
    if (!is_audio && !is_grid(v, f)) {
        snprintf(expected, sizeof expected, "a grid of %s and multiples of %d patches",
                 f->kind == TESS_MEDIA_IMAGE ? "one step" : "steps", v->spatial_merge_size);
        return tess_refuse(err, "", field, -1, expected, "%d x %d x %d", f->n_step, f->n_high, f->n_wide);
    }
    if (f->kind == TESS_MEDIA_VIDEO && !(f->seconds_per_grid > 0 && f->seconds_per_grid < 1e6))
        return tess_refuse(err, "", field, -1, "seconds per grid above 0", "%g", f->seconds_per_grid);
    return TESS_OK;
}

tess_status tess_media_check(const tess_thinker_config *config, const tess_media_list *media, tess_error *err)
{
    for (int i = 0; i < media->n; i++) {
        const tess_features *f = media->item[i];
        char field[32];
        snprintf(field, sizeof field, "media[%d]", i);
        tess_status status = check_features(config, f, field, err);
        if (status != TESS_OK) return status;
        if (f->is_inside_video && (i == 0 || media->item[i - 1]->kind != TESS_MEDIA_VIDEO))
            return tess_refuse(err, "", field, -1, "a video before the sound that is inside it",
                               "no video before it");
    }
    return TESS_OK;
}

static int64_t count_token(const int32_t *ids, int64_t n_tok, int32_t token)
{
    int64_t n = 0;
    for (int64_t i = 0; i < n_tok; i++) n += ids[i] == token;
    return n;
}

tess_status tess_placeholders_check(const tess_thinker_config *config, const int32_t *ids, int64_t n_tok,
                                    const tess_media_list *media, tess_error *err)
{
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++) {
        int64_t n_row = tess_media_count_tokens(config, media, kind);
        /* Without media of a kind its pad token is a token like any other, as in the original. */
        if (tess_media_find_next(media, kind, -1) < 0) continue;
        int64_t n_pad = count_token(ids, n_tok, tess_media_pad_token(config, kind));
        if (n_pad == n_row) continue;
        char expected[96];
        snprintf(expected, sizeof expected, "%" PRId64 " tokens %d, one for each row of %s", n_row,
                 tess_media_pad_token(config, kind), tess_media_kind_name(kind));
        return tess_refuse(err, "", "input_ids", -1, expected, "%" PRId64, n_pad);
    }
    return TESS_OK;
}

/* ---- expanding ---- */

typedef struct expander {
    const tess_thinker_config *config;
    const int32_t *ids;
    int64_t n_tok;
    const tess_media_list *media;
    int used[3]; /* the last item used of each kind; -1: none */
    int32_t *out;
    int64_t capacity, n_out;
    tess_error *err;
} expander;

static void put(expander *e, int32_t id, int64_t n)
{
    for (int64_t i = 0; i < n; i++, e->n_out++)
        if (e->n_out < e->capacity) e->out[e->n_out] = id;
}

/* The sound inside the video `item`; NULL if there is none. */
static const tess_features *find_sound(const tess_media_list *media, int item)
{
    if (item + 1 >= media->n || !media->item[item + 1]->is_inside_video) return NULL;
    return media->item[item + 1];
}

/* A step of the video at its start, then sound up to the next. Times are counted in positions, as the
 * original counts them here, in double precision. */
static void put_both(expander *e, const tess_features *video, const tess_features *sound)
{
    int64_t merge = e->config->vision.spatial_merge_size;
    int64_t step_rows = (video->n_high / merge) * (video->n_wide / merge);
    int64_t n_video = video->n_step * step_rows, n_sound = tess_placeholder_count(e->config, sound);
    int64_t v = 0, s = 0;
    put(e, e->config->audio_start, 1);
    while (v < n_video && s < n_sound) {
        int64_t step = v / step_rows;
        double time = (double)step * video->seconds_per_grid * e->config->position_id_per_seconds;
        bool is_video = time <= (double)s;
        put(e, is_video ? e->config->video_token : e->config->audio_token, 1);
        v += is_video;
        s += !is_video;
    }
    put(e, e->config->video_token, n_video - v);
    put(e, e->config->audio_token, n_sound - s);
    put(e, e->config->audio_end, 1);
}

/* How many media have a pad token of this kind in the text. */
static int count_told(const tess_media_list *media, tess_media_kind kind)
{
    int n = 0;
    for (int i = 0; i < media->n; i++) n += media->item[i]->kind == kind && !media->item[i]->is_inside_video;
    return n;
}

static tess_status check_pads(const expander *e)
{
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++) {
        int n = count_told(e->media, kind);
        int64_t n_pad = count_token(e->ids, e->n_tok, tess_media_pad_token(e->config, kind));
        if (n_pad == n || e->media->n == 0) continue;
        char expected[120];
        snprintf(expected, sizeof expected, "one placeholder token (%d) for each %s of the request: %d",
                 tess_media_pad_token(e->config, kind), tess_media_kind_name(kind), n);
        return tess_refuse(e->err, "", "input_ids", -1, expected, "%" PRId64 "%s", n_pad,
                           n_pad > n ? "; text that spells one becomes one, unless it is plain" : "");
    }
    return TESS_OK;
}

/* The next medium of a kind that has a pad token. */
static int use_next(expander *e, tess_media_kind kind)
{
    do {
        e->used[kind] = tess_media_find_next(e->media, kind, e->used[kind]);
    } while (e->media->item[e->used[kind]]->is_inside_video);
    return e->used[kind];
}

static tess_status put_medium(expander *e, int64_t at, tess_media_kind kind)
{
    int item = use_next(e, kind);
    const tess_features *medium = e->media->item[item], *sound = find_sound(e->media, item);
    if (!sound) {
        put(e, e->ids[at], tess_placeholder_count(e->config, medium));
        return TESS_OK;
    }
    bool is_between = at > 0 && at + 1 < e->n_tok && e->ids[at - 1] == e->config->vision_start &&
                      e->ids[at + 1] == e->config->vision_end;
    if (!is_between)
        return tess_refuse(e->err, "", "input_ids", -1,
                           "a video with its sound between vision_start_token_id and vision_end_token_id",
                           "none of them around place %" PRId64, at);
    put_both(e, medium, sound);
    return TESS_OK;
}

tess_status tess_placeholders_expand(const tess_thinker_config *config, const int32_t *ids, int64_t n_tok,
                                     const tess_media_list *media, int32_t *out, int64_t capacity,
                                     int64_t *n_out, tess_error *err)
{
    expander e = {.config = config,
                  .ids = ids,
                  .n_tok = n_tok,
                  .media = media,
                  .used = {-1, -1, -1},
                  .out = out,
                  .capacity = capacity,
                  .err = err};
    tess_status status = check_pads(&e);
    for (int64_t i = 0; i < n_tok && status == TESS_OK; i++) {
        int kind = tess_media_find_kind(config, media, ids[i]);
        if (kind < 0)
            put(&e, ids[i], 1);
        else
            status = put_medium(&e, i, (tess_media_kind)kind);
    }
    if (status == TESS_OK) *n_out = e.n_out;
    return status;
}
