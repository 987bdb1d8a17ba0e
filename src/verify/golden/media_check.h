/* Media that a golden's messages name, prepared again, stand for the run's: a difference from the golden's
 * inputs is the front end's. */
#ifndef TESS_VERIFY_GOLDEN_MEDIA_CHECK_H
#define TESS_VERIFY_GOLDEN_MEDIA_CHECK_H

#include "tessera/features.h"
#include "verify/compare/comparison.h"

/* Lets the comparison hear the in.* tensors that the media make. Errors: those of reading rows, and of
 * tess_comparison_hear; TESS_ENOMEM. */
tess_status tess_golden_hear_media(tess_comparison *comparison, const tess_features *const *media,
                                   int n_medium, tess_error *err);

#endif
