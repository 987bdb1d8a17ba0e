/* What the system says about this process and this machine. */
#ifndef TESS_BASE_SYSTEM_H
#define TESS_BASE_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/groups.h"

/* Resident set now and its peak so far (VmRSS, VmHWM of /proc/self/status), in bytes; 0 if unknown.
 * The peak of the process itself: ru_maxrss of a child also counts what its parent once held. */
uint64_t tess_system_resident_bytes(void);
uint64_t tess_system_peak_bytes(void);

/* Memory a new consumer may take: the least of MemAvailable and what the control groups leave. */
typedef struct tess_system_memory {
    bool is_known;
    uint64_t available_bytes; /* 0: nothing is left */
    uint64_t most_bytes;      /* what machine and groups could give if they were empty; 0: not known */
    bool is_group;            /* a control group leaves less than the machine */
    uint64_t group_limit_bytes;
    char group[TESS_GROUP_PATH]; /* its folder */
} tess_system_memory;
/* `root` as in groups.h: "" but in tests. */
void tess_system_get_memory(const char *root, tess_system_memory *out);

/* CPUs this process may keep busy: the lesser of the affinity mask and the control groups' quota. */
typedef struct tess_system_cpus {
    int n_cpu, n_in_mask;        /* at least 1 */
    char group[TESS_GROUP_PATH]; /* whose quota is less than the mask; "" if none's */
} tess_system_cpus;
void tess_system_get_cpus(const char *root, tess_system_cpus *out);

/* Seconds of a clock that never goes back. */
double tess_system_seconds(void);

#endif
