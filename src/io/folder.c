#include "io/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>
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

/* A process that was killed holds its lock for as long as it takes to end. */
static bool wait_for_lock(int fd)
{
    enum { N_TRY = 30 };
    const struct timespec pause = {.tv_nsec = 100000000};
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK) return true; /* a file system without locks */
        if (i == N_TRY) return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

tess_status tess_folder_lock(const char *dir, int *lock, tess_error *err)
{
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return tess_fail_system(err, errno, dir, -1, "open");
    if (wait_for_lock(fd)) {
        *lock = fd;
        return TESS_OK;
    }
    close(fd);
    return tess_fail(err, TESS_EIO, "%s: another process is writing into it", dir);
}

/* In GB or MB, of which a little never shows as none. */
static void spell_bytes(uint64_t n_byte, bool is_large, char out[32])
{
    const double unit = is_large ? 1e9 : 1e6;
    snprintf(out, 32, "%.1f %s", ceil((double)n_byte / unit * 10) / 10, is_large ? "GB" : "MB");
}

tess_status tess_folder_check_room(const char *path, uint64_t n_byte, tess_error *err)
{
    char folder[PATH_MAX];
    struct statvfs disk;
    if (!find_folder(path, folder) || statvfs(folder, &disk)) return TESS_OK; /* writing will tell */
    const uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (n_byte <= left) return TESS_OK;
    char needed[32], there[32], missing[32];
    const bool is_large = n_byte - left >= 1000000000;
    spell_bytes(n_byte, is_large, needed);
    spell_bytes(left, is_large, there);
    spell_bytes(n_byte - left, is_large, missing);
    tess_fail(err, TESS_EIO,
              "%s: the disk is too full: %s are to be written, %s are free; %s more are needed", path, needed,
              there, missing);
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
