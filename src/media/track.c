#include "media/track.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "media/image_file.h"
#include "media/track_loss.h"

static const char *const supported[] = {
    [TESS_TRACK_AUDIO] = "sound: WAV, FLAC, MP3, OGG, AAC, AIFF, CAF, or the sound of a film",
    [TESS_TRACK_VIDEO] = "a film: MP4 (MOV), WebM (MKV), AVI, MPEG, FLV, ASF or GIF",
};
/* Demuxers, by FFmpeg's names. Others are for devices, playlists, subtitles, or text drawn as pictures. */
static const char allowed_formats[] =
    "wav,w64,aiff,au,caf,mp3,aac,flac,ogg,mov,matroska,avi,mpegts,mpeg,flv,asf,"
    "amr,ac3,eac3,wv,gif,ivf";
enum { IO_BYTES = 1 << 15, ROUNDS = 8, FREE_BYTES = 16 << 20 };
/* Frames that a decoder keeps for others to refer to, at most 16 in H.264 and HEVC, the one it makes, and one
 * that waits; what it takes beside them; pictures of three bytes a pixel, before and after they are turned.
 */
enum { KEPT_FRAMES = 18, DECODER_BYTES = 32 << 20, PICTURE_BYTES = 6 };
/* While the tracks of a sound file are looked at, a film in it may have frames of that many pixels; and those
 * of a film that is not going to be decoded of so many. */
enum { BYSTANDER_PIXELS = 1 << 25, UNDECODED_PIXELS = 1 << 23 };

/* ---- reading ---- */

static bool spend(tess_track *track, uint64_t n)
{
    if (track->allowance < n) {
        track->is_circular = true;
        return false;
    }
    track->allowance -= n;
    return true;
}

static int read_bytes(void *opaque, uint8_t *out, int n)
{
    tess_track *track = opaque;
    int64_t got = tess_source_reader_read(&track->reader, track->offset, out, (size_t)n);
    if (got < 0) {
        track->failure = errno;
        return AVERROR(EIO);
    }
    if (got == 0) return AVERROR_EOF;
    if (!spend(track, (uint64_t)got)) return AVERROR(EIO);
    track->offset += (uint64_t)got;
    return (int)got;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    tess_track *track = opaque;
    int64_t n_byte = (int64_t)track->reader.n_byte, begin = 0;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return n_byte;
    if (whence == SEEK_CUR) begin = (int64_t)track->offset;
    if (whence == SEEK_END) begin = n_byte;
    int64_t to;
    if (__builtin_add_overflow(begin, offset, &to) || to < 0) return AVERROR(EINVAL);
    track->offset = (uint64_t)to;
    return to;
}

