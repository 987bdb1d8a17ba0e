#include "engine/media.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

/* ---- what a plan provides ---- */

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t patches_of_step(const tess_features *f)
{
    return (int64_t)f->n_high * f->n_wide;
}

/* What is counted of media before it is known to fit a plan. */
typedef struct media_count {
    int64_t n_tok, n_picture_tok;
    int64_t longest_window, n_audio_tok;      /* tokens */
    int64_t largest_step, n_patch_of_kind[3]; /* patches */
} media_count;

static void count_medium(const tess_thinker_config *config, const tess_features *f, media_count *count)
{
    int64_t n_tok = tess_placeholder_count(config, f);
    count->n_tok += n_tok;
    if (f->kind == TESS_MEDIA_AUDIO) {
        int64_t window = min_of(n_tok, tess_audio_count_window_tokens(&config->audio));
        count->longest_window = max_of(count->longest_window, window);
        count->n_audio_tok += n_tok;
    } else {
        count->n_picture_tok += n_tok;
        count->largest_step = max_of(count->largest_step, patches_of_step(f));
        count->n_patch_of_kind[f->kind] += f->n_step * patches_of_step(f);
    }
}

/* A tower that reads its weights anew for every layer and part. */
static tess_tower_sizes size_tower(int64_t n_row, int64_t n_group_row, int n_thread)
{
    return (tess_tower_sizes){.n_row = (int)n_row,
                              .n_group_row = (int)n_group_row,
                              .n_thread = n_thread,
                              .n_layer_slot = 1,
                              .n_part_slot = 1};
}

static tess_media_choice choose(const media_count *count, int n_medium, int64_t n_audio, int64_t n_patch,
                                int n_thread)
{
    enum { LEAST_MEDIA = 64 }; /* a list of them costs next to nothing */
    return (tess_media_choice){.n_medium = n_medium == 0 || n_medium > LEAST_MEDIA ? n_medium : LEAST_MEDIA,
                               .n_tok = (int)count->n_tok,
                               .n_picture_tok = (int)count->n_picture_tok,
                               .audio = size_tower(n_audio, count->longest_window, n_thread),
                               .vision = size_tower(n_patch, count->largest_step, n_thread)};
}

tess_status tess_media_choose(const tess_thinker_config *config, const tess_media_list *media, int n_thread,
                              tess_media_choice *least, tess_media_choice *most, tess_error *err)
{
    media_count count = {0};
    for (int i = 0; i < media->n; i++) {
        count_medium(config, media->item[i], &count);
        int64_t n_patch = count.n_patch_of_kind[TESS_MEDIA_IMAGE] + count.n_patch_of_kind[TESS_MEDIA_VIDEO];
        if (count.n_tok > INT_MAX || n_patch > INT_MAX)
            return tess_refuse_option(err, "media", "at most 2^31 tokens and patches", "more in %d media",
                                      i + 1);
    }
    int64_t n_patch =
        max_of(count.n_patch_of_kind[TESS_MEDIA_IMAGE], count.n_patch_of_kind[TESS_MEDIA_VIDEO]);
    *least = choose(&count, media->n, count.longest_window, count.largest_step, n_thread);
    *most = choose(&count, media->n, count.n_audio_tok, n_patch, n_thread);
    return TESS_OK;
}

static void raise(int *n, int other)
{
    if (*n < other) *n = other;
}

static void join_tower(tess_tower_sizes *tower, const tess_tower_sizes *other)
{
    raise(&tower->n_row, other->n_row);
    raise(&tower->n_group_row, other->n_group_row);
    raise(&tower->n_thread, other->n_thread);
    raise(&tower->n_layer_slot, other->n_layer_slot);
    raise(&tower->n_part_slot, other->n_part_slot);
}

void tess_media_choice_join(tess_media_choice *choice, const tess_media_choice *other)
{
    raise(&choice->n_medium, other->n_medium);
    raise(&choice->n_tok, other->n_tok);
    raise(&choice->n_picture_tok, other->n_picture_tok);
    join_tower(&choice->audio, &other->audio);
    join_tower(&choice->vision, &other->vision);
}

tess_status tess_media_check_room(const tess_rooms *rooms, const tess_media_list *media, tess_error *err)
{
    const tess_media_choice *room = &rooms->choice.media;
    tess_media_choice needed, most;
    tess_status status = tess_media_choose(&rooms->model->config.thinker, media, 1, &needed, &most, err);
    if (status != TESS_OK) return status;
    if (media->n <= room->n_medium && needed.n_tok <= room->n_tok &&
        needed.n_picture_tok <= room->n_picture_tok && needed.audio.n_group_row <= room->audio.n_group_row &&
        needed.vision.n_group_row <= room->vision.n_group_row)
        return TESS_OK;
    char expected[160];
    snprintf(
        expected, sizeof expected,
        "media as the plan provides for: %d, of %d tokens in all (%d of pictures), windows of %d tokens, "
        "pictures of %d patches",
        room->n_medium, room->n_tok, room->n_picture_tok, room->audio.n_group_row, room->vision.n_group_row);
    return tess_refuse_option(err, "media", expected, "%d, of %d (%d), windows of %d, pictures of %d",
                              media->n, needed.n_tok, needed.n_picture_tok, needed.audio.n_group_row,
                              needed.vision.n_group_row);
}

