/* Invariant: while a tess_output lives, exactly one temporary file of ours exists and is open. */
#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/folder.h"

/* Linux moves at most 0x7ffff000 bytes in one call. */
static const size_t MOST_AT_ONCE = (size_t)1 << 30;

/* Names tried before giving up: each is new with near certainty. */
enum { MAX_NAMES = 64 };

/* As many symbolic links in a row as the system itself follows. */
enum { MAX_LINKS = 40 };

enum { N_ENDING = sizeof ".XXXXXX.part" - 1 };

struct tess_output {
    int fd;
    char *temporary; /* behind path in the same block */
    char path[];
};

/* Bytes of a path that ".XXXXXX.part" has room behind: of a long name its beginning, in whole characters. */
static int count_kept(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    if (n > NAME_MAX - N_ENDING) {
        n = NAME_MAX - N_ENDING;
        while (n > 1 && ((unsigned char)name[n] & 0xc0) == 0x80) n--;
    }
    return (int)(name - path) + (int)n;
}

/* "PATH.XXXXXX.part", from the clock and the process. */
static void make_name(tess_output *output, size_t size, unsigned attempt)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long mix = (unsigned long)now.tv_nsec * 2654435761u + (unsigned long)getpid() * 40503u + attempt;
    snprintf(output->temporary, size, "%.*s.%06lx.part", count_kept(output->path), output->path,
             mix & 0xffffff);
}

/* Owner, group and permissions of the file that is replaced. What the system does not grant is never made up
 * for by more permissions: a group that cannot be kept gets what everybody has. */
static void take_over_access(int fd, const struct stat *old)
{
    mode_t mode = old->st_mode & 0777;
    bool has_group = fchown(fd, old->st_uid, old->st_gid) == 0 || fchown(fd, (uid_t)-1, old->st_gid) == 0;
    if (!has_group) mode &= ~(mode_t)070 | (mode & 07) << 3;
    (void)fchmod(fd, mode);
}

/* old: the file that is replaced, NULL if there is none. */
static tess_status create_temporary(tess_output *output, size_t size, const struct stat *old, tess_error *err)
{
    for (unsigned attempt = 0; attempt < MAX_NAMES; attempt++) {
        make_name(output, size, attempt);
        output->fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, old ? 0600 : 0666);
        if (output->fd >= 0 && old) take_over_access(output->fd, old);
        if (output->fd >= 0) return TESS_OK;
        if (errno != EEXIST && errno != EINTR) break;
    }
    return tess_fail_system(err, errno, output->path, -1, "create");
}

/* Reserves room. A file system that cannot is no reason to fail; one that is full is. */
static tess_status reserve(tess_output *output, uint64_t n_byte, tess_error *err)
{
    if (!n_byte) return TESS_OK;
    int code;
    do code = fallocate(output->fd, 0, 0, (off_t)n_byte) ? errno : 0;
    while (code == EINTR);
    if (code == 0 || code == EOPNOTSUPP || code == ENOSYS) return TESS_OK;
    char what[80];
    snprintf(what, sizeof what, "reserve %llu bytes", (unsigned long long)n_byte);
    return tess_fail_system(err, code, output->path, -1, what);
}

/* One step along a symbolic link: what the name in `path` says, seen from its folder. False: it is no link.
 */
static bool follow_link(char path[PATH_MAX])
{
    char said[PATH_MAX];
    ssize_t n = readlink(path, said, sizeof said - 1);
    if (n <= 0) return false;
    said[n] = 0;
    const char *slash = strrchr(path, '/');
    size_t n_folder = *said != '/' && slash ? (size_t)(slash - path) + 1 : 0;
    if (n_folder + (size_t)n >= PATH_MAX) return false;
    memcpy(path + n_folder, said, (size_t)n + 1);
    return true;
}

tess_status tess_output_create(const char *name, uint64_t n_byte, tess_output **out, tess_error *err)
{
    if (!*name) return tess_fail(err, TESS_EUSAGE, "a file without a name cannot be written");
    char path[PATH_MAX];
    if (strlen(name) >= sizeof path) return tess_fail_system(err, ENAMETOOLONG, name, -1, "create");
    strcpy(path, name);
    int n_link = 0;
    while (n_link < MAX_LINKS && follow_link(path)) n_link++;
    if (n_link == MAX_LINKS) return tess_fail_system(err, ELOOP, name, -1, "create");
    struct stat info;
    bool is_there = stat(path, &info) == 0;
    if (is_there && !S_ISREG(info.st_mode))
        return tess_fail(err, TESS_EUSAGE, "%s: is there and is no regular file; it cannot be replaced",
                         path);
    size_t path_size = strlen(path) + 1, temporary_size = path_size + 16;
    tess_output *output = malloc(sizeof *output + path_size + temporary_size);
    if (!output) return tess_fail(err, TESS_ENOMEM, "%s: no memory to create it", path);
    memcpy(output->path, path, path_size);
    output->temporary = output->path + path_size;
    tess_status status = create_temporary(output, temporary_size, is_there ? &info : NULL, err);
    if (status != TESS_OK) {
        free(output);
        return status;
    }
    status = reserve(output, n_byte, err);
    if (status != TESS_OK) {
        tess_output_abandon(output);
        return status;
    }
    *out = output;
    return TESS_OK;
}

tess_status tess_output_write(tess_output *output, uint64_t offset, const void *bytes, size_t n_byte,
                              tess_error *err)
{
    const char *from = bytes;
    while (n_byte) {
        size_t most = n_byte < MOST_AT_ONCE ? n_byte : MOST_AT_ONCE;
        ssize_t n = pwrite(output->fd, from, most, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return tess_fail_system(err, n ? errno : EIO, output->path, (int64_t)offset, "write");
        from += n;
        offset += (uint64_t)n;
        n_byte -= (size_t)n;
    }
    return TESS_OK;
}

/* A signal whose handler ends the process finds the temporary file by its descriptor, and not once that is
 * closed: so signals wait for the time between closing it and its new name. */
static void hold_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

tess_status tess_output_commit(tess_output *output, uint64_t n_byte, tess_error *err)
{
    const char *failed = NULL;
    int code = 0;
    if (ftruncate(output->fd, (off_t)n_byte)) {
        failed = "set its size";
        code = errno;
    } else if (fsync(output->fd)) {
        failed = "flush it to the disk";
        code = errno;
    }
    sigset_t before;
    hold_signals(&before);
    /* Some file systems report a lost write at close only. */
    if (close(output->fd) && !failed && errno != EINTR) {
        failed = "close it";
        code = errno;
    }
    output->fd = -1;
    if (!failed && rename(output->temporary, output->path)) {
        failed = "give the finished file its name";
        code = errno;
    }
    if (failed) {
        tess_status status = tess_fail_system(err, code, output->path, -1, failed);
        tess_output_abandon(output);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return status;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    tess_folder_flush(output->path);
    free(output);
    return TESS_OK;
}

void tess_output_abandon(tess_output *output)
{
    if (!output) return;
    unlink(output->temporary); /* before it is closed, see hold_signals() */
    if (output->fd >= 0) close(output->fd);
    free(output);
}

tess_status tess_output_save(const char *path, const void *bytes, size_t n_byte, tess_error *err)
{
    tess_output *output;
    tess_status status = tess_output_create(path, n_byte, &output, err);
    if (status != TESS_OK) return status;
    status = tess_output_write(output, 0, bytes, n_byte, err);
    if (status == TESS_OK) return tess_output_commit(output, n_byte, err);
    tess_output_abandon(output);
    return status;
}
