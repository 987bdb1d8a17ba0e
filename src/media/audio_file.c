#include "media/audio_file.h"

#include <string.h>

#include "media/track.h"

enum { BLOCK = 4096, MOST_CHANNELS = 64, MOST_RATE_HZ = 768000 };

/* Samples on their way: averaged over channels, then resampled. */
typedef struct stream {
    int rate_hz, file_rate_hz, n_channel;
    tess_soxr_library lib;
    soxr_t soxr; /* NULL where the rates are equal, and before the first frame */
    int64_t n_in, n_out;
    tess_sample_sink *sink;
    void *context;
    const char *name;
} stream;

/* ---- averaging ---- */

/* mono += one channel's samples as float32; `step` of them lie between two. */
#define ADD_SAMPLES(type, value)                                                                             \
    do {                                                                                                     \
        const type *p = (const type *)(const void *)from;                                                    \
        for (int i = 0; i < n; i++, p += step) mono[i] += (value);                                           \
    } while (0)

static void add_channel(int format, const uint8_t *from, int step, float *mono, int n)
{
    switch (format) {
    case AV_SAMPLE_FMT_U8:
        ADD_SAMPLES(uint8_t, (float)(*p - 128) * 0x1p-7f);
        break;
    case AV_SAMPLE_FMT_S16:
        ADD_SAMPLES(int16_t, (float)*p * 0x1p-15f);
        break;
    case AV_SAMPLE_FMT_S32:
        ADD_SAMPLES(int32_t, (float)*p * 0x1p-31f);
        break;
    case AV_SAMPLE_FMT_S64:
        ADD_SAMPLES(int64_t, (float)*p * 0x1p-63f);
        break;
    case AV_SAMPLE_FMT_FLT:
        ADD_SAMPLES(float, *p);
        break;
    default:
        ADD_SAMPLES(double, (float)*p);
        break;
    }
}

/* Channels are added in their order and divided by their number, as NumPy's mean over them does in float32.
 */
static void average(const tess_track *track, int first, float *mono, int n)
{
    const AVFrame *frame = track->frame;
    int n_channel = frame->ch_layout.nb_channels;
    int packed = track->codec_lib.av_get_packed_sample_fmt((enum AVSampleFormat)frame->format);
    bool is_planar = packed != frame->format;
    size_t size = (size_t)track->codec_lib.av_get_bytes_per_sample((enum AVSampleFormat)packed);
    for (int i = 0; i < n; i++) mono[i] = 0;
    for (int c = 0; c < n_channel; c++) {
        const uint8_t *from =
            is_planar ? frame->extended_data[c] + size * (size_t)first
                      : frame->extended_data[0] + size * ((size_t)first * (size_t)n_channel + (size_t)c);
        add_channel(packed, from, is_planar ? 1 : n_channel, mono, n);
    }
    if (n_channel > 1)
        for (int i = 0; i < n; i++) mono[i] /= (float)n_channel;
}

/* ---- resampling ---- */

/* Samples that n_in of the file make: rounded up, as the original's loader does. */
static int64_t count_out(const stream *s)
{
    __extension__ typedef unsigned __int128 wide;
    return (int64_t)(((wide)s->n_in * (unsigned)s->rate_hz + (unsigned)s->file_rate_hz - 1) /
                     (unsigned)s->file_rate_hz);
}

static tess_status give(stream *s, const float *samples, size_t n, tess_error *err)
{
    s->n_out += (int64_t)n;
    return n ? s->sink(s->context, samples, n, err) : TESS_OK;
}

/* Passes n samples through the resampler; NULL: no more will come, give what is left. */
static tess_status resample(stream *s, const float *mono, size_t n, tess_error *err)
{
    float out[BLOCK];
    for (size_t done = 0;;) {
        size_t taken = 0, given = 0;
        soxr_error_t error =
            s->lib.soxr_process(s->soxr, mono ? mono + done : NULL, n - done, &taken, out, BLOCK, &given);
        if (error) return tess_fail(err, TESS_ENOMEM, "%s: libsoxr: %s", s->name, error);
        done += taken;
        int64_t room = count_out(s) - s->n_out;
        tess_status status = give(s, out, (int64_t)given < room ? given : (size_t)room, err);
        if (status != TESS_OK) return status;
        if (given == 0 && (!mono || done == n || taken == 0)) return TESS_OK;
    }
}

