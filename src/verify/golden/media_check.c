#include "verify/golden/media_check.h"

#include <stdlib.h>

#include "base/error.h"

enum { PIECE_FLOATS = 1 << 16 };

typedef struct hearing_media {
    tess_comparison *comparison;
    const tess_features *const *media;
    int n;
    float *rows, *line; /* [PIECE_FLOATS] each */
    tess_error *err;
} hearing_media;

static int64_t count_rows(const tess_features *f)
{
    return f->kind == TESS_MEDIA_AUDIO ? f->n_frame : (int64_t)f->n_step * f->n_high * f->n_wide;
}

static uint64_t count_kind(const hearing_media *h, tess_media_kind kind, int64_t *n_row, int64_t *width)
{
    uint64_t n = 0;
    *n_row = *width = 0;
    for (int i = 0; i < h->n; i++) {
        if (h->media[i]->kind != kind) continue;
        n++;
        *n_row += count_rows(h->media[i]);
        *width = h->media[i]->width;
    }
    return n;
}

static bool wants(const hearing_media *h, const char *name, bool is_integer, int n_dim, uint64_t a,
                  uint64_t b)
{
    const uint64_t dim[2] = {a, b};
    return tess_comparison_wants(h->comparison, name, is_integer ? TESS_DTYPE_I64 : TESS_DTYPE_F32, n_dim,
                                 dim);
}

static tess_status hear(const hearing_media *h, const char *name, int64_t first, const void *values,
                        int64_t n)
{
    return tess_comparison_hear(h->comparison, name, (uint64_t)first, values, (size_t)n, h->err);
}

/* ---- sound ---- */

/* A clip's frames are columns from `column` on. */
static tess_status hear_frames(const hearing_media *h, const tess_features *f, int64_t column,
                               int64_t n_column)
{
    int64_t most = PIECE_FLOATS / f->width;
    tess_status status = TESS_OK;
    for (int64_t at = 0, n; at < f->n_frame && status == TESS_OK; at += n) {
        n = f->n_frame - at < most ? f->n_frame - at : most;
        status = f->read(f->context, at, n, h->rows, h->err);
        for (int64_t mel = 0; mel < f->width && status == TESS_OK; mel++) {
            for (int64_t i = 0; i < n; i++) h->line[i] = h->rows[i * f->width + mel];
            status = hear(h, "in.input_features", mel * n_column + column + at, h->line, n);
        }
    }
    return status;
}

static tess_status hear_clips(const hearing_media *h)
{
    int64_t n_frame, n_mel, column = 0, clip = 0;
    uint64_t n = count_kind(h, TESS_MEDIA_AUDIO, &n_frame, &n_mel);
    if (n == 0) return TESS_OK;
    bool wants_frames = wants(h, "in.input_features", false, 2, (uint64_t)n_mel, (uint64_t)n_frame);
    bool wants_lengths = wants(h, "in.audio_feature_lengths", true, 1, n, 0);
    tess_status status = TESS_OK;
    for (int i = 0; i < h->n && status == TESS_OK; i++) {
        const tess_features *f = h->media[i];
        if (f->kind != TESS_MEDIA_AUDIO) continue;
        if (wants_lengths) status = hear(h, "in.audio_feature_lengths", clip++, &f->n_frame, 1);
        if (status == TESS_OK && wants_frames) status = hear_frames(h, f, column, n_frame);
        column += f->n_frame;
    }
    return status;
}

/* ---- pictures ---- */

static tess_status hear_patches(const hearing_media *h, const tess_features *f, const char *name,
                                int64_t first)
{
    int64_t n_row = count_rows(f), most = PIECE_FLOATS / f->width;
    tess_status status = TESS_OK;
    for (int64_t at = 0, n; at < n_row && status == TESS_OK; at += n) {
        n = n_row - at < most ? n_row - at : most;
        status = f->read(f->context, at, n, h->rows, h->err);
        if (status == TESS_OK) status = hear(h, name, (first + at) * f->width, h->rows, n * f->width);
    }
    return status;
}

static tess_status hear_pictures(const hearing_media *h, tess_media_kind kind, const char *pixels,
                                 const char *grids)
{
    int64_t n_patch, width, first = 0, picture = 0;
    uint64_t n = count_kind(h, kind, &n_patch, &width);
    if (n == 0) return TESS_OK;
    bool wants_pixels = wants(h, pixels, false, 2, (uint64_t)n_patch, (uint64_t)width);
    bool wants_grids = wants(h, grids, true, 2, n, 3), is_video = kind == TESS_MEDIA_VIDEO;
    bool wants_seconds = is_video && wants(h, "in.video_second_per_grid", false, 1, n, 0);
    tess_status status = TESS_OK;
    for (int i = 0; i < h->n && status == TESS_OK; i++) {
        const tess_features *f = h->media[i];
        if (f->kind != kind) continue;
        const int64_t grid[3] = {f->n_step, f->n_high, f->n_wide};
        const float seconds = (float)f->seconds_per_grid;
        if (wants_grids) status = hear(h, grids, 3 * picture, grid, 3);
        if (status == TESS_OK && wants_seconds)
            status = hear(h, "in.video_second_per_grid", picture, &seconds, 1);
        if (status == TESS_OK && wants_pixels) status = hear_patches(h, f, pixels, first);
        first += count_rows(f);
        picture++;
    }
    return status;
}

tess_status tess_golden_hear_media(tess_comparison *comparison, const tess_features *const *media,
                                   int n_medium, tess_error *err)
{
    float *room = malloc(2 * (size_t)PIECE_FLOATS * sizeof *room);
    if (!room) return tess_fail(err, TESS_ENOMEM, "no memory to compare media");
    const hearing_media h = {comparison, media, n_medium, room, room + PIECE_FLOATS, err};
    tess_status status = hear_clips(&h);
    if (status == TESS_OK)
        status = hear_pictures(&h, TESS_MEDIA_IMAGE, "in.pixel_values", "in.image_grid_thw");
    if (status == TESS_OK)
        status = hear_pictures(&h, TESS_MEDIA_VIDEO, "in.pixel_values_videos", "in.video_grid_thw");
    free(room);
    return status;
}
