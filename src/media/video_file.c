#include "media/video_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/rows.h"
#include "media/track.h"

static const double FALLBACK_FPS = 25;

/* ---- time ---- */

/* When frames are shown, in seconds from the first one on. */
typedef struct frame_clock {
    double tick, usual;  /* the unit of timestamps; how long a frame lasts where nothing says it */
    double first;        /* timestamp of the first frame */
    double shown, lasts; /* of the last frame: when, and for how long at least */
    int64_t n_frame;
} frame_clock;

static double to_seconds(AVRational ratio)
{
    return ratio.num > 0 && ratio.den > 0 ? (double)ratio.num / ratio.den : 0;
}

static frame_clock start_clock(const tess_track *track)
{
    double fps = to_seconds(track->stream->avg_frame_rate);
    if (fps <= 0) fps = to_seconds(track->stream->r_frame_rate);
    if (fps <= 0) fps = FALLBACK_FPS;
    return (frame_clock){.tick = to_seconds(track->stream->time_base), .usual = 1 / fps};
}

/* Moves on to the track's frame. A frame without a timestamp, or with one that goes back, follows the last.
 */
static void tick(frame_clock *clock, const AVFrame *frame)
{
    bool has_time = frame->best_effort_timestamp != AV_NOPTS_VALUE && clock->tick > 0;
    double at = has_time ? (double)frame->best_effort_timestamp * clock->tick : 0;
    if (clock->n_frame == 0) clock->first = at;
    at -= clock->first;
    double next = clock->n_frame ? clock->shown + clock->lasts : 0;
    if (!has_time) at = next;
    if (clock->n_frame && at < clock->shown) at = clock->shown;
    if (clock->n_frame && at > clock->shown) clock->usual = at - clock->shown;
    clock->shown = at;
    clock->lasts =
        frame->pkt_duration > 0 && clock->tick > 0 ? (double)frame->pkt_duration * clock->tick : clock->usual;
    clock->n_frame++;
}

/* ---- facts ---- */

static tess_status refuse_memory(const tess_track *track, tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", track->reader.source->name);
}

/* -1, 0, 1; what was computed from an angle may miss 0 by a little (1 is 1 << 16). */
static int direction(int32_t step)
{
    return step > 1 << 10 ? 1 : step < -(1 << 10) ? -1 : 0;
}

/* The orientation, as EXIF numbers them, that a display matrix asks for. Its first two rows are where a step
 * to the right and a step down lead. */