static tess_status open_resampler(stream *s, tess_error *err)
{
    if (s->rate_hz == s->file_rate_hz) return TESS_OK;
    tess_status status = tess_soxr_library_open(&s->lib, err);
    if (status != TESS_OK) return status;
    soxr_io_spec_t form = s->lib.soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    soxr_quality_spec_t quality = s->lib.soxr_quality_spec(SOXR_HQ, 0);
    soxr_error_t error;
    s->soxr = s->lib.soxr_create(s->file_rate_hz, s->rate_hz, 1, &error, &form, &quality, NULL);
    return s->soxr ? TESS_OK : tess_fail(err, TESS_ENOMEM, "%s: libsoxr: %s", s->name, error);
}

/* What the resampler holds back, and silence up to the length that is promised. */
static tess_status finish(stream *s, tess_error *err)
{
    tess_status status = s->soxr ? resample(s, NULL, 0, err) : TESS_OK;
    static const float silence[BLOCK];
    while (status == TESS_OK && s->soxr && s->n_out < count_out(s)) {
        int64_t n = count_out(s) - s->n_out;
        status = give(s, silence, n < BLOCK ? (size_t)n : BLOCK, err);
    }
    return status;
}

/* ---- frames ---- */

static tess_status check_frame(stream *s, const tess_track *track, tess_error *err)
{
    const AVFrame *frame = track->frame;
    int n_channel = frame->ch_layout.nb_channels;
    if (n_channel < 1 || n_channel > MOST_CHANNELS)
        return tess_refuse(err, s->name, "channels", -1, "1 to 64", "%d", n_channel);
    if (frame->sample_rate < 1 || frame->sample_rate > MOST_RATE_HZ)
        return tess_refuse(err, s->name, "sample rate", -1, "1 to 768000 Hz", "%d", frame->sample_rate);
    if (s->file_rate_hz && s->file_rate_hz != frame->sample_rate)
        return tess_refuse(err, s->name, "sample rate", -1, "one rate", "%d Hz after %d Hz",
                           frame->sample_rate, s->file_rate_hz);
    if (s->file_rate_hz) return TESS_OK;
    s->file_rate_hz = frame->sample_rate;
    s->n_channel = n_channel;
    return open_resampler(s, err);
}

static tess_status take_frame(stream *s, const tess_track *track, tess_error *err)
{
    tess_status status = check_frame(s, track, err);
    for (int first = 0; status == TESS_OK && first < track->frame->nb_samples; first += BLOCK) {
        float mono[BLOCK];
        int rest = track->frame->nb_samples - first, n = rest < BLOCK ? rest : BLOCK;
        average(track, first, mono, n);
        s->n_in += n;
        status = s->soxr ? resample(s, mono, (size_t)n, err) : give(s, mono, (size_t)n, err);
    }
    return status;
}

static tess_status decode(stream *s, tess_track *track, tess_error *err)
{
    for (;;) {
        bool is_there;
        tess_status status = tess_track_next(track, &is_there, err);
        if (status == TESS_OK && !is_there) break;
        if (status == TESS_OK) status = take_frame(s, track, err);
        if (status != TESS_OK) return status;
    }
    if (s->n_in == 0)
        return tess_refuse(err, s->name, "", -1, "sound",
                           "an audio track without a sample that can be decoded");
    return finish(s, err);
}

tess_status tess_audio_decode(const tess_source *source, int rate_hz, tess_sample_sink *sink, void *context,
                              tess_audio_facts *out, tess_error *err)
{
    TESS_ASSERT(rate_hz > 0);
    stream s = {.rate_hz = rate_hz, .sink = sink, .context = context, .name = source->name};
    tess_track track;
    tess_status status = tess_track_open(source, TESS_TRACK_AUDIO, 0, &track, err);
    if (status == TESS_OK) status = decode(&s, &track, err);
    if (status == TESS_OK && out) {
        *out = (tess_audio_facts){
            .rate_hz = s.file_rate_hz, .n_channel = s.n_channel, .seconds = (double)s.n_in / s.file_rate_hz};
        tess_track_name_format(&track, out->format, sizeof out->format);
        tess_track_describe_loss(&track, out->seconds, out->loss, sizeof out->loss);
    }
    if (s.soxr) s.lib.soxr_delete(s.soxr);
    tess_track_close(&track);
    return status;
}

double tess_audio_estimate_seconds(const tess_source *source)
{
    tess_track track;
    const tess_status status = tess_track_open(source, TESS_TRACK_AUDIO, 0, &track, NULL);
    const double seconds = status == TESS_OK ? tess_track_get_stated_seconds(&track) : 0;
    tess_track_close(&track);
    return seconds;
}
