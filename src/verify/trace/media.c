#include "verify/trace/media.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/trace/media_tensors.h"
#include "verify/trace/reader.h"

/* A medium's rows in the file: columns of in.input_features, or rows of the pixel values. */
typedef struct place {
    tess_trace_media *media;
    const tess_tensor *tensor;
    int64_t first;
} place;

struct tess_trace_media {
    tess_trace_reader reader;
    tess_features *features;    /* [n] */
    const tess_features **list; /* [n] */
    place *place;               /* [n] */
    int n;
};

enum { MOST_MEDIA = 65536 };

/* ---- reading rows ---- */

static tess_status check_finite(const place *p, int64_t at, const float *values, size_t n, tess_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return tess_refuse(err, tess_trace_reader_get_path(&p->media->reader), p->tensor->name,
                               (int64_t)p->tensor->offset + (at + (int64_t)i) * (int64_t)sizeof(float),
                               "finite numbers", "%g", (double)values[i]);
    return TESS_OK;
}

/* Elements [at, at + n) of the tensor; out[i * stride] gets them. */
static tess_status read_elements(const place *p, int64_t at, int64_t n, float *out, size_t stride,
                                 tess_error *err)
{
    while (n > 0) {
        const void *values;
        size_t piece = tess_trace_reader_piece(p->tensor, (uint64_t)at, 0);
        if ((int64_t)piece > n) piece = (size_t)n;
        tess_status status =
            tess_trace_reader_read(&p->media->reader, p->tensor, (uint64_t)at, piece, &values, err);
        if (status == TESS_OK) status = check_finite(p, at, values, piece, err);
        if (status != TESS_OK) return status;
        for (size_t i = 0; i < piece; i++) out[i * stride] = ((const float *)values)[i];
        out += piece * stride;
        at += (int64_t)piece;
        n -= (int64_t)piece;
    }
    return TESS_OK;
}

/* Frames are columns in the file, [n_mel, frames of all clips]. */
static tess_status read_frames(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    const place *p = context;
    int64_t n_mel = (int64_t)p->tensor->dim[0], n_column = (int64_t)p->tensor->dim[1];
    tess_status status = TESS_OK;
    for (int64_t mel = 0; mel < n_mel && status == TESS_OK; mel++)
        status = read_elements(p, mel * n_column + p->first + first, n, out + mel, (size_t)n_mel, err);
    return status;
}

static tess_status read_patches(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    const place *p = context;
    int64_t width = (int64_t)p->tensor->dim[1];
    return read_elements(p, (p->first + first) * width, n * width, out, 1, err);
}

/* ---- opening ---- */

static const char *path_of(const tess_trace_media *media)
{
    return tess_trace_reader_get_path(&media->reader);
}

static tess_status refuse_tensor(const tess_trace_media *media, const tess_tensor *t, const char *expected,
                                 tess_error *err)
{
    char shape[80];
    tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
    return tess_refuse(err, path_of(media), t->name, (int64_t)t->offset, expected, "%s %s",
                       tess_dtype_name(t->dtype), shape);
}

/* A tensor of this dtype and rank; NULL in *out if there is none. */
static tess_status find_tensor(const tess_trace_media *media, const char *name, tess_dtype dtype, int n_dim,
                               const char *expected, const tess_tensor **out, tess_error *err)
{
    const tess_tensor *t = tess_safetensors_find(media->reader.st, name);
    *out = t;
    if (!t || (t->dtype == dtype && t->n_dim == n_dim && tess_tensor_count(t) > 0)) return TESS_OK;
    return refuse_tensor(media, t, expected, err);
}

static tess_status refuse_absence(const tess_trace_media *media, const char *name, const char *needs,
                                  tess_error *err)
{
    return tess_refuse(err, path_of(media), name, -1, needs, "no such tensor");
}

static tess_status read_integers(tess_trace_media *media, const tess_tensor *t, uint64_t first, size_t n,
                                 int64_t *out, tess_error *err)
{
    const void *values;
    tess_status status = tess_trace_reader_read(&media->reader, t, first, n, &values, err);
    if (status == TESS_OK) memcpy(out, values, n * sizeof *out);
    return status;
}

