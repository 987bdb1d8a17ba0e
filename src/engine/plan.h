/* Deciding what stays in memory under a budget, before a weight is read. */
#ifndef TESS_ENGINE_PLAN_H
#define TESS_ENGINE_PLAN_H

#include "engine/layout.h"

/* A checkpoint opened for planning or running: configuration, tensors, tables; no weights. */
typedef struct tess_model {
    tess_config config;
    tess_store *store;
    tess_thinker_weights weights;
    tess_precision precision;
    tess_kernels kernels;
} tess_model;

tess_status tess_model_open(const tess_engine_options *options, tess_model *out, tess_error *err);
void tess_model_close(tess_model *model);

/* Fills *plan and *choice. TESS_EBUDGET: both hold the smallest plan. */
tess_status tess_model_plan(tess_model *model, const tess_engine_options *options, tess_plan *plan,
                            tess_choice *choice, tess_error *err);

/* A thinker that is laid out later. */
tess_decoder tess_model_make_thinker(const tess_model *model, tess_pool *pool);

/* Which kernels a user's --isa allows: TESS_EUSAGE for an unknown name or one this CPU lacks. */
tess_status tess_kernels_choose(const char *isa, tess_kernels *out, tess_error *err);

#endif
