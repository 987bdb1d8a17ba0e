#include "verify/trace/media_tensors.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/progress.h"

/* What the media of a kind make together. */
typedef struct totals {
    int64_t n, n_row, width;
} totals;

static int64_t count_rows(const tess_features *f)
{
    return f->kind == TESS_MEDIA_AUDIO ? f->n_frame : (int64_t)f->n_step * f->n_high * f->n_wide;
}

static totals total_of(const tess_features *const *media, int n, tess_media_kind kind)
{
    totals t = {0};
    for (int i = 0; i < n; i++) {
        if (media[i]->kind != kind) continue;
        t.n++;
        t.n_row += count_rows(media[i]);
        t.width = media[i]->width;
    }
    return t;
}

const tess_pixel_names tess_image_names = {TESS_MEDIA_IMAGE, "in.pixel_values", "in.image_grid_thw"},
                       tess_video_names = {TESS_MEDIA_VIDEO, "in.pixel_values_videos", "in.video_grid_thw"};

typedef struct putter {
    const tess_features *const *media;
    int n;
    const tess_media_sink *sink;
    const tess_progress *progress;
    uint64_t n_done, n_all; /* rows */
    tess_error *err;
} putter;

static tess_status tell_rows(putter *p, int64_t n)
{
    p->n_done += (uint64_t)n;
    return tess_progress_tell(p->progress, TESS_ACTIVITY_PREPARING, p->n_done, p->n_all, p->err);
}

static tess_status declare(const putter *p, const char *name, bool is_integer, int n_dim, int64_t a,
                           int64_t b)
{
    return p->sink->declare(p->sink->context, name, is_integer, n_dim, (int64_t[]){a, b}, p->err);
}

static tess_status put(const putter *p, const char *name, int64_t first, const void *values, int64_t n)
{
    return p->sink->put(p->sink->context, name, first, values, n, p->err);
}

static tess_status declare_pictures(const putter *p, const totals *t, const tess_pixel_names *names)
{
    if (t->n == 0) return TESS_OK;
    tess_status status = declare(p, names->pixels, false, 2, t->n_row, t->width);
    return status == TESS_OK ? declare(p, names->grids, true, 2, t->n, 3) : status;
}

tess_status tess_media_tensors_declare(const tess_features *const *media, int n, const tess_media_sink *sink,
                                       tess_error *err)
{
    const putter p = {.media = media, .n = n, .sink = sink, .err = err};
    totals clips = total_of(media, n, TESS_MEDIA_AUDIO), of_images = total_of(media, n, TESS_MEDIA_IMAGE),
           of_videos = total_of(media, n, TESS_MEDIA_VIDEO);
    tess_status status = TESS_OK;
    if (clips.n) status = declare(&p, "in.input_features", false, 2, clips.width, clips.n_row);
    if (clips.n && status == TESS_OK) status = declare(&p, "in.audio_feature_lengths", true, 1, clips.n, 0);
    if (status == TESS_OK) status = declare_pictures(&p, &of_images, &tess_image_names);
    if (status == TESS_OK) status = declare_pictures(&p, &of_videos, &tess_video_names);
    if (of_videos.n && status == TESS_OK)
        status = declare(&p, "in.video_second_per_grid", false, 1, of_videos.n, 0);
    return status;
}

enum { PIECE_FLOATS = 1 << 16 };

/* Rows that are read at a time: a wide one alone. */
static int64_t rows_of_piece(const tess_features *f)
{
    return f->width < PIECE_FLOATS ? PIECE_FLOATS / f->width : 1;
}

/* Numbers of the largest piece. */
static size_t floats_of_piece(const tess_features *const *media, int n)
{
    size_t most = PIECE_FLOATS;
    for (int i = 0; i < n; i++)
        if ((size_t)media[i]->width > most) most = (size_t)media[i]->width;
    return most;
}

/* Rows of a clip become columns: a block of frames is turned around. */
static tess_status put_frames(putter *p, const tess_features *f, int64_t column, float *rows, float *columns)
{
    int64_t most = rows_of_piece(f);
    tess_status status = TESS_OK;
    for (int64_t at = 0; at < f->n_frame && status == TESS_OK;) {
        int64_t n = f->n_frame - at < most ? f->n_frame - at : most;
        status = f->read(f->context, at, n, rows, p->err);
        for (int64_t i = 0; i < n; i++)
            for (int64_t mel = 0; mel < f->width; mel++) columns[mel * n + i] = rows[i * f->width + mel];
        if (status == TESS_OK)
            status =
                p->sink->put_columns(p->sink->context, "in.input_features", column + at, n, columns, p->err);
        if (status == TESS_OK) status = tell_rows(p, n);
        at += n;
    }
    return status;
}

static tess_status put_patches(putter *p, const tess_features *f, const char *name, int64_t first,
                               float *rows)
{
    int64_t n_row = count_rows(f), most = rows_of_piece(f);
    tess_status status = TESS_OK;
    for (int64_t at = 0; at < n_row && status == TESS_OK;) {
        int64_t n = n_row - at < most ? n_row - at : most;
        status = f->read(f->context, at, n, rows, p->err);
        if (status == TESS_OK) status = put(p, name, (first + at) * f->width, rows, n * f->width);
        if (status == TESS_OK) status = tell_rows(p, n);
        at += n;
    }
    return status;
}

static tess_status put_clips(putter *p, float *rows, float *columns)
{
    int64_t column = 0, clip = 0;
    tess_status status = TESS_OK;
    for (int i = 0; i < p->n && status == TESS_OK; i++) {
        const tess_features *f = p->media[i];
        if (f->kind != TESS_MEDIA_AUDIO) continue;
        status = put_frames(p, f, column, rows, columns);
        if (status == TESS_OK) status = put(p, "in.audio_feature_lengths", clip++, &f->n_frame, 1);
        column += f->n_frame;
    }
    return status;
}

static tess_status put_pictures(putter *p, const tess_pixel_names *names, float *rows)
{
    int64_t first = 0, picture = 0;
    tess_status status = TESS_OK;
    for (int i = 0; i < p->n && status == TESS_OK; i++) {
        const tess_features *f = p->media[i];
        if (f->kind != names->kind) continue;
        status = put_patches(p, f, names->pixels, first, rows);
        const int64_t grid[3] = {f->n_step, f->n_high, f->n_wide};
        if (status == TESS_OK) status = put(p, names->grids, 3 * picture, grid, 3);
        float seconds = (float)f->seconds_per_grid;
        if (status == TESS_OK && f->kind == TESS_MEDIA_VIDEO)
            status = put(p, "in.video_second_per_grid", picture, &seconds, 1);
        first += count_rows(f);
        picture++;
    }
    return status;
}

tess_status tess_media_tensors_put(const tess_features *const *media, int n, const tess_media_sink *sink,
                                   const tess_progress *progress, tess_error *err)
{
    if (n == 0) return TESS_OK;
    putter p = {.media = media, .n = n, .sink = sink, .progress = progress, .err = err};
    for (int i = 0; i < n; i++) p.n_all += (uint64_t)count_rows(media[i]);
    size_t n_float = floats_of_piece(media, n);
    float *rows = malloc(2 * n_float * sizeof *rows);
    if (!rows) return tess_fail(err, TESS_ENOMEM, "no memory for rows of media");
    tess_status status = put_clips(&p, rows, rows + n_float);
    if (status == TESS_OK) status = put_pictures(&p, &tess_image_names, rows);
    if (status == TESS_OK) status = put_pictures(&p, &tess_video_names, rows);
    free(rows);
    return status;
}
