/* One medium from its source to features: what is decoded passes through, what the network will ask for
 * stays. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/digest.h"
#include "base/fpenv.h"
#include "base/progress.h"
#include "media/audio_file.h"
#include "media/image_file.h"
#include "media/image_size.h"
#include "media/mel.h"
#include "media/patches.h"
#include "media/resize.h"
#include "media/video_file.h"
#include "tessera/media.h"

struct tess_medium {
    tess_preprocessor preprocessor;
    tess_medium_options options; /* its preprocessor is the one above */
    char *text;                  /* what it was opened by, or its name */
    tess_source source;          /* with owned NULL where it belongs to a film */
    tess_medium_facts facts;
    tess_video_facts video; /* of the first pass over a film */
    bool is_inside;         /* the sound of a film */
    bool is_prepared;
    const tess_progress *progress; /* of the call */
    tess_features features;
    tess_mel *mel;
    uint8_t **frame; /* [facts.n_frame] of [taken_height, taken_width, 3] */
    int n_frame;     /* that are there */
    tess_patches patches;
};

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

static tess_status refuse_bytes(const tess_medium *m, uint64_t n_byte, tess_error *err)
{
    return tess_refuse_bytes(err, m->facts.name, "preparing it takes", n_byte, m->options.max_bytes);
}

