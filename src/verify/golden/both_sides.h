/* The two sides of the bfloat16 bar in one result: the whole run, and the modules by themselves. */
#ifndef TESS_VERIFY_GOLDEN_BOTH_SIDES_H
#define TESS_VERIFY_GOLDEN_BOTH_SIDES_H

#include "tessera/compare.h"

/* What failed in the isolated result fails in the whole one, with the isolated side's measure, place and
 * experts, which are sharper; metrics stay the whole run's. Takes what it needs out of `isolated`, which is
 * still to be freed. */
void tess_both_sides_merge(tess_compare_result *whole, tess_compare_result *isolated);

#endif
