#include "base/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

tess_status tess_folder_check(const char *path, const char *what, tess_error *err)
{
    struct stat info;
    if (stat(path, &info)) {
        if (errno == ENOENT || errno == ENOTDIR)
            return tess_refuse(err, path, "", -1, what, "no such folder");
        return tess_fail_system(err, errno, path, -1, "examine");
    }
    if (S_ISREG(info.st_mode)) return tess_refuse(err, path, "", -1, what, "a file");
    return S_ISDIR(info.st_mode) ? TESS_OK
                                 : tess_refuse(err, path, "", -1, what, "something that is no folder");
}

tess_status tess_lfs_pointer_check(const char *path, const char *head, size_t n_byte, tess_error *err)
{
    static const char begin[] = "version https://git-lfs.github.com/spec/", size[] = "\nsize ";
    if (n_byte > TESS_LFS_POINTER_MOST_BYTES || n_byte < sizeof begin ||
        memcmp(head, begin, sizeof begin - 1) != 0)
        return TESS_OK;
    const char *at = memmem(head, n_byte, size, sizeof size - 1);
    size_t digits = 0;
    for (at = at ? at + sizeof size - 1 : head; at + digits < head + n_byte && digits < 20; digits++)
        if (at[digits] < '0' || at[digits] > '9') break;
    char expected[128];
    snprintf(expected, sizeof expected,
             "the file of %.*s bytes, which was never downloaded ('git lfs pull' does)",
             digits ? (int)digits : 4, digits ? at : "many");
    return tess_refuse(err, path, "", -1, expected, "a Git LFS pointer");
}

tess_status tess_regular_file_open(const char *path, const char *what, int *fd, struct stat *info,
                                   tess_error *err)
{
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (opened < 0 && (errno == ENOENT || errno == ENOTDIR))
        return tess_refuse(err, path, "", -1, what, "no such file");
    if (opened < 0) return tess_fail_system(err, errno, path, -1, "open");
    tess_status status = TESS_OK;
    if (fstat(opened, info))
        status = tess_fail_system(err, errno, path, -1, "examine");
    else if (!S_ISREG(info->st_mode))
        status = tess_refuse(err, path, "", -1, "a regular file", "something else");
    if (status != TESS_OK) {
        close(opened);
        return status;
    }
    *fd = opened;
    return TESS_OK;
}

static tess_status refuse_size(const char *path, const char *what, size_t most_bytes, uint64_t found,
                               tess_error *err)
{
    char expected[96];
    if (most_bytes >> 20 && most_bytes % (1 << 20) == 0)
        snprintf(expected, sizeof expected, "%s of at most %zu MiB", what, most_bytes >> 20);
    else
        snprintf(expected, sizeof expected, "%s of at most %zu bytes", what, most_bytes);
    return tess_refuse(err, path, "size", -1, expected, "%llu bytes", (unsigned long long)found);
}

size_t tess_read_at(int fd, uint64_t offset, void *out, size_t n, int *failure)
{
    size_t done = 0;
    *failure = 0;
    while (done < n) {
        ssize_t got = pread(fd, (char *)out + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) *failure = errno;
        if (got <= 0) break;
        done += (size_t)got;
    }
    return done;
}

static tess_status read_exactly(int fd, const char *path, char *out, size_t n_byte, tess_error *err)
{
    int failure;
    size_t n = tess_read_at(fd, 0, out, n_byte, &failure);
    if (failure) return tess_fail_system(err, failure, path, (int64_t)n, "read");
    return n == n_byte ? TESS_OK
                       : tess_refuse(err, path, "", (int64_t)n, "as many bytes as when opened",
                                     "the end of a file that has shrunk");
}

static tess_status read_whole(int fd, const char *path, size_t n_byte, char **out, tess_error *err)
{
    char *bytes = malloc(n_byte + 1);
    if (!bytes) return tess_fail(err, TESS_ENOMEM, "%s: no memory for %zu bytes", path, n_byte);
    tess_status status = read_exactly(fd, path, bytes, n_byte, err);
    if (status != TESS_OK) {
        free(bytes);
        return status;
    }
    bytes[n_byte] = 0;
    *out = bytes;
    return TESS_OK;
}

tess_status tess_whole_file_read(const char *path, const char *what, size_t most_bytes, char **out,
                                 size_t *n_byte, tess_error *err)
{
    int fd;
    struct stat info;
    char *text = NULL;
    tess_status status = tess_regular_file_open(path, what, &fd, &info, err);
    if (status != TESS_OK) return status;
    size_t size = (size_t)info.st_size;
    if ((uint64_t)info.st_size > most_bytes)
        status = refuse_size(path, what, most_bytes, (uint64_t)info.st_size, err);
    else
        status = read_whole(fd, path, size, &text, err);
    close(fd);
    if (status == TESS_OK) status = tess_lfs_pointer_check(path, text, size, err);
    if (status != TESS_OK) {
        free(text);
        return status;
    }
    *out = text;
    *n_byte = size;
    return TESS_OK;
}
