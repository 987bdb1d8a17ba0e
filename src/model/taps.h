/* Taps: named intermediate tensors, spelled like the checkpoint's tensors.
 *
 * The list below is in model order and is the only place that knows names and shapes. Emitting a tap also
 * checks it: a non-finite value that would go on ends the run with the tap's name, whether anybody listens or
 * not.
 */
#ifndef TESS_MODEL_TAPS_H
#define TESS_MODEL_TAPS_H

#include "kernels/kernels.h"
#include "model/config.h"
#include "tessera/engine.h"

typedef enum tess_tap_kind {
    TESS_TAP_INPUTS_EMBEDS, /* [n_tok, d_model] */
    TESS_TAP_POSITION_IDS,  /* [3, n_tok] */
    TESS_TAP_SELF_ATTN,     /* [n_tok, d_model], of a layer, after o_proj */
    TESS_TAP_GATE_LOGITS,   /* [n_tok, n_expert] */
    TESS_TAP_GATE_INDICES,  /* [n_tok, n_expert_used] integers, by descending weight */
    TESS_TAP_GATE_WEIGHTS,  /* [n_tok, n_expert_used] */
    TESS_TAP_MLP,           /* [n_tok, d_model] */
    TESS_TAP_LAYER,         /* [n_tok, d_model], with the residual */
    TESS_TAP_NORM,          /* [n_tok, d_model] */
    TESS_TAP_LM_HEAD,       /* [n_tok or 1, n_vocab] */
} tess_tap_kind;

enum { TESS_TAP_NAME = 96 };

/* Fills *out for a tap of a prompt of n_tok tokens; `name` holds its name. */
void tess_tap_describe(const tess_decoder_config *config, tess_tap_kind kind, int layer, int64_t n_tok,
                       bool last_logits, char name[TESS_TAP_NAME], tess_tap *out);

/* Visits all taps of the thinker's text in model order. */
void tess_taps_visit(const tess_decoder_config *config, int64_t n_tok, bool last_logits,
                     void (*visit)(void *context, const tess_tap *tap), void *context);

/* Where taps of one feed go. */
typedef struct tess_tap_sink {
    const tess_tap_listener *listener; /* NULL: nobody listens */
    const tess_decoder_config *config;
    const tess_kernels *kernels;
    int64_t n_tok; /* of the whole feed */
    bool last_logits;
} tess_tap_sink;

bool tess_tap_is_wanted(const tess_tap_sink *sink, tess_tap_kind kind, int layer);

/* Rows [row, row + n_row) of a float tap; `values` are dense and may be overwritten by the listener. */
tess_status tess_tap_emit(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int64_t row,
                          int64_t n_row, float *values, tess_error *err);
/* The same for an integer tap. */
tess_status tess_tap_emit_integers(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int64_t row,
                                   int64_t n_row, int64_t *integers, tess_error *err);

/* A piece of one expert's output, before it is weighted: the tokens of this chunk that chose it, by position.
 * How many of the prompt will is not known, so the tap's first dimension and `row` are -1. Only who wants it
 * by name hears of it; it is never replaced. */
tess_status tess_tap_emit_expert(const tess_tap_sink *sink, int layer, int expert, int64_t n_row,
                                 const float *values, tess_error *err);

#endif
