/* A medium from its source to features: what is decoded passes through, what the network will ask for
 * stays. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/fpenv.h"
#include "base/progress.h"
#include "media/medium.h"
#include "media/resize.h"

/* ---- decoding ---- */

static tess_status take_samples(void *context, const float *samples, size_t n, tess_error *err)
{
    tess_medium *m = context;
    const tess_status status = tess_mel_push(m->mel, samples, n, err);
    return status == TESS_OK
               ? tess_progress_tell(m->progress, TESS_ACTIVITY_PREPARING,
                                    (uint64_t)(tess_mel_get_samples(m->mel) / TESS_MEL_HOP), 0, err)
               : status;
}

/* As many frames as there is memory for, if that is fewer. */
static int64_t most_mel_frames(const tess_medium *m)
{
    const int64_t many = 1 << 20;
    const uint64_t none = tess_mel_bytes(m->preprocessor.n_mel, 0);
    const uint64_t per_frame = (tess_mel_bytes(m->preprocessor.n_mel, many) - none) / (uint64_t)many;
    const uint64_t fit = m->options.max_bytes > none ? (m->options.max_bytes - none) / per_frame : 0;
    if (fit >= (uint64_t)m->options.most_mel_frames) return m->options.most_mel_frames;
    return fit > 0 ? (int64_t)fit : 1;
}

static tess_status hear(tess_medium *m, int64_t most, tess_audio_facts *audio, tess_error *err)
{
    tess_status status = tess_mel_new(&m->mel, m->facts.name, m->preprocessor.n_mel, most, err);
    if (status == TESS_OK)
        status = tess_audio_decode(&m->source, TESS_MEL_RATE_HZ, take_samples, m, audio, err);
    return status == TESS_OK ? tess_mel_finish(m->mel, err) : status;
}

/* A clip for which there is too little memory is heard to its end, to say how much it takes. */
static tess_status refuse_clip(tess_medium *m, tess_error *err)
{
    tess_mel_free(m->mel);
    m->mel = NULL;
    const tess_status status = tess_medium_count(m, m->progress, err);
    return status == TESS_OK ? tess_medium_refuse_bytes(m, m->facts.bytes_peak, err) : status;
}

/* A clip that is said to be longer than there is room for is counted first, which costs less than hearing it;
 * only what is found then is believed. */
static tess_status check_length(tess_medium *m, int64_t most, tess_error *err)
{
    const double said = tess_audio_estimate_seconds(&m->source);
    if (!(said * TESS_MEL_RATE_HZ / TESS_MEL_HOP > (double)most)) return TESS_OK;
    const tess_status status = tess_medium_count(m, m->progress, err);
    if (status != TESS_OK || m->facts.bytes_peak <= m->options.max_bytes) return status;
    return tess_medium_refuse_bytes(m, m->facts.bytes_peak, err);
}

static tess_status prepare_audio(tess_medium *m, tess_error *err)
{
    const int64_t most = most_mel_frames(m);
    tess_audio_facts audio = {0};
    tess_error why;
    tess_status status = check_length(m, most, err);
    if (status != TESS_OK) return status;
    status = hear(m, most, &audio, &why);
    if (status == TESS_EINPUT && most < m->options.most_mel_frames && m->mel &&
        tess_mel_get_samples(m->mel) / TESS_MEL_HOP > most)
        return refuse_clip(m, err);
    if (status != TESS_OK) {
        if (err) *err = why;
        return status;
    }
    tess_medium_set_sound(m, tess_mel_get_samples(m->mel), &audio);
    m->features = tess_mel_get_features(m->mel);
    m->features.is_inside_video = m->is_inside;
    return TESS_OK;
}

/* What is said of a source that gives other pictures than it gave when it was looked at. */
static tess_status refuse_change(const tess_medium *m, const char *field, const char *expected,
                                 const char *found, tess_error *err)
{
    return tess_refuse(err, m->facts.name, field, -1, expected, "%s", found);
}

/* The next place of m->frame. */
static tess_status new_frame(tess_medium *m, tess_picture *out, tess_error *err)
{
    const tess_medium_facts *f = &m->facts;
    const uint64_t n_byte = tess_medium_picture_bytes(f->taken_width, f->taken_height);
    *out = (tess_picture){f->taken_width, f->taken_height, malloc(n_byte)};
    if (!out->rgb) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its pixels", f->name);
    m->frame[m->n_frame++] = out->rgb;
    return TESS_OK;
}

static tess_status add_frame(tess_medium *m, const tess_picture *picture, tess_error *err)
{
    const tess_medium_facts *f = &m->facts;
    if (picture->width != f->width || picture->height != f->height) {
        char expected[48], found[48];
        snprintf(expected, sizeof expected, "%d x %d pixels in every frame", f->width, f->height);
        snprintf(found, sizeof found, "%d x %d", picture->width, picture->height);
        return refuse_change(m, "size", expected, found, err);
    }
    if (m->n_frame == f->n_frame) return refuse_change(m, "frames", "as many as at first", "more", err);
    tess_picture out;
    const tess_status status = new_frame(m, &out, err);
    return status == TESS_OK ? tess_picture_resize(picture, &out, f->name, err) : status;
}

