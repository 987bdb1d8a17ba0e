/* A medium as it is looked at: what it is, how many tokens it becomes, and what preparing it will take. */
#include "media/medium.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fpenv.h"
#include "base/progress.h"
#include "media/audio_file.h"
#include "media/image_size.h"
#include "media/resize.h"

/* What is read of a source that is no file, where less may be taken to prepare it: its sizes are known then,
 * and with them how much is enough. */
#define LOOKING_BYTES (64ull << 20)

/* ---- what an option may be ---- */

static tess_status check_options(const tess_medium_options *o, tess_error *err)
{
    if (!(o->fps >= 0.001 && o->fps <= 1000.0))
        return tess_refuse_option(err, "fps", "0.001 to 1000 frames a second", "%g", o->fps);
    if (o->most_frames < 2 || o->most_frames % 2)
        return tess_refuse_option(err, "most_frames", "an even number of at least 2", "%d", o->most_frames);
    if (o->most_mel_frames < 1)
        return tess_refuse_option(err, "most_mel_frames", "at least 1", "%lld",
                                  (long long)o->most_mel_frames);
    return TESS_OK;
}

tess_status tess_medium_refuse_bytes(const tess_medium *m, uint64_t n_byte, tess_error *err)
{
    return tess_refuse_bytes(err, m->facts.name, "preparing it takes", n_byte, m->options.max_bytes);
}

/* ---- looking ---- */

/* What the network will ask for, as far as sizes say it. */
static void lay_patches(tess_medium *m)
{
    const tess_preprocessor *p = &m->preprocessor;
    tess_medium_facts *f = &m->facts;
    m->patches = (tess_patches){.width = f->taken_width,
                                .height = f->taken_height,
                                .patch_size = p->patch_size,
                                .merge_size = p->merge_size,
                                .temporal_patch_size = p->temporal_patch_size,
                                .n_frame = (int)f->n_frame};
    m->features = tess_patches_get_features(&m->patches, f->kind);
    if (f->kind == TESS_MEDIA_VIDEO) m->features.seconds_per_grid = p->temporal_patch_size / f->fps;
    f->n_step = m->features.n_step;
    f->n_high = m->features.n_high;
    f->n_wide = m->features.n_wide;
}

/* Size, grid and memory of pictures whose sides and number are known. */
static tess_status count_pictures(tess_medium *m, int64_t least, int64_t most, tess_error *err)
{
    tess_medium_facts *f = &m->facts;
    const tess_preprocessor *p = &m->preprocessor;
    const tess_status status =
        tess_image_size_choose(f->name, f->width, f->height, p->patch_size * p->merge_size, least, most,
                               &f->taken_width, &f->taken_height, err);
    if (status != TESS_OK) return status;
    lay_patches(m);
    if (!tess_mul_u64(tess_medium_picture_bytes(f->taken_width, f->taken_height) + sizeof *m->frame,
                      (uint64_t)f->n_frame, &f->bytes_held) ||
        !tess_add_u64(f->bytes_held, sizeof *m + m->source.n_byte, &f->bytes_held))
        return tess_medium_refuse_bytes(m, UINT64_MAX, err);
    return TESS_OK;
}

/* What it takes while it is prepared, besides what it holds then. */
static tess_status count_peak(tess_medium *m, uint64_t more, tess_error *err)
{
    if (tess_add_u64(m->facts.bytes_held, more, &m->facts.bytes_peak)) return TESS_OK;
    return tess_medium_refuse_bytes(m, UINT64_MAX, err);
}

static tess_status look_at_image(tess_medium *m, tess_error *err)
{
    tess_medium_facts *f = &m->facts;
    tess_status status = tess_image_probe(&m->source, &m->image, err);
    if (status != TESS_OK) return status;
    f->width = m->image.width;
    f->height = m->image.height;
    f->n_frame = 1;
    snprintf(f->format, sizeof f->format, "%s", m->image.format);
    status = count_pictures(m, m->preprocessor.least_pixels, m->preprocessor.most_pixels, err);
    if (status != TESS_OK) return status;
    const uint64_t held = tess_medium_picture_bytes(f->taken_width, f->taken_height);
    return count_peak(m, tess_image_count_bytes(&m->image, f->taken_width, f->taken_height) - held, err);
}

