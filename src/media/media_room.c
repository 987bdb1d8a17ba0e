/* Several media that are prepared one after the other, within what all of them may take. */
#include "base/checked.h"
#include "media/medium.h"

/* The sum, or the largest number where that is less: what a medium says it takes may be any number. */
static uint64_t add_bytes(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return tess_add_u64(a, b, &sum) ? sum : UINT64_MAX;
}

static bool is_audio(const tess_medium *m)
{
    return m->facts.kind == TESS_MEDIA_AUDIO;
}

static uint64_t count_prepared(tess_medium *const *media, int n)
{
    uint64_t held = 0;
    for (int i = 0; i < n; i++)
        if (media[i]->is_prepared) held = add_bytes(held, media[i]->facts.bytes_held);
    return held;
}

void tess_media_count_bytes(tess_medium *const *media, int n, uint64_t *held, uint64_t *most)
{
    *held = *most = count_prepared(media, n);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n; i++) {
            const tess_medium_facts *facts = &media[i]->facts;
            if (media[i]->is_prepared || is_audio(media[i]) != (pass == 0)) continue;
            const uint64_t now = add_bytes(*held, facts->bytes_peak);
            if (now > *most) *most = now;
            *held = add_bytes(*held, facts->bytes_held);
        }
}

/* A call of tess_media_prepare. */
typedef struct preparing {
    tess_medium *const *media;
    int n, at; /* at: the one that is at work */
    uint64_t max_bytes, held;
    const tess_progress *progress;
    tess_error *err;
} preparing;

/* What one more may take; a byte is too little for any. */
static uint64_t bytes_left(const preparing *p)
{
    return p->max_bytes > p->held ? p->max_bytes - p->held : 1;
}

/* Refuses pictures that will not fit beside what is held by then, before any is decoded. */
static tess_status check_pictures(preparing *p)
{
    const uint64_t held = p->held;
    tess_status status = TESS_OK;
    for (p->at = 0; p->at < p->n; p->at++) {
        tess_medium *m = p->media[p->at];
        if (m->is_prepared || is_audio(m)) continue;
        tess_medium_set_max_bytes(m, bytes_left(p));
        if (m->facts.bytes_peak > m->options.max_bytes)
            return tess_medium_refuse_bytes(m, m->facts.bytes_peak, p->err);
        p->held += m->facts.bytes_held;
    }
    p->held = held;
    return status;
}

static tess_status prepare_kind(preparing *p, bool wants_audio)
{
    for (p->at = 0; p->at < p->n; p->at++) {
        tess_medium *m = p->media[p->at];
        if (m->is_prepared || is_audio(m) != wants_audio) continue;
        tess_medium_set_max_bytes(m, bytes_left(p));
        const tess_status status = tess_medium_prepare(m, p->progress, p->err);
        if (status != TESS_OK) return status;
        p->held += m->facts.bytes_held;
    }
    return TESS_OK;
}

/* What is enough for all is known when all sounds have been heard. */
static tess_status complete_refusal(preparing *p)
{
    uint64_t held, most;
    for (int i = 0; i < p->n; i++) {
        tess_error why;
        const tess_status status = tess_medium_count(p->media[i], p->progress, &why);
        if (status == TESS_OK) continue;
        p->at = i;
        if (p->err) *p->err = why;
        return status;
    }
    tess_media_count_bytes(p->media, p->n, &held, &most);
    if (p->err) p->err->smallest_budget_bytes = most;
    return TESS_EBUDGET;
}

tess_status tess_media_prepare(tess_medium *const *media, int n, uint64_t max_bytes,
                               const tess_progress *progress, int *failed, tess_error *err)
{
    preparing p = {.media = media,
                   .n = n,
                   .max_bytes = max_bytes,
                   .held = count_prepared(media, n),
                   .progress = progress,
                   .err = err};
    tess_status status = prepare_kind(&p, true);
    if (status == TESS_OK) status = check_pictures(&p);
    if (status == TESS_OK) status = prepare_kind(&p, false);
    if (status == TESS_EBUDGET) status = complete_refusal(&p);
    if (status != TESS_OK && failed) *failed = p.at;
    return status;
}
