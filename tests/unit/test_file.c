/* Exact reads: every offset and length around block borders, direct and buffered, and refusals by name. */
#include "io/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

enum { SIZE = 3 * TESS_IO_ALIGN + 100 };
static unsigned char content[SIZE];
static char folder[SCRATCH_BYTES];
static char path[64];

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

static void reads_ranges(tess_direct direct)
{
    static const size_t edge[] = {0,    1,    2,    100,  4095, 4096,        4097,     4196,
                                  8191, 8192, 8193, 8292, 8293, SIZE - 4096, SIZE - 1, SIZE};
    enum { N = sizeof edge / sizeof *edge };
    tess_file *file;
    tess_error err;
    assert_int_equal(tess_file_open(path, direct, &file, &err), TESS_OK);
    assert_int_equal(tess_file_get_size(file), SIZE);
    assert_string_equal(tess_file_get_path(file), path);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            size_t offset = edge[i], n = edge[j];
            if (offset + n > SIZE) continue;
            size_t capacity = tess_window_bytes(n);
            assert_true(capacity >= offset % TESS_IO_ALIGN + n);
            /* One guard byte past the capacity shows a write outside. */
            unsigned char *window = aligned_alloc(TESS_IO_ALIGN, capacity + TESS_IO_ALIGN);
            assert_non_null(window);
            window[capacity] = 0x5a;
            const void *data;
            assert_int_equal(tess_file_read_window(file, offset, n, window, &data, &err), TESS_OK);
            assert_ptr_equal(data, window + offset % TESS_IO_ALIGN / 2 * 2);
            assert_memory_equal(data, content + offset, n);
            assert_int_equal(window[capacity], 0x5a);
            unsigned char *plain = malloc(n + 1);
            plain[n] = 0x5a;
            assert_int_equal(tess_file_read(file, offset, plain, n, &err), TESS_OK);
            assert_memory_equal(plain, content + offset, n);
            assert_int_equal(plain[n], 0x5a);
            free(plain);
            free(window);
        }
    assert_true(tess_file_get_bytes_read(file) > SIZE);
    tess_file_close(file);
}

static void test_ranges_auto(void **state)
{
    (void)state;
    reads_ranges(TESS_DIRECT_AUTO);
}

static void test_ranges_buffered(void **state)
{
    (void)state;
    reads_ranges(TESS_DIRECT_OFF);
}

static void test_direct_on(void **state)
{
    (void)state;
    int fd = open(path, O_RDONLY | O_DIRECT);
    if (fd < 0) {
        print_message("# direct reads are refused in /tmp: TESS_DIRECT_ON must fail\n");
        tess_file *file = NULL;
        tess_error err;
        assert_int_equal(tess_file_open(path, TESS_DIRECT_ON, &file, &err), TESS_EIO);
        assert_null(file);
        return;
    }
    close(fd);
    reads_ranges(TESS_DIRECT_ON);
}

static void test_refusals(void **state)
{
    (void)state;
    tess_file *file = NULL;
    tess_error err;
    char name[128];
    snprintf(name, sizeof name, "%s/absent", folder);
    assert_int_equal(tess_file_open(name, TESS_DIRECT_AUTO, &file, &err), TESS_EINPUT);
    assert_string_equal(err.file, name);
    assert_string_equal(err.found, "no such file");
    assert_int_equal(tess_file_open(folder, TESS_DIRECT_AUTO, &file, &err), TESS_EINPUT);
    assert_string_equal(err.expected, "a regular file");
    snprintf(name, sizeof name, "%s/pipe", folder);
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_int_equal(tess_file_open(name, TESS_DIRECT_AUTO, &file, &err), TESS_EINPUT);
    unlink(name);
    assert_null(file);

    assert_int_equal(tess_file_open(path, TESS_DIRECT_AUTO, &file, &err), TESS_OK);
    unsigned char *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(SIZE));
    const void *data = NULL;
    const struct {
        uint64_t offset;
        size_t n;
    } outside[] = {{SIZE, 1}, {SIZE + 1, 0}, {SIZE - 1, 2}, {0, SIZE + 1}, {UINT64_MAX, 1}, {1, SIZE_MAX}};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        assert_int_equal(tess_file_read(file, outside[i].offset, window, outside[i].n, &err), TESS_EINPUT);
        assert_int_equal(tess_file_read_window(file, outside[i].offset, outside[i].n, window, &data, &err),
                         TESS_EINPUT);
        assert_string_equal(err.file, path);
    }
    assert_null(data);
    assert_int_equal(tess_file_get_bytes_read(file), 0);
    free(window);
    tess_file_close(file);
    tess_file_close(NULL);
}

static void test_shrunk_file(void **state)
{
    (void)state;
    char name[128];
    snprintf(name, sizeof name, "%s/shrinks", folder);
    for (int direct = 0; direct < 2; direct++) {
        FILE *f = fopen(name, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(content, 1, SIZE, f), SIZE);
        fclose(f);
        tess_file *file;
        tess_error err;
        assert_int_equal(tess_file_open(name, direct ? TESS_DIRECT_AUTO : TESS_DIRECT_OFF, &file, &err),
                         TESS_OK);
        assert_int_equal(truncate(name, 5000), 0);
        void *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(SIZE));
        const void *data;
        assert_int_equal(tess_file_read_window(file, 10, SIZE - 10, window, &data, &err), TESS_EINPUT);
        assert_int_equal(err.offset, 5000);
        free(window);
        tess_file_close(file);
        unlink(name);
    }
}

typedef struct job {
    tess_file *file;
    unsigned seed;
    int wrong;
} job;

static void *read_at_random(void *arg)
{
    job *j = arg;
    void *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(SIZE));
    for (int i = 0; i < 200; i++) {
        size_t offset = (size_t)rand_r(&j->seed) % SIZE, n = (size_t)rand_r(&j->seed) % (SIZE - offset);
        const void *data;
        if (tess_file_read_window(j->file, offset, n, window, &data, NULL) != TESS_OK ||
            memcmp(data, content + offset, n) != 0)
            j->wrong++;
    }
    free(window);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    tess_file *file;
    assert_int_equal(tess_file_open(path, TESS_DIRECT_AUTO, &file, NULL), TESS_OK);
    pthread_t thread[3];
    job jobs[3];
    for (unsigned i = 0; i < 3; i++) {
        jobs[i] = (job){file, i + 1, 0};
        assert_int_equal(pthread_create(&thread[i], NULL, read_at_random, &jobs[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(jobs[i].wrong, 0);
    }
    tess_file_close(file);
}

static void test_beyond_two_gib(void **state)
{
    (void)state;
    char name[128];
    snprintf(name, sizeof name, "%s/sparse", folder);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    off_t far = ((off_t)5 << 30) + 123;
    assert_int_equal(pwrite(fd, content, 1000, far), 1000);
    close(fd);
    tess_file *file;
    tess_error err;
    assert_int_equal(tess_file_open(name, TESS_DIRECT_AUTO, &file, &err), TESS_OK);
    _Alignas(TESS_IO_ALIGN) static unsigned char window[3 * TESS_IO_ALIGN];
    const void *data;
    assert_int_equal(tess_file_read_window(file, (uint64_t)far, 1000, window, &data, &err), TESS_OK);
    assert_memory_equal(data, content, 1000);
    tess_file_close(file);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_auto),    cmocka_unit_test(test_ranges_buffered),
        cmocka_unit_test(test_direct_on),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_shrunk_file),    cmocka_unit_test(test_threads),
        cmocka_unit_test(test_beyond_two_gib),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
