/* Control groups laid out in a folder: both versions, parents, what is missing, and limits of every kind. */
#include "base/groups.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/system.h"
#include "engine/defaults.h"

static char root[] = "/tmp/tess-groups-XXXXXX";

/* Writes a file of the system below the root, its folders as well. */
static void put(const char *path, const char *text)
{
    char whole[2 * TESS_GROUP_PATH];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = 0;
        mkdir(whole, 0700);
    }
    FILE *f = fopen(whole, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int begin(void **state)
{
    (void)state;
    strcpy(root, "/tmp/tess-groups-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static tess_group_memory memory(void)
{
    tess_group_memory found;
    tess_groups_get_memory(root, &found);
    return found;
}

static tess_group_cpus cpus(void)
{
    tess_group_cpus found;
    tess_groups_get_cpus(root, &found);
    return found;
}

static void group_2(const char *group, const char *max, const char *current, const char *stat)
{
    char path[2 * TESS_GROUP_PATH];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
    put(path, max);
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.current", group);
    put(path, current);
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.stat", group);
    if (*stat) put(path, stat);
}

static void group_1(const char *group, const char *limit, const char *usage, const char *stat)
{
    char path[2 * TESS_GROUP_PATH];
    snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", group);
    put(path, limit);
    snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.usage_in_bytes", group);
    put(path, usage);
    snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.stat", group);
    if (*stat) put(path, stat);
}

static void without_groups_nothing_is_limited(void **state)
{
    (void)state;
    assert_true(memory().left_bytes == UINT64_MAX && !*memory().folder);
    assert_int_equal(cpus().n_cpu, INT_MAX);
    put("/proc/self/cgroup", "0::/a/b\n5:memory:/c\n3:cpu,cpuacct:/d\nnonsense\n::\n");
    put("/proc/self/mountinfo", "nonsense - cgroup2\n1 2 3:4 / /nowhere rw - cgroup2 none rw\n");
    assert_true(memory().left_bytes == UINT64_MAX);
    group_2("/a/b", "max\n", "100\n", "");
    assert_true(memory().left_bytes == UINT64_MAX);
}

static void file_cache_of_version_2_is_to_be_had(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/job\n");
    group_2("/job", "536870912\n", "536870912\n",
            "anon 4096\nactive_file 8192\nslab_reclaimable 7\ninactive_file_x 1\ninactive_file 500000000\n");
    tess_group_memory m = memory();
    assert_int_equal(m.left_bytes, 500000000);
    assert_int_equal(m.limit_bytes, 536870912);
    assert_string_equal(m.folder, "/sys/fs/cgroup/job");
    group_2("/job", "536870912\n", "536870912\n", "anon 4096\n");
    assert_int_equal(memory().left_bytes, 0);
    assert_string_equal(memory().folder, "/sys/fs/cgroup/job");
}

static void version_1_follows_the_own_group(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "9:name=systemd:/other\n4:memory:/slurm/job\n2:cpuacct:/wrong\n0::/\n");
    group_1("", "9223372036854771712\n", "90000000000\n", "");
    group_1("/slurm", "2000000000\n", "1000000000\n", "inactive_file 7\ntotal_inactive_file 50\n");
    group_1("/slurm/job", "33554432\n", "33000000\n", "inactive_file 7\ntotal_inactive_file 32000000\n");
    assert_int_equal(memory().left_bytes, 33554432 - 1000000);
    assert_string_equal(memory().folder, "/sys/fs/cgroup/memory/slurm/job");
    assert_int_equal(memory().least_limit_bytes, 33554432);
    /* A parent may leave less than the own group. */
    group_1("/slurm", "2000000000\n", "1999999999\n", "");
    assert_int_equal(memory().left_bytes, 51);
    assert_string_equal(memory().folder, "/sys/fs/cgroup/memory/slurm");
    assert_int_equal(memory().least_limit_bytes, 33554432);
}

static void limits_of_every_kind(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/job\n");
    group_2("/job", "1000\n", "5000\n", "inactive_file 100\n"); /* lowered below what is in use */
    assert_int_equal(memory().left_bytes, 0);
    group_2("/job", "1000\n", "50\n", "inactive_file 100\n"); /* read at different moments */
    assert_int_equal(memory().left_bytes, 1000);
    group_2("/job", "99999999999999999999999999\n", "50\n", "");
    assert_true(memory().left_bytes == UINT64_MAX);
    group_2("/job", "18446744073709551614\n", "0\n", "");
    assert_true(memory().left_bytes == UINT64_MAX - 1);
    group_2("/job", "", "50\n", "");
    assert_true(memory().left_bytes == UINT64_MAX);
    group_2("", "4000\n", "1000\n", ""); /* a parent without its child's files */
    assert_int_equal(memory().left_bytes, 3000);
    assert_string_equal(memory().folder, "/sys/fs/cgroup");
}

static void both_versions_side_by_side(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:memory:/one\n0::/two\n");
    group_1("/one", "5000\n", "1000\n", "");
    put("/sys/fs/cgroup/unified/two/memory.max", "3000\n");
    put("/sys/fs/cgroup/unified/two/memory.current", "1000\n");
    put("/sys/fs/cgroup/unified/two/cpu.max", "150000 100000\n");
    assert_int_equal(memory().left_bytes, 2000);
    assert_string_equal(memory().folder, "/sys/fs/cgroup/unified/two");
    assert_int_equal(cpus().n_cpu, 2);
}

static void a_container_shows_a_part_of_the_hierarchy(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:memory:/docker/abc/inner\n");
    put("/proc/self/mountinfo", "1 2 3:4 /docker/abc /groups rw - cgroup cgroup rw,memory\n");
    put("/groups/memory.limit_in_bytes", "9000\n");
    put("/groups/memory.usage_in_bytes", "1000\n");
    assert_int_equal(memory().left_bytes, 8000);
    put("/groups/inner/memory.limit_in_bytes", "3000\n");
    put("/groups/inner/memory.usage_in_bytes", "1000\n");
    assert_int_equal(memory().left_bytes, 2000);
    /* A name that only begins alike is another group, and one outside of the namespace is not shown. */
    put("/proc/self/cgroup", "4:memory:/docker/abcd/inner\n");
    assert_int_equal(memory().left_bytes, 8000);
    put("/proc/self/cgroup", "4:memory:/docker/abc/../inner\n");
    assert_int_equal(memory().left_bytes, 8000);
}

/* The mount's names are written with escapes, those of the own group without. */
static void names_may_hold_blanks(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:memory:/a job/one\\two/inner\n");
    put("/proc/self/mountinfo",
        "1 2 3:4 /a\\040job/one\\134two /my\\040groups rw - cgroup cgroup rw,memory\n");
    put("/my groups/inner/memory.limit_in_bytes", "3000\n");
    put("/my groups/inner/memory.usage_in_bytes", "1000\n");
    assert_int_equal(memory().left_bytes, 2000);
    assert_string_equal(memory().folder, "/my groups/inner");
    put("/proc/self/cgroup", "4:memory:/a job/one\\two\n");
    put("/my groups/memory.limit_in_bytes", "900\n");
    put("/my groups/memory.usage_in_bytes", "100\n");
    assert_int_equal(memory().left_bytes, 800);
}

/* Long names of groups, up to one that the system would not open, and a long line of another mount. */
static void a_long_path_does_not_hide_its_parents(void **state)
{
    (void)state;
    char group[TESS_GROUP_PATH] = "/parent", line[4 * TESS_GROUP_PATH];
    group_2(group, "5000\n", "1000\n", "");
    static const size_t lengths[] = {1000, 1012, 1020, 1023, 1024, 1025, 3900, TESS_GROUP_PATH - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t n = strlen(group); n < lengths[i]; n++)
            group[n] = n % 100 == 7 ? '/' : 'g', group[n + 1] = 0;
        if (group[lengths[i] - 1] == '/') group[lengths[i] - 1] = 'g';
        snprintf(line, sizeof line, "0::%s\n", group);
        put("/proc/self/cgroup", line);
        assert_int_equal(memory().left_bytes, 4000);
        assert_string_equal(memory().folder, "/sys/fs/cgroup/parent");
        if (lengths[i] > 3000) continue;
        group_2(group, "3000\n", "1000\n", "");
        assert_int_equal(memory().left_bytes, 2000);
        group_2(group, "max\n", "1000\n", "");
    }
    put("/proc/self/cgroup", "4:memory:/top/job\n");
    memset(line, 'x', sizeof line);
    snprintf(line + 10000, sizeof line - 10000, " rw\n9 2 3:4 /top /shown rw - cgroup cgroup rw,memory\n");
    memcpy(line, "1 2 3:4 / /overlay rw - overlay none lowerdir=", 46);
    put("/proc/self/mountinfo", line);
    put("/shown/job/memory.limit_in_bytes", "700\n");
    put("/shown/job/memory.usage_in_bytes", "100\n");
    assert_int_equal(memory().left_bytes, 600);
}

static void quotas_are_rounded_up(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/pod/job\n");
    put("/sys/fs/cgroup/pod/job/cpu.max", "max 100000\n");
    assert_int_equal(cpus().n_cpu, INT_MAX);
    put("/sys/fs/cgroup/pod/cpu.max", "250000 100000\n");
    assert_int_equal(cpus().n_cpu, 3);
    assert_string_equal(cpus().folder, "/sys/fs/cgroup/pod");
    put("/sys/fs/cgroup/pod/job/cpu.max", "1000 100000\n");
    assert_int_equal(cpus().n_cpu, 1);
    put("/sys/fs/cgroup/pod/job/cpu.max", "400000\n");
    assert_int_equal(cpus().n_cpu, 3);
    put("/sys/fs/cgroup/pod/job/cpu.max", "400000 0\n");
    assert_int_equal(cpus().n_cpu, 3);
    put("/sys/fs/cgroup/pod/job/cpu.max", "18446744073709551614 1\n");
    assert_int_equal(cpus().n_cpu, 3);
}

static void quotas_of_version_1(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "3:cpuset:/x\n2:cpu,cpuacct:/job\n");
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cpus().n_cpu, INT_MAX);
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "100000\n");
    assert_int_equal(cpus().n_cpu, 1);
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "100001\n");
    assert_int_equal(cpus().n_cpu, 2);
    assert_string_equal(cpus().folder, "/sys/fs/cgroup/cpu/job");
}

