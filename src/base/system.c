#include "base/system.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The number after `key` in a file of "Key:   1234 kB" lines, in bytes; 0 if there is none. */
static uint64_t find_kib(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    char line[256];
    unsigned long long kib = 0;
    size_t length = strlen(key);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, key, length) && line[length] == ':') {
            kib = strtoull(line + length + 1, NULL, 10);
            break;
        }
    fclose(file);
    return (uint64_t)kib * 1024;
}

uint64_t tess_system_resident_bytes(void)
{
    return find_kib("/proc/self/status", "VmRSS");
}

uint64_t tess_system_peak_bytes(void)
{
    return find_kib("/proc/self/status", "VmHWM");
}

void tess_system_get_memory(const char *root, tess_system_memory *out)
{
    char path[TESS_GROUP_PATH];
    tess_group_memory groups;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    uint64_t available = find_kib(path, "MemAvailable"), total = find_kib(path, "MemTotal");
    tess_groups_get_memory(root, &groups);
    *out = (tess_system_memory){.is_known = available || groups.left_bytes != UINT64_MAX,
                                .available_bytes = available,
                                .most_bytes = total};
    if (groups.least_limit_bytes != UINT64_MAX && (!total || groups.least_limit_bytes < total))
        out->most_bytes = groups.least_limit_bytes;
    if (groups.left_bytes == UINT64_MAX || (available && groups.left_bytes >= available)) return;
    out->available_bytes = groups.left_bytes;
    out->is_group = true;
    out->group_limit_bytes = groups.limit_bytes;
    memcpy(out->group, groups.folder, sizeof out->group);
}

static int count_in_mask(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n;
}

void tess_system_get_cpus(const char *root, tess_system_cpus *out)
{
    tess_group_cpus groups;
    tess_groups_get_cpus(root, &groups);
    *out = (tess_system_cpus){.n_in_mask = count_in_mask()};
    out->n_cpu = out->n_in_mask;
    if (groups.n_cpu >= out->n_in_mask) return;
    out->n_cpu = groups.n_cpu;
    memcpy(out->group, groups.folder, sizeof out->group);
}

double tess_system_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
