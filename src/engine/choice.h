/* What a plan decides: how much of everything stays, and how much is done at a time. */
#ifndef TESS_ENGINE_CHOICE_H
#define TESS_ENGINE_CHOICE_H

#include <stdbool.h>

#include "model/code2wav.h"
#include "model/code_predictor.h"
#include "model/encoder.h"

/* What a plan decides for a decoder. */
typedef struct tess_decoder_choice {
    int n_row, n_logit_rows; /* of a step, and of those that get logits at a time */
    int n_lease;             /* experts leased at a time */
    int n_layer_slot, n_head_slot, n_embedding_slot, n_expert_slot;
    bool packs, packs_experts; /* of what stays: all but experts, where they stay whole; experts */
} tess_decoder_choice;

/* What it provides for media of a feed. Zeros: nothing. */
typedef struct tess_media_choice {
    int n_medium;
    int n_tok, n_picture_tok;       /* rows that the towers make in all, and those of pictures */
    tess_tower_sizes audio, vision; /* n_row 0: no clips, no pictures */
} tess_media_choice;

/* What it provides for speech. Zeros: nothing. */
typedef struct tess_speech_choice {
    int n_step;  /* most codes of an answer */
    int n_state; /* media tokens of a session whose states the talker is told */
    bool stays;  /* beside the thinker; else in the room that phases share */
    tess_decoder_choice talker;
    int n_projection_slot;
    tess_code_predictor_sizes predictor;
    tess_code2wav_sizes code2wav;
} tess_speech_choice;

typedef struct tess_choice {
    int n_context, n_thread, n_session;
    tess_decoder_choice thinker;
    tess_media_choice media;
    tess_speech_choice speech;
} tess_choice;

/* The smallest with which a decoder can run at all: a layer's experts are leased together where that many may
 * stay. */
tess_decoder_choice tess_decoder_choice_make_least(const tess_decoder_config *config, int most_expert_slots);
/* The sizes of a decoder with timelines of n_context places. */
tess_decoder_sizes tess_decoder_choice_sizes(const tess_decoder_choice *choice, int n_context, int n_thread);

#endif
