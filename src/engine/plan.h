/* Deciding what stays in memory under a budget, before a weight is read. */
#ifndef TESS_ENGINE_PLAN_H
#define TESS_ENGINE_PLAN_H

#include "engine/rooms.h"

/* Fills *plan and *choice. TESS_EBUDGET: both hold the smallest plan. TESS_EUSAGE: an option is out of range.
 */
tess_status tess_model_plan(tess_model *model, const tess_engine_options *options, tess_plan *plan,
                            tess_choice *choice, tess_error *err);

/* Bytes that one token is expected to read when the bank of experts is full. */
uint64_t tess_plan_count_warm_bytes(const tess_plan *plan);

#endif
