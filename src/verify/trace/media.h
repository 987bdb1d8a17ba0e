/* Media among the in.* tensors of a trace: features that are read from the file when a tower asks. */
#ifndef TESS_VERIFY_TRACE_MEDIA_H
#define TESS_VERIFY_TRACE_MEDIA_H

#include "tessera/features.h"
#include "tessera/trace.h"

/* Opens the media of a file: clips, images, videos, each kind in its order; *n = 0 if it has none. The list
 * stays open until it is freed. Errors: TESS_EINPUT, the field a tensor's name; TESS_EIO, TESS_ENOMEM. */
tess_status tess_trace_media_open(const char *path, tess_trace_media **out, tess_error *err);
void tess_trace_media_free(tess_trace_media *media); /* NULL is fine */

/* The list, [*n]; it lives as long as `media`. */
const tess_features *const *tess_trace_media_get(const tess_trace_media *media, int *n);

/* Declares the tensors that a list of media makes in a trace, in.use_audio_in_video where that is so
 * included, and writes them piece by piece. */
struct tess_trace_writer;
tess_status tess_trace_media_declare(const tess_features *const *media, int n, bool use_audio_in_video,
                                     struct tess_trace_writer *writer, tess_error *err);
tess_status tess_trace_media_put(const tess_features *const *media, int n, bool use_audio_in_video,
                                 struct tess_trace_writer *writer, const tess_progress *progress,
                                 tess_error *err);

#endif
