/* What a plan takes where the caller names nothing, and where that came from, for a person to read. */
#ifndef TESS_ENGINE_DEFAULTS_H
#define TESS_ENGINE_DEFAULTS_H

#include "base/system.h"

enum { TESS_ORIGIN_BYTES = 160 };

/* 70 % of what is to be had; 1 GiB where the system does not say. Origin: "the default, 70 % of …". */
uint64_t tess_default_budget(const tess_system_memory *memory, char origin[TESS_ORIGIN_BYTES]);

/* Origin: "CPUs in the affinity mask" or "quota of control group …". */
int tess_default_threads(const tess_system_cpus *cpus, int most, char origin[TESS_ORIGIN_BYTES]);

#endif
