/* What the control groups of this process leave it: memory and CPU time.
 *
 * Versions 1 and 2, each also beside the other; the own group and all its parents bind. What cannot be read,
 * and "max", is no limit. `root` is put before every path that is read, so that a test can lay out a system
 * of its own: "" is the real one.
 */
#ifndef TESS_BASE_GROUPS_H
#define TESS_BASE_GROUPS_H

#include <stdint.h>

enum { TESS_GROUP_PATH = 4096 }; /* the longest path the system takes, its end included */

typedef struct tess_group_memory {
    uint64_t
        left_bytes; /* limit - usage + reclaimable file cache; 0: nothing is left; UINT64_MAX: no limit */
    uint64_t limit_bytes;         /* of the group that leaves least */
    uint64_t least_limit_bytes;   /* of all groups; UINT64_MAX: none */
    char folder[TESS_GROUP_PATH]; /* of the group that leaves least, "" if there is none */
} tess_group_memory;

typedef struct tess_group_cpus {
    int n_cpu; /* the least quota, rounded up to whole CPUs; INT_MAX: no quota */
    char folder[TESS_GROUP_PATH];
} tess_group_cpus;

void tess_groups_get_memory(const char *root, tess_group_memory *out);
void tess_groups_get_cpus(const char *root, tess_group_cpus *out);

#endif
