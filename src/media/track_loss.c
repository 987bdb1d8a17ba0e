#include "media/track_loss.h"

#include <stdio.h>
#include <string.h>

#include "media/ends.h"

/* ---- gaps ---- */

static double seconds_of(const tess_track *track, int64_t ticks)
{
    return (double)ticks * track->stream->time_base.num / track->stream->time_base.den;
}

/* A tenth of a second between what should adjoin is more than a matter of rounding. */
static void note_gap(tess_track *track, int64_t ticks, double lasts)
{
    const bool has_time = ticks != AV_NOPTS_VALUE && track->stream->time_base.den > 0;
    const double at = has_time ? seconds_of(track, ticks) : track->next_seconds;
    const double gap = track->next_seconds >= 0 ? at - track->next_seconds : 0;
    if (gap > 0.1) {
        if (track->gap_seconds == 0) track->first_gap = track->next_seconds;
        track->gap_seconds += gap;
    }
    track->next_seconds = at >= 0 ? at + lasts : -1;
}

void tess_track_note_frame(tess_track *track)
{
    const AVFrame *frame = track->frame;
    if (track->kind == TESS_TRACK_AUDIO && frame->sample_rate > 0)
        note_gap(track, frame->best_effort_timestamp, (double)frame->nb_samples / frame->sample_rate);
}

/* Frames of a film may be shown for any time, but where a container says for how long, they adjoin. */
void tess_track_note_packet(tess_track *track)
{
    const AVPacket *packet = track->packet;
    if (track->kind == TESS_TRACK_VIDEO && packet->duration > 0 &&
        !strncmp(track->format->iformat->name, "mov", 3))
        note_gap(track, packet->dts, seconds_of(track, packet->duration));
}

/* ---- what is said ---- */

/* How long the container says that a track is, less what that may be wrong by: containers round, and most
 * count what a decoder needs before the first sample and behind the last. FLV speaks of all tracks at once.
 * 0 where it is an estimate, or nothing. */
static double get_stated_seconds(const tess_track *track, double *least)
{
    const AVFormatContext *format = track->format;
    const bool is_exact = !strcmp(format->iformat->name, "avi"),
               is_flv = !strcmp(format->iformat->name, "flv");
    double stated = 0;
    if (format->duration_estimation_method == AVFMT_DURATION_FROM_STREAM) {
        if (track->stream->duration > 0 && track->stream->time_base.den > 0)
            stated = seconds_of(track, track->stream->duration);
        else if (is_flv && format->duration > 0)
            stated = (double)format->duration / AV_TIME_BASE;
    }
    *least = stated - (is_exact ? 0.05 : is_flv ? 0.5 : 0.15) - stated / 1000;
    return stated;
}

void tess_track_describe_loss(const tess_track *track, double seconds, char *out, size_t size)
{
    double least;
    const double stated = get_stated_seconds(track, &least);
    tess_ends_check(&track->reader, track->format->iformat->name, out, size);
    if (seconds < least)
        snprintf(out, size, "found %.2f s, expected %.2f s as its header says", seconds, stated);
    if (*out) return;
    if (*track->complaint)
        snprintf(out, size, "found damage about byte %llu (%s), expected none",
                 (unsigned long long)track->complaint_byte, track->complaint);
    else if (track->is_damaged && track->damage >= 0)
        snprintf(out, size, "found nothing that can be decoded from byte %lld on, expected more",
                 (long long)track->damage);
    else if (track->is_damaged)
        snprintf(out, size, "found an end that cannot be decoded, expected a whole one");
    else if (track->gap_seconds > 0)
        snprintf(out, size, "found times that leave out %.2f s, at %.2f s first, expected none that do",
                 track->gap_seconds, track->first_gap);
}
