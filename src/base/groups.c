/* Where a controller's groups are mounted is told by /proc/self/mountinfo; the customary places are looked at
 * as well, since a container may show them without telling. A group that is met twice does no harm: the
 * least counts.
 */
#include "base/groups.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one file ---- */

static FILE *open_at(const char *root, const char *folder, const char *name)
{
    char path[3 * TESS_GROUP_PATH];
    int n = snprintf(path, sizeof path, "%s%s/%s", root, folder, name);
    return n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
}

static bool read_line(const char *root, const char *folder, const char *name, char *line, size_t size)
{
    FILE *file = open_at(root, folder, name);
    if (!file) return false;
    bool is_read = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return is_read;
}

/* The number at the start of a text, UINT64_MAX where there is none ("max", "-1") or where it is too large.
 */
static uint64_t number_at(const char *text)
{
    return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : UINT64_MAX;
}

static uint64_t read_number(const char *root, const char *folder, const char *name)
{
    char line[64];
    return read_line(root, folder, name, line, sizeof line) ? number_at(line) : UINT64_MAX;
}

/* The number after `key` in a file of "key number" lines, 0 if there is none. */
static uint64_t find_number(const char *root, const char *folder, const char *name, const char *key)
{
    FILE *file = open_at(root, folder, name);
    if (!file) return 0;
    char line[256];
    uint64_t number = UINT64_MAX;
    size_t length = strlen(key);
    while (number == UINT64_MAX && fgets(line, sizeof line, file))
        if (!strncmp(line, key, length) && line[length] == ' ') number = number_at(line + length + 1);
    fclose(file);
    return number == UINT64_MAX ? 0 : number;
}

/* ---- where the groups are ---- */

typedef void group_visitor(void *context, const char *root, const char *folder, bool is_version_2);

typedef struct search {
    const char *root, *controller;
    char path_1[TESS_GROUP_PATH], path_2[TESS_GROUP_PATH]; /* of the own group in either version */
    group_visitor *visit;
    void *context;
} search;

/* Whether a list "cpu,cpuacct" has a word. */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (; *list; list += strcspn(list, ","), list += *list == ',')
        if (strcspn(list, ",") == length && !strncmp(list, word, length)) return true;
    return false;
}

/* Lines "4:cpu,cpuacct:/path" of version 1 and "0::/path" of version 2. */
static void find_own_paths(search *s)
{
    FILE *file = open_at(s->root, "/proc/self", "cgroup");
    if (!file) return;
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *controllers++ = *path++ = 0;
        if (strlen(path) >= TESS_GROUP_PATH) continue;
        if (!strcmp(line, "0") && !*controllers)
            strcpy(s->path_2, path);
        else if (has_word(controllers, s->controller))
            strcpy(s->path_1, path);
    }
    free(line);
    fclose(file);
}

/* Visits the own group below a mount that shows the hierarchy from `top` on, and its parents up to the mount.
 * Of a group that the mount does not show, what it is mounted from is the nearest parent. A group whose path
 * is too long to be opened is passed over; its parents are not. */
static void visit_branch(const search *s, const char *mount, const char *top, bool is_version_2)
{
    const char *path = is_version_2 ? s->path_2 : s->path_1;
    size_t shown = strcmp(top, "/") ? strlen(top) : 0, mount_length = strlen(mount);
    bool is_below = !strncmp(path, top, shown) && (path[shown] == '/' || !path[shown]);
    path = is_below && !strstr(path, "/..") ? path + shown : "";
    char folder[2 * TESS_GROUP_PATH];
    int n = snprintf(folder, sizeof folder, "%s%s", mount, path);
    if (n < 0 || (size_t)n >= sizeof folder) return;
    for (;;) {
        size_t length = strlen(folder);
        while (length > mount_length && folder[length - 1] == '/') folder[--length] = 0;
        s->visit(s->context, s->root, folder, is_version_2);
        if (length <= mount_length) return;
        *strrchr(folder, '/') = 0;
    }
}

/* The byte that three octal digits after a backslash stand for, -1 where there are none. */
static int read_escape(const char *text)
{
    int code = 0;
    if (*text != '\\') return -1;
    for (int i = 1; i <= 3; i++) {
        if (text[i] < '0' || text[i] > '7') return -1;
        code = 8 * code + (text[i] - '0');
    }
    return code & 0xff;
}

/* The field at *rest, which moves behind it; NULL at the end of the line. A blank, tab, line feed or
 * backslash of a name is written as an escape. */
