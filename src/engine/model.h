/* A checkpoint opened for planning or running: configuration, tensors, places of weights, kernels; no
 * weights. */
#ifndef TESS_ENGINE_MODEL_H
#define TESS_ENGINE_MODEL_H

#include "model/audio_tower.h"
#include "model/causal_model.h"
#include "model/code2wav_weights.h"
#include "model/speech_weights.h"
#include "model/vision_tower.h"

typedef struct tess_model {
    tess_config config;
    tess_store *store;
    tess_decoder_weights thinker;
    tess_tower_weights audio, vision;
    bool can_speak; /* what follows was found: it was asked for */
    tess_talker_weights talker;
    tess_code_predictor_weights code_predictor;
    tess_code2wav_weights code2wav;
    tess_precision precision;
    tess_kernels kernels;
} tess_model;

/* Refuses a checkpoint that lacks a tensor or has one too many, also of components that a text prompt does
 * not reach. */
tess_status tess_model_open(const tess_engine_options *options, tess_model *out, tess_error *err);
void tess_model_close(tess_model *model);

/* About how large blocks of rows are that are read, or kept in a packed store, together. */
tess_block_sizes tess_model_block_sizes(tess_component component);

/* With what the model's boxes compute. */
tess_compute tess_model_get_compute(const tess_model *model, tess_pool *pool);

/* Which kernels a user's choice allows: TESS_EUSAGE for an unknown name or one this CPU lacks. */
tess_status tess_kernels_choose(const char *isa, tess_kernels *out, tess_error *err);

#endif
