#include "engine/output_folder.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/whole_file.h"
#include "io/folder.h"
#include "io/partial.h"

static bool is_expected(const tess_output_folder *f, const char *entry)
{
    size_t length = strlen(entry);
    if (tess_name_ends_with(entry, TESS_PARTIAL_SUFFIX)) length -= strlen(TESS_PARTIAL_SUFFIX);
    for (size_t i = 0; i < f->n; i++)
        if (strlen(f->name[i]) == length && !strncmp(entry, f->name[i], length)) return true;
    return false;
}

static tess_status check_entries(const tess_output_folder *f, tess_error *err)
{
    tess_status status = TESS_OK;
    DIR *folder = opendir(f->dir);
    const struct dirent *entry;
    if (!folder) return tess_fail_system(err, errno, f->dir, -1, "list");
    while (status == TESS_OK && (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_expected(f, entry->d_name))
            status =
                tess_refuse(err, f->dir, "", -1, "an empty folder, or what an earlier call has begun there",
                            "\"%.120s\" in it", entry->d_name);
    closedir(folder);
    return status;
}

/* A source that gets a folder more is not left as it is. */
static tess_status check_outside(const char *dir, const char *source, tess_error *err)
{
    char whole[PATH_MAX], outer[PATH_MAX], copy[PATH_MAX];
    if (strlen(dir) >= sizeof copy) return tess_fail_system(err, ENAMETOOLONG, dir, -1, "make the folder");
    strcpy(copy, dir);
    if (!realpath(dirname(copy), whole) || !realpath(source, outer))
        return TESS_OK; /* what follows will tell */
    const size_t n = strlen(outer);
    if (strncmp(whole, outer, n) != 0 || (whole[n] && whole[n] != '/')) return TESS_OK;
    return tess_refuse(err, dir, "", -1, "a folder outside of the one that is read", "one inside of it");
}

static tess_status make_folder(const char *dir, const char *source, tess_error *err)
{
    struct stat info;
    tess_status status = check_outside(dir, source, err);
    if (status != TESS_OK) return status;
    if (mkdir(dir, 0777) == 0) {
        tess_folder_flush(dir);
        return TESS_OK;
    }
    if (errno != EEXIST) return tess_fail_system(err, errno, dir, -1, "make the folder");
    if (lstat(dir, &info) == 0 && S_ISLNK(info.st_mode) && stat(dir, &info) != 0)
        return tess_refuse(err, dir, "", -1, "a folder", "a symbolic link that leads nowhere");
    return tess_folder_check(dir, "a folder, or nothing", err);
}

tess_status tess_output_folder_open(const char *dir, const char *source, const char **name, size_t n,
                                    tess_output_folder *out, tess_error *err)
{
    tess_output_folder f = {.dir = dir, .name = name, .n = n, .lock = -1};
    tess_status status = make_folder(dir, source, err);
    if (status == TESS_OK) status = tess_folder_lock(dir, &f.lock, err);
    if (status == TESS_OK) status = check_entries(&f, err);
    if (status != TESS_OK)
        tess_output_folder_close(&f);
    else
        *out = f;
    return status;
}

void tess_output_folder_tidy(const tess_output_folder *f)
{
    for (size_t i = 0; i < f->n; i++) {
        char *path = tess_path_join(f->dir, f->name[i]);
        char *part = path ? tess_partial_name(path) : NULL;
        if (part) unlink(part);
        free(path);
        free(part);
    }
}

void tess_output_folder_close(tess_output_folder *f)
{
    if (f->lock >= 0) close(f->lock);
    free(f->name);
    *f = (tess_output_folder){.lock = -1};
}