static char *take_field(char **rest)
{
    char *field = *rest + strspn(*rest, " \n"), *in = field, *out = field;
    if (!*field) return NULL;
    while (*in && *in != ' ' && *in != '\n') {
        int code = read_escape(in);
        if (code < 0) {
            *out++ = *in++;
        } else {
            *out++ = (char)code;
            in += 4;
        }
    }
    *rest = *in ? in + 1 : in;
    *out = 0;
    return field;
}

/* One line "36 35 98:0 /top /mount options… - cgroup2 source super-options". */
static void visit_mount(const search *s, char *line)
{
    char *tail = strstr(line, " - "), *field[5];
    if (!tail) return;
    *tail = 0;
    tail += 3;
    for (int i = 0; i < 5; i++)
        if (!(field[i] = take_field(&line))) return;
    const char *top = field[3], *mount = field[4], *type = take_field(&tail);
    const char *options = type && take_field(&tail) ? take_field(&tail) : NULL;
    if (!options || strlen(mount) >= TESS_GROUP_PATH) return;
    bool is_version_2 = !strcmp(type, "cgroup2");
    if (is_version_2 || (!strcmp(type, "cgroup") && has_word(options, s->controller)))
        visit_branch(s, mount, top, is_version_2);
}

static void visit_mounts(const search *s)
{
    FILE *file = open_at(s->root, "/proc/self", "mountinfo");
    if (!file) return;
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) visit_mount(s, line);
    free(line);
    fclose(file);
}

static void visit_groups(const char *root, const char *controller, group_visitor *visit, void *context)
{
    search s = {.root = root, .controller = controller, .visit = visit, .context = context};
    char version_1[64];
    find_own_paths(&s);
    snprintf(version_1, sizeof version_1, "/sys/fs/cgroup/%s", controller);
    visit_branch(&s, version_1, "/", false);
    visit_branch(&s, "/sys/fs/cgroup/unified", "/", true);
    visit_branch(&s, "/sys/fs/cgroup", "/", true);
    visit_mounts(&s);
}

/* ---- memory ---- */

/* File pages that nobody has touched lately go before anything else does, without a write. */
static void look_at_memory(void *context, const char *root, const char *folder, bool is_version_2)
{
    tess_group_memory *least = context;
    uint64_t limit = read_number(root, folder, is_version_2 ? "memory.max" : "memory.limit_in_bytes");
    uint64_t usage = read_number(root, folder, is_version_2 ? "memory.current" : "memory.usage_in_bytes");
    if (limit == UINT64_MAX || usage == UINT64_MAX) return;
    uint64_t reclaimable =
        find_number(root, folder, "memory.stat", is_version_2 ? "inactive_file" : "total_inactive_file");
    uint64_t kept = usage > reclaimable ? usage - reclaimable : 0, left = limit > kept ? limit - kept : 0;
    if (limit < least->least_limit_bytes) least->least_limit_bytes = limit;
    if (left >= least->left_bytes) return;
    least->left_bytes = left;
    least->limit_bytes = limit;
    snprintf(least->folder, sizeof least->folder, "%s", folder);
}

void tess_groups_get_memory(const char *root, tess_group_memory *out)
{
    *out = (tess_group_memory){
        .left_bytes = UINT64_MAX, .limit_bytes = UINT64_MAX, .least_limit_bytes = UINT64_MAX};
    visit_groups(root, "memory", look_at_memory, out);
}

/* ---- CPU time ---- */

static void look_at_cpus(void *context, const char *root, const char *folder, bool is_version_2)
{
    tess_group_cpus *least = context;
    uint64_t quota, period;
    if (is_version_2) {
        char line[64];
        if (!read_line(root, folder, "cpu.max", line, sizeof line)) return;
        const char *second = strchr(line, ' ');
        quota = number_at(line);
        period = second ? number_at(second + 1) : UINT64_MAX;
    } else {
        quota = read_number(root, folder, "cpu.cfs_quota_us");
        period = read_number(root, folder, "cpu.cfs_period_us");
    }
    if (quota == UINT64_MAX || period == UINT64_MAX || quota == 0 || period == 0) return;
    double n_cpu = ceil((double)quota / (double)period);
    if (n_cpu >= least->n_cpu) return;
    least->n_cpu = (int)n_cpu;
    snprintf(least->folder, sizeof least->folder, "%s", folder);
}

void tess_groups_get_cpus(const char *root, tess_group_cpus *out)
{
    *out = (tess_group_cpus){.n_cpu = INT_MAX};
    visit_groups(root, "cpu", look_at_cpus, out);
}
