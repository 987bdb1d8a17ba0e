/* What a tap's name says: which box of the model it is the output of, and where that stands in model order.
 *
 * Names are the published checkpoint's tensor names without ".weight", behind "tap."; docs of the format list
 * them. A name outside that grammar is no error: it is put last, in alphabetical order, as component "other".
 */
#ifndef TESS_VERIFY_TRACE_TAP_NAME_H
#define TESS_VERIFY_TRACE_TAP_NAME_H

#include <stdbool.h>
#include <stdint.h>

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
    TESS_CLASS_INPUT, /* in.*, not a tap at all */
} tess_tap_class;

typedef enum tess_tap_part {
    TESS_PART_INPUTS,
    TESS_PART_AUDIO,
    TESS_PART_VISION,
    TESS_PART_THINKER,
    TESS_PART_TALKER,
    TESS_PART_CODE2WAV,
    TESS_PART_OTHER,
} tess_tap_part;

typedef struct tess_tap_place {
    tess_tap_class class;
    tess_tap_part part;
    const char *component;   /* "mlp.gate"; a static string */
    int layer, expert;       /* -1: does not apply */
    bool rows_are_positions; /* row i belongs to position i of the prompt */
    uint64_t order;          /* ascending in model order; equal only for names outside the grammar */
} tess_tap_place;

/* name: with its "tap." or "in.". Never fails. */
tess_tap_place tess_tap_place_of(const char *name);

#endif
