/* Whether a checkpoint's weights can be packed, told from some rows of each kind of matrix. */
#ifndef TESS_ENGINE_PACKING_SAMPLE_H
#define TESS_ENGINE_PACKING_SAMPLE_H

#include "engine/model.h"

/* *pays = whether seven of eight matrices of the thinker have so few exceptions that packing them pays, as
 * far as their first rows tell: those of all layers, of an expert of each, and of head and embedding. Reads
 * some 25 MB of the released model. Errors: TESS_ENOMEM and those of reading files. */
tess_status tess_model_sample_packing(const tess_model *model, bool *pays, tess_error *err);

#endif