static tess_status refuse_number(const tess_trace_media *media, const tess_tensor *t, uint64_t element,
                                 const char *expected, int64_t found, tess_error *err)
{
    return tess_refuse(err, path_of(media), t->name,
                       (int64_t)(t->offset + element * tess_dtype_bytes(t->dtype)), expected, "%" PRId64,
                       found);
}

static tess_status grow(tess_trace_media *media, uint64_t n, const char *name, tess_error *err)
{
    if (n > MOST_MEDIA)
        return tess_refuse(err, path_of(media), name, -1, "at most 65536 media", "%" PRIu64, n);
    size_t total = (size_t)media->n + (size_t)n;
    tess_features *features = realloc(media->features, total * sizeof *features);
    if (features) media->features = features;
    place *places = realloc(media->place, total * sizeof *places);
    if (places) media->place = places;
    if (features && places) return TESS_OK;
    return tess_fail(err, TESS_ENOMEM, "%s: no memory for its media", path_of(media));
}

static tess_status open_clips(tess_trace_media *media, tess_error *err)
{
    const tess_tensor *features, *lengths;
    tess_status status = find_tensor(media, "in.input_features", TESS_DTYPE_F32, 2,
                                     "F32 [mel bins, frames of all clips]", &features, err);
    if (status == TESS_OK)
        status =
            find_tensor(media, "in.audio_feature_lengths", TESS_DTYPE_I64, 1, "I64 [clips]", &lengths, err);
    if (status != TESS_OK || (!features && !lengths)) return status;
    if (!features)
        return refuse_absence(media, "in.input_features", "the frames of in.audio_feature_lengths", err);
    if (!lengths) return refuse_absence(media, "in.audio_feature_lengths", "the clips' lengths", err);
    status = grow(media, lengths->dim[0], lengths->name, err);
    int64_t first = 0, n_frame = (int64_t)features->dim[1];
    for (uint64_t i = 0; i < lengths->dim[0] && status == TESS_OK; i++) {
        int64_t length;
        status = read_integers(media, lengths, i, 1, &length, err);
        if (status != TESS_OK) break;
        if (length < 1 || length > n_frame - first)
            return refuse_number(media, lengths, i, "1 to the frames that in.input_features has left", length,
                                 err);
        media->place[media->n] = (place){media, features, first};
        media->features[media->n++] = (tess_features){.kind = TESS_MEDIA_AUDIO,
                                                      .width = (int32_t)features->dim[0],
                                                      .n_frame = length,
                                                      .read = read_frames};
        first += length;
    }
    if (status == TESS_OK && first != n_frame)
        return refuse_number(media, lengths, 0, "lengths that sum to the frames of in.input_features", first,
                             err);
    return status;
}

/* ---- pictures ---- */

static tess_status read_grid(tess_trace_media *media, const tess_tensor *grids, uint64_t i,
                             const tess_tensor *pixels, int64_t first, tess_features *out, tess_error *err)
{
    int64_t grid[3];
    tess_status status = read_integers(media, grids, 3 * i, 3, grid, err);
    if (status != TESS_OK) return status;
    int64_t left = (int64_t)pixels->dim[0] - first;
    for (int k = 0; k < 3; k++) {
        if (grid[k] < 1 || grid[k] > left)
            return refuse_number(media, grids, 3 * i + (uint64_t)k,
                                 "1 to the patches that the pixel values have left", grid[k], err);
        left /= grid[k];
    }
    out->n_step = (int32_t)grid[0];
    out->n_high = (int32_t)grid[1];
    out->n_wide = (int32_t)grid[2];
    return TESS_OK;
}

