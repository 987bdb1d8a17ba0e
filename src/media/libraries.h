/* The libraries that decode, encode and play media, opened on first use: linking them would cost every run
 * 27 MB and 150 shared objects before main().
 *
 * A table holds the functions of one library, found by name. Opening one costs microseconds once the library
 * is there (25 ms the first time for FFmpeg's), so that whoever handles a file opens a table of its own and
 * nothing is shared. There is nothing to close: a library stays loaded, since several that FFmpeg brings
 * along lose memory each time they are unloaded (12 KB a cycle, measured), and unloading gives back only 17
 * of 25 MB.
 *
 * Structures are laid out as the headers at build time say, so a library is opened by the name that stands
 * for that layout, and no other version is tried.
 */
#ifndef TESS_MEDIA_LIBRARIES_H
#define TESS_MEDIA_LIBRARIES_H

#include <stdio.h>

#include <alsa/asoundlib.h>
#include <jpeglib.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <pulse/error.h>
#include <pulse/simple.h>
#include <soxr.h>
#include <webp/decode.h>
#include <webp/demux.h>
#include <zlib.h>

#include "base/error.h"

#define TESS_JPEG_FUNCTIONS(X)                                                                               \
    X(jpeg_std_error)                                                                                        \
    X(jpeg_CreateDecompress)                                                                                 \
    X(jpeg_mem_src)                                                                                          \
    X(jpeg_read_header)                                                                                      \
    X(jpeg_start_decompress)                                                                                 \
    X(jpeg_read_scanlines)                                                                                   \
    X(jpeg_finish_decompress)                                                                                \
    X(jpeg_destroy_decompress)

#define TESS_ZLIB_FUNCTIONS(X)                                                                               \
    X(crc32)                                                                                                 \
    X(inflate)                                                                                               \
    X(inflateEnd)                                                                                            \
    X(inflateInit_)

#define TESS_WEBP_FUNCTIONS(X)                                                                               \
    X(WebPGetFeaturesInternal)                                                                               \
    X(WebPDecodeRGBInto)                                                                                     \
    X(WebPDecodeRGBAInto)

#define TESS_WEBP_DEMUX_FUNCTIONS(X)                                                                         \
    X(WebPAnimDecoderOptionsInitInternal)                                                                    \
    X(WebPAnimDecoderNewInternal)                                                                            \
    X(WebPAnimDecoderGetInfo)                                                                                \
    X(WebPAnimDecoderGetNext)                                                                                \
    X(WebPAnimDecoderDelete)

#define TESS_AVUTIL_FUNCTIONS(X)                                                                             \
    X(av_buffer_create)                                                                                      \
    X(av_channel_layout_default)                                                                             \
    X(av_dict_free)                                                                                          \
    X(av_dict_set)                                                                                           \
    X(av_frame_alloc)                                                                                        \
    X(av_frame_free)                                                                                         \
    X(av_frame_get_buffer)                                                                                   \
    X(av_frame_make_writable)                                                                                \
    X(av_frame_move_ref)                                                                                     \
    X(av_frame_unref)                                                                                        \
    X(av_free)                                                                                               \
    X(av_get_bytes_per_sample)                                                                               \
    X(av_get_packed_sample_fmt)                                                                              \
    X(av_get_padded_bits_per_pixel)                                                                          \
    X(av_get_pix_fmt_name)                                                                                   \
    X(av_log_set_callback)                                                                                   \
    X(av_log_set_level)                                                                                      \
    X(av_malloc)                                                                                             \
    X(av_pix_fmt_desc_get)                                                                                   \
    X(av_strerror)

#define TESS_AVCODEC_FUNCTIONS(X)                                                                            \
    X(av_packet_alloc)                                                                                       \
    X(av_packet_free)                                                                                        \
    X(av_packet_rescale_ts)                                                                                  \
    X(av_packet_unref)                                                                                       \
    X(avcodec_alloc_context3)                                                                                \
    X(avcodec_default_get_buffer2)                                                                           \
    X(avcodec_find_decoder)                                                                                  \
    X(avcodec_find_encoder_by_name)                                                                          \
    X(avcodec_free_context)                                                                                  \
    X(avcodec_get_name)                                                                                      \
    X(avcodec_open2)                                                                                         \
    X(avcodec_parameters_from_context)                                                                       \
    X(avcodec_parameters_to_context)                                                                         \
    X(avcodec_receive_frame)                                                                                 \
    X(avcodec_receive_packet)                                                                                \
    X(avcodec_send_frame)                                                                                    \
    X(avcodec_send_packet)

