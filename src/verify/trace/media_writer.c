/* Media as the inputs of a trace. */
#include "base/error.h"
#include "verify/trace/media.h"
#include "verify/trace/media_tensors.h"
#include "verify/trace/writer.h"

static tess_status declare(void *context, const char *name, bool is_integer, int n_dim, const int64_t *dim,
                           tess_error *err)
{
    return tess_trace_writer_declare(context, name, is_integer, n_dim, dim, err);
}

static tess_status put(void *context, const char *name, int64_t first, const void *values, int64_t n,
                       tess_error *err)
{
    return tess_trace_writer_put(context, name, first, values, (size_t)n, err);
}

static tess_status put_columns(void *context, const char *name, int64_t column, int64_t n,
                               const float *values, tess_error *err)
{
    return tess_trace_writer_put_columns(context, name, column, n, values, err);
}

static const char sound_flag[] = "in.use_audio_in_video";

tess_status tess_trace_media_declare(const tess_features *const *media, int n, bool use_audio_in_video,
                                     tess_trace_writer *writer, tess_error *err)
{
    const tess_media_sink sink = {declare, put, put_columns, writer};
    tess_status status = tess_media_tensors_declare(media, n, &sink, err);
    if (status != TESS_OK || !use_audio_in_video) return status;
    return tess_trace_writer_declare(writer, sound_flag, true, 1, (int64_t[]){1}, err);
}

tess_status tess_trace_media_put(const tess_features *const *media, int n, bool use_audio_in_video,
                                 tess_trace_writer *writer, const tess_progress *progress, tess_error *err)
{
    const tess_media_sink sink = {declare, put, put_columns, writer};
    tess_status status = tess_media_tensors_put(media, n, &sink, progress, err);
    if (status != TESS_OK || !use_audio_in_video) return status;
    return tess_trace_writer_put(writer, sound_flag, 0, (int64_t[]){1}, 1, err);
}

/* ---- a trace of media alone ---- */

typedef struct lone_media {
    const tess_features *const *media;
    int n;
    bool use_audio_in_video;
    const tess_progress *progress;
} lone_media;

static tess_status write_all(tess_trace_writer *writer, const lone_media *m, const char *path,
                             tess_error *err)
{
    static const char *const notes[][2] = {
        {"made_by", "tessera"}, {"version", TESS_VERSION}, {"dtype", "float32"}, {"case", "media"}};
    tess_status status = TESS_OK;
    for (int i = 0; i < 4 && status == TESS_OK; i++)
        status = tess_trace_writer_note(writer, notes[i][0], notes[i][1], err);
    if (status == TESS_OK)
        status = tess_trace_media_declare(m->media, m->n, m->use_audio_in_video, writer, err);
    if (status == TESS_OK) status = tess_trace_writer_open(writer, path, err);
    if (status == TESS_OK)
        status = tess_trace_media_put(m->media, m->n, m->use_audio_in_video, writer, m->progress, err);
    return status;
}

tess_status tess_trace_write_media(const tess_features *const *media, int n_medium, bool use_audio_in_video,
                                   const tess_progress *progress, const char *path, tess_error *err)
{
    const lone_media m = {media, n_medium, use_audio_in_video, progress};
    tess_trace_writer *writer;
    tess_status status = tess_trace_writer_new(&writer, err);
    if (status != TESS_OK) return status;
    status = write_all(writer, &m, path, err);
    if (status == TESS_OK) return tess_trace_writer_commit(writer, err);
    tess_trace_writer_abandon(writer);
    return status;
}
