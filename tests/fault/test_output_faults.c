/* The system misbehaves while a trace is written: short and interrupted writes are continued; a full disk, a
 * failing flush, close or rename is reported, leaves the old file as it was and no temporary one. This
 * program's calls stand in front of the C library's, for the library under test too. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

#include "io/output.h"
#include "verify/trace/writer.h"

static char folder[SCRATCH_BYTES];
static char path[64];

static struct {
    size_t most;         /* bytes per write at most; 0: as asked */
    int interrupt_every; /* every n-th write fails with EINTR; 0: none */
    int fail_at_write;   /* this write fails with `code`; 0: none */
    int code;
    int fallocate_code, truncate_code, sync_code, close_code, rename_code; /* 0: works */
    int n_write;
} plan;

static int fail_with(int code)
{
    errno = code;
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    plan.n_write++;
    if (plan.interrupt_every && plan.n_write % plan.interrupt_every == 0) return fail_with(EINTR);
    if (plan.n_write == plan.fail_at_write) return fail_with(plan.code);
    if (plan.most && n > plan.most) n = plan.most;
    return syscall(SYS_pwrite64, fd, bytes, n, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (plan.fallocate_code) return fail_with(plan.fallocate_code);
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int ftruncate(int fd, off_t length)
{
    return plan.truncate_code ? fail_with(plan.truncate_code) : (int)syscall(SYS_ftruncate, fd, length);
}

int fsync(int fd)
{
    return plan.sync_code ? fail_with(plan.sync_code) : (int)syscall(SYS_fsync, fd);
}

int close(int fd)
{
    int done = (int)syscall(SYS_close, fd);
    return plan.close_code ? fail_with(plan.close_code) : done;
}

int rename(const char *from, const char *to)
{
    if (plan.rename_code) return fail_with(plan.rename_code);
    return (int)syscall(SYS_renameat2, -100, from, -100, to, 0); /* AT_FDCWD */
}

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_DISK)) return -1;
    snprintf(path, sizeof path, "%s/trace", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof plan);
    unlink(path);
    return rmdir(folder);
}

static int reset(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof plan);
    unlink(path);
    FILE *f = fopen(path, "w");
    if (!f || fputs("old", f) < 0 || fclose(f)) return -1;
    return 0;
}

/* A small trace; returns what came of it. */
static tess_status write_trace(tess_error *err)
{
    static float values[600];
    static const int64_t ids[3] = {4, 5, 6};
    tess_trace_writer *w;
    tess_status status = tess_trace_writer_new(&w, err);
    if (status == TESS_OK) status = tess_trace_writer_declare(w, "tap.a", false, 2, (int64_t[]){6, 100}, err);
    if (status == TESS_OK) status = tess_trace_writer_declare_growing(w, "tap.g", 1, (int64_t[]){5}, err);
    if (status == TESS_OK) status = tess_trace_writer_open(w, path, err);
    for (int i = 0; i < 600; i++) values[i] = (float)i;
    for (int row = 5; row >= 0 && status == TESS_OK; row--)
        status = tess_trace_writer_put(w, "tap.a", 100 * row, values + 100 * row, 100, err);
    if (status == TESS_OK) status = tess_trace_writer_grow(w, "tap.g", (int64_t[]){3}, ids, err);
    if (status == TESS_OK) return tess_trace_writer_commit(w, err);
    tess_trace_writer_abandon(w);
    return status;
}

static void must_keep_the_old(const tess_error *err, int code)
{
    assert_int_equal(err->os_errno, code);
    assert_string_equal(err->file, path);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    assert_int_equal(scratch_count_files(folder), 1);
}

static char *read_trace(size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *bytes = malloc(8192);
    *size = fread(bytes, 1, 8192, f);
    fclose(f);
    return bytes;
}

