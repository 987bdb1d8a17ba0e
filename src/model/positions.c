#include "model/positions.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>

typedef struct walk {
    const tess_thinker_config *config;
    const int32_t *ids;
    int n_tok;
    const tess_media_list *media;
    int next[3]; /* the next item of each kind; -1: all are placed */
    float *out;
    size_t stride;
    int at;       /* tokens placed */
    float base;   /* where the next block begins */
    float behind; /* 1 + the largest position of the last block */
    bool is_unchecked;
    tess_error *err;
} walk;

static float max_of(float a, float b)
{
    return a > b ? a : b;
}

static void place(walk *w, float t, float h, float y)
{
    const float position[3] = {t, h, y};
    for (size_t s = 0; s < 3; s++) w->out[s * w->stride + (size_t)w->at] = position[s];
    w->at++;
    w->behind = max_of(w->behind, max_of(t, max_of(h, y)) + 1.0f);
}

/* A block begins: `behind` will be that of its tokens. */
static void begin_block(walk *w)
{
    w->behind = -FLT_MAX;
}

/* Tokens that advance all streams, up to the prompt's end. */
static void place_text(walk *w, int64_t n)
{
    begin_block(w);
    for (int64_t i = 0; i < n && w->at < w->n_tok; i++) {
        float position = (float)i + w->base;
        place(w, position, position, position);
    }
    w->base = w->base + (float)n;
}

/* ---- vision ---- */

/* A grid in tokens, and the time of its steps. */
typedef struct grid {
    int64_t n_high, n_wide, n_tok;
    float step; /* positions from one step to the next; times are this times the number of the step */
    float per_second;
} grid;

static grid grid_of(const walk *w, const tess_features *f)
{
    int64_t merge = w->config->vision.spatial_merge_size;
    grid g = {.n_high = f->n_high / merge,
              .n_wide = f->n_wide / merge,
              .step = f->kind == TESS_MEDIA_VIDEO ? (float)f->seconds_per_grid : 1.0f,
              .per_second = (float)w->config->position_id_per_seconds};
    g.n_tok = f->n_step * g.n_high * g.n_wide;
    return g;
}

static float time_of(const walk *w, const grid *g, int64_t token)
{
    int64_t number = token / (g->n_high * g->n_wide);
    float seconds = (float)number * g->step;
    return seconds * g->per_second + w->base;
}

static void place_vision(walk *w, const grid *g, int64_t token)
{
    int64_t in_step = token % (g->n_high * g->n_wide), row = in_step / g->n_wide,
            column = in_step % g->n_wide;
    place(w, time_of(w, g, token), (float)row + w->base, (float)column + w->base);
}

/* ---- bodies of media ---- */

static tess_status refuse_body(const walk *w, const tess_features *f, int64_t n)
{
    char expected[96];
    snprintf(expected, sizeof expected, "%" PRId64 " placeholder tokens of the %s", n,
             tess_media_kind_name(f->kind));
    return tess_refuse(w->err, "", "input_ids", -1, expected, "other tokens among them behind place %d",
                       w->at - 1);
}

static bool is_pad(const walk *w, int64_t at, tess_media_kind kind)
{
    return at < w->n_tok && w->ids[at] == tess_media_pad_token(w->config, kind);
}

/* Whether a place is one of a body of this kind. */
static bool is_body(const walk *w, int64_t at, tess_media_kind kind)
{
    return w->is_unchecked ? at < w->n_tok : is_pad(w, at, kind);
}

static const tess_features *use_next(walk *w, tess_media_kind kind)
{
    const tess_features *f = w->media->item[w->next[kind]];
    w->next[kind] = tess_media_find_next(w->media, kind, w->next[kind]);
    return f;
}

static tess_status place_alone(walk *w, tess_media_kind kind)
{
    const tess_features *f = use_next(w, kind);
    int64_t n = tess_placeholder_count(w->config, f);
    for (int64_t i = 0; i < n; i++)
        if (!is_body(w, w->at + i, kind)) return refuse_body(w, f, n);
    if (kind == TESS_MEDIA_AUDIO) {
        place_text(w, n);
    } else {
        grid g = grid_of(w, f);
        begin_block(w);
        for (int64_t i = 0; i < n; i++) place_vision(w, &g, i);
    }
    w->base = w->behind;
    return TESS_OK;
}

static void place_sound(walk *w, int64_t token)
{
    float position = (float)token + w->base;
    place(w, position, position, position);
}

/* Video and its sound by their times, the video first where they are equal. QUIRK: whichever kind of token
 * stands there, as the ids were ordered by times in double precision without the base. What is left of one of
 * them is the last block, behind which the text goes on. */
