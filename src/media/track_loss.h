/* What is known to be missing of a track: times that its frames leave out, and what is said of all that was
 * noted while it was read (tess_track_describe_loss).
 */
#ifndef TESS_MEDIA_TRACK_LOSS_H
#define TESS_MEDIA_TRACK_LOSS_H

#include "media/track.h"

/* The track's packet, which is about to be decoded, and its frame, which has been. */
void tess_track_note_packet(tess_track *track);
void tess_track_note_frame(tess_track *track);

#endif
