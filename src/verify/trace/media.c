/* Media as the inputs of a trace: all clips one after the other, all images, all videos. */
#include <stdlib.h>

#include "base/progress.h"
#include "tessera/media.h"
#include "tessera/trace.h"
#include "verify/trace/writer.h"

enum { PIECE_FLOATS = 1 << 16 };

typedef struct writing {
    const tess_features *const *media;
    int n_medium;
    const tess_preprocessor *preprocessor;
    tess_trace_writer *writer;
    float *room, *turned; /* rows as they are read, and frames turned to bands */
    int64_t n_piece;      /* rows that fit */
    const tess_progress *progress;
    uint64_t n_done, n_all; /* rows */
} writing;

/* What belongs to a kind of pictures. */
static const struct {
    tess_media_kind kind;
    const char *values, *grid;
} pictures[] = {{TESS_MEDIA_IMAGE, "in.pixel_values", "in.image_grid_thw"},
                {TESS_MEDIA_VIDEO, "in.pixel_values_videos", "in.video_grid_thw"}};

static int64_t count_rows(const tess_features *f)
{
    return f->kind == TESS_MEDIA_AUDIO ? f->n_frame : (int64_t)f->n_step * f->n_high * f->n_wide;
}

/* How many media of a kind there are, and their rows. */
static int64_t count_kind(const writing *w, tess_media_kind kind, int64_t *n_row)
{
    int64_t n = 0;
    *n_row = 0;
    for (int i = 0; i < w->n_medium; i++) {
        if (w->media[i]->kind != kind) continue;
        n++;
        *n_row += count_rows(w->media[i]);
    }
    return n;
}

/* ---- declaring ---- */

static tess_status declare_audio(const writing *w, tess_error *err)
{
    int64_t n_frame;
    const int64_t n = count_kind(w, TESS_MEDIA_AUDIO, &n_frame);
    if (n == 0) return TESS_OK;
    const int64_t shape[] = {tess_preprocessor_frame_width(w->preprocessor), n_frame};
    tess_status status = tess_trace_writer_declare(w->writer, "in.input_features", false, 2, shape, err);
    if (status == TESS_OK)
        status = tess_trace_writer_declare(w->writer, "in.audio_feature_lengths", true, 1, &n, err);
    return status;
}

static tess_status declare_pictures(const writing *w, int which, tess_error *err)
{
    int64_t n_patch;
    const int64_t n = count_kind(w, pictures[which].kind, &n_patch);
    if (n == 0) return TESS_OK;
    const int64_t values[] = {n_patch, tess_preprocessor_patch_width(w->preprocessor)}, grid[] = {n, 3};
    tess_status status = tess_trace_writer_declare(w->writer, pictures[which].values, false, 2, values, err);
    if (status == TESS_OK)
        status = tess_trace_writer_declare(w->writer, pictures[which].grid, true, 2, grid, err);
    if (status == TESS_OK && pictures[which].kind == TESS_MEDIA_VIDEO)
        status = tess_trace_writer_declare(w->writer, "in.video_second_per_grid", false, 1, &n, err);
    return status;
}

static tess_status declare_all(const writing *w, bool use_audio_in_video, tess_error *err)
{
    const int64_t one = 1;
    tess_status status = declare_audio(w, err);
    for (int i = 0; i < 2 && status == TESS_OK; i++) status = declare_pictures(w, i, err);
    if (status == TESS_OK && use_audio_in_video)
        status = tess_trace_writer_declare(w->writer, "in.use_audio_in_video", true, 1, &one, err);
    return status;
}

/* ---- writing ---- */

/* n rows of frames, of which the first is frame `at` of n_frame in the file: a line there is a band. */
static tess_status put_frames(const writing *w, int64_t at, int64_t n, int64_t n_frame, tess_error *err)
{
    const int64_t n_mel = tess_preprocessor_frame_width(w->preprocessor);
    tess_status status = TESS_OK;
    for (int64_t m = 0; m < n_mel && status == TESS_OK; m++) {
        for (int64_t t = 0; t < n; t++) w->turned[t] = w->room[t * n_mel + m];
        status = tess_trace_writer_put(w->writer, "in.input_features", m * n_frame + at, w->turned, (size_t)n,
                                       err);
    }
    return status;
}