tess_video_options tess_medium_video_options(const tess_medium *m, const tess_video_facts *known)
{
    return (tess_video_options){.fps = m->options.fps,
                                .max_frames = m->options.most_frames,
                                .max_bytes = m->options.max_bytes,
                                .known = known,
                                .progress = m->options.progress};
}

static tess_status look_at_video(tess_medium *m, tess_error *err)
{
    const tess_video_options options = tess_medium_video_options(m, NULL);
    tess_error why;
    tess_status status = tess_video_probe(&m->source, &options, &m->video, &why);
    m->is_bound = status == TESS_EBUDGET;
    if (m->is_bound) {
        status = tess_video_bound(&m->source, &options, &m->video, &why);
        if (status == TESS_OK && m->video.bytes < why.smallest_budget_bytes)
            m->video.bytes = why.smallest_budget_bytes;
    }
    if (status != TESS_OK && err) *err = why;
    if (status != TESS_OK) return status;
    const tess_video_facts *video = &m->video;
    m->facts.width = video->width;
    m->facts.height = video->height;
    m->facts.n_frame = video->n_frame;
    m->facts.seconds = video->seconds;
    m->facts.fps = video->fps;
    m->facts.has_sound = video->has_audio;
    snprintf(m->facts.format, sizeof m->facts.format, "%s", video->format);
    snprintf(m->facts.loss, sizeof m->facts.loss, "%s", video->loss);
    if (video->n_frame < 1 || !(video->fps > 0.0))
        return tess_refuse(err, m->facts.name, "frames", -1, "at least 1", "%d", video->n_frame);
    status = count_pictures(m, TESS_FRAME_LEAST_PIXELS, TESS_FRAME_MOST_PIXELS, err);
    if (status != TESS_OK) return status;
    const uint64_t resizing =
        tess_picture_resize_bytes(video->width, video->height, m->facts.taken_width, m->facts.taken_height);
    uint64_t more;
    if (!tess_add_u64(video->bytes, resizing, &more)) more = UINT64_MAX;
    return count_peak(m, more, err);
}

tess_status tess_medium_look(tess_medium *m, tess_error *err)
{
    switch (m->facts.kind) {
    case TESS_MEDIA_IMAGE:
        return look_at_image(m, err);
    case TESS_MEDIA_VIDEO:
        return look_at_video(m, err);
    default:
        return TESS_OK;
    }
}

/* ---- opening ---- */

static tess_status medium_new(tess_media_kind kind, const char *text, const tess_medium_options *options,
                              tess_medium **out, tess_error *err)
{
    tess_status status = check_options(options, err);
    if (status != TESS_OK) return status;
    tess_medium *m = calloc(1, sizeof *m);
    char *copy = strdup(text);
    if (!m || !copy) {
        free(m);
        free(copy);
        return tess_fail(err, TESS_ENOMEM, "no memory to open a medium");
    }
    m->preprocessor = *options->preprocessor;
    m->options = *options;
    m->options.preprocessor = &m->preprocessor;
    m->text = copy;
    m->facts.kind = kind;
    *out = m;
    return TESS_OK;
}

/* With a source: looks at it. Takes the medium, and gives it out or closes it. */
static tess_status finish_opening(tess_medium *m, tess_medium **out, tess_error *err)
{
    m->facts.name = m->source.name;
    const tess_fpenv saved = tess_fpenv_enter();
    const tess_status status = tess_medium_look(m, err);
    tess_fpenv_leave(saved);
    malloc_trim(0); /* what decoding took is there for the next */
    if (status == TESS_OK)
        *out = m;
    else
        tess_medium_close(m);
    return status;
}

tess_status tess_medium_open(tess_media_kind kind, const char *source, const tess_medium_options *options,
                             tess_medium **out, tess_error *err)
{
    tess_medium *m;
    tess_status status = medium_new(kind, source, options, &m, err);
    if (status != TESS_OK) return status;
    const uint64_t most = options->max_bytes > LOOKING_BYTES ? options->max_bytes : LOOKING_BYTES;
    status = tess_source_open(m->text, most, &m->source, err);
    if (status == TESS_OK) return finish_opening(m, out, err);
    tess_medium_close(m);
    return status;
}