#define TESS_AVFORMAT_FUNCTIONS(X)                                                                           \
    X(av_read_frame)                                                                                         \
    X(av_stream_get_side_data)                                                                               \
    X(av_write_frame)                                                                                        \
    X(av_write_trailer)                                                                                      \
    X(avformat_alloc_context)                                                                                \
    X(avformat_alloc_output_context2)                                                                        \
    X(avformat_close_input)                                                                                  \
    X(avformat_find_stream_info)                                                                             \
    X(avformat_free_context)                                                                                 \
    X(avformat_new_stream)                                                                                   \
    X(avformat_open_input)                                                                                   \
    X(avformat_write_header)                                                                                 \
    X(avio_alloc_context)                                                                                    \
    X(avio_context_free)                                                                                     \
    X(avio_flush)

#define TESS_SWSCALE_FUNCTIONS(X)                                                                            \
    X(sws_freeContext)                                                                                       \
    X(sws_getCoefficients)                                                                                   \
    X(sws_getContext)                                                                                        \
    X(sws_scale)                                                                                             \
    X(sws_setColorspaceDetails)

#define TESS_SOXR_FUNCTIONS(X)                                                                               \
    X(soxr_create)                                                                                           \
    X(soxr_delete)                                                                                           \
    X(soxr_io_spec)                                                                                          \
    X(soxr_process)                                                                                          \
    X(soxr_quality_spec)

#define TESS_PULSE_FUNCTIONS(X)                                                                              \
    X(pa_simple_drain)                                                                                       \
    X(pa_simple_flush)                                                                                       \
    X(pa_simple_free)                                                                                        \
    X(pa_simple_new)                                                                                         \
    X(pa_simple_write)                                                                                       \
    X(pa_strerror)

#define TESS_ALSA_FUNCTIONS(X)                                                                               \
    X(snd_lib_error_set_handler)                                                                             \
    X(snd_pcm_close)                                                                                         \
    X(snd_pcm_drain)                                                                                         \
    X(snd_pcm_drop)                                                                                          \
    X(snd_pcm_open)                                                                                          \
    X(snd_pcm_prepare)                                                                                       \
    X(snd_pcm_recover)                                                                                       \
    X(snd_pcm_set_params)                                                                                    \
    X(snd_pcm_writei)                                                                                        \
    X(snd_strerror)

#define TESS_LIBRARY_MEMBER(name) __typeof__(&(name)) name;
typedef struct tess_jpeg_library {
    TESS_JPEG_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_jpeg_library;
typedef struct tess_zlib_library {
    TESS_ZLIB_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_zlib_library;
typedef struct tess_webp_library {
    TESS_WEBP_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_webp_library;
typedef struct tess_webp_demux_library {
    TESS_WEBP_DEMUX_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_webp_demux_library;
/* FFmpeg's decoders and encoders alone, as images need them. */
typedef struct tess_codec_library {
    TESS_AVUTIL_FUNCTIONS(TESS_LIBRARY_MEMBER)
    TESS_AVCODEC_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_codec_library;
/* And what reads and writes containers. */
typedef struct tess_format_library {
    TESS_AVFORMAT_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_format_library;
typedef struct tess_scale_library {
    TESS_SWSCALE_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_scale_library;
typedef struct tess_soxr_library {
    TESS_SOXR_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_soxr_library;
/* PulseAudio's simple interface, which PipeWire answers as well. */
typedef struct tess_pulse_library {
    TESS_PULSE_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_pulse_library;
typedef struct tess_alsa_library {
    TESS_ALSA_FUNCTIONS(TESS_LIBRARY_MEMBER)
} tess_alsa_library;
#undef TESS_LIBRARY_MEMBER

/* Each fills a table. TESS_EUNSUPPORTED, naming the library and Debian's package, where it cannot be opened;
 * TESS_ENOMEM where that is for want of memory. The logs of FFmpeg and ALSA, which would go to standard
 * error, are silenced for the whole process: there is no other way. A track hears FFmpeg's
 * (src/media/track.c).
 */
tess_status tess_jpeg_library_open(tess_jpeg_library *out, tess_error *err);
tess_status tess_zlib_library_open(tess_zlib_library *out, tess_error *err);
tess_status tess_webp_library_open(tess_webp_library *out, tess_error *err);
tess_status tess_webp_demux_library_open(tess_webp_demux_library *out, tess_error *err);
tess_status tess_codec_library_open(tess_codec_library *out, tess_error *err);
tess_status tess_format_library_open(tess_format_library *out, tess_error *err);
tess_status tess_scale_library_open(tess_scale_library *out, tess_error *err);
tess_status tess_soxr_library_open(tess_soxr_library *out, tess_error *err);
tess_status tess_pulse_library_open(tess_pulse_library *out, tess_error *err);
tess_status tess_alsa_library_open(tess_alsa_library *out, tess_error *err);

#endif