/* The rows of one medium, which begin at row `at` of all of its kind. */
static tess_status put_rows(writing *w, const tess_features *f, int64_t at, int64_t n_total, const char *name,
                            tess_error *err)
{
    const int64_t n_row = count_rows(f), width = tess_preprocessor_patch_width(w->preprocessor);
    tess_status status = TESS_OK;
    for (int64_t first = 0; first < n_row && status == TESS_OK;) {
        const int64_t n = n_row - first < w->n_piece ? n_row - first : w->n_piece;
        status = f->read(f->context, first, n, w->room, err);
        if (status != TESS_OK) break;
        if (f->kind == TESS_MEDIA_AUDIO)
            status = put_frames(w, at + first, n, n_total, err);
        else
            status = tess_trace_writer_put(w->writer, name, (at + first) * width, w->room,
                                           (size_t)(n * width), err);
        first += n;
        w->n_done += (uint64_t)n;
        if (status == TESS_OK)
            status = tess_progress_tell(w->progress, TESS_ACTIVITY_PREPARING, w->n_done, w->n_all, err);
    }
    return status;
}

static tess_status put_audio(writing *w, tess_error *err)
{
    int64_t n_frame, at = 0, clip = 0;
    count_kind(w, TESS_MEDIA_AUDIO, &n_frame);
    tess_status status = TESS_OK;
    for (int i = 0; i < w->n_medium && status == TESS_OK; i++) {
        const tess_features *f = w->media[i];
        if (f->kind != TESS_MEDIA_AUDIO) continue;
        status = tess_trace_writer_put(w->writer, "in.audio_feature_lengths", clip++, &f->n_frame, 1, err);
        if (status == TESS_OK) status = put_rows(w, f, at, n_frame, NULL, err);
        at += f->n_frame;
    }
    return status;
}

static tess_status put_pictures(writing *w, int which, tess_error *err)
{
    int64_t at = 0, n = 0;
    tess_status status = TESS_OK;
    for (int i = 0; i < w->n_medium && status == TESS_OK; i++) {
        const tess_features *f = w->media[i];
        if (f->kind != pictures[which].kind) continue;
        const int64_t grid[] = {f->n_step, f->n_high, f->n_wide};
        status = tess_trace_writer_put(w->writer, pictures[which].grid, 3 * n, grid, 3, err);
        if (status == TESS_OK && f->kind == TESS_MEDIA_VIDEO)
            status =
                tess_trace_writer_put(w->writer, "in.video_second_per_grid", n, &f->seconds_per_grid, 1, err);
        if (status == TESS_OK) status = put_rows(w, f, at, 0, pictures[which].values, err);
        at += count_rows(f);
        n++;
    }
    return status;
}

static tess_status write_all(writing *w, bool use_audio_in_video, const char *path, tess_error *err)
{
    static const char *const notes[][2] = {
        {"made_by", "tessera"}, {"version", TESS_VERSION}, {"dtype", "float32"}, {"case", "media"}};
    tess_status status = TESS_OK;
    for (int i = 0; i < 4 && status == TESS_OK; i++)
        status = tess_trace_writer_note(w->writer, notes[i][0], notes[i][1], err);
    if (status == TESS_OK) status = declare_all(w, use_audio_in_video, err);
    if (status == TESS_OK) status = tess_trace_writer_open(w->writer, path, err);
    if (status == TESS_OK) status = put_audio(w, err);
    for (int i = 0; i < 2 && status == TESS_OK; i++) status = put_pictures(w, i, err);
    if (status == TESS_OK && use_audio_in_video)
        status = tess_trace_writer_put(w->writer, "in.use_audio_in_video", 0, &(int64_t){1}, 1, err);
    return status;
}

tess_status tess_trace_write_media(const tess_features *const *media, int n_medium,
                                   const tess_preprocessor *preprocessor, bool use_audio_in_video,
                                   const tess_progress *progress, const char *path, tess_error *err)
{
    const int frame = tess_preprocessor_frame_width(preprocessor),
              patch = tess_preprocessor_patch_width(preprocessor), most = frame > patch ? frame : patch;
    writing w = {.media = media,
                 .n_medium = n_medium,
                 .preprocessor = preprocessor,
                 .progress = progress,
                 .n_piece = most < PIECE_FLOATS ? PIECE_FLOATS / most : 1};
    for (int i = 0; i < n_medium; i++) w.n_all += (uint64_t)count_rows(media[i]);
    tess_status status = tess_trace_writer_new(&w.writer, err);
    if (status != TESS_OK) return status;
    w.room = malloc((size_t)w.n_piece * (size_t)most * sizeof *w.room);
    w.turned = malloc((size_t)w.n_piece * sizeof *w.turned);
    if (w.room && w.turned)
        status = write_all(&w, use_audio_in_video, path, err);
    else
        status = tess_fail(err, TESS_ENOMEM, "no memory to write what media became");
    free(w.room);
    free(w.turned);
    if (status == TESS_OK) return tess_trace_writer_commit(w.writer, err);
    tess_trace_writer_abandon(w.writer);
    return status;
}
