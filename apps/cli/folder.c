#include "cli/folder.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/path.h"

static bool has_config(const char *dir)
{
    char path[PATH_MAX + sizeof "/config.json"];
    struct stat there;
    snprintf(path, sizeof path, "%s/config.json", dir);
    return stat(path, &there) == 0;
}

/* The first by name of the folders inside that hold a checkpoint; "" if there is none. */
static void find_inside(const char *dir, char out[PATH_MAX])
{
    DIR *folder = opendir(dir);
    const struct dirent *entry;
    *out = 0;
    while (folder && (entry = readdir(folder))) {
        char path[PATH_MAX];
        const char *slash = *dir && dir[strlen(dir) - 1] == '/' ? "" : "/";
        if (entry->d_name[0] == '.') continue;
        if (snprintf(path, sizeof path, "%s%s%s", dir, slash, entry->d_name) >= (int)sizeof path) continue;
        if (has_config(path) && (!*out || strcmp(path, out) < 0)) strcpy(out, path);
    }
    if (folder) closedir(folder);
}

bool cli_has_part(const char *dir)
{
    DIR *folder = opendir(dir);
    const struct dirent *entry;
    bool found = false;
    while (folder && !found && (entry = readdir(folder))) found = tess_name_ends_with(entry->d_name, ".part");
    if (folder) closedir(folder);
    return found;
}

int cli_check_checkpoint(const cli_command *self, const cli_common *common, const char *dir)
{
    struct stat there;
    if (stat(dir, &there) || !S_ISDIR(there.st_mode) || has_config(dir)) return -1;
    char path[PATH_MAX], inside[PATH_MAX], expected[192];
    tess_error err;
    find_inside(dir, inside);
    snprintf(path, sizeof path, "%.4000s%sconfig.json", dir, dir[strlen(dir) - 1] == '/' ? "" : "/");
    snprintf(expected, sizeof expected, "the folder of a checkpoint: config.json and *.safetensors%s%.100s",
             *inside ? ", as in " : "", inside);
    tess_refuse(&err, path, "", -1, expected, "no such file: %.100s %s", dir,
                cli_has_part(dir) ? "is not finished; the command that began it, run again, goes on"
                                  : "is no checkpoint");
    return cli_report(self, common, &err);
}
