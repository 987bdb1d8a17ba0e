/* One track of a sound or film file, decoded frame by frame by FFmpeg.
 *
 * Files are read through our own functions only, from a path or memory alike: what a container refers to
 * elsewhere is not opened. One thread decodes, and FFmpeg is asked for results that do not depend on the
 * machine. A file may be read about as much as it is long: one that leads in circles is refused. Damage is
 * forgiven at the end, where what came before it is used, also what a decoder held back; with packets behind
 * it that give frames, it is refused. What readers of containers pass over, or what is not there at the end,
 * is said (tess_track_describe_loss).
 */
#ifndef TESS_MEDIA_TRACK_H
#define TESS_MEDIA_TRACK_H

#include <stdbool.h>

#include "base/progress.h"
#include "media/libraries.h"
#include "media/source.h"

typedef enum tess_track_kind { TESS_TRACK_AUDIO, TESS_TRACK_VIDEO } tess_track_kind;

typedef struct tess_track {
    tess_track_kind kind;
    tess_codec_library codec_lib;
    tess_format_library format_lib;
    tess_source_reader reader;
    uint64_t offset;                 /* of the next byte FFmpeg reads */
    uint64_t max_bytes;              /* that decoding frames may take; 0 for sound */
    bool is_undecoded;               /* packets are all that is asked for */
    int stated_width, stated_height; /* of frames, by the container alone; 0: it does not say */
    int too_wide, too_high;          /* a frame that would take more; 0 */
    uint64_t allowance;              /* bytes that may yet be read or taken as packets */
    int failure;                     /* errno of a read that failed; 0 */
    bool is_circular;                /* the allowance is spent */
    bool is_draining;                /* all packets are with the decoder */
    int64_t damage;      /* byte of a packet that could not be decoded, with nothing after it so far; -1 */
    int64_t damage_from; /* the least byte of a packet that damage may come from; -1: not known */
    int64_t fed;         /* byte of the last packet that the decoder was given; -1: not known */
    bool is_damaged;
    char complaint[96];            /* the first of the container's reader about what it passes over; "" */
    uint64_t complaint_byte;       /* about where that was */
    double next_seconds;           /* when the next frame of sound should begin; < 0: not known */
    double gap_seconds, first_gap; /* that the times of frames leave out, in all; where first */
    AVFormatContext *format;
    AVIOContext *io;
    AVStream *stream;
    AVCodecContext *context;
    AVPacket *packet;
    AVFrame *frame;  /* the last that tess_track_next gave */
    int64_t n_frame; /* given so far */
} tess_track;

/* Opens the first track of a kind. max_bytes: what decoding frames may take, by tess_track_count_bytes; of no
 * meaning for sound. Close it after a failure too. Errors: TESS_EINPUT  no such track, an unsupported kind,
 * damage; TESS_EBUDGET  frames that are too large; TESS_EUNSUPPORTED  a library is not installed; TESS_EIO;
 * TESS_ENOMEM. */
tess_status tess_track_open(const tess_source *source, tess_track_kind kind, uint64_t max_bytes,
                            tess_track *out, tess_error *err);
/* The same without a decoder, for frames of any size: packets can be counted. */
tess_status tess_track_open_undecoded(const tess_source *source, tess_track_kind kind, tess_track *out,
                                      tess_error *err);
void tess_track_close(tess_track *track);

/* *is_there: track->packet is the next packet of a track without a decoder; false at the end. */
tess_status tess_track_next_packet(tess_track *track, bool *is_there, tess_error *err);
/* *is_there: track->frame is the next frame; false at the end. */
tess_status tess_track_next(tess_track *track, bool *is_there, tess_error *err);

/* Bytes that decoding frames of a size takes at most, in the form of pixels the decoder has: its own, one
 * that waits, and a picture, twice where it is turned. UINT64_MAX where it is more than can be counted. */
uint64_t tess_track_count_bytes(const tess_track *track, int width, int height);
/* Refuses a size that takes more than the track's max_bytes. */
tess_status tess_track_check_size(const tess_track *track, int width, int height, tess_error *err);

/* The size of frames that the file says, of a decoder or of its container; 0 where it does not. */
void tess_track_get_size(const tess_track *track, int *width, int *height);

/* Tells how much of the file has been read. */
tess_status tess_track_tell(const tess_track *track, const tess_progress *progress, tess_error *err);

/* How long the track is by what the container says, or by an estimate; 0: not known. */
double tess_track_get_stated_seconds(const tess_track *track);

/* What is known to be missing of a track that was read to its end, of which `seconds` were found: "found …,
 * expected …", or "". */
void tess_track_describe_loss(const tess_track *track, double seconds, char *out, size_t size);

/* Whether the file has a track of a kind; a cover is no film. */
bool tess_track_file_has(const tess_track *track, tess_track_kind kind);

/* "mov,mp4,…" of FFmpeg as people say it, and the codec's name: "MP4, h264". */
void tess_track_name_format(const tess_track *track, char *out, size_t size);

#endif
