/* Every tensor that a configuration implies: name, shape, component, and what it is to the network. All are
 * BF16. The one table of names and shapes: a checkpoint is checked by it, and weights are found by it.
 *
 * This is the T0 half of the proof: a checkpoint holds the model if it has these tensors, each once, and no
 * other. Names and shapes are the published ones (one tensor per expert and projection).
 */
#ifndef TESS_MODEL_MANIFEST_H
#define TESS_MODEL_MANIFEST_H

#include "model/config.h"
#include "store/store.h"

/* Weights of a decoder layer, its experts aside. Shapes as published: [out, in] row-major. */
typedef enum tess_layer_weight {
    TESS_LAYER_INPUT_NORM, /* [d_model] */
    TESS_LAYER_QUERY,      /* [n_head * d_head, d_model] */
    TESS_LAYER_KEY,        /* [n_kv_head * d_head, d_model] */
    TESS_LAYER_VALUE,      /* [n_kv_head * d_head, d_model] */
    TESS_LAYER_OUTPUT,     /* [d_model, n_head * d_head] */
    TESS_LAYER_QUERY_NORM, /* [d_head] */
    TESS_LAYER_KEY_NORM,   /* [d_head] */
    TESS_LAYER_POST_NORM,  /* [d_model] */
    TESS_LAYER_ROUTER,     /* [n_expert, d_model]; not in a dense layer */
    TESS_LAYER_GATE, /* [d_ff, d_model] of a dense layer, [d_shared_expert, d_model] of a shared expert */
    TESS_LAYER_UP,   /* likewise */
    TESS_LAYER_DOWN, /* [d_model, d_ff] or [d_model, d_shared_expert] */
    TESS_LAYER_SHARED_GATE, /* [1, d_model] the weight of the shared expert, where there is one */
    TESS_LAYER_WEIGHTS
} tess_layer_weight;

typedef enum tess_expert_weight {
    TESS_EXPERT_GATE, /* [d_expert, d_model] */
    TESS_EXPERT_UP,   /* [d_expert, d_model] */
    TESS_EXPERT_DOWN, /* [d_model, d_expert] */
    TESS_EXPERT_WEIGHTS
} tess_expert_weight;

/* Weights of a decoder that belong to no layer. */
typedef enum tess_top_weight {
    TESS_TOP_EMBEDDING, /* [n_vocab, d_model] */
    TESS_TOP_NORM,      /* [d_model] */
    TESS_TOP_HEAD,      /* [n_vocab, d_model] */
    TESS_TOP_WEIGHTS
} tess_top_weight;

/* Weights of a layer of a tower (audio, vision); a bias follows what it belongs to. */
typedef enum tess_encoder_weight {
    TESS_ENCODER_NORM, /* [d_model] before attention */
    TESS_ENCODER_NORM_BIAS,
    TESS_ENCODER_QUERY, /* [d_model, d_model] */
    TESS_ENCODER_QUERY_BIAS,
    TESS_ENCODER_KEY, /* likewise */
    TESS_ENCODER_KEY_BIAS,
    TESS_ENCODER_VALUE, /* likewise */
    TESS_ENCODER_VALUE_BIAS,
    TESS_ENCODER_OUTPUT, /* likewise */
    TESS_ENCODER_OUTPUT_BIAS,
    TESS_ENCODER_MLP_NORM, /* [d_model] */
    TESS_ENCODER_MLP_NORM_BIAS,
    TESS_ENCODER_UP, /* [d_ff, d_model] */
    TESS_ENCODER_UP_BIAS,
    TESS_ENCODER_DOWN, /* [d_model, d_ff] */
    TESS_ENCODER_DOWN_BIAS,
    TESS_ENCODER_WEIGHTS,
    /* A tensor that holds query, key and value, one below the other: where it lies, the three lie. */
    TESS_ENCODER_QKV = TESS_ENCODER_WEIGHTS, /* [3 * d_model, d_model] */
    TESS_ENCODER_QKV_BIAS
} tess_encoder_weight;

/* What a tower has before and behind its layers, each part with weights of its own. */
typedef enum tess_audio_part { TESS_AUDIO_STEM, TESS_AUDIO_HEAD, TESS_AUDIO_PARTS } tess_audio_part;

typedef enum tess_audio_stem_weight {
    TESS_AUDIO_CONV1, /* [d_downsample, 1, 3, 3] */
    TESS_AUDIO_CONV1_BIAS,
    TESS_AUDIO_CONV2, /* [d_downsample, d_downsample, 3, 3] */
    TESS_AUDIO_CONV2_BIAS,
    TESS_AUDIO_CONV3, /* likewise */
    TESS_AUDIO_CONV3_BIAS,
    TESS_AUDIO_CONV_OUT, /* [d_model, d_downsample * mel bins that are left], without bias */
    TESS_AUDIO_STEM_WEIGHTS
} tess_audio_stem_weight;

typedef enum tess_vision_part {
    TESS_VISION_STEM,
    TESS_VISION_MERGER,
    TESS_VISION_DEEPSTACK /* the first DeepStack merger; the others follow */
} tess_vision_part;

typedef enum tess_vision_stem_weight {
    TESS_VISION_PATCHES, /* [d_model, n_channel, temporal_patch_size, patch_size, patch_size] */
    TESS_VISION_PATCHES_BIAS,
    TESS_VISION_POSITIONS, /* [n_position, d_model] */
    TESS_VISION_STEM_WEIGHTS
} tess_vision_stem_weight;

/* Norm, linear, GELU, linear: how the audio tower ends, and each merger of the vision tower. */
typedef enum tess_head_weight {
    TESS_HEAD_NORM,
    TESS_HEAD_NORM_BIAS,
    TESS_HEAD_FIRST,
    TESS_HEAD_FIRST_BIAS,
    TESS_HEAD_SECOND,
    TESS_HEAD_SECOND_BIAS,
    TESS_HEAD_WEIGHTS
} tess_head_weight;

