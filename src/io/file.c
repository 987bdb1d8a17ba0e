/* Two descriptors of one file: a buffered one for headers, and a direct one for windows where that works.
 *
 * Invariant: no read is issued outside the file as it was when opened, except that a direct read of the last
 * block asks for the whole block, as O_DIRECT wants, and takes what there is.
 */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/whole_file.h"

/* Linux moves at most 0x7ffff000 bytes in one call; this is below it and a multiple of the alignment. */
static const size_t MOST_AT_ONCE = (size_t)1 << 30;

struct tess_file {
    int fd, direct_fd; /* direct_fd is -1 if direct reads were refused or are not wanted */
    bool may_be_direct, must_be_direct;
    uint64_t size;
    int64_t mtime_ns, ctime_ns;
    atomic_bool is_direct;
    _Atomic uint64_t bytes_read;
    char path[];
};

/* Whether the system delivers a block directly: some file systems accept the flag and refuse the read. */
static bool try_direct(int fd)
{
    _Alignas(TESS_IO_ALIGN) char block[TESS_IO_ALIGN];
    ssize_t n;
    do n = pread(fd, block, sizeof block, 0);
    while (n < 0 && errno == EINTR);
    return n >= 0 || errno != EINVAL;
}

static tess_status open_direct(tess_file *file, tess_direct direct, tess_error *err)
{
    if (direct == TESS_DIRECT_OFF) return TESS_OK;
    file->may_be_direct = true;
    file->direct_fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
    if (file->direct_fd >= 0 && !try_direct(file->direct_fd)) {
        close(file->direct_fd);
        file->direct_fd = -1;
        errno = EINVAL;
    }
    if (file->direct_fd >= 0)
        atomic_store(&file->is_direct, true);
    else if (direct == TESS_DIRECT_ON || errno != EINVAL)
        return tess_fail_system(err, errno, file->path, -1, "open for direct reads");
    file->must_be_direct = direct == TESS_DIRECT_ON;
    return TESS_OK;
}

tess_status tess_file_open(const char *path, tess_direct direct, tess_file **out, tess_error *err)
{
    size_t path_size = strlen(path) + 1;
    tess_file *file = calloc(1, sizeof *file + path_size);
    if (!file) return tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", path);
    memcpy(file->path, path, path_size);
    file->fd = file->direct_fd = -1;
    struct stat info;
    tess_status status = tess_regular_file_open(path, "a file", &file->fd, &info, err);
    if (status == TESS_OK) {
        file->size = (uint64_t)info.st_size;
        file->mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
        file->ctime_ns = (int64_t)info.st_ctim.tv_sec * 1000000000 + info.st_ctim.tv_nsec;
        status = open_direct(file, direct, err);
    }
    if (status != TESS_OK) {
        tess_file_close(file);
        return status;
    }
    *out = file;
    return TESS_OK;
}

void tess_file_close(tess_file *file)
{
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    if (file->direct_fd >= 0) close(file->direct_fd);
    free(file);
}

const char *tess_file_get_path(const tess_file *file)
{
    return file->path;
}

uint64_t tess_file_get_size(const tess_file *file)
{
    return file->size;
}

int64_t tess_file_get_mtime_ns(const tess_file *file)
{
    return file->mtime_ns;
}

int64_t tess_file_get_ctime_ns(const tess_file *file)
{
    return file->ctime_ns;
}

bool tess_file_is_direct(const tess_file *file)
{
    return atomic_load_explicit(&file->is_direct, memory_order_relaxed);
}

bool tess_file_is_refused_direct(const tess_file *file)
{
    return file->may_be_direct && !tess_file_is_direct(file);
}

uint64_t tess_file_get_bytes_read(const tess_file *file)
{
    return atomic_load_explicit(&file->bytes_read, memory_order_relaxed);
}

static tess_status check_range(const tess_file *file, uint64_t offset, size_t n_byte, tess_error *err)
{
    if (offset <= file->size && n_byte <= file->size - offset) return TESS_OK;
    char expected[80];
    snprintf(expected, sizeof expected, "%zu bytes from byte %llu on", n_byte, (unsigned long long)offset);
    return tess_refuse(err, file->path, "", (int64_t)offset, expected, "a file of %llu bytes",
                       (unsigned long long)file->size);
}

