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

/* The number in a control-group file; UINT64_MAX for "max" or no such file. */
static uint64_t read_limit(const char *folder, const char *name)
{
    char path[1200], text[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (!file) return UINT64_MAX;
    uint64_t value = UINT64_MAX;
    if (fgets(text, sizeof text, file) && text[0] >= '0' && text[0] <= '9') value = strtoull(text, NULL, 10);
    fclose(file);
    return value;
}

static uint64_t left_in_group(const char *folder, const char *limit_name, const char *usage_name)
{
    uint64_t limit = read_limit(folder, limit_name), usage = read_limit(folder, usage_name);
    if (limit == UINT64_MAX || usage == UINT64_MAX) return UINT64_MAX;
    return limit > usage ? limit - usage : 0;
}

/* The tightest of this process's group and its parents, version 2; then version 1's memory controller. */
static uint64_t left_in_groups(void)
{
    uint64_t left = left_in_group("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes");
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return left;
    char line[1024], folder[1100];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::", 3)) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(folder, sizeof folder, "/sys/fs/cgroup%s", line + 3);
        for (char *end; strlen(folder) >= strlen("/sys/fs/cgroup"); *end = 0) {
            uint64_t here = left_in_group(folder, "memory.max", "memory.current");
            if (here < left) left = here;
            end = strrchr(folder, '/');
        }
    }
    fclose(file);
    return left;
}

uint64_t tess_system_available_bytes(void)
{
    uint64_t available = find_kib("/proc/meminfo", "MemAvailable"), left = left_in_groups();
    return available && available < left ? available : left == UINT64_MAX ? available : left;
}

int tess_system_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n;
}

double tess_system_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
