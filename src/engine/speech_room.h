/* What speech has in the engine's arena: talker, code predictor and vocoder, in the room that phases share or
 * beside it.
 */
#ifndef TESS_ENGINE_SPEECH_ROOM_H
#define TESS_ENGINE_SPEECH_ROOM_H

#include "engine/choice.h"
#include "engine/layout.h"
#include "engine/model.h"
#include "model/talker.h"

typedef struct tess_speech_room {
    tess_talker talker;
    tess_code_predictor predictor;
    tess_code2wav code2wav;
    tess_sampler sampler; /* of the first codebook */
} tess_speech_room;

/* Lays everything out. The thinker's embedding stays where it is. */
void tess_speech_room_init(tess_speech_room *room, const tess_model *model, tess_row_table *thinker_embedding,
                           const tess_compute *compute, const tess_choice *choice, tess_layout *layout);

/* Reads the norms, which no bank lends. TESS_EIO. */
tess_status tess_speech_room_read_norms(tess_speech_room *room, const tess_model *model, tess_error *err);

/* Frames that become sound at a time where there is room for it: weights are read once for so many. The first
 * one waits for none. */
enum { TESS_SPEECH_FRAMES_AT_ONCE = 4 };

/* The smallest with which an answer of n_step codes can be spoken at all; and the same with all weights
 * staying that every code needs, which are all but experts. */
tess_speech_choice tess_speech_choice_make_least(const tess_model *model, int n_step, int n_state,
                                                 int n_thread);
tess_speech_choice tess_speech_choice_make_dense(const tess_model *model, const tess_speech_choice *least);

#endif
