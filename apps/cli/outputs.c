#include "cli/outputs.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The folder of a path, "." if it names none. */
static void folder_of(const char *path, char folder[PATH_MAX])
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    snprintf(folder, PATH_MAX, "%s", dirname(copy));
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool are_same_files(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return !stat(a, &of_a) && !stat(b, &of_b) && is_same(&of_a, &of_b);
}

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The same file, whatever the spelling, also where neither exists yet. */
static bool name_same_place(const char *a, const char *b)
{
    char folder_a[PATH_MAX], folder_b[PATH_MAX];
    if (are_same_files(a, b)) return true;
    folder_of(a, folder_a);
    folder_of(b, folder_b);
    return are_same_files(folder_a, folder_b) && !strcmp(name_in(a), name_in(b));
}

int cli_output_check(const cli_command *self, const cli_common *common, const char *option,
                     const char *output, const char *const *others, size_t n, const char *model_dir)
{
    if (!output) return -1;
    for (size_t i = 0; i < n; i++)
        if (others[i] && name_same_place(output, others[i]))
            return cli_usage(self, common, "%s: %s is a file that this command uses otherwise; name another",
                             option, output);
    char folder[PATH_MAX];
    struct stat there;
    folder_of(output, folder);
    if (model_dir && !stat(output, &there) && are_same_files(folder, model_dir))
        return cli_usage(self, common, "%s: %s is a file of the model; name one outside its folder", option,
                         output);
    return -1;
}