static uint64_t picture_bytes(int width, int height)
{
    return (uint64_t)width * (uint64_t)height * 3; /* sides are at most 2^26 */
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

/* Size, grid and memory of pictures whose sides and number are known. Besides the results, while_resizing
 * bytes are held while one is resized, and while_decoding at most while one is decoded. */
static tess_status count_pictures(tess_medium *m, int64_t least, int64_t most, uint64_t while_resizing,
                                  uint64_t while_decoding, tess_error *err)
{
    tess_medium_facts *f = &m->facts;
    const tess_preprocessor *p = &m->preprocessor;
    const tess_status status =
        tess_image_size_choose(f->name, f->width, f->height, p->patch_size * p->merge_size, least, most,
                               &f->taken_width, &f->taken_height, err);
    if (status != TESS_OK) return status;
    lay_patches(m);
    uint64_t peak;
    if (!tess_mul_u64(picture_bytes(f->taken_width, f->taken_height) + sizeof *m->frame, (uint64_t)f->n_frame,
                      &f->bytes_held) ||
        !tess_add_u64(f->bytes_held, sizeof *m + m->source.n_byte, &f->bytes_held))
        return refuse_bytes(m, UINT64_MAX, err);
    while_resizing += tess_picture_resize_bytes(f->width, f->height, f->taken_width, f->taken_height);
    if (!tess_add_u64(f->bytes_held, while_resizing, &peak)) return refuse_bytes(m, UINT64_MAX, err);
    f->bytes_peak = peak > while_decoding ? peak : while_decoding;
    return f->bytes_peak > m->options.max_bytes ? refuse_bytes(m, f->bytes_peak, err) : TESS_OK;
}

static tess_status look_at_image(tess_medium *m, tess_error *err)
{
    tess_image_facts image;
    const tess_status status = tess_image_probe(&m->source, &image, err);
    if (status != TESS_OK) return status;
    m->facts.width = image.width;
    m->facts.height = image.height;
    m->facts.n_frame = 1;
    snprintf(m->facts.format, sizeof m->facts.format, "%s", image.format);
    return count_pictures(m, m->preprocessor.least_pixels, m->preprocessor.most_pixels,
                          picture_bytes(image.width, image.height), image.bytes, err);
}

static tess_video_options video_options(const tess_medium *m, const tess_video_facts *known)
{
    return (tess_video_options){.fps = m->options.fps,
                                .max_frames = m->options.most_frames,
                                .max_bytes = m->options.max_bytes,
                                .known = known};
}

static tess_status look_at_video(tess_medium *m, tess_error *err)
{
    const tess_video_options options = video_options(m, NULL);
    const tess_status status = tess_video_probe(&m->source, &options, &m->video, err);
    if (status != TESS_OK) return status;
    const tess_video_facts *video = &m->video;
    m->facts.width = video->width;
    m->facts.height = video->height;
    m->facts.n_frame = video->n_frame;
    m->facts.seconds = video->seconds;
    m->facts.fps = video->fps;
    m->facts.has_sound = video->has_audio;
    snprintf(m->facts.format, sizeof m->facts.format, "%s", video->format);
    if (video->n_frame < 1 || !(video->fps > 0.0))
        return tess_refuse(err, m->facts.name, "frames", -1, "at least 1", "%d", video->n_frame);
    return count_pictures(m, TESS_FRAME_LEAST_PIXELS, TESS_FRAME_MOST_PIXELS, video->bytes, video->bytes,
                          err);
}

static tess_status look(tess_medium *m, tess_error *err)
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
    const tess_status status = look(m, err);
    tess_fpenv_leave(saved);
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
    status = tess_source_open(m->text, options->max_bytes, &m->source, err);
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

typedef struct sample_count {
    const tess_medium *medium;
    uint64_t n;
} sample_count;

static tess_status count_samples(void *context, const float *samples, size_t n, tess_error *err)
{
    sample_count *count = context;
    (void)samples;
    count->n += n;
    return tess_progress_tell(count->medium->progress, TESS_ACTIVITY_PREPARING, count->n / TESS_MEL_HOP, 0,
                              err);
}

static uint64_t sound_bytes(const tess_medium *m, int64_t n_frame)
{
    return sizeof *m + m->source.n_byte + tess_mel_bytes(m->preprocessor.n_mel, n_frame);
}

/* A clip for which there is too little memory is heard to its end, to say how much it takes; one that is too
 * long with any is left at `why`. */
static tess_status refuse_clip(const tess_medium *m, const tess_error *why, tess_error *err)
{
    sample_count count = {.medium = m};
    tess_status status = tess_audio_decode(&m->source, TESS_MEL_RATE_HZ, count_samples, &count, NULL, err);
    int64_t n_frame = (int64_t)(count.n / TESS_MEL_HOP);
    if (status != TESS_OK) return status;
    if (n_frame <= m->options.most_mel_frames) return refuse_bytes(m, sound_bytes(m, n_frame), err);
    if (err) *err = *why;
    return why->status;
}

static tess_status hear(tess_medium *m, tess_audio_facts *audio, tess_error *err)
{
    const int64_t most = most_mel_frames(m);
    tess_error why;
    tess_status status = tess_mel_new(&m->mel, m->facts.name, m->preprocessor.n_mel, most, &why);
    if (status == TESS_OK)
        status = tess_audio_decode(&m->source, TESS_MEL_RATE_HZ, take_samples, m, audio, &why);
    if (status == TESS_OK) status = tess_mel_finish(m->mel, &why);
    if (status == TESS_EINPUT && m->mel && most < m->options.most_mel_frames &&
        tess_mel_get_samples(m->mel) / TESS_MEL_HOP > most)
        return refuse_clip(m, &why, err);
    if (status != TESS_OK && err) *err = why;
    return status;
}

static tess_status prepare_audio(tess_medium *m, tess_error *err)
{
    tess_audio_facts audio = {0};
    tess_status status = hear(m, &audio, err);
    if (status != TESS_OK) return status;
    m->features = tess_mel_get_features(m->mel);
    m->features.is_inside_video = m->is_inside;
    m->facts.n_frame = m->features.n_frame;
    m->facts.seconds = (double)tess_mel_get_samples(m->mel) / TESS_MEL_RATE_HZ;
    m->facts.rate_hz = audio.rate_hz;
    m->facts.n_channel = audio.n_channel;
    snprintf(m->facts.format, sizeof m->facts.format, "%s", audio.format);
    m->facts.bytes_held = sound_bytes(m, m->facts.n_frame);
    m->facts.bytes_peak = m->facts.bytes_held;
    return TESS_OK;
}

/* What is said of a source that gives other pictures than it gave when it was looked at. */
static tess_status refuse_change(const tess_medium *m, const char *field, const char *expected,
                                 const char *found, tess_error *err)
{
    return tess_refuse(err, m->facts.name, field, -1, expected, "%s", found);
}

/* Resizes a picture to the next place of m->frame. */
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
    tess_picture out = {f->taken_width, f->taken_height,
                        malloc(picture_bytes(f->taken_width, f->taken_height))};
    if (!out.rgb) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its pixels", f->name);
    m->frame[m->n_frame++] = out.rgb;
    return tess_picture_resize(picture, &out, f->name, err);
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
    tess_picture picture = {0};
    tess_status status = tess_image_decode(&m->source, m->options.max_bytes, &picture, err);
    if (status != TESS_OK) return status;
    const tess_medium_facts *f = &m->facts;
    if (picture.width == f->taken_width && picture.height == f->taken_height && f->width == picture.width &&
        f->height == picture.height) {
        m->frame[m->n_frame++] = picture.rgb;
        return TESS_OK;
    }
    status = add_frame(m, &picture, err);
    free(picture.rgb);
    return status;
}

static tess_status decode_video(tess_medium *m, tess_error *err)
{
    const tess_video_options options = video_options(m, &m->video);
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
        tess_sha256_add(sha, m->frame[i], picture_bytes(m->facts.taken_width, m->facts.taken_height));
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

tess_status tess_medium_prepare(tess_medium *m, const tess_progress *progress, tess_error *err)
{
    TESS_ASSERT(!m->is_prepared);
    m->progress = progress;
    const tess_fpenv saved = tess_fpenv_enter();
    tess_status status = m->facts.kind == TESS_MEDIA_AUDIO ? prepare_audio(m, err) : prepare_pictures(m, err);
    if (status == TESS_OK) status = set_digest(m, err);
    tess_fpenv_leave(saved);
    m->is_prepared = status == TESS_OK;
    return status;
}

const tess_features *tess_medium_get_features(const tess_medium *m)
{
    TESS_ASSERT(m->is_prepared);
    return &m->features;
}
