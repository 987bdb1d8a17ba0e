#include "io/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/output.h"

enum { ASK_MS = 50 };

struct tess_target {
    tess_output *output; /* NULL: written through fd */
    int fd;
    bool is_seekable;
    off_t begin; /* of fd, where byte 0 went */
    uint64_t n_byte;
    const tess_progress *progress; /* may be NULL */
    char name[];
};

/* Standard output may be a file that is appended to, where every write goes to the end, whatever is asked. */
static void look_whether_it_seeks(tess_target *target)
{
    struct stat info;
    int flags = fcntl(target->fd, F_GETFL);
    if (fstat(target->fd, &info) || !S_ISREG(info.st_mode) || flags < 0 || flags & O_APPEND) return;
    target->begin = lseek(target->fd, 0, SEEK_CUR);
    target->is_seekable = target->begin >= 0;
}

/* Opening a pipe without a reader would wait in the system, where a handler that sets a flag is not noticed.
 */
static tess_status wait_for_reader(tess_target *target, const char *path, tess_error *err)
{
    const struct timespec pause = {.tv_nsec = ASK_MS * 1000000L};
    tess_status status = TESS_OK;
    for (;;) {
        target->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (target->fd >= 0) return TESS_OK;
        if (errno != ENXIO && errno != EINTR) return tess_fail_system(err, errno, path, -1, "open");
        status = tess_progress_tell(target->progress, TESS_ACTIVITY_WAITING, 0, 0, err);
        if (status != TESS_OK) return status;
        nanosleep(&pause, NULL);
    }
}

static tess_status open_special(tess_target *target, const char *path, bool is_pipe, tess_error *err)
{
    if (is_pipe && target->progress) return wait_for_reader(target, path, err);
    target->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (target->fd >= 0) return TESS_OK;
    if (errno == EINTR) return tess_fail(err, TESS_EINTERRUPTED, "%s: interrupted while it is opened", path);
    return tess_fail_system(err, errno, path, -1, "open");
}

tess_status tess_target_open(const char *path, const tess_progress *progress, tess_target **out,
                             tess_error *err)
{
    bool is_standard = !strcmp(path, "-");
    const char *name = is_standard ? "standard output" : path;
    size_t name_size = strlen(name) + 1;
    tess_target *target = calloc(1, sizeof *target + name_size);
    if (!target) return tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", name);
    memcpy(target->name, name, name_size);
    target->fd = -1;
    target->progress = progress;
    struct stat info;
    tess_status status = TESS_OK;
    if (is_standard) {
        target->fd = STDOUT_FILENO;
        look_whether_it_seeks(target);
    } else if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
        status = open_special(target, path, S_ISFIFO(info.st_mode), err);
    } else {
        status = tess_output_create(path, 0, &target->output, err);
        target->is_seekable = true;
    }
    if (status != TESS_OK) {
        free(target);
        return status;
    }
    *out = target;
    return TESS_OK;
}

const char *tess_target_get_name(const tess_target *target)
{
    return target->name;
}

bool tess_target_can_seek(const tess_target *target)
{
    return target->is_seekable;
}

uint64_t tess_target_get_size(const tess_target *target)
{
    return target->n_byte;
}

/* Until a write of PIPE_BUF bytes returns at once, whether the pipe is one that waits or not. */
static tess_status wait_for_room(const tess_target *target, tess_error *err)
{
    struct pollfd wanted = {.fd = target->fd, .events = POLLOUT};
    tess_status status = TESS_OK;
    while (status == TESS_OK && poll(&wanted, 1, ASK_MS) <= 0)
        status = tess_progress_tell(target->progress, TESS_ACTIVITY_WAITING, target->n_byte, 0, err);
    return status;
}

static tess_status write_through(tess_target *target, uint64_t offset, const char *from, size_t n,
                                 tess_error *err)
{
    while (n) {
        bool is_end = offset == target->n_byte;
        size_t most = is_end && n > PIPE_BUF ? PIPE_BUF : n;
        tess_status status = is_end ? wait_for_room(target, err) : TESS_OK;
        if (status != TESS_OK) return status;
        ssize_t done = is_end ? write(target->fd, from, most)
                              : pwrite(target->fd, from, most, target->begin + (off_t)offset);
        if (done < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (done <= 0)
            return tess_fail_system(err, done ? errno : EIO, target->name, (int64_t)offset, "write");
        from += done;
        n -= (size_t)done;
        offset += (uint64_t)done;
        if (is_end) target->n_byte = offset;
    }
    return TESS_OK;
}

tess_status tess_target_write(tess_target *target, uint64_t offset, const void *bytes, size_t n,
                              tess_error *err)
{
    TESS_ASSERT(target->is_seekable ? offset <= target->n_byte : offset == target->n_byte);
    if (!target->output) return write_through(target, offset, bytes, n, err);
    tess_status status = tess_output_write(target->output, offset, bytes, n, err);
    if (status == TESS_OK && offset + n > target->n_byte) target->n_byte = offset + n;
    return status;
}

static int close_special(tess_target *target)
{
    return target->fd >= 0 && target->fd != STDOUT_FILENO && close(target->fd) ? errno : 0;
}

tess_status tess_target_commit(tess_target *target, uint64_t n_byte, tess_error *err)
{
    TESS_ASSERT(n_byte <= target->n_byte);
    tess_status status = TESS_OK;
    if (target->output) {
        status = tess_output_commit(target->output, n_byte, err);
    } else {
        int code = close_special(target);
        if (code && code != EINTR) status = tess_fail_system(err, code, target->name, -1, "close it");
    }
    free(target);
    return status;
}

void tess_target_abandon(tess_target *target)
{
    if (!target) return;
    tess_output_abandon(target->output);
    (void)close_special(target);
    free(target);
}
