#include "model/talker_prompt.h"

#include "model/positions.h"

bool tess_talker_wants_state(const tess_thinker_config *config, int32_t id)
{
    return id == config->audio_token || id == config->image_token || id == config->video_token;
}

/* ---- rows ---- */

typedef struct assembly {
    const tess_config *config;
    tess_talker_row *row;
    int32_t *row_ids;
    int n;
} assembly;

static void add_row(assembly *a, int32_t row_id, tess_talker_row row)
{
    a->row[a->n] = row;
    a->row_ids[a->n++] = row_id;
}

/* Whose turn places belong to, asked for in ascending order. */
typedef struct turns {
    const tess_config *config;
    const int32_t *ids;
    int n_prompt, start;
} turns;

static bool is_user(turns *t, int place)
{
    if (t->ids[place] == t->config->im_start) t->start = place;
    int role = t->start + 1 < t->n_prompt ? t->start + 1 : t->n_prompt - 1;
    return t->ids[role] == t->config->user_token;
}

static void add_user_turns(assembly *a, const int32_t *ids, int n_prompt)
{
    turns t = {a->config, ids, n_prompt, 0};
    int n_state = 0;
    for (int i = 0; i < n_prompt; i++) {
        bool has_state = tess_talker_wants_state(&a->config->thinker, ids[i]);
        if (is_user(&t, i)) add_row(a, ids[i], (tess_talker_row){ids[i], has_state ? n_state : -1, -1});
        n_state += has_state;
    }
}

static void add_start(assembly *a, const int32_t turn[TESS_TALKER_TURN_TOKENS], int32_t speaker)
{
    const tess_config *c = a->config;
    const tess_talker_config *t = &c->talker;
    const tess_talker_row start[TESS_TALKER_START_ROWS] = {
        {turn[0], -1, -1},
        {turn[1], -1, -1},
        {turn[2], -1, -1},
        {c->tts_pad, -1, t->codec_nothink},
        {c->tts_pad, -1, t->codec_think_bos},
        {c->tts_pad, -1, t->codec_think_eos},
        {c->tts_pad, -1, speaker},
        {c->tts_bos, -1, t->codec_pad},
        {turn[3], -1, t->codec_bos},
    };
    for (int i = 0; i < TESS_TALKER_START_ROWS; i++) add_row(a, c->tts_pad, start[i]);
}

int tess_talker_find_turn(const tess_config *config, const int32_t *ids, int n_prompt)
{
    for (int i = n_prompt - 2; i >= 0; i--)
        if (ids[i] == config->im_start && ids[i + 1] == config->assistant_token) return i;
    return -1;
}

int tess_talker_prompt_make(const tess_config *config, const int32_t *ids, int n_prompt,
                            const int32_t turn[TESS_TALKER_TURN_TOKENS], int32_t speaker,
                            tess_talker_row *row, int32_t *row_ids)
{
    assembly a = {.config = config, .row = row, .row_ids = row_ids};
    add_user_turns(&a, ids, n_prompt);
    add_start(&a, turn, speaker);
    return a.n;
}

int tess_talker_count_rows(const tess_config *config, const int32_t *ids, int n_prompt)
{
    turns t = {config, ids, n_prompt, 0};
    int n = TESS_TALKER_START_ROWS;
    for (int i = 0; i < n_prompt; i++) n += is_user(&t, i);
    return n;
}

int tess_talker_find_state(const tess_config *config, const int32_t *ids, int n_prompt)
{
    turns t = {config, ids, n_prompt, 0};
    for (int i = 0; i < n_prompt; i++) {
        bool is_spoken_to = is_user(&t, i);
        if (is_spoken_to && tess_talker_wants_state(&config->thinker, ids[i])) return i;
    }
    return -1;
}

/* ---- positions ---- */

/* The media that begin at a place, by its start token and what stands behind it. */
typedef struct block {
    bool has_image, has_video, has_sound;
} block;

static block find_block(const turns *t, int at)
{
    const tess_thinker_config *c = &t->config->thinker;
    int32_t next = at + 1 < t->n_prompt ? t->ids[at + 1] : -1;
    bool is_vision = t->ids[at] == c->vision_start;
    return (block){.has_image = is_vision && next == c->image_token,
                   .has_video = is_vision && (next == c->video_token || next == c->audio_start),
                   .has_sound = t->ids[at] == c->audio_start};
}

/* The last place of the user's turns where a picture of its own begins, which is no video with its sound
 * inside; -1: there is none. */
static int find_last_picture(const tess_config *config, const int32_t *ids, int n_prompt)
{
    turns t = {config, ids, n_prompt, 0};
    int last = -1;
    for (int i = 0; i < n_prompt; i++) {
        block b = find_block(&t, i);
        bool is_alone = i + 1 < n_prompt && ids[i + 1] != config->thinker.audio_start;
        if (is_user(&t, i) && (b.has_image || (b.has_video && is_alone))) last = i;
    }
    return last;
}

typedef struct listing {
    const tess_media_list *media;
    int at[3]; /* the last of each kind that was met; -1: none */
    const tess_features **list;
    int n;
} listing;

static void meet(listing *l, tess_media_kind kind, bool is_listed)
{
    int next = tess_media_find_next(l->media, kind, l->at[kind]);
    if (next < 0) return;
    l->at[kind] = next;
    if (is_listed) l->list[l->n++] = l->media->item[next];
}

/* Lists the media that have places of their own in the user's turns. `own`: all that is met is counted, so
 * that each has its own sizes; else those of the user's turns alone. */
static int list_media(const tess_config *config, const int32_t *ids, int n_prompt,
                      const tess_media_list *media, bool own, const tess_features **list)
{
    turns t = {config, ids, n_prompt, 0};
    listing l = {.media = media, .at = {-1, -1, -1}, .list = list};
    int last_picture = find_last_picture(config, ids, n_prompt);
    for (int i = 0; i < n_prompt; i++) {
        block b = find_block(&t, i);
        bool is_users = is_user(&t, i), is_listed = is_users && i <= last_picture;
        if (!is_users && !own) continue;
        if (b.has_image) meet(&l, TESS_MEDIA_IMAGE, is_listed);
        if (b.has_video) meet(&l, TESS_MEDIA_VIDEO, is_listed);
        if (b.has_sound) meet(&l, TESS_MEDIA_AUDIO, is_listed);
    }
    return l.n;
}

tess_status tess_talker_positions_compute(const tess_config *config, const int32_t *ids, int n_prompt,
                                          const int32_t *row_ids, int n_row, const tess_media_list *media,
                                          const tess_features **list, float *out, size_t stride,
                                          tess_error *err)
{
    tess_status status = TESS_OK;
    for (int own = 0; own < 2; own++) {
        const tess_media_list listed = {list, list_media(config, ids, n_prompt, media, own, list)};
        status =
            tess_positions_compute_unchecked(&config->thinker, row_ids, n_row, &listed, out, stride, err);
        if (status == TESS_OK) break;
    }
    return status;
}