tess_status tess_medium_open_memory(tess_media_kind kind, const char *name, const void *bytes, size_t n_byte,
                                    const tess_medium_options *options, tess_medium **out, tess_error *err)
{
    tess_medium *m;
    const tess_status status = medium_new(kind, name, options, &m, err);
    if (status != TESS_OK) return status;
    m->source = (tess_source){.name = m->text, .data = bytes, .n_byte = n_byte};
    return finish_opening(m, out, err);
}

tess_status tess_medium_open_sound(const tess_medium *film, tess_medium **out, tess_error *err)
{
    TESS_ASSERT(film->facts.kind == TESS_MEDIA_VIDEO);
    if (!film->facts.has_sound)
        return tess_refuse(err, film->facts.name, "sound", -1,
                           "an audio track beside the picture; a silent film is only seen", "none");
    tess_medium *m;
    const tess_status status = medium_new(TESS_MEDIA_AUDIO, film->text, &film->options, &m, err);
    if (status != TESS_OK) return status;
    m->source = film->source;
    m->source.owned = NULL;
    m->is_inside = true;
    return finish_opening(m, out, err);
}

void tess_medium_close(tess_medium *m)
{
    if (!m) return;
    tess_source_release(&m->source);
    tess_mel_free(m->mel);
    for (int i = 0; i < m->n_frame; i++) free(m->frame[i]);
    free(m->frame);
    free(m->text);
    free(m);
}

const tess_medium_facts *tess_medium_get_facts(const tess_medium *m)
{
    return &m->facts;
}

const tess_features *tess_medium_get_features(const tess_medium *m)
{
    TESS_ASSERT(m->facts.n_frame > 0);
    return &m->features;
}

void tess_medium_set_max_bytes(tess_medium *m, uint64_t max_bytes)
{
    m->options.max_bytes = max_bytes;
}

/* ---- counting sound ---- */

uint64_t tess_medium_sound_bytes(const tess_medium *m, int64_t n_frame)
{
    return sizeof *m + m->source.n_byte + tess_mel_bytes(m->preprocessor.n_mel, n_frame);
}

typedef struct sample_count {
    const tess_medium *medium;
    int64_t n;
} sample_count;

static tess_status count_samples(void *context, const float *samples, size_t n, tess_error *err)
{
    sample_count *count = context;
    const tess_medium *m = count->medium;
    (void)samples;
    count->n += (int64_t)n;
    const tess_status status = tess_mel_check_most(m->facts.name, count->n, m->options.most_mel_frames, err);
    return status == TESS_OK ? tess_progress_tell(m->progress, TESS_ACTIVITY_PREPARING,
                                                  (uint64_t)(count->n / TESS_MEL_HOP), 0, err)
                             : status;
}

void tess_medium_set_sound(tess_medium *m, int64_t n_sample, const tess_audio_facts *audio)
{
    m->facts.n_frame = n_sample / TESS_MEL_HOP;
    m->facts.seconds = (double)n_sample / TESS_MEL_RATE_HZ;
    m->facts.rate_hz = audio->rate_hz;
    m->facts.n_channel = audio->n_channel;
    snprintf(m->facts.format, sizeof m->facts.format, "%s", audio->format);
    snprintf(m->facts.loss, sizeof m->facts.loss, "%s", audio->loss);
    m->facts.bytes_peak = m->facts.bytes_held = tess_medium_sound_bytes(m, m->facts.n_frame);
}

static tess_status count_sound(tess_medium *m, tess_error *err)
{
    sample_count count = {.medium = m};
    tess_audio_facts audio = {0};
    tess_status status = tess_audio_decode(&m->source, TESS_MEL_RATE_HZ, count_samples, &count, &audio, err);
    if (status == TESS_OK) status = tess_mel_check_least(m->facts.name, count.n, err);
    if (status != TESS_OK) return status;
    tess_medium_set_sound(m, count.n, &audio);
    m->features = (tess_features){.kind = TESS_MEDIA_AUDIO,
                                  .is_inside_video = m->is_inside,
                                  .width = m->preprocessor.n_mel,
                                  .n_frame = m->facts.n_frame};
    return TESS_OK;
}

tess_status tess_medium_count(tess_medium *m, const tess_progress *progress, tess_error *err)
{
    if (m->facts.n_frame > 0) return TESS_OK;
    m->progress = progress;
    const tess_fpenv saved = tess_fpenv_enter();
    const tess_status status = count_sound(m, err);
    tess_fpenv_leave(saved);
    return status;
}
