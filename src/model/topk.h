/* The k likeliest experts, with the original's choice among equals. */
#ifndef TESS_MODEL_TOPK_H
#define TESS_MODEL_TOPK_H

#include <stdint.h>

/* One candidate of a selection. */
typedef struct tess_candidate {
    float value;
    int32_t id;
} tess_candidate;

/* Brings the k largest of n candidates to the front, in falling order of value. On entry candidate i has id
 * i. 1 <= k <= n. No allocation; values are finite. */
void tess_select_top(tess_candidate *candidate, int n, int k);

#endif