/* ---- towers ---- */

static tess_status encode_clips(tess_rooms *rooms, const tess_media_list *media,
                                const tess_tap_listener *listener, const tess_progress *progress,
                                tess_error *err)
{
    int n = tess_media_gather(media, TESS_MEDIA_AUDIO, rooms->media.list);
    if (n == 0) return TESS_OK;
    tess_rooms_enter(rooms, TESS_PHASE_AUDIO);
    return tess_audio_tower_run(&rooms->audio, rooms->media.list, n, listener, progress, rooms->media.rows,
                                err);
}

/* The original runs its tower over all images, then over all videos. */
static tess_status encode_pictures(tess_rooms *rooms, const tess_media_list *media, tess_media_kind kind,
                                   int run, const tess_tap_listener *listener, const tess_progress *progress,
                                   tess_error *err)
{
    tess_media_rows *m = &rooms->media;
    int n = tess_media_gather(media, kind, m->list);
    if (n == 0) return TESS_OK;
    const tess_vision_config *config = &rooms->model->config.thinker.vision;
    size_t d_model = (size_t)config->d_output;
    float *deepstack[TESS_MAX_DEEPSTACK];
    int64_t first_picture = m->first[kind] - m->first[TESS_MEDIA_IMAGE];
    for (int k = 0; k < config->n_deepstack; k++)
        deepstack[k] = m->deepstack[k] + (size_t)first_picture * d_model;
    tess_rooms_enter(rooms, TESS_PHASE_VISION);
    return tess_vision_tower_run(&rooms->vision, m->list, n, listener, run, progress,
                                 m->rows + (size_t)m->first[kind] * d_model, deepstack, err);
}

tess_status tess_media_encode(tess_rooms *rooms, const tess_media_list *media,
                              const tess_tap_listener *listener, const tess_progress *progress,
                              tess_error *err)
{
    tess_media_rows *m = &rooms->media;
    int64_t row = 0;
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++) {
        m->first[kind] = row;
        m->n_used[kind] = 0;
        row += tess_media_count_tokens(&rooms->model->config.thinker, media, kind);
    }
    bool has_images = tess_media_find_next(media, TESS_MEDIA_IMAGE, -1) >= 0;
    tess_status status = encode_clips(rooms, media, listener, progress, err);
    if (status == TESS_OK)
        status = encode_pictures(rooms, media, TESS_MEDIA_IMAGE, 0, listener, progress, err);
    if (status == TESS_OK)
        status = encode_pictures(rooms, media, TESS_MEDIA_VIDEO, has_images ? 1 : 0, listener, progress, err);
    return status;
}

/* ---- rows of a step ---- */

/* DeepStack's feature k of a picture's row; joined to the addition before where both go on. */
static void add_feature(tess_media_rows *m, tess_step *step, int k, int row, const float *values,
                        size_t d_model)
{
    for (int i = step->n_addition - 1; i >= 0; i--) {
        tess_addition *before = &m->addition[i];
        if (before->layer != k) continue;
        if (before->row + before->n == row && before->values + (size_t)before->n * d_model == values) {
            before->n++;
            return;
        }
        break;
    }
    m->addition[step->n_addition++] = (tess_addition){.layer = k, .row = row, .n = 1, .values = values};
}

void tess_media_fill_step(tess_rooms *rooms, const tess_media_list *media, tess_span *span, tess_step *step)
{
    tess_media_rows *m = &rooms->media;
    const tess_thinker_config *config = &rooms->model->config.thinker;
    size_t d_model = (size_t)config->text.d_model;
    span->vectors = m->vectors;
    step->addition = m->addition;
    step->n_addition = 0;
    for (int i = 0; i < span->n; i++) {
        int kind = tess_media_find_kind(config, media, span->ids[i]);
        m->vectors[i] = NULL;
        if (kind < 0) continue;
        int64_t row = m->first[kind] + m->n_used[kind]++;
        m->vectors[i] = m->rows + (size_t)row * d_model;
        if (kind == TESS_MEDIA_AUDIO) continue;
        size_t picture = (size_t)(row - m->first[TESS_MEDIA_IMAGE]) * d_model;
        for (int k = 0; k < config->vision.n_deepstack; k++)
            add_feature(m, step, k, i, m->deepstack[k] + picture, d_model);
    }
}
