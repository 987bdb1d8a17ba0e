#include "io/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/whole_file.h"
#include "io/folder.h"

/* Linux moves at most 0x7ffff000 bytes in one call. */
static const size_t MOST_AT_ONCE = (size_t)1 << 30;

struct tess_partial {
    int fd;
    char *part; /* behind path in the same block */
    char path[];
};

/* What a disk has left for this file: what is free, and what the file has of it already. */
static tess_status check_room(const tess_partial *p, uint64_t n_byte, tess_error *err)
{
    struct statvfs disk;
    struct stat info;
    if (fstatvfs(p->fd, &disk) || fstat(p->fd, &info)) return TESS_OK; /* writing will tell */
    const uint64_t held = (uint64_t)info.st_blocks * 512, needed = n_byte > held ? n_byte - held : 0,
                   free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (needed <= free_bytes) return TESS_OK;
    tess_fail(err, TESS_EIO,
              "%s: the disk is too full: %" PRIu64 " bytes are still to be written and %" PRIu64
              " are free; %" PRIu64 " more are needed",
              p->part, needed, free_bytes, needed - free_bytes);
    if (err) err->os_errno = ENOSPC;
    return TESS_EIO;
}

/* A file system that cannot reserve is no reason to fail. */
static tess_status reserve_room(const tess_partial *p, uint64_t n_byte, tess_error *err)
{
    tess_status status = check_room(p, n_byte, err);
    if (status != TESS_OK || n_byte == 0) return status;
    int code;
    do code = fallocate(p->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)n_byte) ? errno : 0;
    while (code == EINTR);
    if (code == 0 || code == EOPNOTSUPP || code == ENOSYS) return TESS_OK;
    char what[80];
    snprintf(what, sizeof what, "reserve %" PRIu64 " bytes", n_byte);
    return tess_fail_system(err, code, p->part, -1, what);
}

static tess_status open_part(tess_partial *p, uint64_t n_byte, tess_error *err)
{
    struct stat info;
    p->fd = open(p->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
    if (p->fd < 0) return tess_fail_system(err, errno, p->part, -1, "open");
    if (fstat(p->fd, &info)) return tess_fail_system(err, errno, p->part, -1, "examine");
    if (!S_ISREG(info.st_mode))
        return tess_fail(err, TESS_EUSAGE, "%s: is there and is no regular file", p->part);
    if (flock(p->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return tess_fail(err, TESS_EUSAGE, "%s: another process is writing it", p->part);
    return reserve_room(p, n_byte, err);
}

tess_status tess_partial_open(const char *path, uint64_t n_byte, tess_partial **out, tess_error *err)
{
    const size_t n = strlen(path) + 1;
    tess_partial *p = malloc(sizeof *p + 2 * n + sizeof TESS_PARTIAL_SUFFIX);
    if (!p) return tess_fail(err, TESS_ENOMEM, "%s: no memory to write it", path);
    p->part = p->path + n;
    memcpy(p->path, path, n);
    memcpy(p->part, path, n - 1);
    memcpy(p->part + n - 1, TESS_PARTIAL_SUFFIX, sizeof TESS_PARTIAL_SUFFIX);
    tess_status status = open_part(p, n_byte, err);
    if (status != TESS_OK)
        tess_partial_close(p);
    else
        *out = p;
    return status;
}

const char *tess_partial_get_path(const tess_partial *p)
{
    return p->part;
}

tess_status tess_partial_get_size(const tess_partial *p, uint64_t *size, tess_error *err)
{
    struct stat info;
    if (fstat(p->fd, &info)) return tess_fail_system(err, errno, p->part, -1, "examine");
    *size = (uint64_t)info.st_size;
    return TESS_OK;
}

tess_status tess_partial_read(tess_partial *p, uint64_t offset, void *out, size_t n_byte, tess_error *err)
{
    int failure;
    const size_t n = tess_read_at(p->fd, offset, out, n_byte, &failure);
    if (failure) return tess_fail_system(err, failure, p->part, (int64_t)(offset + n), "read");
    return n == n_byte ? TESS_OK
                       : tess_refuse(err, p->part, "", (int64_t)(offset + n), "as many bytes as are said",
                                     "the end of the file");
}

tess_status tess_partial_write(tess_partial *p, uint64_t offset, const void *bytes, size_t n_byte,
                               tess_error *err)
{
    const char *from = bytes;
    while (n_byte) {
        const size_t most = n_byte < MOST_AT_ONCE ? n_byte : MOST_AT_ONCE;
        const ssize_t n = pwrite(p->fd, from, most, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return tess_fail_system(err, n ? errno : EIO, p->part, (int64_t)offset, "write");
        from += n;
        offset += (uint64_t)n;
        n_byte -= (size_t)n;
    }
    return TESS_OK;
}

tess_status tess_partial_commit(tess_partial *p, uint64_t n_byte, tess_error *err)
{
    tess_status status = TESS_OK;
    if (ftruncate(p->fd, (off_t)n_byte))
        status = tess_fail_system(err, errno, p->part, -1, "set its size");
    else if (fsync(p->fd))
        status = tess_fail_system(err, errno, p->part, -1, "flush it to the disk");
    else if (rename(p->part, p->path))
        status = tess_fail_system(err, errno, p->path, -1, "give the finished file its name");
    else
        tess_folder_flush(p->path);
    tess_partial_close(p);
    return status;
}

void tess_partial_close(tess_partial *p)
{
    if (!p) return;
    if (p->fd >= 0) close(p->fd);
    free(p);
}