static void merge_by_time(walk *w, const grid *g, int64_t n_sound)
{
    int64_t v = 0, s = 0;
    while (v < g->n_tok && s < n_sound) {
        if (time_of(w, g, v) <= (float)s + w->base)
            place_vision(w, g, v++);
        else
            place_sound(w, s++);
    }
    begin_block(w);
    for (; v < g->n_tok; v++) place_vision(w, g, v);
    for (; s < n_sound; s++) place_sound(w, s);
}

static tess_status place_both(walk *w)
{
    const tess_features *video = use_next(w, TESS_MEDIA_VIDEO), *sound = use_next(w, TESS_MEDIA_AUDIO);
    int64_t n_sound = tess_placeholder_count(w->config, sound);
    grid g = grid_of(w, video);
    int64_t n = g.n_tok + n_sound;
    for (int64_t i = 0; i < n; i++)
        if (!is_body(w, w->at + i, TESS_MEDIA_VIDEO) && !is_body(w, w->at + i, TESS_MEDIA_AUDIO))
            return refuse_body(w, video, n);
    merge_by_time(w, &g, n_sound);
    w->base = w->behind;
    return TESS_OK;
}

/* ---- the prompt ---- */

static bool has_vision_left(const walk *w)
{
    return w->next[TESS_MEDIA_IMAGE] >= 0 || w->next[TESS_MEDIA_VIDEO] >= 0;
}

/* The next start token of a medium that is still to be placed. */
static int find_start(const walk *w)
{
    int at = w->at;
    for (; at < w->n_tok; at++) {
        if (w->ids[at] == w->config->vision_start && has_vision_left(w)) break;
        if (w->ids[at] == w->config->audio_start && w->next[TESS_MEDIA_AUDIO] >= 0) break;
    }
    return at;
}

/* A medium with its start and end tokens. */
static tess_status place_medium(walk *w, int start)
{
    place_text(w, start - w->at);
    bool is_vision = w->ids[start] == w->config->vision_start;
    bool has_sound = is_vision && start + 1 < w->n_tok && w->ids[start + 1] == w->config->audio_start;
    int n_around = has_sound ? 2 : 1;
    place_text(w, n_around);
    tess_status status;
    if (has_sound && w->next[TESS_MEDIA_VIDEO] >= 0 && w->next[TESS_MEDIA_AUDIO] >= 0)
        status = place_both(w);
    else if (!is_vision)
        status = place_alone(w, TESS_MEDIA_AUDIO);
    else if (is_pad(w, w->at, TESS_MEDIA_IMAGE) && w->next[TESS_MEDIA_IMAGE] >= 0)
        status = place_alone(w, TESS_MEDIA_IMAGE);
    else if (is_pad(w, w->at, TESS_MEDIA_VIDEO) && w->next[TESS_MEDIA_VIDEO] >= 0)
        status = place_alone(w, TESS_MEDIA_VIDEO);
    else
        status = tess_refuse(w->err, "", "input_ids", -1, "a medium behind every start token of one",
                             "none behind place %d", start);
    if (status == TESS_OK) place_text(w, n_around);
    if (status == TESS_OK) w->base = w->behind;
    return status;
}

static bool is_anything_left(const walk *w)
{
    return has_vision_left(w) || w->next[TESS_MEDIA_AUDIO] >= 0;
}

static tess_status place_prompt(walk *w)
{
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++)
        w->next[kind] = tess_media_find_next(w->media, kind, -1);
    /* Without pictures nothing is looked for: sound advances like text, wherever it stands. */
    bool has_vision = has_vision_left(w);
    while (has_vision && is_anything_left(w)) {
        int at = find_start(w);
        if (at == w->n_tok)
            return tess_refuse(w->err, "", "input_ids", -1, "a start token before every medium",
                               "a medium without one");
        tess_status status = place_medium(w, at);
        if (status != TESS_OK) return status;
    }
    place_text(w, w->n_tok - w->at);
    return TESS_OK;
}

tess_status tess_positions_compute(const tess_thinker_config *config, const int32_t *ids, int n_tok,
                                   const tess_media_list *media, float start, float *out, size_t stride,
                                   tess_error *err)
{
    walk w = {.config = config,
              .ids = ids,
              .n_tok = n_tok,
              .media = media,
              .out = out,
              .stride = stride,
              .base = start,
              .err = err};
    return place_prompt(&w);
}

tess_status tess_positions_compute_unchecked(const tess_thinker_config *config, const int32_t *ids, int n_tok,
                                             const tess_media_list *media, float *out, size_t stride,
                                             tess_error *err)
{
    walk w = {.config = config,
              .ids = ids,
              .n_tok = n_tok,
              .media = media,
              .out = out,
              .stride = stride,
              .err = err,
              .is_unchecked = true};
    return place_prompt(&w);
}
