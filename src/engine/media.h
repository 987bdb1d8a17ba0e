/* Media of a feed: what a plan must provide for them, running the towers, and which row of theirs a token
 * stands for. */
#ifndef TESS_ENGINE_MEDIA_H
#define TESS_ENGINE_MEDIA_H

#include "engine/rooms.h"
#include "model/placeholders.h"

/* The least that the media of a feed need, and the most that they can use. Their sizes have been checked
 * (tess_media_check). TESS_EUSAGE, option "media": more than could ever be counted. */
tess_status tess_media_choose(const tess_thinker_config *config, const tess_media_list *media, int n_thread,
                              tess_media_choice *least, tess_media_choice *most, tess_error *err);
/* *choice is enough for `other` as well. */
void tess_media_choice_join(tess_media_choice *choice, const tess_media_choice *other);

/* What the towers read and compute for the media of a feed. */
typedef struct tess_media_cost {
    uint64_t read_bytes; /* of weights: once, or once for every piece where they do not stay */
    double operations;   /* two for a multiplication and an addition */
} tess_media_cost;
tess_media_cost tess_media_count_cost(const tess_model *model, const tess_media_choice *choice,
                                      const tess_media_list *media);

/* Refuses media that the plan does not provide for: TESS_EUSAGE, option "media". */
tess_status tess_media_check_room(const tess_rooms *rooms, const tess_media_list *media, tess_error *err);

/* Runs the towers over the media of a feed; their rows are then in rooms->media. The shared room is the
 * text's afterwards, whatever happens. Errors: those of the towers. */
tess_status tess_media_encode(tess_rooms *rooms, const tess_media_list *media,
                              const tess_tap_listener *listener, const tess_progress *progress,
                              tess_error *err);

/* Gives the pad tokens of a step's span their rows, and the step what DeepStack adds. Chunks come in order.
 */
void tess_media_fill_step(tess_rooms *rooms, const tess_media_list *media, tess_span *span, tess_step *step);

#endif
