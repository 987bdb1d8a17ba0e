/* What the system says about this process and this machine. */
#ifndef TESS_BASE_SYSTEM_H
#define TESS_BASE_SYSTEM_H

#include <stdint.h>

/* Resident set now and its peak so far (VmRSS, VmHWM of /proc/self/status), in bytes; 0 if unknown.
 * The peak of the process itself: ru_maxrss of a child also counts what its parent once held. */
uint64_t tess_system_resident_bytes(void);
uint64_t tess_system_peak_bytes(void);

/* Memory a new consumer may take: min(MemAvailable, what the control groups leave), in bytes; 0 if unknown.
 */
uint64_t tess_system_available_bytes(void);

/* CPUs in the affinity mask, at least 1. */
int tess_system_cpus(void);

/* Seconds of a clock that never goes back. */
double tess_system_seconds(void);

#endif