/* What a file refers to elsewhere stays closed. */
static int open_nothing(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                        AVDictionary **options)
{
    (void)format;
    (void)io;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

/* ---- what readers of containers complain of ---- */

/* FFmpeg's log: of the readers of our own files, told by what they read through, errors are kept. They are
 * all that shows where a reader has lost its way and found it again further on. */
static void hear_log(void *object, int level, const char *format, va_list args)
{
    const AVClass *class = object ? *(const AVClass **)object : NULL;
    if (level > AV_LOG_ERROR || !class || strcmp(class->class_name, "AVFormatContext") != 0) return;
    const AVIOContext *io = ((const AVFormatContext *)object)->pb;
    if (!io || io->read_packet != read_bytes) return;
    tess_track *track = io->opaque;
    if (*track->complaint) return;
    vsnprintf(track->complaint, sizeof track->complaint, format, args);
    track->complaint[strcspn(track->complaint, "\n")] = 0;
    track->complaint_byte = track->offset;
}

/* ---- refusals ---- */

static const char *name_of(const tess_track *track)
{
    return track->reader.source->name;
}

static tess_status refuse_memory(const tess_track *track, tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", name_of(track));
}

/* What FFmpeg's code means, the reasons first that it does not know of. */
static tess_status refuse_code(const tess_track *track, int code, const char *expected, tess_error *err)
{
    if (track->failure)
        return tess_fail_system(err, track->failure, name_of(track), (int64_t)track->offset, "read");
    if (track->is_circular)
        return tess_refuse(err, name_of(track), "", -1, "a file that is read about once",
                           "one that leads in circles");
    /* Nearly always sizes in the file that are nonsense: FFmpeg allocates nothing beyond 2 GiB. */
    if (code == AVERROR(ENOMEM))
        return tess_refuse(err, name_of(track), "", -1, expected, "what asks for more memory than there is");
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    track->codec_lib.av_strerror(code, reason, sizeof reason);
    return tess_refuse(err, name_of(track), "", -1, expected, "what cannot be read (%s)", reason);
}

/* What is no file of tracks: by name where it is a picture, for that goes elsewhere. */
static tess_status refuse_kind(const tess_track *track, int code, tess_error *err)
{
    tess_image_facts picture;
    if (!track->failure && tess_image_probe(track->reader.source, &picture, NULL) == TESS_OK)
        return tess_refuse(err, name_of(track), "", -1, supported[track->kind], "a picture (%s)",
                           picture.format);
    return refuse_code(track, code, supported[track->kind], err);
}

/* ---- sizes ---- */

static uint64_t count_bytes(const tess_track *track, int form, uint64_t wide, uint64_t high)
{
    const AVPixFmtDescriptor *d = track->codec_lib.av_pix_fmt_desc_get((enum AVPixelFormat)form);
    uint64_t unknown = track->is_undecoded ? 64 : 32, sum; /* no decoder will say more */
    uint64_t n_bit = d ? (uint64_t)track->codec_lib.av_get_padded_bits_per_pixel(d) : unknown;
    bool fits = tess_mul_u64(wide * high, (n_bit * KEPT_FRAMES + 7) / 8 + PICTURE_BYTES, &sum) &&
                tess_add_u64(sum, DECODER_BYTES, &sum);
    return fits ? sum : UINT64_MAX;
}

uint64_t tess_track_count_bytes(const tess_track *track, int width, int height)
{
    /* Until there is a decoder, the form is what the file says. Decoders round up to whole blocks. */
    int form = track->context ? (int)track->context->pix_fmt : track->stream->codecpar->format;
    return count_bytes(track, form, (uint64_t)width + 64, (uint64_t)height + 64);
}

static tess_status refuse_size(const tess_track *track, int width, int height, uint64_t bytes,
                               tess_error *err)
{
    char what[64];
    snprintf(what, sizeof what, "its %d x %d pixels take", width, height);
    return tess_refuse_bytes(err, name_of(track), what, bytes, track->max_bytes);
}

tess_status tess_track_check_size(const tess_track *track, int width, int height, tess_error *err)
{
    if (width < 1 || height < 1)
        return tess_refuse(err, name_of(track), "size", -1, "at least one pixel", "%d x %d", width, height);
    uint64_t bytes = tess_track_count_bytes(track, width, height);
    return bytes <= track->max_bytes ? TESS_OK : refuse_size(track, width, height, bytes, err);
}

/* Called for each frame the decoder makes, whatever size and form the stream has come to by then. */
static int get_frame_memory(AVCodecContext *context, AVFrame *frame, int flags)
{
    tess_track *track = context->opaque;
    uint64_t wide = (uint64_t)frame->width, high = (uint64_t)frame->height;
    if (track->kind == TESS_TRACK_VIDEO && count_bytes(track, frame->format, wide, high) > track->max_bytes) {
        track->too_wide = frame->width;
        track->too_high = frame->height;
        return AVERROR(EINVAL);
    }
    return track->codec_lib.avcodec_default_get_buffer2(context, frame, flags);
}

/* Pixels of the largest frame that could be allowed: FFmpeg looks at some before it is asked to. */
static int64_t count_most_pixels(const tess_track *track)
{
    if (track->kind == TESS_TRACK_AUDIO) return BYSTANDER_PIXELS;
    if (track->is_undecoded) return UNDECODED_PIXELS;
    uint64_t most = track->max_bytes / (KEPT_FRAMES + PICTURE_BYTES);
    return most < 1 ? 1 : most > INT32_MAX ? INT32_MAX : (int64_t)most;
}

/* ---- opening ---- */

static AVStream *find_stream(const tess_track *track, tess_track_kind kind)
{
    enum AVMediaType type = kind == TESS_TRACK_AUDIO ? AVMEDIA_TYPE_AUDIO : AVMEDIA_TYPE_VIDEO;
    for (unsigned i = 0; i < track->format->nb_streams; i++) {
        AVStream *stream = track->format->streams[i];
        if (stream->codecpar->codec_type == type && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC))
            return stream;
    }
    return NULL;
}

/* Looking at streams forgets the size of frames that are larger than it may decode. */
static void note_stated_size(tess_track *track)
{
    const AVStream *stream = find_stream(track, track->kind);
    if (!stream) return;
    track->stated_width = stream->codecpar->width;
    track->stated_height = stream->codecpar->height;
}

