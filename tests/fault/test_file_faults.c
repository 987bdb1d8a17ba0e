/* The system misbehaves: interrupted and short reads are continued, refusals are reported with their offset.
 * This program's pread() stands in front of the C library's, for the library under test too. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

enum { SIZE = 5 * TESS_IO_ALIGN + 77 };
static unsigned char content[SIZE];
static char folder[SCRATCH_BYTES];
static char path[64];

static struct {
    size_t most;         /* bytes per call at most; 0: as asked */
    int interrupt_every; /* every n-th call fails with EINTR; 0: none */
    int fail_at_call;    /* this call fails with `code`; 0: none */
    int code;
    bool refuse_direct; /* reads through an O_DIRECT descriptor fail with EINVAL */
    int n_call;
} plan;

ssize_t pread(int fd, void *out, size_t n, off_t offset)
{
    plan.n_call++;
    if (plan.interrupt_every && plan.n_call % plan.interrupt_every == 0) {
        errno = EINTR;
        return -1;
    }
    if (plan.n_call == plan.fail_at_call) {
        errno = plan.code;
        return -1;
    }
    if (plan.refuse_direct && (fcntl(fd, F_GETFL) & O_DIRECT)) {
        errno = EINVAL;
        return -1;
    }
    ssize_t done = syscall(SYS_pread64, fd, out, n, offset);
    /* A short read leaves the rest of the buffer undefined, so it is filled with something wrong. */
    if (plan.most && done > (ssize_t)plan.most) {
        memset((char *)out + plan.most, 0xee, (size_t)done - plan.most);
        done = (ssize_t)plan.most;
    }
    return done;
}

static int make_file(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_DISK)) return -1;
    snprintf(path, sizeof path, "%s/bytes", folder);
    for (int i = 0; i < SIZE; i++) content[i] = (unsigned char)(i * 31 + i / 251);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(content, 1, SIZE, f) != SIZE || fclose(f)) return -1;
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int reset(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof plan);
    return 0;
}

static void read_all(tess_file *file)
{
    static const size_t offsets[] = {0, 1, 4095, 4096, 9000, SIZE - 1};
    void *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(SIZE));
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        const void *data;
        size_t n = SIZE - offsets[i];
        tess_error err;
        memset(window, 0, tess_window_bytes(SIZE));
        assert_int_equal(tess_file_read_window(file, offsets[i], n, window, &data, &err), TESS_OK);
        assert_memory_equal(data, content + offsets[i], n);
    }
    free(window);
}

static void test_short_and_interrupted(void **state)
{
    (void)state;
    static const size_t most[] = {0, 1000, 4096, 4097, 8192, 10000};
    for (int direct = 0; direct < 2; direct++)
        for (size_t m = 0; m < sizeof most / sizeof *most; m++)
            for (int every = 0; every < 4; every++) {
                memset(&plan, 0, sizeof plan);
                tess_file *file;
                assert_int_equal(
                    tess_file_open(path, direct ? TESS_DIRECT_AUTO : TESS_DIRECT_OFF, &file, NULL), TESS_OK);
                plan.most = most[m];
                plan.interrupt_every = every == 1 ? 0 : every;
                bool was_direct = tess_file_is_direct(file);
                read_all(file);
                /* A direct read from the middle of a block would be refused, and end direct reading. */
                assert_int_equal(tess_file_is_direct(file), was_direct);
                tess_file_close(file);
            }
}

static void test_every_call_fails_once(void **state)
{
    (void)state;
    for (int direct = 0; direct < 2; direct++) {
        tess_file *file;
        assert_int_equal(tess_file_open(path, direct ? TESS_DIRECT_AUTO : TESS_DIRECT_OFF, &file, NULL),
                         TESS_OK);
        void *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(SIZE));
        int k = 1;
        for (;; k++) {
            plan.n_call = 0;
            plan.most = TESS_IO_ALIGN;
            plan.fail_at_call = k;
            plan.code = EIO;
            const void *data = NULL;
            tess_error err;
            tess_status status = tess_file_read_window(file, 0, SIZE, window, &data, &err);
            if (plan.n_call < k) {
                assert_int_equal(status, TESS_OK);
                break;
            }
            assert_int_equal(status, TESS_EIO);
            assert_null(data);
            assert_int_equal(err.os_errno, EIO);
            assert_int_equal(err.offset, (k - 1) * TESS_IO_ALIGN);
            assert_string_equal(err.file, path);
        }
        assert_int_equal(k, 7);
        free(window);
        tess_file_close(file);
    }
}

static void test_direct_refused_at_open(void **state)
{
    (void)state;
    plan.refuse_direct = true;
    tess_file *file = NULL;
    tess_error err;
    assert_int_equal(tess_file_open(path, TESS_DIRECT_ON, &file, &err), TESS_EIO);
    assert_null(file);
    assert_int_equal(tess_file_open(path, TESS_DIRECT_AUTO, &file, &err), TESS_OK);
    assert_false(tess_file_is_direct(file));
    assert_true(tess_file_is_refused_direct(file));
    read_all(file);
    tess_file_close(file);
}

static void test_direct_refused_later(void **state)
{
    (void)state;
    for (int must = 0; must < 2; must++) {
        plan.refuse_direct = false;
        tess_file *file;
        tess_error err;
        if (tess_file_open(path, must ? TESS_DIRECT_ON : TESS_DIRECT_AUTO, &file, &err) != TESS_OK) skip();
        if (!tess_file_is_direct(file)) {
            tess_file_close(file);
            skip();
        }
        plan.refuse_direct = true;
        if (must) {
            _Alignas(TESS_IO_ALIGN) static char window[2 * TESS_IO_ALIGN];
            const void *data;
            assert_int_equal(tess_file_read_window(file, 0, 10, window, &data, &err), TESS_EIO);
            assert_int_equal(err.os_errno, EINVAL);
        } else {
            read_all(file);
            assert_false(tess_file_is_direct(file));
        }
        tess_file_close(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_short_and_interrupted, reset),
        cmocka_unit_test_setup(test_every_call_fails_once, reset),
        cmocka_unit_test_setup(test_direct_refused_at_open, reset),
        cmocka_unit_test_setup(test_direct_refused_later, reset),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