/* One call of at most n_byte bytes, repeated while interrupted. Returns its count or -1. */
static ssize_t read_some(tess_file *file, int fd, uint64_t offset, void *out, size_t n_byte)
{
    ssize_t n;
    do n = pread(fd, out, n_byte < MOST_AT_ONCE ? n_byte : MOST_AT_ONCE, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n > 0) atomic_fetch_add_explicit(&file->bytes_read, (uint64_t)n, memory_order_relaxed);
    return n;
}

static tess_status read_buffered(tess_file *file, uint64_t offset, char *out, size_t n_byte, tess_error *err)
{
    size_t done = 0;
    while (done < n_byte) {
        ssize_t n = read_some(file, file->fd, offset + done, out + done, n_byte - done);
        if (n < 0) return tess_fail_system(err, errno, file->path, (int64_t)(offset + done), "read");
        if (n == 0)
            return tess_refuse(err, file->path, "", (int64_t)(offset + done), "as many bytes as when opened",
                               "the end of a file that has shrunk");
        done += (size_t)n;
    }
    /* Whole pages only are dropped, so the range is widened to pages. It is advice: refusal changes nothing.
     */
    uint64_t begin = offset & ~(uint64_t)(TESS_IO_ALIGN - 1);
    uint64_t end = (offset + n_byte + TESS_IO_ALIGN - 1) & ~(uint64_t)(TESS_IO_ALIGN - 1);
    if (n_byte) (void)posix_fadvise(file->fd, (off_t)begin, (off_t)(end - begin), POSIX_FADV_DONTNEED);
    return TESS_OK;
}

tess_status tess_file_read(tess_file *file, uint64_t offset, void *out, size_t n_byte, tess_error *err)
{
    tess_status status = check_range(file, offset, n_byte, err);
    return status == TESS_OK ? read_buffered(file, offset, out, n_byte, err) : status;
}

/* Reads whole blocks from `begin` on until `needed` bytes are there. Sets *done to the bytes that are. It may
 * stop early without a failure: at a short read that ends inside a block, from where no direct read can go
 * on, and where direct reads turn out to be refused. */
static tess_status read_direct(tess_file *file, uint64_t begin, char *window, size_t needed, size_t *done,
                               tess_error *err)
{
    size_t capacity = (needed + TESS_IO_ALIGN - 1) & ~(size_t)(TESS_IO_ALIGN - 1);
    size_t got = 0;
    while (got < needed && got % TESS_IO_ALIGN == 0) {
        ssize_t n = read_some(file, file->direct_fd, begin + got, window + got, capacity - got);
        if (n < 0 && errno == EINVAL && !file->must_be_direct) {
            atomic_store(&file->is_direct, false);
            break;
        }
        if (n < 0) return tess_fail_system(err, errno, file->path, (int64_t)(begin + got), "read directly");
        if (n == 0) break;
        got += (size_t)n;
    }
    *done = got < needed ? got : needed;
    return TESS_OK;
}

tess_status tess_file_read_window(tess_file *file, uint64_t offset, size_t n_byte, void *window,
                                  const void **data, tess_error *err)
{
    TESS_ASSERT((uintptr_t)window % TESS_IO_ALIGN == 0);
    tess_status status = check_range(file, offset, n_byte, err);
    if (status != TESS_OK) return status;
    size_t skip = (size_t)(offset % TESS_IO_ALIGN);
    size_t done = 0;
    if (n_byte && tess_file_is_direct(file)) {
        status = read_direct(file, offset - skip, window, skip + n_byte, &done, err);
        if (status != TESS_OK) return status;
    }
    if (done < skip) done = skip;
    status = read_buffered(file, offset - skip + done, (char *)window + done, skip + n_byte - done, err);
    if (status != TESS_OK) return status;
    /* Files exist whose header length is odd; 16-bit weights in them could not be read in place. */
    if (skip % 2) memmove((char *)window + skip - 1, (char *)window + skip, n_byte);
    *data = (const char *)window + skip - skip % 2;
    return TESS_OK;
}