/* Learns what the header does not say, by decoding a little of each track. */
static tess_status look_at_streams(tess_track *track, tess_error *err)
{
    const tess_codec_library *lib = &track->codec_lib;
    char most_pixels[24];
    snprintf(most_pixels, sizeof most_pixels, "%lld", (long long)count_most_pixels(track));
    unsigned n = track->format->nb_streams;
    AVDictionary **options = calloc(n + 1, sizeof *options);
    if (!options) return refuse_memory(track, err);
    int code = 0;
    for (unsigned i = 0; i < n && code >= 0; i++)
        code = lib->av_dict_set(&options[i], "max_pixels", most_pixels, 0);
    if (code >= 0) code = track->format_lib.avformat_find_stream_info(track->format, options);
    for (unsigned i = 0; i < n; i++) lib->av_dict_free(&options[i]);
    free(options);
    return code < 0 ? refuse_kind(track, code, err) : TESS_OK;
}

static tess_status open_format(tess_track *track, tess_error *err)
{
    const tess_codec_library *codec = &track->codec_lib;
    const tess_format_library *lib = &track->format_lib;
    uint8_t *buffer = codec->av_malloc(IO_BYTES);
    if (buffer) track->io = lib->avio_alloc_context(buffer, IO_BYTES, 0, track, read_bytes, NULL, seek_bytes);
    if (!track->io) {
        codec->av_free(buffer);
        return refuse_memory(track, err);
    }
    track->format = lib->avformat_alloc_context();
    AVDictionary *options = NULL;
    if (!track->format || codec->av_dict_set(&options, "format_whitelist", allowed_formats, 0) < 0)
        return refuse_memory(track, err);
    track->format->pb = track->io;
    track->format->io_open = open_nothing;
    track->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    int code = lib->avformat_open_input(&track->format, "", NULL, &options);
    codec->av_dict_free(&options);
    if (code < 0) return refuse_kind(track, code, err);
    *track->complaint = 0; /* what led to another reader */
    note_stated_size(track);
    return look_at_streams(track, err);
}

static tess_status open_packet(tess_track *track, tess_error *err)
{
    track->packet = track->codec_lib.av_packet_alloc();
    return track->packet ? TESS_OK : refuse_memory(track, err);
}

static tess_status open_decoder(tess_track *track, tess_error *err)
{
    const tess_codec_library *lib = &track->codec_lib;
    const AVCodec *codec = lib->avcodec_find_decoder(track->stream->codecpar->codec_id);
    if (!codec)
        return tess_refuse(err, name_of(track), "codec", -1, "one that this libavcodec decodes", "%s",
                           lib->avcodec_get_name(track->stream->codecpar->codec_id));
    track->context = lib->avcodec_alloc_context3(codec);
    track->packet = lib->av_packet_alloc();
    track->frame = lib->av_frame_alloc();
    if (!track->context || !track->packet || !track->frame) return refuse_memory(track, err);
    int code = lib->avcodec_parameters_to_context(track->context, track->stream->codecpar);
    if (code < 0) return refuse_code(track, code, "parameters of a decoder", err);
    track->context->thread_count = 1;
    track->context->flags |= AV_CODEC_FLAG_BITEXACT;
    track->context->pkt_timebase = track->stream->time_base;
    /* FLAC tells damage by a checksum; of what has none, stricter rules refuse files that are merely old. */
    if (codec->id == AV_CODEC_ID_FLAC) track->context->err_recognition |= AV_EF_CRCCHECK | AV_EF_EXPLODE;
    track->context->max_pixels = count_most_pixels(track);
    track->context->opaque = track;
    track->context->get_buffer2 = get_frame_memory;
    code = lib->avcodec_open2(track->context, codec, NULL);
    return code < 0 ? refuse_code(track, code, "what its decoder can begin with", err) : TESS_OK;
}

static tess_status open_track(tess_track *track, tess_error *err)
{
    tess_status status = open_format(track, err);
    if (status != TESS_OK) return status;
    track->stream = find_stream(track, track->kind);
    if (!track->stream)
        return tess_refuse(err, name_of(track), "", -1,
                           track->kind == TESS_TRACK_AUDIO ? "a file with sound" : "a file with a film",
                           track->kind == TESS_TRACK_AUDIO ? "no audio track" : "no video track");
    for (unsigned i = 0; i < track->format->nb_streams; i++)
        if (track->format->streams[i] != track->stream) track->format->streams[i]->discard = AVDISCARD_ALL;
    if (track->is_undecoded) return open_packet(track, err);
    int width, height;
    tess_track_get_size(track, &width, &height);
    if (track->kind == TESS_TRACK_VIDEO) status = tess_track_check_size(track, width, height, err);
    return status == TESS_OK ? open_decoder(track, err) : status;
}

