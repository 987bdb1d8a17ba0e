#include "engine/defaults.h"

#include <stdio.h>
#include <string.h>

/* The end of a long path tells more than its beginning. */
static void shorten_path(const char *path, char out[64])
{
    size_t length = strlen(path);
    if (length < 60)
        snprintf(out, 64, "%s", path);
    else
        snprintf(out, 64, "…%s", path + length - 56);
}

uint64_t tess_default_budget(const tess_system_memory *memory, char origin[TESS_ORIGIN_BYTES])
{
    unsigned long long available = memory->available_bytes, limit = memory->group_limit_bytes;
    char group[64];
    shorten_path(memory->group, group);
    if (!memory->is_known) {
        snprintf(origin, TESS_ORIGIN_BYTES, "the default where the system does not say what is available");
        return 1ull << 30;
    }
    if (!memory->is_group)
        snprintf(origin, TESS_ORIGIN_BYTES, "the default, 70 %% of the %llu available on this machine",
                 available);
    else if (available == 0)
        snprintf(origin, TESS_ORIGIN_BYTES, "the default: nothing is left of the %llu of control group %s",
                 limit, group);
    else
        snprintf(origin, TESS_ORIGIN_BYTES,
                 "the default, 70 %% of what is left, %llu of %llu, in control group %s", available, limit,
                 group);
    return memory->available_bytes / 10 * 7;
}

int tess_default_threads(const tess_system_cpus *cpus, int most, char origin[TESS_ORIGIN_BYTES])
{
    char group[64];
    shorten_path(cpus->group, group);
    if (*cpus->group)
        snprintf(origin, TESS_ORIGIN_BYTES, "CPU quota of control group %s, of %d CPUs in the affinity mask",
                 group, cpus->n_in_mask);
    else
        snprintf(origin, TESS_ORIGIN_BYTES, "CPUs in the affinity mask");
    return cpus->n_cpu < most ? cpus->n_cpu : most;
}
