/* What a tap's name says: which box of the model it is the output of, and where that stands in model order.
 *
 * The grammar is the network's own table of taps. A name outside that grammar is no error: it is put last, in
 * alphabetical order, as component "other".
 */
#ifndef TESS_VERIFY_TRACE_TAP_NAME_H
#define TESS_VERIFY_TRACE_TAP_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "model/tap_table.h"

typedef struct tess_tap_place {
    tess_tap_class class;
    tess_tap_part part;
    const char *component;   /* "mlp.gate"; a static string */
    int layer, expert;       /* -1: does not apply */
    bool rows_are_positions; /* row i belongs to position i of the prompt */
    uint64_t order;          /* ascending in model order; equal only for names outside the grammar */
    int run, line;           /* of the module in a prompt, from 0; in its part's table */
} tess_tap_place;

/* name: with its "tap." or "in.". Never fails. */
tess_tap_place tess_tap_place_of(const char *name);

#endif
