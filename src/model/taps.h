/* Emitting taps: named intermediate tensors.
 *
 * Names and widths of a decoder's come from the table of taps; a tower describes its own. Emitting a tap also
 * checks it: a non-finite value that would go on ends the run with the tap's name, whether anybody listens or
 * not.
 */
#ifndef TESS_MODEL_TAPS_H
#define TESS_MODEL_TAPS_H

#include "kernels/kernels.h"
#include "model/config.h"
#include "model/tap_table.h"
#include "tessera/engine.h"

enum { TESS_TAP_NAME = 96 };

/* Where taps of one feed of one timeline go. */
typedef struct tess_tap_sink {
    const tess_tap_listener *listener; /* NULL: nobody listens */
    const char *decoder;               /* "thinker": what its taps' names begin with behind "tap." */
    const tess_decoder_config *config;
    const tess_kernels *kernels;
    int64_t n_tok; /* of the whole feed */
    bool last_logits;
} tess_tap_sink;

/* Fills *out for a tap of a prompt of sink->n_tok tokens; `name` holds its name. `expert` matters in an
 * expert's tap only. */
void tess_tap_describe(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int expert,
                       char name[TESS_TAP_NAME], tess_tap *out);

/* Visits all taps of a decoder's prompt in model order; `head` is the kind of its logits, TESS_TAP_KINDS of
 * one without, which has no positions to tell either. Single experts are left out: they are made for who asks
 * by name. */
void tess_taps_visit(const tess_tap_sink *sink, tess_tap_kind head,
                     void (*visit)(void *context, const tess_tap *tap), void *context);

bool tess_tap_is_wanted(const tess_tap_sink *sink, tess_tap_kind kind, int layer);

/* Rows [row, row + n_row) of a float tap; `values` are dense and may be overwritten by the listener. */
tess_status tess_tap_emit(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int64_t row,
                          int64_t n_row, float *values, tess_error *err);
/* The name of a tower's tap: "tap.", the part's prefix and the pattern of its line, with its number; of a
 * tower's second run (run 1) "#1" is added, and so on. */
void tess_tap_format_name(tess_tap_part part, int line, int number, int run, char name[TESS_TAP_NAME]);
/* The same of a line with two numbers. */
void tess_tap_format_numbers(tess_tap_part part, int line, int first, int second, char name[TESS_TAP_NAME]);
/* The same for rows of any float tap, described by whoever emits it: what stands behind tess_tap_emit.
 * `listener` may be NULL. */
tess_status tess_tap_emit_rows(const tess_tap_listener *listener, const tess_kernels *kernels,
                               const tess_tap *tap, int64_t row, int64_t n_row, size_t row_width,
                               float *values, tess_error *err);
/* Columns [column, column + n) of a float tap of two axes. The values lie the other way round, [n, rows of
 * the tap]; whoever listens gets them in pieces, turned in scratch[n_scratch], where a column has room at
 * least. */
tess_status tess_tap_emit_columns(const tess_tap_listener *listener, const tess_kernels *kernels,
                                  const tess_tap *tap, int64_t column, int64_t n, float *values,
                                  float *scratch, size_t n_scratch, tess_error *err);
/* An integer tap of a decoder, as tess_tap_emit. */
tess_status tess_tap_emit_integers(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int64_t row,
                                   int64_t n_row, int64_t *integers, tess_error *err);

/* A piece of one expert's output, before it is weighted: the tokens of this step that chose it, by position.
 * How many of the prompt will is not known, so the tap's first dimension and `row` are -1. Only who wants it
 * by name hears of it; it is never replaced. There must be a listener. */
tess_status tess_tap_emit_expert(const tess_tap_sink *sink, int layer, int expert, int64_t n_row,
                                 const float *values, tess_error *err);

#endif
