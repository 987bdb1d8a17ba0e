/* Video files: frames of the first video track, sampled evenly in time.
 *
 * The sample at t = i / fps is the frame that is shown then, by the timestamps, counted from the first frame;
 * i goes on while t lies before the middle of the last frame's time. At least 2 frames and an even number
 * come out: where one is missing, the last is given again. If there would be more than max_frames, fps is
 * lowered to max_frames / duration, so that as many cover the whole clip. How long a clip is is found by
 * decoding it: the container's word is not taken. So a clip is decoded twice, and one frame is held at a
 * time.
 */
#ifndef TESS_MEDIA_VIDEO_FILE_H
#define TESS_MEDIA_VIDEO_FILE_H

#include <stdbool.h>

#include "media/picture.h"
#include "media/source.h"
#include "tessera/progress.h"

typedef struct tess_video_facts {
    int width, height; /* upright */
    int n_frame;       /* that are sampled: even, at least 2 */
    int64_t n_decoded; /* frames of the clip */
    double fps;        /* really sampled */
    double seconds;    /* duration of the clip */
    bool has_audio;    /* there is an audio track */
    uint64_t bytes;    /* what decoding takes at its peak, at most */
    char format[64];   /* "MP4, h264" */
    char loss[160];    /* what is known to be missing of it, "found …, expected …"; or "" */
} tess_video_facts;

typedef struct tess_video_options {
    double fps;         /* > 0 */
    int max_frames;     /* even, at least 2 */
    uint64_t max_bytes; /* that decoding may take */
    const tess_video_facts
        *known; /* what tess_video_probe said with the same options; NULL: found out first */
    const tess_progress *progress; /* of probing: TESS_ACTIVITY_LOOKING; may be NULL */
} tess_video_options;

/* Takes the next frame, which is shown at `seconds`; borrowed for the call, pixels included. */
typedef tess_status tess_frame_sink(void *context, const tess_picture *frame, double seconds,
                                    tess_error *err);

/* Decodes the clip once, to learn the facts. Errors: as below, and TESS_EINTERRUPTED. */
tess_status tess_video_probe(const tess_source *source, const tess_video_options *options,
                             tess_video_facts *out, tess_error *err);
/* What they are at most, of a clip whose frames are too large for max_bytes: by its packets, of which none is
 * decoded. */
tess_status tess_video_bound(const tess_source *source, const tess_video_options *options,
                             tess_video_facts *out, tess_error *err);

/* Gives facts.n_frame frames to the sink. `out` may be NULL.
 * Errors: TESS_EINPUT  no video in it, an unsupported kind, damage with frames behind it (what cannot be
 * decoded at the end is left out); TESS_EBUDGET  frames too large for max_bytes; TESS_EUNSUPPORTED  a library
 * is not installed; TESS_EIO; TESS_ENOMEM; what the sink returns. */
tess_status tess_video_decode(const tess_source *source, const tess_video_options *options,
                              tess_frame_sink *sink, void *context, tess_video_facts *out, tess_error *err);

#endif
