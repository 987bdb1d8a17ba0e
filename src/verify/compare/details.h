/* What a comparison found beside the verdict: routers, single experts, media, speech, next tokens. For
 * reports. */
#ifndef TESS_VERIFY_COMPARE_DETAILS_H
#define TESS_VERIFY_COMPARE_DETAILS_H

#include "verify/compare/comparison.h"

/* Fills routing, experts, media, speech and tokens of a result whose taps are judged. On failure what is
 * there is freed with the result. Errors: TESS_EIO, TESS_ENOMEM. */
tess_status tess_details_fill(tess_comparison *c, tess_compare_result *result, tess_error *err);
/* Frees what it filled. */
void tess_details_release(tess_compare_result *result);

#endif
