#include "io/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* False if the name is too long. */
static bool find_folder(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= PATH_MAX) return false;
    memcpy(out, slash ? path : ".", slash ? length : 1);
    out[slash ? length : 1] = 0;
    return true;
}

tess_status tess_folder_check_room(const char *path, uint64_t n_byte, tess_error *err)
{
    char folder[PATH_MAX];
    struct statvfs disk;
    if (!find_folder(path, folder) || statvfs(folder, &disk)) return TESS_OK; /* writing will tell */
    const uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (n_byte <= left) return TESS_OK;
    tess_fail(
        err, TESS_EIO,
        "%s: the disk is too full: %.3f GB are to be written and %.3f GB are free; %.3f GB more are needed",
        path, (double)n_byte / 1e9, (double)left / 1e9, (double)(n_byte - left) / 1e9);
    if (err) err->os_errno = ENOSPC;
    return TESS_EIO;
}

void tess_folder_flush(const char *path)
{
    char folder[PATH_MAX];
    if (!find_folder(path, folder)) return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}