static tess_status take_frame(void *context, const tess_picture *frame, double seconds, tess_error *err)
{
    (void)seconds;
    tess_medium *m = context;
    const tess_status status = add_frame(m, frame, err);
    return status == TESS_OK ? tess_progress_tell(m->progress, TESS_ACTIVITY_PREPARING, (uint64_t)m->n_frame,
                                                  (uint64_t)m->facts.n_frame, err)
                             : status;
}

static tess_status decode_image(tess_medium *m, tess_error *err)
{
    tess_picture out;
    const tess_status status = new_frame(m, &out, err);
    return status == TESS_OK ? tess_image_decode(&m->source, &m->image, m->options.max_bytes, &out, err)
                             : status;
}

static tess_status decode_video(tess_medium *m, tess_error *err)
{
    const tess_video_options options = tess_medium_video_options(m, &m->video);
    const tess_status status = tess_video_decode(&m->source, &options, take_frame, m, NULL, err);
    if (status == TESS_OK && m->n_frame != m->facts.n_frame)
        return refuse_change(m, "frames", "as many as at first", "fewer", err);
    return status;
}

static tess_status prepare_pictures(tess_medium *m, tess_error *err)
{
    m->frame = calloc((size_t)m->facts.n_frame, sizeof *m->frame);
    if (!m->frame) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its frames", m->facts.name);
    m->patches.frame = m->frame;
    tess_patches_set_values(&m->patches, m->preprocessor.mean, m->preprocessor.deviation);
    return m->facts.kind == TESS_MEDIA_VIDEO ? decode_video(m, err) : decode_image(m, err);
}

/* ---- what it is told by ---- */

static void add_pictures(const tess_medium *m, tess_sha256 *sha)
{
    const tess_preprocessor *p = &m->preprocessor;
    tess_sha256_add(sha, p->mean, sizeof p->mean);
    tess_sha256_add(sha, p->deviation, sizeof p->deviation);
    for (int i = 0; i < m->n_frame; i++)
        tess_sha256_add(sha, m->frame[i],
                        tess_medium_picture_bytes(m->facts.taken_width, m->facts.taken_height));
}

static tess_status add_frames(const tess_medium *m, tess_sha256 *sha, tess_error *err)
{
    enum { PIECE = 64 };
    const tess_features *f = &m->features;
    float *rows = malloc((size_t)PIECE * (size_t)f->width * sizeof *rows);
    if (!rows) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its frames", m->facts.name);
    tess_status status = TESS_OK;
    for (int64_t at = 0; at < f->n_frame && status == TESS_OK; at += PIECE) {
        const int64_t n = f->n_frame - at < PIECE ? f->n_frame - at : PIECE;
        status = f->read(f->context, at, n, rows, err);
        if (status == TESS_OK) tess_sha256_add(sha, rows, (size_t)n * (size_t)f->width * sizeof *rows);
    }
    free(rows);
    return status;
}

/* Over everything that the rows and their positions depend on. */
static tess_status set_digest(tess_medium *m, tess_error *err)
{
    tess_features *f = &m->features;
    const int64_t sizes[] = {f->kind,
                             f->width,
                             f->n_frame,
                             f->n_step,
                             f->n_high,
                             f->n_wide,
                             m->preprocessor.patch_size,
                             m->preprocessor.merge_size};
    tess_status status = TESS_OK;
    tess_sha256 sha;
    tess_sha256_init(&sha);
    tess_sha256_add(&sha, sizes, sizeof sizes);
    tess_sha256_add(&sha, &f->seconds_per_grid, sizeof f->seconds_per_grid);
    if (f->kind == TESS_MEDIA_AUDIO)
        status = add_frames(m, &sha, err);
    else
        add_pictures(m, &sha);
    tess_sha256_finish_bytes(&sha, f->digest);
    return status;
}

/* Refuses what is known to take more than it may; a film of which only that was known is looked at again. */
static tess_status check_bytes(tess_medium *m, tess_error *err)
{
    tess_status status = TESS_OK;
    if (m->is_bound && m->facts.bytes_peak <= m->options.max_bytes) status = tess_medium_look(m, err);
    if (status != TESS_OK || m->facts.bytes_peak <= m->options.max_bytes) return status;
    return tess_medium_refuse_bytes(m, m->facts.bytes_peak, err);
}

tess_status tess_medium_prepare(tess_medium *m, const tess_progress *progress, tess_error *err)
{
    TESS_ASSERT(!m->is_prepared);
    m->progress = progress;
    m->options.progress = progress;
    const tess_fpenv saved = tess_fpenv_enter();
    tess_status status = check_bytes(m, err);
    if (status == TESS_OK)
        status = m->facts.kind == TESS_MEDIA_AUDIO ? prepare_audio(m, err) : prepare_pictures(m, err);
    if (status == TESS_OK) status = set_digest(m, err);
    tess_fpenv_leave(saved);
    malloc_trim(0); /* what decoding took is there for the next */
    m->is_prepared = status == TESS_OK;
    return status;
}