static tess_status open_source(const tess_source *source, tess_track *out, tess_error *err)
{
    tess_status status = tess_codec_library_open(&out->codec_lib, err);
    if (status == TESS_OK) status = tess_format_library_open(&out->format_lib, err);
    if (status == TESS_OK) status = tess_source_reader_open(source, &out->reader, err);
    if (status != TESS_OK) return status;
    out->codec_lib.av_log_set_callback(hear_log);
    out->next_seconds = -1;
    out->allowance = out->reader.n_byte > UINT64_MAX / (2 * ROUNDS)
                         ? UINT64_MAX
                         : ROUNDS * out->reader.n_byte + FREE_BYTES;
    return open_track(out, err);
}

tess_status tess_track_open(const tess_source *source, tess_track_kind kind, uint64_t max_bytes,
                            tess_track *out, tess_error *err)
{
    *out = (tess_track){.kind = kind, .max_bytes = max_bytes, .reader = {.fd = -1}};
    return open_source(source, out, err);
}

tess_status tess_track_open_undecoded(const tess_source *source, tess_track_kind kind, tess_track *out,
                                      tess_error *err)
{
    *out = (tess_track){.kind = kind, .is_undecoded = true, .reader = {.fd = -1}};
    return open_source(source, out, err);
}

void tess_track_get_size(const tess_track *track, int *width, int *height)
{
    const AVCodecParameters *said = track->stream->codecpar;
    const bool is_said = said->width > 0 && said->height > 0;
    *width = is_said ? said->width : track->stated_width;
    *height = is_said ? said->height : track->stated_height;
}

tess_status tess_track_tell(const tess_track *track, const tess_progress *progress, tess_error *err)
{
    const uint64_t total = track->reader.n_byte, done = track->offset < total ? track->offset : total;
    return tess_progress_tell(progress, TESS_ACTIVITY_LOOKING, done, total, err);
}

void tess_track_close(tess_track *track)
{
    if (track->frame) track->codec_lib.av_frame_free(&track->frame);
    if (track->packet) track->codec_lib.av_packet_free(&track->packet);
    if (track->context) track->codec_lib.avcodec_free_context(&track->context);
    if (track->format) track->format_lib.avformat_close_input(&track->format);
    if (track->io) {
        track->codec_lib.av_free(track->io->buffer);
        track->format_lib.avio_context_free(&track->io);
    }
    tess_source_reader_close(&track->reader);
}

/* ---- decoding ---- */

/* offset: what is said, -1 for nothing; from: of the packet that it came from, -1 where that is not known. */
static void note_damage(tess_track *track, int64_t offset, int64_t from)
{
    if (!track->is_damaged || from < track->damage_from) track->damage_from = from;
    if (track->is_damaged) return;
    track->is_damaged = true;
    track->damage = offset;
}

/* Whether the frame is of a packet behind the damage, as far as that is known: one that the decoder held back
 * is not. */
static bool is_behind_damage(const tess_track *track)
{
    const int64_t at = track->frame->pkt_pos;
    return track->is_damaged && (at < 0 || track->damage_from < 0 || at >= track->damage_from);
}

/* What is more than damage of the packet that the decoder has just refused. */
static tess_status check_decoder(const tess_track *track, int code, tess_error *err)
{
    if (track->too_wide)
        return refuse_size(track, track->too_wide, track->too_high,
                           tess_track_count_bytes(track, track->too_wide, track->too_high), err);
    return code == AVERROR(ENOMEM) ? refuse_memory(track, err) : TESS_OK;
}

/* Reads the next packet of any track; at the end of all is_draining is set. */
static tess_status read_packet(tess_track *track, tess_error *err)
{
    int code = track->format_lib.av_read_frame(track->format, track->packet);
    track->is_draining = code == AVERROR_EOF;
    if (track->is_draining) return TESS_OK;
    if (code < 0) return refuse_code(track, code, "packets up to the end", err);
    if (spend(track, (uint64_t)track->packet->size + 1)) return TESS_OK;
    track->codec_lib.av_packet_unref(track->packet);
    return refuse_code(track, 0, "", err);
}

