#include "media/sound_encoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/libraries.h"
#include "media/sound_samples.h"

static const struct code {
    const char *name, *muxer, *encoder;
    enum AVSampleFormat form;
    int64_t bits_a_second; /* 0: as many as it takes */
} codes[] = {
    [TESS_SOUND_FLAC] = {"FLAC", "flac", "flac", AV_SAMPLE_FMT_S16, 0},
    [TESS_SOUND_MP3] = {"MP3", "mp3", "libmp3lame", AV_SAMPLE_FMT_FLTP, 96000},
    [TESS_SOUND_OPUS] = {"Opus", "ogg", "libopus", AV_SAMPLE_FMT_FLT, 64000},
};
/* Of Ogg, which others have no use for: so often does a listener to a pipe get something. */
#define PAGE_US "200000"
enum { IO_BYTES = 1 << 15, FRAME = 4096 /* of an encoder that takes any number of samples */ };

struct tess_sound_encoder {
    const struct code *code;
    tess_target *target;
    tess_codec_library codec_lib;
    tess_format_library format_lib;
    const AVCodec *codec;
    AVCodecContext *context;
    AVFormatContext *format;
    AVIOContext *io;
    AVStream *stream;
    AVFrame *frame; /* being filled */
    AVPacket *packet;
    int n_frame, n_filled; /* samples of a whole frame, and of this one so far */
    int64_t n_sample;      /* in frames before this one */
    uint64_t offset;       /* of the next byte FFmpeg writes */
    int64_t n_piece;       /* packets or pages written */
    uint64_t whole_bytes;  /* up to the end of the last of them */
    bool has_header;       /* and so needs its trailer before it is freed */
    tess_status failure;   /* of the target */
    tess_error target_error;
};

/* ---- writing ---- */

static int write_bytes(void *opaque, uint8_t *bytes, int n)
{
    tess_sound_encoder *e = opaque;
    if (e->failure == TESS_OK)
        e->failure = tess_target_write(e->target, e->offset, bytes, (size_t)n, &e->target_error);
    if (e->failure != TESS_OK) return AVERROR(EIO);
    e->offset += (uint64_t)n;
    return n;
}

/* To what is written already; FFmpeg seeks to write sizes into headers. */
static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    tess_sound_encoder *e = opaque;
    int64_t n_byte = (int64_t)tess_target_get_size(e->target), begin = 0;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return n_byte;
    if (whence == SEEK_CUR) begin = (int64_t)e->offset;
    if (whence == SEEK_END) begin = n_byte;
    if (offset < -begin || offset > n_byte - begin) return AVERROR(EINVAL);
    e->offset = (uint64_t)(begin + offset);
    return begin + offset;
}

/* ---- failures ---- */

static tess_status refuse_memory(const tess_sound_encoder *e, tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "%s: no memory to encode it", tess_target_get_name(e->target));
}

/* What FFmpeg's code means: TESS_OK for none. */
static tess_status check_code(tess_sound_encoder *e, int code, const char *what, tess_error *err)
{
    if (e->failure != TESS_OK) {
        if (err) *err = e->target_error;
        return e->failure;
    }
    if (code >= 0) return TESS_OK;
    if (code == AVERROR(ENOMEM)) return refuse_memory(e, err);
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    e->codec_lib.av_strerror(code, reason, sizeof reason);
    return tess_fail(err, TESS_EIO, "%s: FFmpeg cannot %s as %s: %s", tess_target_get_name(e->target), what,
                     e->code->name, reason);
}

/* ---- opening ---- */

