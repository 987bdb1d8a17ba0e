/* Which experts are at fault for a tap that failed. */
#ifndef TESS_VERIFY_COMPARE_FAULT_H
#define TESS_VERIFY_COMPARE_FAULT_H

#include "verify/compare/comparison.h"

/* Fills expert, experts and n_experts of the report of a failed tap. A single expert's output is that
 * expert's. Of an expert layer's sum it is the experts whose own outputs failed, where the reference holds
 * them; else those whose tokens are exactly the failing ones, by the reference's routing. `so_far`: the
 * reports of the taps before this one. */
tess_status tess_find_fault(tess_comparison *c, const tess_tap_state *s, const tess_compare_result *so_far,
                            tess_tap_report *r, tess_error *err);

#endif
