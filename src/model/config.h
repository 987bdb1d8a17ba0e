/* What config.json says, checked: every hyper-parameter of every component that has weights.
 *
 * Nothing is defaulted that the checkpoint should say: a missing or mistyped required key is refused by name,
 * a known key with a value that is not implemented is refused, an unknown key is ignored. Both spellings are
 * read: rope_theta + rope_scaling, and rope_parameters; num_experts and num_local_experts.
 * Plain memory after loading: no pointers, copy and share freely.
 */
#ifndef TESS_MODEL_CONFIG_H
#define TESS_MODEL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { TESS_MAX_LAYERS = 1024, TESS_MAX_DEEPSTACK = 16, TESS_MAX_UPSAMPLE = 8, TESS_MAX_SPEAKERS = 64 };

/* A decoder of the thinker's or talker's kind. */
typedef struct tess_decoder_config {
    int n_vocab, d_model, n_layer, n_head, n_kv_head, d_head;
    int d_ff;            /* intermediate_size: width of a dense layer's MLP */
    int d_expert;        /* moe_intermediate_size */
    int d_shared_expert; /* shared_expert_intermediate_size; 0: none (thinker) */
    int n_expert, n_expert_used;
    bool norm_topk_prob;
    bool is_moe[TESS_MAX_LAYERS]; /* by mlp_only_layers, num_experts and decoder_sparse_step */
    double rms_norm_eps, rope_theta;
    int mrope_section[3]; /* temporal, height, width; the original asks of them only that there are three */
    int max_positions;
} tess_decoder_config;

typedef struct tess_audio_config {
    int n_mel, d_model, n_layer, n_head, d_ff, d_downsample, n_window, n_window_infer, d_output, conv_chunk;
} tess_audio_config;

typedef struct tess_vision_config {
    int n_layer, d_model, n_head, d_ff, d_output, patch_size, temporal_patch_size, spatial_merge_size,
        n_channel;
    int n_position; /* rows of pos_embed, a square number */
    int n_deepstack, deepstack_layer[TESS_MAX_DEEPSTACK];
} tess_vision_config;

typedef struct tess_thinker_config {
    tess_decoder_config text;
    tess_audio_config audio;
    tess_vision_config vision;
    int audio_token, image_token, video_token, audio_start, audio_end, vision_start, vision_end, user_token;
    int position_id_per_seconds;
} tess_thinker_config;

typedef struct tess_speaker {
    char name[32];
    int token;
} tess_speaker;

typedef struct tess_code_predictor_config {
    tess_decoder_config text; /* dense; its rows have the same position on all three streams */
    int n_code_group;
} tess_code_predictor_config;

typedef struct tess_talker_config {
    tess_decoder_config text;
    tess_code_predictor_config code_predictor;
    int accept_hidden_layer, n_code_group, d_thinker, position_id_per_seconds, spatial_merge_size;
    int codec_pad, codec_bos, codec_eos, codec_nothink, codec_think_bos, codec_think_eos;
    int audio_token, image_token, video_token, audio_start, audio_end, vision_start, vision_end;
    int n_speaker;
    tess_speaker speaker[TESS_MAX_SPEAKERS]; /* by name */
} tess_talker_config;

typedef struct tess_code2wav_config {
    int codebook_size, n_quantizer, d_model, n_layer, n_head, n_kv_head, d_ff, sliding_window, max_positions;
    double rope_theta, rms_norm_eps;
    int d_decoder;
    int n_upsample_rate, upsample_rate[TESS_MAX_UPSAMPLE];
    int n_upsampling_ratio, upsampling_ratio[TESS_MAX_UPSAMPLE];
} tess_code2wav_config;

typedef struct tess_config {
    bool has_talker; /* enable_audio_output: talker, code predictor and code2wav have weights */
    int im_start, im_end, system_token, user_token, assistant_token, tts_pad, tts_bos, tts_eos;
    tess_thinker_config thinker;
    tess_talker_config talker;
    tess_code2wav_config code2wav;
} tess_config;

/* Layers with experts. */
int tess_decoder_count_expert_layers(const tess_decoder_config *config);

/* Reads DIR/config.json. */
tess_status tess_config_load(const char *dir, tess_config *out, tess_error *err);
/* The same on the heap; free() it after success. */
tess_status tess_config_new(const char *dir, tess_config **out, tess_error *err);
/* Refuses to speak by a configuration that has no talker. */
tess_status tess_config_refuse_speech(tess_error *err);
/* Reads a parsed configuration; `file` is for messages. */
tess_status tess_config_parse(const char *file, const json_t *root, tess_config *out, tess_error *err);

#endif