/* How the thinker's rows become the talker's: linear, SiLU, linear; one such part for text, one for media. */
typedef enum tess_projection {
    TESS_PROJECTION_TEXT,
    TESS_PROJECTION_HIDDEN,
    TESS_PROJECTIONS
} tess_projection;

typedef enum tess_projection_weight {
    TESS_PROJECTION_FIRST, /* [d_ff of the talker, d_model of the thinker] */
    TESS_PROJECTION_FIRST_BIAS,
    TESS_PROJECTION_SECOND, /* [d_model of the talker, d_ff] */
    TESS_PROJECTION_SECOND_BIAS,
    TESS_PROJECTION_WEIGHTS
} tess_projection_weight;

/* A layer of code2wav's transformer has the weights of a dense decoder layer without norms of heads, and
 * these two, [d_model] each. */
typedef enum tess_code2wav_layer_weight {
    TESS_CODE2WAV_ATTENTION_SCALE = TESS_LAYER_WEIGHTS,
    TESS_CODE2WAV_MLP_SCALE,
    TESS_CODE2WAV_LAYER_WEIGHTS
} tess_code2wav_layer_weight;

/* What code2wav has behind its layers: the norm, a part for each upsampling ratio, the decoder's first
 * convolution, four parts for each upsampling rate (a block's own and its three residual units), and the last
 * convolution. */
enum { TESS_CODE2WAV_NORM, TESS_CODE2WAV_UPSAMPLE, TESS_CODE2WAV_UNITS = 3 };

static inline int tess_code2wav_part_stem(const tess_code2wav_config *c)
{
    return TESS_CODE2WAV_UPSAMPLE + c->n_upsampling_ratio;
}

/* unit -1: the block's own part. */
static inline int tess_code2wav_part_block(const tess_code2wav_config *c, int block, int unit)
{
    return tess_code2wav_part_stem(c) + 1 + block * (1 + TESS_CODE2WAV_UNITS) + 1 + unit;
}

static inline int tess_code2wav_part_last(const tess_code2wav_config *c)
{
    return tess_code2wav_part_block(c, c->n_upsample_rate, -1);
}

/* Weights of a part for an upsampling ratio r. */
typedef enum tess_code2wav_upsample_weight {
    TESS_UPSAMPLE_CONV, /* [d_model, d_model, r] the input's channels first */
    TESS_UPSAMPLE_CONV_BIAS,
    TESS_UPSAMPLE_DEPTHWISE, /* [d_model, 1, 7] */
    TESS_UPSAMPLE_DEPTHWISE_BIAS,
    TESS_UPSAMPLE_NORM, /* [d_model] */
    TESS_UPSAMPLE_NORM_BIAS,
    TESS_UPSAMPLE_FIRST, /* [4 * d_model, d_model] */
    TESS_UPSAMPLE_FIRST_BIAS,
    TESS_UPSAMPLE_SECOND, /* [d_model, 4 * d_model] */
    TESS_UPSAMPLE_SECOND_BIAS,
    TESS_UPSAMPLE_GAMMA,       /* [d_model] */
    TESS_CODE2WAV_PART_WEIGHTS /* no part has more */
} tess_code2wav_upsample_weight;

/* Weights of the other parts: a snake and the convolution behind it (none before the first convolution), and
 * of a residual unit four more for its second pair. */
typedef enum tess_code2wav_snake_weight {
    TESS_SNAKE_ALPHA, /* [channels] */
    TESS_SNAKE_BETA,
    TESS_SNAKE_CONV, /* [out, in, 7], of a unit's second pair [out, in, 1], of a block [in, out, 2 * rate] */
    TESS_SNAKE_CONV_BIAS,
    TESS_SNAKE_WEIGHTS
} tess_code2wav_snake_weight;

/* A part of a tower has at most so many weights. */
enum { TESS_TOWER_PART_WEIGHTS = 8 };

/* What a tensor is to its decoder: a tess_expert_weight of an expert, else a tess_layer_weight of a layer,
 * else a tess_top_weight; a tess_projection_weight of a part of the talker, an embedding or a head of a part
 * of the code predictor, which has one of each for every codebook but the first. To its tower: a
 * tess_encoder_weight of a layer, else a weight of a part. To code2wav: a tess_layer_weight or
 * tess_code2wav_layer_weight of a layer, a weight of a part, or the embedding. */
typedef struct tess_weight_role {
    int layer, expert, part; /* -1: does not apply */
    int weight;              /* -1: no weight that a box asks for */
} tess_weight_role;

typedef struct tess_manifest_entry {
    const char *name; /* lives for the call */
    tess_component component;
    tess_weight_role role;
    int n_dim;
    uint64_t dim[TESS_MAX_DIM];
} tess_manifest_entry;

/* Called for every tensor; another status than TESS_OK ends the enumeration and is returned. */
typedef tess_status tess_manifest_visitor(void *arg, const tess_manifest_entry *entry);

/* Enumerates component by component, each in the order of the network. */
tess_status tess_manifest_visit(const tess_config *config, tess_manifest_visitor *visitor, void *arg);
/* One component alone. */
tess_status tess_manifest_visit_component(const tess_config *config, tess_component component,
                                          tess_manifest_visitor *visitor, void *arg);

/* Compares with what a store has: missing, extra, misshapen, wrong dtype. With `sink` every problem is
 * reported; without, the first is a failure, TESS_EINPUT. */
tess_status tess_manifest_check(const tess_config *config, const tess_store *store,
                                const tess_problem_sink *sink, tess_error *err);

#endif