static tess_status read_orientation(const tess_track *track, int *out, tess_error *err)
{
    static const int ways[8][4] = {{1, 0, 0, 1}, {-1, 0, 0, 1}, {-1, 0, 0, -1}, {1, 0, 0, -1},
                                   {0, 1, 1, 0}, {0, 1, -1, 0}, {0, -1, -1, 0}, {0, -1, 1, 0}};
    *out = 1;
    size_t size = 0;
    const uint8_t *data =
        track->format_lib.av_stream_get_side_data(track->stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    int32_t m[9];
    if (!data || size < sizeof m) return TESS_OK;
    memcpy(m, data, sizeof m);
    const int way[4] = {direction(m[0]), direction(m[1]), direction(m[3]), direction(m[4])};
    static const int none[4] = {0};
    if (!memcmp(way, none, sizeof way)) return TESS_OK;
    for (int i = 0; i < 8; i++)
        if (!memcmp(way, ways[i], sizeof way)) {
            *out = i + 1;
            return TESS_OK;
        }
    return tess_refuse(err, track->reader.source->name, "display matrix", -1,
                       "a rotation by a multiple of 90 degrees", "another");
}

/* How many samples there are: those before the middle of the last frame's time. */
static void count_samples(const frame_clock *clock, const tess_video_options *options,
                          tess_video_facts *facts)
{
    double end = clock->shown + clock->lasts / 2;
    facts->seconds = clock->shown + clock->lasts;
    facts->fps = options->fps;
    facts->n_decoded = clock->n_frame;
    double n = ceil(end * options->fps);
    if (n > options->max_frames) {
        facts->fps = options->max_frames / facts->seconds;
        n = options->max_frames;
    }
    facts->n_frame = n < 2 ? 2 : (int)n + ((int)n & 1);
}

static tess_status open_film(const tess_source *source, const tess_video_options *options, tess_track *track,
                             int *orientation, tess_error *err)
{
    tess_status status = tess_track_open(source, TESS_TRACK_VIDEO, options->max_bytes, track, err);
    return status == TESS_OK ? read_orientation(track, orientation, err) : status;
}

/* Every frame is as large as the first. */
static tess_status check_frame(const tess_track *track, const tess_video_facts *facts, bool is_turned,
                               tess_error *err)
{
    int width = is_turned ? facts->height : facts->width, height = is_turned ? facts->width : facts->height;
    if (track->frame->width == width && track->frame->height == height) return TESS_OK;
    return tess_refuse(err, track->reader.source->name, "size", -1, "frames of one size",
                       "%d x %d after %d x %d", track->frame->width, track->frame->height, width, height);
}

static tess_status probe(tess_track *track, const tess_video_options *options, int orientation,
                         tess_video_facts *out, tess_error *err)
{
    frame_clock clock = start_clock(track);
    tess_video_facts facts = {0};
    for (;;) {
        bool is_there, is_turned = orientation >= 5;
        tess_status status = tess_track_next(track, &is_there, err);
        if (status == TESS_OK && !is_there) break;
        const AVFrame *frame = track->frame;
        if (status == TESS_OK && clock.n_frame == 0) {
            facts.width = is_turned ? frame->height : frame->width;
            facts.height = is_turned ? frame->width : frame->height;
            facts.bytes = tess_track_count_bytes(track, frame->width, frame->height);
            status = tess_track_check_size(track, frame->width, frame->height, err);
        }
        if (status == TESS_OK) status = check_frame(track, &facts, is_turned, err);
        if (status == TESS_OK) status = tess_track_tell(track, options->progress, err);
        if (status != TESS_OK) return status;
        tick(&clock, frame);
    }
    if (clock.n_frame == 0)
        return tess_refuse(err, track->reader.source->name, "", -1, "a film",
                           "a video track without a frame that can be decoded");
    count_samples(&clock, options, &facts);
    facts.has_audio = tess_track_file_has(track, TESS_TRACK_AUDIO);
    tess_track_name_format(track, facts.format, sizeof facts.format);
    tess_track_describe_loss(track, facts.seconds, facts.loss, sizeof facts.loss);
    *out = facts;
    return TESS_OK;
}

tess_status tess_video_probe(const tess_source *source, const tess_video_options *options,
                             tess_video_facts *out, tess_error *err)
{
    TESS_ASSERT(options->fps > 0 && options->max_frames >= 2 && options->max_frames % 2 == 0);
    tess_track track;
    int orientation;
    tess_status status = open_film(source, options, &track, &orientation, err);
    if (status == TESS_OK) status = probe(&track, options, orientation, out, err);
    tess_track_close(&track);
    return status;
}

/* ---- what it is at most ---- */

/* Timestamps of packets, which come in the order of decoding. */
typedef struct packet_times {
    int64_t first, last, longest; /* in ticks */
    int64_t n;
} packet_times;

static void note_packet(packet_times *times, const AVPacket *packet)
{
    const int64_t at = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    times->n++;
    if (packet->duration > times->longest) times->longest = packet->duration;
    if (at == AV_NOPTS_VALUE) return;
    if (at < times->first) times->first = at;
    if (at > times->last) times->last = at;
}

/* A packet is at most a frame, and the last one may be shown for as long as any. */
static frame_clock bound_clock(const tess_track *track, const packet_times *times)
{
    frame_clock clock = start_clock(track);
    clock.n_frame = times->n;
    clock.shown = (double)(times->n - 1) * clock.usual;
    clock.lasts = 2 * fmax(clock.usual, (double)times->longest * clock.tick);
    if (times->last > times->first)
        clock.shown = fmax(clock.shown, ((double)times->last - (double)times->first) * clock.tick);
    return clock;
}

static tess_status bound(tess_track *track, const tess_video_options *options, int orientation,
                         tess_video_facts *out, tess_error *err)
{
    packet_times times = {.first = INT64_MAX, .last = INT64_MIN};
    for (;;) {
        bool is_there;
        tess_status status = tess_track_next_packet(track, &is_there, err);
        if (status == TESS_OK && !is_there) break;
        if (status == TESS_OK) status = tess_track_tell(track, options->progress, err);
        if (status != TESS_OK) return status;
        note_packet(&times, track->packet);
    }
    if (times.n == 0)
        return tess_refuse(err, track->reader.source->name, "", -1, "a film",
                           "a video track without packets");
    const frame_clock clock = bound_clock(track, &times);
    tess_video_facts facts = {0};
    int width, height;
    tess_track_get_size(track, &width, &height);
    facts.width = orientation >= 5 ? height : width;
    facts.height = orientation >= 5 ? width : height;
    facts.bytes = tess_track_count_bytes(track, width, height);
    count_samples(&clock, options, &facts);
    facts.has_audio = tess_track_file_has(track, TESS_TRACK_AUDIO);
    *out = facts;
    return TESS_OK;
}

tess_status tess_video_bound(const tess_source *source, const tess_video_options *options,
                             tess_video_facts *out, tess_error *err)
{
    tess_track track;
    int orientation;
    tess_status status = tess_track_open_undecoded(source, TESS_TRACK_VIDEO, &track, err);
    if (status == TESS_OK) status = read_orientation(&track, &orientation, err);
    if (status == TESS_OK) status = bound(&track, options, orientation, out, err);
    tess_track_close(&track);
    return status;
}

/* ---- pixels ---- */

/* The sampled frames on their way to the sink. */
typedef struct player {
    tess_track track;
    AVFrame
        *held; /* the frame before the track's: how long it is shown is known when the next one is there */
    tess_scale_library lib;
    struct SwsContext *scaler;
    int form, space, range; /* that the scaler was made for: of pixels and colours */
    tess_rows rows;
    uint8_t *stored; /* the frame before it is turned; NULL where it is upright */
    const tess_video_facts *facts;
    int n_given;
    tess_frame_sink *sink;
    void *context;
} player;

/* One size to the same size: only the form of the pixels changes, in swscale's exact arithmetic. Colours are
 * those that the frame is tagged with; without a tag those of BT.601, swscale's own choice. */
static tess_status open_scaler(player *p, tess_error *err)
{
    const AVFrame *frame = p->held;
    bool is_same =
        p->form == frame->format && p->space == (int)frame->colorspace && p->range == (int)frame->color_range;
    if (p->scaler && is_same) return TESS_OK;
    p->lib.sws_freeContext(p->scaler);
    enum AVPixelFormat form = (enum AVPixelFormat)frame->format;
    int flags = SWS_BICUBIC | SWS_BITEXACT | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT;
    p->scaler = p->lib.sws_getContext(frame->width, frame->height, form, frame->width, frame->height,
                                      AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
    if (!p->scaler) {
        const char *name = p->track.codec_lib.av_get_pix_fmt_name(form);
        return tess_refuse(err, p->track.reader.source->name, "pixels", -1, "what libswscale turns to RGB",
                           "%s", name ? name : "an unknown form");
    }
    p->form = frame->format;
    p->space = (int)frame->colorspace;
    p->range = (int)frame->color_range;
    /* Of RGB and grey there is nothing to set, which is what a failure means. */
    p->lib.sws_setColorspaceDetails(p->scaler, p->lib.sws_getCoefficients(p->space),
                                    p->range == AVCOL_RANGE_JPEG, p->lib.sws_getCoefficients(SWS_CS_DEFAULT),
                                    1, 0, 1 << 16, 1 << 16);
    return TESS_OK;
}

static tess_status convert(player *p, tess_error *err)
{
    const AVFrame *frame = p->held;
    tess_status status = open_scaler(p, err);
    if (status != TESS_OK) return status;
    uint8_t *to[4] = {p->stored ? p->stored : p->rows.picture.rgb};
    int strides[4] = {(int)(3 * (size_t)frame->width)};
    int n = p->lib.sws_scale(p->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0,
                             frame->height, to, strides);
    if (n != frame->height) return refuse_memory(&p->track, err);
    if (p->stored) tess_rows_put_all(&p->rows, p->stored);
    return TESS_OK;
}

/* Gives the held frame for all samples before `end`, if there are any. */
static tess_status give_until(player *p, double end, tess_error *err)
{
    tess_status status = TESS_OK;
    for (bool is_ready = false; status == TESS_OK && p->n_given < p->facts->n_frame; p->n_given++) {
        double at = p->n_given / p->facts->fps;
        if (at >= end) return TESS_OK;
        if (!is_ready) status = convert(p, err);
        is_ready = true;
        if (status == TESS_OK) status = p->sink(p->context, &p->rows.picture, at, err);
    }
    return status;
}

static tess_status play(player *p, bool is_turned, tess_error *err)
{
    frame_clock clock = start_clock(&p->track);
    while (p->n_given < p->facts->n_frame) {
        bool is_there;
        tess_status status = tess_track_next(&p->track, &is_there, err);
        if (status == TESS_OK && is_there) status = check_frame(&p->track, p->facts, is_turned, err);
        if (status != TESS_OK) return status;
        if (!is_there && clock.n_frame == 0) break;
        if (!is_there) return give_until(p, INFINITY, err);
        tick(&clock, p->track.frame);
        /* Timestamps are rounded to ticks. */
        if (clock.n_frame > 1) status = give_until(p, clock.shown - clock.tick / 2, err);
        if (status != TESS_OK) return status;
        p->track.codec_lib.av_frame_unref(p->held);
        p->track.codec_lib.av_frame_move_ref(p->held, p->track.frame);
    }
    if (clock.n_frame) return TESS_OK;
    return tess_refuse(err, p->track.reader.source->name, "", -1, "the film it was before", "no frame");
}

static tess_status open_player(player *p, const tess_source *source, const tess_video_options *options,
                               int *orientation, tess_error *err)
{
    tess_status status = open_film(source, options, &p->track, orientation, err);
    if (status == TESS_OK) status = tess_scale_library_open(&p->lib, err);
    if (status != TESS_OK) return status;
    bool is_turned = *orientation >= 5;
    int width = is_turned ? p->facts->height : p->facts->width;
    int height = is_turned ? p->facts->width : p->facts->height;
    p->held = p->track.codec_lib.av_frame_alloc();
    if (!p->held) return refuse_memory(&p->track, err);
    status = tess_rows_init(&p->rows, width, height, *orientation, err);
    if (status != TESS_OK || *orientation == 1) return status;
    p->stored = malloc(3 * (size_t)width * (size_t)height + TESS_ROWS_PAD_BYTES);
    return p->stored ? TESS_OK : refuse_memory(&p->track, err);
}

static void close_player(player *p)
{
    if (p->scaler) p->lib.sws_freeContext(p->scaler);
    if (p->held) p->track.codec_lib.av_frame_free(&p->held);
    free(p->stored);
    tess_rows_release(&p->rows);
    tess_track_close(&p->track);
}

tess_status tess_video_decode(const tess_source *source, const tess_video_options *options,
                              tess_frame_sink *sink, void *context, tess_video_facts *out, tess_error *err)
{
    tess_video_facts facts;
    tess_status status = TESS_OK;
    if (options->known)
        facts = *options->known;
    else
        status = tess_video_probe(source, options, &facts, err);
    if (status != TESS_OK) return status;
    player p = {.facts = &facts, .sink = sink, .context = context};
    int orientation;
    status = open_player(&p, source, options, &orientation, err);
    if (status == TESS_OK) status = play(&p, orientation >= 5, err);
    close_player(&p);
    if (status == TESS_OK && out) *out = facts;
    return status;
}
