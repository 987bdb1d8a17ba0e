#include "engine/recall.h"

#include <string.h>

/* ---- where media stand ---- */

/* Goes through the media of a prompt kind by kind, in its order. */
typedef struct finder {
    const tess_thinker_config *config;
    const int32_t *ids;
    int n_tok;
    const tess_media_list *media;
    tess_media_kind kind;
    int item, at;   /* the present medium, and where to look for its first token */
    int begin, end; /* of its tokens: where the first stands, and behind the last */
} finder;

/* The tokens of a medium are the next of its kind; sound inside a video stands between those of the video. */
static void find_tokens(finder *f)
{
    int32_t pad = tess_media_pad_token(f->config, f->kind);
    int64_t left = tess_placeholder_count(f->config, f->media->item[f->item]);
    f->begin = f->end = f->n_tok;
    for (; f->at < f->n_tok && left > 0; f->at++) {
        if (f->ids[f->at] != pad) continue;
        if (f->begin == f->n_tok) f->begin = f->at;
        f->end = f->at + 1;
        left--;
    }
}

static finder begin_kind(const tess_thinker_config *config, const int32_t *ids, int n_tok,
                         const tess_media_list *media, tess_media_kind kind)
{
    return (finder){.config = config, .ids = ids, .n_tok = n_tok, .media = media, .kind = kind, .item = -1};
}

static bool find_next(finder *f)
{
    f->item = tess_media_find_next(f->media, f->kind, f->item);
    if (f->item < 0) return false;
    find_tokens(f);
    return true;
}

void tess_recall_find(const tess_thinker_config *config, const int32_t *ids, int n_tok,
                      const tess_media_list *media, int *first)
{
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++)
        for (finder f = begin_kind(config, ids, n_tok, media, kind); find_next(&f);) first[f.item] = f.begin;
}

/* Where the run of start and pad tokens begins that place `at` lies in. */
static int block_of(const tess_thinker_config *c, const int32_t *ids, int at)
{
    for (; at > 0; at--) {
        int32_t id = ids[at - 1];
        if (id != c->vision_start && id != c->audio_start && id != c->audio_token && id != c->image_token &&
            id != c->video_token)
            break;
    }
    return at;
}

/* ---- noting ---- */

/* From the present medium on, the last note stands for all that follows it too. */
static void note_unknown(tess_recall *recall, int first, int end)
{
    tess_recalled *last = &recall->medium[recall->n - 1];
    memset(last->digest, 0, sizeof last->digest);
    if (first < last->first) last->first = first;
    if (end > last->end) last->end = end;
}

void tess_recall_add(tess_recall *recall, const tess_thinker_config *config, const int32_t *ids, int n_tok,
                     const tess_media_list *media, int first)
{
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++) {
        finder f = begin_kind(config, ids, n_tok, media, kind);
        while (find_next(&f)) {
            if (recall->n == recall->capacity) {
                note_unknown(recall, first + f.begin, first + f.end);
                continue;
            }
            tess_recalled *noted = &recall->medium[recall->n++];
            *noted = (tess_recalled){.first = first + f.begin, .end = first + f.end, .kind = kind};
            memcpy(noted->digest, media->item[f.item]->digest, sizeof noted->digest);
        }
    }
}

void tess_recall_truncate(tess_recall *recall, int n_tok)
{
    int n = 0;
    for (int i = 0; i < recall->n; i++) {
        tess_recalled *noted = &recall->medium[i];
        if (noted->first >= n_tok) continue;
        if (noted->end > n_tok) memset(noted->digest, 0, sizeof noted->digest);
        recall->medium[n++] = *noted;
    }
    recall->n = n;
}

/* ---- comparing ---- */

static bool is_known(const unsigned char digest[32])
{
    for (int i = 0; i < 32; i++)
        if (digest[i]) return true;
    return false;
}

static bool is_same(const tess_recalled *noted, const tess_features *medium, int first)
{
    return noted->first == first && noted->kind == medium->kind && is_known(noted->digest) &&
           !memcmp(noted->digest, medium->digest, sizeof noted->digest);
}

static bool holds(const tess_recall *recall, const tess_features *medium, int first)
{
    for (int i = 0; i < recall->n; i++)
        if (is_same(&recall->medium[i], medium, first)) return true;
    return false;
}

/* Whether a medium that is held stands at the same place of the prompt. Pad tokens alone do not ask for it:
 * without a medium of theirs they are tokens. */
static bool is_asked(const tess_recalled *noted, finder f)
{
    while (find_next(&f) && f.begin <= noted->first)
        if (is_same(noted, f.media->item[f.item], f.begin)) return true;
    return false;
}

int tess_recall_count(const tess_recall *recall, const tess_thinker_config *config, const int32_t *ids,
                      int n_tok, const tess_media_list *media, int n_same, int n_kept[3])
{
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++) {
        finder f = begin_kind(config, ids, n_tok, media, kind);
        while (find_next(&f) && f.begin < n_same)
            if (f.end > n_same || !holds(recall, media->item[f.item], f.begin))
                n_same = block_of(config, ids, f.begin);
    }
    for (int i = 0; i < recall->n; i++) {
        const tess_recalled *noted = &recall->medium[i];
        if (noted->first < n_same && !is_asked(noted, begin_kind(config, ids, n_tok, media, noted->kind)))
            n_same = block_of(config, ids, noted->first);
    }
    /* A start token is kept with its medium or not at all. */
    n_same = block_of(config, ids, n_same);
    for (tess_media_kind kind = TESS_MEDIA_AUDIO; kind <= TESS_MEDIA_VIDEO; kind++) {
        finder f = begin_kind(config, ids, n_tok, media, kind);
        for (n_kept[kind] = 0; find_next(&f) && f.end <= n_same;) n_kept[kind]++;
    }
    return n_same;
}
