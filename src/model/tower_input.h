/* What goes into a tower, read and checked. */
#ifndef TESS_MODEL_TOWER_INPUT_H
#define TESS_MODEL_TOWER_INPUT_H

#include "model/compute.h"
#include "tessera/features.h"

/* Rows [first, first + n) of a medium -> out[n, width], rounded as the mode says. Errors: those of reading;
 * TESS_EINPUT, field "input_features", "pixel_values" or "pixel_values_videos": a value that is not finite.
 */
tess_status tess_tower_read(const tess_compute *compute, const tess_features *medium, int64_t first, int n,
                            size_t width, float *out, tess_error *err);

#endif