static tess_status check_rate(const tess_sound_encoder *e, int rate_hz, tess_error *err)
{
    char list[128] = "one of";
    size_t n = strlen(list), begin = n;
    const int *rate = e->codec->supported_samplerates;
    if (!rate) return TESS_OK;
    for (; *rate; rate++) {
        if (*rate == rate_hz) return TESS_OK;
        if (n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s %d", n > begin ? "," : "", *rate);
    }
    return tess_refuse_option(err, "rate_hz", list, "%d, which %s does not know", rate_hz, e->code->name);
}

/* Before anything else is opened: what is not there is refused first. */
static tess_status find_codec(tess_sound_encoder *e, int rate_hz, tess_error *err)
{
    tess_status status = tess_codec_library_open(&e->codec_lib, err);
    if (status != TESS_OK) return status;
    e->codec = e->codec_lib.avcodec_find_encoder_by_name(e->code->encoder);
    if (e->codec) return check_rate(e, rate_hz, err);
    return tess_fail(err, TESS_EUNSUPPORTED,
                     "%s: the installed libavcodec has no encoder %s for %s: install Debian's package "
                     "libavcodec%d, or write .wav",
                     tess_target_get_name(e->target), e->code->encoder, e->code->name,
                     LIBAVCODEC_VERSION_MAJOR);
}

static tess_status open_codec(tess_sound_encoder *e, int rate_hz, tess_error *err)
{
    const tess_codec_library *lib = &e->codec_lib;
    e->context = lib->avcodec_alloc_context3(e->codec);
    if (!e->context) return refuse_memory(e, err);
    lib->av_channel_layout_default(&e->context->ch_layout, 1);
    e->context->sample_rate = rate_hz;
    e->context->sample_fmt = e->code->form;
    e->context->time_base = (AVRational){1, rate_hz};
    e->context->bit_rate = e->code->bits_a_second;
    e->context->thread_count = 1;
    e->context->flags |= AV_CODEC_FLAG_BITEXACT;
    if (e->format->oformat->flags & AVFMT_GLOBALHEADER) e->context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    return check_code(e, lib->avcodec_open2(e->context, e->codec, NULL), "begin", err);
}

static tess_status open_frame(tess_sound_encoder *e, tess_error *err)
{
    const tess_codec_library *lib = &e->codec_lib;
    e->packet = lib->av_packet_alloc();
    e->frame = lib->av_frame_alloc();
    if (!e->packet || !e->frame) return refuse_memory(e, err);
    e->n_frame = e->context->frame_size ? e->context->frame_size : FRAME;
    e->frame->format = e->code->form;
    e->frame->sample_rate = e->context->sample_rate;
    e->frame->nb_samples = e->n_frame;
    lib->av_channel_layout_default(&e->frame->ch_layout, 1);
    return check_code(e, lib->av_frame_get_buffer(e->frame, 0), "make a frame", err);
}

static tess_status open_io(tess_sound_encoder *e, tess_error *err)
{
    uint8_t *buffer = e->codec_lib.av_malloc(IO_BYTES);
    if (buffer)
        e->io = e->format_lib.avio_alloc_context(buffer, IO_BYTES, 1, e, NULL, write_bytes,
                                                 tess_target_can_seek(e->target) ? seek_bytes : NULL);
    if (!e->io) {
        e->codec_lib.av_free(buffer);
        return refuse_memory(e, err);
    }
    int code = e->format_lib.avformat_alloc_output_context2(&e->format, NULL, e->code->muxer, NULL);
    if (code < 0) return check_code(e, code, "write a file", err);
    e->format->pb = e->io;
    e->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    return TESS_OK;
}

static tess_status write_header(tess_sound_encoder *e, tess_error *err)
{
    e->stream = e->format_lib.avformat_new_stream(e->format, NULL);
    if (!e->stream) return refuse_memory(e, err);
    e->stream->time_base = e->context->time_base;
    int code = e->codec_lib.avcodec_parameters_from_context(e->stream->codecpar, e->context);
    AVDictionary *options = NULL;
    if (code >= 0) code = e->codec_lib.av_dict_set(&options, "page_duration", PAGE_US, 0);
    if (code >= 0) code = e->format_lib.avformat_write_header(e->format, &options);
    e->codec_lib.av_dict_free(&options);
    e->has_header = code >= 0;
    if (code >= 0) e->format_lib.avio_flush(e->io);
    return check_code(e, code, "write a header", err);
}

tess_status tess_sound_encoder_open(tess_sound_code code, int rate_hz, tess_target *target,
                                    tess_sound_encoder **out, tess_error *err)
{
    tess_sound_encoder *e = calloc(1, sizeof *e);
    if (!e) return tess_fail(err, TESS_ENOMEM, "%s: no memory to encode it", tess_target_get_name(target));
    e->code = &codes[code];
    e->target = target;
    tess_status status = find_codec(e, rate_hz, err);
    if (status == TESS_OK) status = tess_format_library_open(&e->format_lib, err);
    if (status == TESS_OK) status = open_io(e, err);
    if (status == TESS_OK) status = open_codec(e, rate_hz, err);
    if (status == TESS_OK) status = open_frame(e, err);
    if (status == TESS_OK) status = write_header(e, err);
    if (status != TESS_OK) {
        tess_sound_encoder_close(e);
        return status;
    }
    *out = e;
    return TESS_OK;
}

void tess_sound_encoder_close(tess_sound_encoder *e)
{
    if (!e) return;
    /* A muxer frees what it holds in its trailer, which must not reach the target now. */
    if (e->failure == TESS_OK) e->failure = TESS_EINTERRUPTED;
    if (e->has_header) e->format_lib.av_write_trailer(e->format);
    if (e->frame) e->codec_lib.av_frame_free(&e->frame);
    if (e->packet) e->codec_lib.av_packet_free(&e->packet);
    if (e->context) e->codec_lib.avcodec_free_context(&e->context);
    if (e->format) e->format_lib.avformat_free_context(e->format);
    if (e->io) {
        e->codec_lib.av_free(e->io->buffer);
        e->format_lib.avio_context_free(&e->io);
    }
    free(e);
}

/* ---- encoding ---- */

static tess_status write_packet(tess_sound_encoder *e, tess_error *err)
{
    uint64_t before = tess_target_get_size(e->target);
    e->packet->stream_index = 0;
    e->codec_lib.av_packet_rescale_ts(e->packet, e->context->time_base, e->stream->time_base);
    int code = e->format_lib.av_write_frame(e->format, e->packet);
    e->codec_lib.av_packet_unref(e->packet);
    e->format_lib.avio_flush(e->io);
    tess_status status = check_code(e, code, "write a packet", err);
    if (status != TESS_OK || tess_target_get_size(e->target) == before)
        return status; /* Ogg collects a page */
    if (++e->n_piece > 1)
        e->whole_bytes = tess_target_get_size(e->target); /* one frame of MP3 does not play */
    return TESS_OK;
}

/* Hands a frame to the encoder, or NULL for the end, and writes the packets that it has. */
static tess_status encode(tess_sound_encoder *e, const AVFrame *frame, tess_error *err)
{
    const tess_codec_library *lib = &e->codec_lib;
    int code = lib->avcodec_send_frame(e->context, frame);
    tess_status status = check_code(e, code, "encode a frame", err);
    while (status == TESS_OK) {
        code = lib->avcodec_receive_packet(e->context, e->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return TESS_OK;
        status = code < 0 ? check_code(e, code, "encode a frame", err) : write_packet(e, err);
    }
    return status;
}

static tess_status encode_frame(tess_sound_encoder *e, tess_error *err)
{
    e->frame->nb_samples = e->n_filled;
    e->frame->pts = e->n_sample;
    e->n_sample += e->n_filled;
    e->n_filled = 0;
    return encode(e, e->frame, err);
}

static void fill(const tess_sound_encoder *e, const float *samples, size_t n)
{
    uint8_t *to = e->frame->data[0];
    if (e->code->form == AV_SAMPLE_FMT_S16)
        tess_samples_to_int16(samples, n, (int16_t *)(void *)to + e->n_filled);
    else
        memcpy((float *)(void *)to + e->n_filled, samples, n * sizeof *samples);
}

tess_status tess_sound_encoder_write(tess_sound_encoder *e, const float *samples, size_t n, tess_error *err)
{
    while (n) {
        /* The encoder may still hold the last frame's memory. */
        int code = e->n_filled ? 0 : e->codec_lib.av_frame_make_writable(e->frame);
        if (code < 0) return check_code(e, code, "make a frame", err);
        size_t room = (size_t)(e->n_frame - e->n_filled), taken = n < room ? n : room;
        fill(e, samples, taken);
        e->n_filled += (int)taken;
        samples += taken;
        n -= taken;
        tess_status status = e->n_filled == e->n_frame ? encode_frame(e, err) : TESS_OK;
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

tess_status tess_sound_encoder_finish(tess_sound_encoder *e, tess_error *err)
{
    tess_status status = e->n_filled ? encode_frame(e, err) : TESS_OK;
    if (status == TESS_OK) status = encode(e, NULL, err);
    if (status != TESS_OK) return status;
    e->has_header = false;
    int code = e->format_lib.av_write_trailer(e->format);
    e->format_lib.avio_flush(e->io);
    status = check_code(e, code, "write the end", err);
    if (status == TESS_OK) e->whole_bytes = tess_target_get_size(e->target);
    return status;
}

uint64_t tess_sound_encoder_get_whole_bytes(const tess_sound_encoder *e)
{
    return e->whole_bytes;
}
