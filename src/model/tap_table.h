/* The one table of taps: how they are named, which box of the network they are the output of, and what their
 * numbers are. The network emits by it and traces are read by it; a tap is one line here.
 *
 * Names are the published checkpoint's tensor names without ".weight", behind "tap.".
 */
#ifndef TESS_MODEL_TAP_TABLE_H
#define TESS_MODEL_TAP_TABLE_H

#include <stdbool.h>

/* What is done with a tap's numbers. */
typedef enum tess_tap_class {
    TESS_CLASS_HIDDEN,    /* any float output without a rule of its own */
    TESS_CLASS_POSITIONS, /* position_ids [3, n] */
    TESS_CLASS_ROUTER_LOGITS,
    TESS_CLASS_ROUTER_INDICES,
    TESS_CLASS_ROUTER_WEIGHTS,
    TESS_CLASS_EXPERT, /* one expert's output, rows are the tokens routed to it */
    TESS_CLASS_LOGITS, /* lm_head, codec_head */
    TESS_CLASS_TOKENS, /* generated */
    TESS_CLASS_CODES,  /* talker.codes [16, frames] */
    TESS_CLASS_WAVEFORM,
    TESS_CLASS_INPUT,    /* in.*, not a tap at all */
    TESS_CLASS_FEATURES, /* in.input_features, an input that is computed from samples */
} tess_tap_class;

/* What the numbers of a name mean. */
typedef enum tess_tap_numbers {
    TESS_NUMBERS_NONE,
    TESS_NUMBERS_LAYER,
    TESS_NUMBERS_LAYER_EXPERT,
    TESS_NUMBERS_COUNTER
} tess_tap_numbers;

/* How wide a row is that a decoder emits. */
typedef enum tess_tap_width {
    TESS_WIDTH_NONE, /* not emitted by a decoder's run */
    TESS_WIDTH_MODEL,
    TESS_WIDTH_EXPERTS,
    TESS_WIDTH_USED, /* experts a token uses */
    TESS_WIDTH_VOCAB,
    TESS_WIDTH_TOKENS
} tess_tap_width;

/* Lines of one stage are ordered by their first number (the layer), then by line, then by their second. */
typedef struct tess_tap_line {
    const char *pattern;                      /* "%" stands for a decimal number; NULL ends a table */
    const char *component, *talker_component; /* the latter in a decoder's table only */
    tess_tap_class class;
    tess_tap_numbers numbers;
    int stage;
    bool rows_are_positions; /* row i belongs to position i of the prompt */
    tess_tap_width width;
} tess_tap_line;

/* Lines of the decoders' table, in model order. */
typedef enum tess_tap_kind {
    TESS_TAP_INPUTS_EMBEDS, /* [n_tok, d_model] */
    TESS_TAP_POSITION_IDS,  /* [3, n_tok] */
    TESS_TAP_SELF_ATTN,     /* [n_tok, d_model], of a layer, after o_proj */
    TESS_TAP_GATE_LOGITS,   /* [n_tok, n_expert] */
    TESS_TAP_GATE_INDICES,  /* [n_tok, n_expert_used] integers, by descending weight */
    TESS_TAP_GATE_WEIGHTS,  /* [n_tok, n_expert_used] */
    TESS_TAP_EXPERT,        /* [tokens that chose it, d_model], before it is weighted */
    TESS_TAP_MLP,           /* [n_tok, d_model] */
    TESS_TAP_LAYER,         /* [n_tok, d_model], with the residual, before DeepStack is added */
    TESS_TAP_NORM,          /* [n_tok, d_model] */
    TESS_TAP_LM_HEAD,       /* [n_tok or 1, n_vocab] */
    TESS_TAP_CODEC_HEAD,    /* [n_tok or 1, n_vocab] */
    TESS_TAP_GENERATED,     /* [n] */
    TESS_TAP_CODES,         /* [n_code_group, n_frame] */
    TESS_TAP_KINDS
} tess_tap_kind;

/* Lines of the audio tower's table, in model order. */
typedef enum tess_audio_tap {
    TESS_AUDIO_TAP_CONV_OUT, /* [n_chunk, steps of the longest chunk, d_model], [steps, d_model] of one chunk
                              */
    TESS_AUDIO_TAP_LAYER,    /* [n_tok, d_model] */
    TESS_AUDIO_TAP_LN_POST,  /* [n_tok, d_model] */
    TESS_AUDIO_TAP_OUTPUT,   /* [n_tok, d_output] */
    TESS_AUDIO_TAPS
} tess_audio_tap;

/* Lines of the vision tower's table, in model order. */
typedef enum tess_vision_tap {
    TESS_VISION_TAP_PATCH_EMBED, /* [patches, d_model] before positions are added */
    TESS_VISION_TAP_BLOCK,       /* [patches, d_model] */
    TESS_VISION_TAP_DEEPSTACK,   /* [n_tok, d_output] of a DeepStack merger */
    TESS_VISION_TAP_MERGER,      /* [n_tok, d_output] the result */
    TESS_VISION_TAPS
} tess_vision_tap;

/* Lines of code2wav's table, in model order. */
typedef enum tess_code2wav_tap {
    TESS_CODE2WAV_TAP_PRE_TRANSFORMER, /* [n_frame, d_model] */
    TESS_CODE2WAV_TAP_UPSAMPLE,        /* [d_model, length]; J 0: the convolution, 1: the block behind it */
    TESS_CODE2WAV_TAP_DECODER,         /* [channels, length] */
    TESS_CODE2WAV_TAP_WAVEFORM,        /* [length] */
    TESS_CODE2WAV_TAP_CHUNKED,         /* [length] by the original's windows */
    TESS_CODE2WAV_TAPS
} tess_code2wav_tap;

typedef enum tess_tap_part {
    TESS_PART_INPUTS,
    TESS_PART_AUDIO,
    TESS_PART_VISION,
    TESS_PART_THINKER,
    TESS_PART_TALKER,
    TESS_PART_CODE_PREDICTOR, /* its first run: two rows of the first frame */
    TESS_PART_CODE2WAV,
    TESS_PART_OTHER,
} tess_tap_part;

/* The table of a part, up to a line without pattern; NULL for inputs and others. Thinker, talker and code
 * predictor share one, whose lines are numbered by tess_tap_kind. */
const tess_tap_line *tess_tap_table_of(tess_tap_part part);
/* What names of the part begin with, behind "tap."; a name belongs to the first part of which it fits prefix
 * and pattern. */
const char *tess_tap_prefix_of(tess_tap_part part);

#endif
