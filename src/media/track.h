/* One track of a sound or film file, decoded frame by frame by FFmpeg.
 *
 * Files are read through our own functions only, from a path or memory alike: what a container refers to
 * elsewhere is not opened. One thread decodes, and FFmpeg is asked for results that do not depend on the
 * machine. A file may be read about as much as it is long: one that leads in circles is refused. Damage is
 * forgiven at the end, where what came before it is used; with frames behind it, it is refused.
 */
#ifndef TESS_MEDIA_TRACK_H
#define TESS_MEDIA_TRACK_H

#include <stdbool.h>

#include "media/libraries.h"
#include "media/source.h"

typedef enum tess_track_kind { TESS_TRACK_AUDIO, TESS_TRACK_VIDEO } tess_track_kind;

typedef struct tess_track {
    tess_track_kind kind;
    tess_codec_library codec_lib;
    tess_format_library format_lib;
    tess_source_reader reader;
    uint64_t offset;    /* of the next byte FFmpeg reads */
    uint64_t allowance; /* bytes that may yet be read or taken as packets */
    int failure;        /* errno of a read that failed; 0 */
    bool is_circular;   /* the allowance is spent */
    bool is_draining;   /* all packets are with the decoder */
    int64_t damage;     /* byte of a packet that could not be decoded, with nothing after it so far; -1 */
    bool is_damaged;
    AVFormatContext *format;
    AVIOContext *io;
    AVStream *stream;
    AVCodecContext *context;
    AVPacket *packet;
    AVFrame *frame;  /* the last that tess_track_next gave */
    int64_t n_frame; /* given so far */
} tess_track;

/* Opens the first track of a kind. Release it after a failure too. Errors: TESS_EINPUT  no such track, an
 * unsupported kind, damage; TESS_EUNSUPPORTED  a library is not installed; TESS_EIO; TESS_ENOMEM. */
tess_status tess_track_open(const tess_source *source, tess_track_kind kind, tess_track *out,
                            tess_error *err);
void tess_track_close(tess_track *track);

/* *is_there: track->frame is the next frame; false at the end. */
tess_status tess_track_next(tess_track *track, bool *is_there, tess_error *err);

/* Whether the file has a track of a kind; a cover is no film. */
bool tess_track_file_has(const tess_track *track, tess_track_kind kind);

/* "mov,mp4,…" of FFmpeg as people say it, and the codec's name: "MP4, h264". */
void tess_track_name_format(const tess_track *track, char *out, size_t size);

#endif
