#include "io/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/whole_file.h"
#include "io/file.h"
#include "io/folder.h"

/* Linux moves at most 0x7ffff000 bytes in one call. */
static const size_t MOST_AT_ONCE = (size_t)1 << 30;

/* Smaller parts are not worth a direct write. */
static const size_t LEAST_DIRECT = (size_t)1 << 20;

struct tess_partial {
    int fd, direct_fd; /* direct_fd is -1 where direct writes are refused */
    char *part;        /* behind path in the same block */
    char path[];
};

char *tess_partial_name(const char *path)
{
    char *part = malloc(strlen(path) + sizeof TESS_PARTIAL_SUFFIX);
    if (part) strcpy(stpcpy(part, path), TESS_PARTIAL_SUFFIX);
    return part;
}

/* A file system that cannot reserve is no reason to fail. */
static tess_status reserve_room(const tess_partial *p, uint64_t n_byte, tess_error *err)
{
    struct stat info;
    uint64_t held = fstat(p->fd, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
    tess_status status = tess_folder_check_room(p->path, n_byte > held ? n_byte - held : 0, err);
    if (status != TESS_OK || n_byte == 0) return status;
    int code;
    do code = fallocate(p->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)n_byte) ? errno : 0;
    while (code == EINTR);
    if (code == 0 || code == EOPNOTSUPP || code == ENOSYS) return TESS_OK;
    char what[80];
    snprintf(what, sizeof what, "reserve %" PRIu64 " bytes", n_byte);
    return tess_fail_system(err, code, p->part, -1, what);
}

/* Whether the name still is the file's that was opened. */
static bool is_still_named(const tess_partial *p)
{
    struct stat opened, named;
    return fstat(p->fd, &opened) == 0 && lstat(p->part, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

/* What has another name besides is not written through: it may be a snapshot's. */
static tess_status open_own(tess_partial *p, struct stat *info, tess_error *err)
{
    static const char expected[] = "a file that an earlier call has begun; remove it";
    p->fd = open(p->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
    if (p->fd < 0 && errno == ELOOP) return tess_refuse(err, p->part, "", -1, expected, "a symbolic link");
    if (p->fd < 0 && (errno == EISDIR || errno == ENXIO))
        return tess_refuse(err, p->part, "", -1, expected, "something that is no regular file");
    if (p->fd < 0) return tess_fail_system(err, errno, p->part, -1, "open");
    if (fstat(p->fd, info)) return tess_fail_system(err, errno, p->part, -1, "examine");
    if (!S_ISREG(info->st_mode))
        return tess_refuse(err, p->part, "", -1, expected, "something that is no regular file");
    if (info->st_nlink > 1)
        return tess_refuse(err, p->part, "", -1, expected, "one that has a second name (a hard link)");
    return TESS_OK;
}

static tess_status open_part(tess_partial *p, uint64_t n_byte, tess_error *err)
{
    struct stat info;
    tess_status status = open_own(p, &info, err);
    if (status != TESS_OK) return status;
    status = reserve_room(p, n_byte, err);
    if (status != TESS_OK && info.st_size == 0) unlink(p->part); /* nothing is in it */
    if (status == TESS_OK) p->direct_fd = open(p->part, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECT);
    return status;
}

tess_status tess_partial_open(const char *path, uint64_t n_byte, tess_partial **out, tess_error *err)
{
    const size_t n = strlen(path) + 1;
    tess_partial *p = malloc(sizeof *p + 2 * n + sizeof TESS_PARTIAL_SUFFIX);
    if (!p) return tess_fail(err, TESS_ENOMEM, "%s: no memory to write it", path);
    p->fd = p->direct_fd = -1;
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

static tess_status write_to(const tess_partial *p, int fd, uint64_t offset, const char *from, size_t n_byte,
                            size_t *done, tess_error *err)
{
    for (*done = 0; *done < n_byte;) {
        const size_t left = n_byte - *done, most = left < MOST_AT_ONCE ? left : MOST_AT_ONCE;
        const ssize_t n = pwrite(fd, from + *done, most, (off_t)(offset + *done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return tess_fail_system(err, n ? errno : EIO, p->part, (int64_t)(offset + *done), "write");
        *done += (size_t)n;
        if (fd == p->direct_fd && *done % TESS_IO_ALIGN) break; /* from where no direct write can go on */
    }
    return TESS_OK;
}

tess_status tess_partial_write(tess_partial *p, uint64_t offset, const void *bytes, size_t n_byte,
                               tess_error *err)
{
    const char *from = bytes;
    size_t done = 0;
    if (p->direct_fd >= 0 && n_byte >= LEAST_DIRECT &&
        (uintptr_t)bytes % TESS_IO_ALIGN == offset % TESS_IO_ALIGN) {
        const size_t ahead = (size_t)(-offset % TESS_IO_ALIGN);
        const size_t whole = (n_byte - ahead) / TESS_IO_ALIGN * TESS_IO_ALIGN;
        tess_status status = write_to(p, p->fd, offset, from, ahead, &done, err);
        if (status != TESS_OK) return status;
        /* What fails is written once more, by way of the page cache, which then says why. */
        (void)write_to(p, p->direct_fd, offset + ahead, from + ahead, whole, &done, NULL);
        done += ahead;
    }
    return write_to(p, p->fd, offset + done, from + done, n_byte - done, &done, err);
}

tess_status tess_partial_flush(tess_partial *p, tess_error *err)
{
    return fsync(p->fd) ? tess_fail_system(err, errno, p->part, -1, "flush it to the disk") : TESS_OK;
}

tess_status tess_partial_commit(tess_partial *p, uint64_t n_byte, tess_error *err)
{
    tess_status status = ftruncate(p->fd, (off_t)n_byte)
                             ? tess_fail_system(err, errno, p->part, -1, "set its size")
                             : tess_partial_flush(p, err);
    if (status == TESS_OK && !is_still_named(p))
        status = tess_fail(err, TESS_EIO, "%s: was replaced while it was written", p->part);
    if (status == TESS_OK && rename(p->part, p->path))
        status = tess_fail_system(err, errno, p->path, -1, "give the finished file its name");
    if (status == TESS_OK) tess_folder_flush(p->path);
    tess_partial_close(p);
    return status;
}

void tess_partial_close(tess_partial *p)
{
    if (!p) return;
    if (p->fd >= 0) close(p->fd);
    if (p->direct_fd >= 0) close(p->direct_fd);
    free(p);
}
