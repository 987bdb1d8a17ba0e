#include "model/tap_table.h"

#include <stddef.h>

#define LAYER TESS_NUMBERS_LAYER
#define EXPERT TESS_NUMBERS_LAYER_EXPERT
#define COUNTER TESS_NUMBERS_COUNTER
#define NO_NUMBER TESS_NUMBERS_NONE

static const tess_tap_line decoder[TESS_TAP_KINDS + 1] = {
    [TESS_TAP_INPUTS_EMBEDS] = {"inputs_embeds", "embed", "talker.embed", TESS_CLASS_HIDDEN, NO_NUMBER, 0,
                                true, TESS_WIDTH_MODEL},
    [TESS_TAP_POSITION_IDS] = {"position_ids", "position_ids", "talker.position_ids", TESS_CLASS_POSITIONS,
                               NO_NUMBER, 1, false, TESS_WIDTH_TOKENS},
    [TESS_TAP_SELF_ATTN] = {"model.layers.%.self_attn", "self_attn", "talker.self_attn", TESS_CLASS_HIDDEN,
                            LAYER, 2, true, TESS_WIDTH_MODEL},
    [TESS_TAP_GATE_LOGITS] = {"model.layers.%.mlp.gate.logits", "mlp.gate", "talker.mlp.gate",
                              TESS_CLASS_ROUTER_LOGITS, LAYER, 2, true, TESS_WIDTH_EXPERTS},
    [TESS_TAP_GATE_INDICES] = {"model.layers.%.mlp.gate.indices", "mlp.gate", "talker.mlp.gate",
                               TESS_CLASS_ROUTER_INDICES, LAYER, 2, true, TESS_WIDTH_USED},
    [TESS_TAP_GATE_WEIGHTS] = {"model.layers.%.mlp.gate.weights", "mlp.gate", "talker.mlp.gate",
                               TESS_CLASS_ROUTER_WEIGHTS, LAYER, 2, true, TESS_WIDTH_USED},
    [TESS_TAP_EXPERT] = {"model.layers.%.mlp.experts.%", "mlp", "talker.mlp", TESS_CLASS_EXPERT, EXPERT, 2,
                         false, TESS_WIDTH_MODEL},
    [TESS_TAP_MLP] = {"model.layers.%.mlp", "mlp", "talker.mlp", TESS_CLASS_HIDDEN, LAYER, 2, true,
                      TESS_WIDTH_MODEL},
    [TESS_TAP_LAYER] = {"model.layers.%", "layer", "talker.layer", TESS_CLASS_HIDDEN, LAYER, 2, true,
                        TESS_WIDTH_MODEL},
    [TESS_TAP_NORM] = {"model.norm", "norm", "talker.norm", TESS_CLASS_HIDDEN, NO_NUMBER, 3, true,
                       TESS_WIDTH_MODEL},
    [TESS_TAP_LM_HEAD] = {"lm_head", "lm_head", "talker.lm_head", TESS_CLASS_LOGITS, NO_NUMBER, 4, true,
                          TESS_WIDTH_VOCAB},
    [TESS_TAP_CODEC_HEAD] = {"codec_head", "codec_head", "talker.codec_head", TESS_CLASS_LOGITS, NO_NUMBER, 5,
                             true, TESS_WIDTH_VOCAB},
    [TESS_TAP_GENERATED] = {"generated", "lm_head", "talker.lm_head", TESS_CLASS_TOKENS, NO_NUMBER, 6, false,
                            TESS_WIDTH_NONE},
    [TESS_TAP_CODES] = {"codes", "code_predictor", "code_predictor", TESS_CLASS_CODES, NO_NUMBER, 7, false,
                        TESS_WIDTH_NONE},
    [TESS_TAP_KINDS] = {.pattern = NULL},
};

#define HIDDEN(pattern, component, numbers, stage)                                                           \
    {                                                                                                        \
        pattern, component, NULL, TESS_CLASS_HIDDEN, numbers, stage, false, TESS_WIDTH_NONE                  \
    }

static const tess_tap_line audio[TESS_AUDIO_TAPS + 1] = {
    [TESS_AUDIO_TAP_CONV_OUT] = HIDDEN(".conv_out", "audio_tower", NO_NUMBER, 0),
    [TESS_AUDIO_TAP_LAYER] = HIDDEN(".layers.%", "audio_tower", LAYER, 1),
    [TESS_AUDIO_TAP_LN_POST] = HIDDEN(".ln_post", "audio_tower", NO_NUMBER, 2),
    [TESS_AUDIO_TAP_OUTPUT] = HIDDEN("", "audio_tower", NO_NUMBER, 3),
    [TESS_AUDIO_TAPS] = {.pattern = NULL},
};

/* The DeepStack mergers read the blocks and feed none of them, so they may stand behind all blocks. */
static const tess_tap_line vision[TESS_VISION_TAPS + 1] = {
    [TESS_VISION_TAP_PATCH_EMBED] = HIDDEN(".patch_embed", "visual", NO_NUMBER, 0),
    [TESS_VISION_TAP_BLOCK] = HIDDEN(".blocks.%", "visual", LAYER, 1),
    [TESS_VISION_TAP_DEEPSTACK] = HIDDEN(".merger_list.%", "visual", COUNTER, 2),
    [TESS_VISION_TAP_MERGER] = HIDDEN(".merger", "visual", NO_NUMBER, 3),
    [TESS_VISION_TAPS] = {.pattern = NULL},
};

static const tess_tap_line code2wav[TESS_CODE2WAV_TAPS + 1] = {
    [TESS_CODE2WAV_TAP_PRE_TRANSFORMER] = HIDDEN("pre_transformer", "code2wav", NO_NUMBER, 0),
    [TESS_CODE2WAV_TAP_UPSAMPLE] = HIDDEN("upsample.%.%", "code2wav", COUNTER, 1),
    [TESS_CODE2WAV_TAP_DECODER] = HIDDEN("decoder.%", "code2wav", COUNTER, 2),
    [TESS_CODE2WAV_TAP_WAVEFORM] = {"waveform", "code2wav", NULL, TESS_CLASS_WAVEFORM, NO_NUMBER, 3, false,
                                    TESS_WIDTH_NONE},
    [TESS_CODE2WAV_TAP_CHUNKED] = {"waveform_chunked", "code2wav", NULL, TESS_CLASS_WAVEFORM, NO_NUMBER, 4,
                                   false, TESS_WIDTH_NONE},
    [TESS_CODE2WAV_TAPS] = {.pattern = NULL},
};

static const struct {
    const char *prefix;
    const tess_tap_line *table;
} parts[TESS_PART_OTHER + 1] = {
    [TESS_PART_AUDIO] = {"thinker.audio_tower", audio},
    [TESS_PART_VISION] = {"thinker.visual", vision},
    [TESS_PART_THINKER] = {"thinker.", decoder},
    [TESS_PART_TALKER] = {"talker.", decoder},
    [TESS_PART_CODE2WAV] = {"code2wav.", code2wav},
    [TESS_PART_CODE_PREDICTOR] = {"talker.code_predictor.", decoder},
};

const tess_tap_line *tess_tap_table_of(tess_tap_part part)
{
    return parts[part].table;
}

const char *tess_tap_prefix_of(tess_tap_part part)
{
    return parts[part].prefix;
}
