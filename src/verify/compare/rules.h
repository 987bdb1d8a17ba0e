/* By what a tap is judged: the bars of docs/NUMERICS.md. */
#ifndef TESS_VERIFY_COMPARE_RULES_H
#define TESS_VERIFY_COMPARE_RULES_H

#include "tessera/compare.h"
#include "verify/trace/tap_name.h"

/* How a tap is judged, known before it is heard. */
typedef struct tess_rule {
    tess_measure measure;
    double tolerance;
} tess_rule;

/* The bars of a full run: by the reference's precision, whether there is a truth, and what the tap is. */
tess_rule tess_rule_of(const tess_tap_place *place, bool is_integer, tess_precision reference,
                       bool has_truth);
/* The bars of a module that was fed the reference's own input. */
tess_rule tess_rule_isolated(const tess_tap_place *place, bool is_integer, tess_precision reference);

/* Isolated in bfloat16: the worst row's steps; and of a tap of enough rows for an average, its relative L2 in
 * steps, and the share of its elements that differ. docs/NUMERICS.md says what they were measured against. */
#define TESS_STEPS_ROW 8
#define TESS_STEPS_TAP 0.75
#define TESS_STEPS_SHARE 0.4
enum { TESS_STEPS_N_ROW = 8 };

/* Bounds of the mean ratio and of every ratio in bfloat16. */
#define TESS_RATIO_LOW 0.87
#define TESS_RATIO_HIGH 1.15
#define TESS_RATIO_MOST 2.5 /* and its inverse at least */

#endif