tess_status tess_track_next_packet(tess_track *track, bool *is_there, tess_error *err)
{
    do {
        track->codec_lib.av_packet_unref(track->packet);
        tess_status status = read_packet(track, err);
        if (status != TESS_OK) return status;
    } while (!track->is_draining && track->packet->stream_index != track->stream->index);
    *is_there = !track->is_draining;
    return TESS_OK;
}

/* Hands one packet of the track to the decoder, or tells it that there are no more. */
static tess_status feed(tess_track *track, tess_error *err)
{
    const tess_codec_library *lib = &track->codec_lib;
    const tess_status status = read_packet(track, err);
    if (status != TESS_OK) return status;
    AVPacket *packet = track->packet;
    int code = 0;
    if (track->is_draining) {
        lib->avcodec_send_packet(track->context, NULL);
        return TESS_OK;
    }
    /* Half a picture would be made up for the other half; half a packet of sound is as much sound. */
    bool is_half = track->kind == TESS_TRACK_VIDEO && packet->flags & AV_PKT_FLAG_CORRUPT;
    if (packet->stream_index == track->stream->index) {
        tess_track_note_packet(track);
        track->fed = packet->pos;
        code = is_half ? AVERROR_INVALIDDATA : lib->avcodec_send_packet(track->context, packet);
        if (code < 0) note_damage(track, packet->pos, packet->pos);
    }
    lib->av_packet_unref(packet);
    return check_decoder(track, code, err);
}

static bool is_flawed(const tess_track *track)
{
    const AVFrame *frame = track->frame;
    return track->kind == TESS_TRACK_VIDEO &&
           (frame->decode_error_flags || frame->flags & AV_FRAME_FLAG_CORRUPT);
}

/* Whether a file may have been cut out of a longer stream, so that what precedes the first whole frame is
 * forgiven. */
static bool is_excerpt(const tess_track *track)
{
    static const char *const names[] = {"mp3", "aac", "ac3", "eac3", "mpegts", "mpeg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(track->format->iformat->name, names[i])) return true;
    return false;
}

static tess_status take_frame(tess_track *track, bool *is_there, tess_error *err)
{
    if (is_flawed(track)) {
        note_damage(track, track->frame->pkt_pos, track->frame->pkt_pos);
        return TESS_OK;
    }
    const bool is_behind = is_behind_damage(track);
    if (is_behind && (track->n_frame > 0 || !is_excerpt(track)))
        return tess_refuse(err, name_of(track), "", track->damage, "what can be decoded",
                           "damage with more behind it");
    if (is_behind) track->is_damaged = false;
    track->n_frame++;
    tess_track_note_frame(track);
    *is_there = true;
    return TESS_OK;
}

tess_status tess_track_next(tess_track *track, bool *is_there, tess_error *err)
{
    const tess_codec_library *lib = &track->codec_lib;
    *is_there = false;
    for (tess_status status = TESS_OK; status == TESS_OK && !*is_there;) {
        int code = lib->avcodec_receive_frame(track->context, track->frame);
        if (code >= 0)
            status = take_frame(track, is_there, err);
        else if (code == AVERROR_EOF || track->is_draining)
            return check_decoder(track, code, err);
        else {
            if (code != AVERROR(EAGAIN)) note_damage(track, -1, track->fed);
            status = check_decoder(track, code, err);
            if (status == TESS_OK) status = feed(track, err);
        }
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

double tess_track_get_stated_seconds(const tess_track *track)
{
    const AVStream *stream = track->stream;
    if (stream->duration > 0 && stream->time_base.den > 0)
        return (double)stream->duration * stream->time_base.num / stream->time_base.den;
    return track->format->duration > 0 ? (double)track->format->duration / AV_TIME_BASE : 0;
}

bool tess_track_file_has(const tess_track *track, tess_track_kind kind)
{
    return find_stream(track, kind) != NULL;
}

void tess_track_name_format(const tess_track *track, char *out, size_t size)
{
    static const char *const names[][2] = {
        {"mov,mp4,m4a,3gp,3g2,mj2", "MP4"},
        {"matroska,webm", "Matroska"},
        {"wav", "WAV"},
        {"mp3", "MP3"},
        {"flac", "FLAC"},
        {"ogg", "OGG"},
        {"aac", "AAC"},
        {"aiff", "AIFF"},
        {"avi", "AVI"},
        {"mpegts", "MPEG-TS"},
        {"mpeg", "MPEG"},
        {"gif", "GIF"},
    };
    const char *format = track->format->iformat->name;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(format, names[i][0])) format = names[i][1];
    snprintf(out, size, "%s, %s", format, track->codec_lib.avcodec_get_name(track->context->codec_id));
}
