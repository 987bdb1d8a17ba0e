/* What a frame of speech costs, for the estimate of a plan. */
#ifndef TESS_ENGINE_SPEECH_COST_H
#define TESS_ENGINE_SPEECH_COST_H

#include "engine/choice.h"
#include "engine/model.h"

/* Of weights, bytes that the talker's step goes through, and the code predictor's passes. */
uint64_t tess_talker_count_step_bytes(const tess_model *model);
uint64_t tess_code_predictor_count_frame_bytes(const tess_model *model);
/* Those of code2wav's transformer and convolutions, once for all frames that are made at once. */
uint64_t tess_code2wav_count_weight_bytes(const tess_model *model);

typedef struct tess_speech_cost {
    double read_bytes;   /* from files: what does not stay, every expert equally likely */
    double weight_bytes; /* that products go through, as in files */
    double operations;   /* of code2wav, two for a multiplication and an addition */
} tess_speech_cost;
/* Of a frame behind the first ones; zeros without speech. */
tess_speech_cost tess_speech_count_cost(const tess_model *model, const tess_speech_choice *choice);

#endif