static tess_status open_pictures(tess_trace_media *media, const tess_pixel_names *names, tess_error *err)
{
    const tess_tensor *pixels, *grids;
    tess_status status =
        find_tensor(media, names->pixels, TESS_DTYPE_F32, 2, "F32 [patches, numbers of one]", &pixels, err);
    if (status == TESS_OK)
        status = find_tensor(media, names->grids, TESS_DTYPE_I64, 2, "I64 [pictures, 3]", &grids, err);
    if (status != TESS_OK || (!pixels && !grids)) return status;
    if (!pixels) return refuse_absence(media, names->pixels, "the patches of the grids", err);
    if (!grids) return refuse_absence(media, names->grids, "the grids of the patches", err);
    if (grids->dim[1] != 3) return refuse_tensor(media, grids, "I64 [pictures, 3]", err);
    if (pixels->dim[0] > INT32_MAX || pixels->dim[1] > INT32_MAX)
        return refuse_tensor(media, pixels, "at most 2147483647 patches", err);
    status = grow(media, grids->dim[0], grids->name, err);
    int64_t first = 0;
    for (uint64_t i = 0; i < grids->dim[0] && status == TESS_OK; i++) {
        tess_features f = {.kind = names->kind,
                           .width = (int32_t)pixels->dim[1],
                           .seconds_per_grid = 1,
                           .read = read_patches};
        status = read_grid(media, grids, i, pixels, first, &f, err);
        if (status != TESS_OK) break;
        media->place[media->n] = (place){media, pixels, first};
        media->features[media->n++] = f;
        first += (int64_t)f.n_step * f.n_high * f.n_wide;
    }
    if (status == TESS_OK && first != (int64_t)pixels->dim[0])
        return refuse_number(media, grids, 0, "grids that take all patches of the pixel values", first, err);
    return status;
}

/* How long a step of each video lasts; without the tensor a second. */
static tess_status read_seconds(tess_trace_media *media, int first_video, tess_error *err)
{
    const tess_tensor *t;
    tess_status status =
        find_tensor(media, "in.video_second_per_grid", TESS_DTYPE_F32, 1, "F32 [videos]", &t, err);
    if (status != TESS_OK || !t) return status;
    if (t->dim[0] != (uint64_t)(media->n - first_video))
        return refuse_tensor(media, t, "as many as in.video_grid_thw has videos", err);
    for (int i = first_video; i < media->n; i++) {
        const void *seconds;
        status = tess_trace_reader_read(&media->reader, t, (uint64_t)(i - first_video), 1, &seconds, err);
        if (status != TESS_OK) return status;
        float value = *(const float *)seconds;
        if (!(value > 0 && value < 1e6f))
            return tess_refuse(err, path_of(media), t->name, (int64_t)t->offset + 4 * (i - first_video),
                               "seconds above 0", "%g", (double)value);
        media->features[i].seconds_per_grid = (double)value;
    }
    return TESS_OK;
}

static tess_status read_media(tess_trace_media *media, tess_error *err)
{
    tess_status status = open_clips(media, err);
    if (status == TESS_OK) status = open_pictures(media, &tess_image_names, err);
    int first_video = media->n;
    if (status == TESS_OK) status = open_pictures(media, &tess_video_names, err);
    if (status == TESS_OK) status = read_seconds(media, first_video, err);
    if (status != TESS_OK) return status;
    media->list = malloc((size_t)(media->n + 1) * sizeof *media->list);
    if (!media->list) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its media", path_of(media));
    for (int i = 0; i < media->n; i++) {
        media->features[i].context = &media->place[i];
        media->list[i] = &media->features[i];
    }
    return TESS_OK;
}

tess_status tess_trace_media_open(const char *path, tess_trace_media **out, tess_error *err)
{
    tess_trace_media *media = calloc(1, sizeof *media);
    if (!media) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its media", path);
    tess_status status = tess_trace_reader_open(path, &media->reader, err);
    if (status == TESS_OK) status = read_media(media, err);
    if (status == TESS_OK)
        *out = media;
    else
        tess_trace_media_free(media);
    return status;
}

void tess_trace_media_free(tess_trace_media *media)
{
    if (!media) return;
    if (media->reader.st) tess_trace_reader_close(&media->reader);
    free(media->features);
    free(media->list);
    free(media->place);
    free(media);
}

const tess_features *const *tess_trace_media_get(const tess_trace_media *media, int *n)
{
    *n = media->n;
    return media->list;
}