static void test_short_and_interrupted(void **state)
{
    (void)state;
    tess_error err;
    assert_int_equal(write_trace(&err), TESS_OK);
    size_t size, other_size;
    char *plain = read_trace(&size);
    assert_true(size > 2400);
    static const size_t most[] = {0, 1, 7, 100, 1000};
    for (size_t m = 0; m < sizeof most / sizeof *most; m++)
        for (int every = 0; every < 4; every++) {
            memset(&plan, 0, sizeof plan);
            plan.most = most[m];
            plan.interrupt_every = every == 1 ? 0 : every;
            assert_int_equal(write_trace(&err), TESS_OK);
            char *bytes = read_trace(&other_size);
            assert_int_equal(other_size, size);
            assert_memory_equal(bytes, plain, size);
            free(bytes);
        }
    free(plain);
    assert_int_equal(scratch_count_files(folder), 1);
}

static void test_every_write_fails_once(void **state)
{
    (void)state;
    int k = 1;
    for (;; k++) {
        reset(NULL);
        plan.fail_at_write = k;
        plan.code = ENOSPC;
        tess_error err;
        tess_status status = write_trace(&err);
        if (plan.n_write < k) {
            assert_int_equal(status, TESS_OK);
            break;
        }
        assert_int_equal(status, TESS_EIO);
        must_keep_the_old(&err, ENOSPC);
    }
    assert_true(k > 8);
}

/* A link keeps its place, whatever chain leads to the file; the file keeps its permissions. */
static void test_links_and_permissions(void **state)
{
    (void)state;
    char first[80], second[80], target[64];
    snprintf(first, sizeof first, "%s/first", folder);
    snprintf(second, sizeof second, "%s/second", folder);
    assert_int_equal(symlink("second", first) | symlink(path, second), 0);
    static const mode_t modes[] = {0600, 0640, 0444, 0666};
    for (int i = 0; i < 5; i++) { /* the last time, nothing is behind the links */
        if (i < 4) assert_int_equal(chmod(path, modes[i]), 0);
        if (i == 4) assert_int_equal(unlink(path), 0);
        tess_output *output;
        tess_error err;
        assert_int_equal(tess_output_create(first, 0, &output, &err), TESS_OK);
        assert_int_equal(tess_output_write(output, 0, "new!", 4, &err), TESS_OK);
        assert_int_equal(tess_output_commit(output, 4, &err), TESS_OK);
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_size, 4);
        if (i < 4) assert_int_equal(info.st_mode & 0777, modes[i]);
        assert_int_equal(lstat(first, &info), 0);
        assert_true(S_ISLNK(info.st_mode));
        assert_int_equal(readlink(second, target, sizeof target), strlen(path));
        assert_int_equal(scratch_count_files(folder), 3);
    }
    tess_output *output;
    tess_error err;
    assert_int_equal(unlink(second) | symlink("first", second), 0);
    assert_int_equal(tess_output_create(first, 0, &output, &err), TESS_EIO); /* they go round */
    assert_int_equal(tess_output_create("", 0, &output, &err), TESS_EUSAGE);
    unlink(first);
    unlink(second);
}

static void test_full_disk_shows_first(void **state)
{
    (void)state;
    tess_error err;
    plan.fallocate_code = ENOSPC;
    assert_int_equal(write_trace(&err), TESS_EIO);
    assert_int_equal(plan.n_write, 0);
    must_keep_the_old(&err, ENOSPC);
    /* A file system that cannot reserve is no reason to fail. */
    plan.fallocate_code = EOPNOTSUPP;
    assert_int_equal(write_trace(&err), TESS_OK);
}

static void test_failing_ends(void **state)
{
    (void)state;
    int *const codes[] = {&plan.truncate_code, &plan.sync_code, &plan.close_code, &plan.rename_code};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        tess_error err;
        *codes[i] = EIO;
        tess_status status = write_trace(&err);
        *codes[i] = 0;
        assert_int_equal(status, TESS_EIO);
        must_keep_the_old(&err, EIO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_short_and_interrupted, reset),
        cmocka_unit_test_setup(test_every_write_fails_once, reset),
        cmocka_unit_test_setup(test_links_and_permissions, reset),
        cmocka_unit_test_setup(test_full_disk_shows_first, reset),
        cmocka_unit_test_setup(test_failing_ends, reset),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
