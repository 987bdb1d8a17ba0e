/* Which experts explain the tokens that failed.
 *
 * One expert explains them if exactly the failing tokens were routed to it. If none does, the smallest set of
 * experts is looked for whose tokens together are exactly the failing ones. A small fault – one flipped bit
 * of a weight – leaves some of its expert's tokens within the bar; then the size of the errors is asked as
 * well.
 */
#ifndef TESS_VERIFY_COMPARE_BLAME_H
#define TESS_VERIFY_COMPARE_BLAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Experts a set may have at most, where tokens choose at most 64, else one less; how far errors of an expert
 * at fault stand out. */
enum { TESS_BLAME_MAX_SET = 3, TESS_BLAME_APART = 3 };

/* indices: [n_tok, n_chosen] expert ids. failed: [n_tok], one byte each, not 0 for a failing token.
 * error: [n_tok] how large, in any unit; NULL: not known.
 * Writes the experts that explain, ascending, to out [room] and their number to *n_out:
 * - all single experts that explain, or else
 * - the members of all smallest sets that explain, *is_set = true, or
 * - if errors are known, all single experts that every failing token chose and whose tokens lie further off
 *   than the others, at the median at least TESS_BLAME_APART times; those whose tokens all do, if there are
 * any,
 * - none: nothing explains, or every token failed and no single expert does.
 * TESS_ENOMEM is the only failure. */
tess_status tess_blame_experts(const int64_t *indices, int64_t n_tok, int n_chosen,
                               const unsigned char *failed, const float *error, int *out, int room,
                               int *n_out, bool *is_set, tess_error *err);

#endif