static void defaults_follow_what_is_least(void **state)
{
    (void)state;
    tess_system_memory m;
    tess_system_cpus c;
    char origin[TESS_ORIGIN_BYTES];
    tess_system_get_memory(root, &m);
    assert_false(m.is_known);
    assert_int_equal(tess_default_budget(&m, origin), 1 << 30);
    put("/proc/meminfo", "MemTotal:  2000 kB\nMemFree: 5 kB\nMemAvailable:   1000 kB\n");
    tess_system_get_memory(root, &m);
    assert_int_equal(tess_default_budget(&m, origin), 716800);
    assert_string_equal(origin, "the default, 70 % of the 1024000 available on this machine");
    assert_int_equal(m.most_bytes, 2048000);
    put("/proc/self/cgroup", "0::/job\n");
    group_2("/job", "100000\n", "90000\n", "inactive_file 40000\n");
    tess_system_get_memory(root, &m);
    assert_int_equal(tess_default_budget(&m, origin), 35000);
    assert_string_equal(origin, "the default, 70 % of what is left, 50000 of 100000, in control group "
                                "/sys/fs/cgroup/job");
    assert_int_equal(m.most_bytes, 100000);
    group_2("/job", "100000\n", "100000\n", "inactive_file 0\n");
    tess_system_get_memory(root, &m);
    assert_int_equal(tess_default_budget(&m, origin), 0);
    assert_string_equal(origin, "the default: nothing is left of the 100000 of control group "
                                "/sys/fs/cgroup/job");
    put("/sys/fs/cgroup/job/cpu.max", "1000 100000\n");
    tess_system_get_cpus(root, &c);
    assert_int_equal(tess_default_threads(&c, 64, origin), 1);
    if (c.n_in_mask > 1) assert_non_null(strstr(origin, "CPU quota of control group /sys/fs/cgroup/job"));
    c = (tess_system_cpus){.n_cpu = 200, .n_in_mask = 200};
    assert_int_equal(tess_default_threads(&c, 64, origin), 64);
    assert_string_equal(origin, "CPUs in the affinity mask");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_groups_nothing_is_limited, begin, end),
        cmocka_unit_test_setup_teardown(file_cache_of_version_2_is_to_be_had, begin, end),
        cmocka_unit_test_setup_teardown(version_1_follows_the_own_group, begin, end),
        cmocka_unit_test_setup_teardown(limits_of_every_kind, begin, end),
        cmocka_unit_test_setup_teardown(both_versions_side_by_side, begin, end),
        cmocka_unit_test_setup_teardown(a_container_shows_a_part_of_the_hierarchy, begin, end),
        cmocka_unit_test_setup_teardown(names_may_hold_blanks, begin, end),
        cmocka_unit_test_setup_teardown(a_long_path_does_not_hide_its_parents, begin, end),
        cmocka_unit_test_setup_teardown(quotas_are_rounded_up, begin, end),
        cmocka_unit_test_setup_teardown(quotas_of_version_1, begin, end),
        cmocka_unit_test_setup_teardown(defaults_follow_what_is_least, begin, end),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
