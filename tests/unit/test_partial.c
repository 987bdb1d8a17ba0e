/* Files that are made over several runs: what is written stays, is gone on with, and gets its name when it is
 * whole; large parts past the page cache; a lock; a disk that is too full. */
#include "io/partial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"
#include "base/xxh3.h"
#include "io/file.h"
#include "io/folder.h"

static char folder[SCRATCH_BYTES], path[64], part[80];

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_DISK)) return -1; /* direct writes want a disk */
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(part, sizeof part, "%s.part", path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(part);
    return rmdir(folder);
}

static bool exists(const char *name)
{
    struct stat info;
    return stat(name, &info) == 0;
}

static tess_partial *open_it(uint64_t n_byte)
{
    tess_partial *p;
    tess_error err;
    if (tess_partial_open(path, n_byte, &p, &err) != TESS_OK) fail_msg("%s", err.message);
    return p;
}

static void test_goes_on(void **state)
{
    (void)state;
    tess_error err;
    char read[6] = "";
    uint64_t size;
    tess_partial *p = open_it(100000);
    assert_int_equal(tess_partial_get_size(p, &size, &err), TESS_OK);
    assert_int_equal(size, 0); /* room is reserved, and nothing is in it */
    assert_int_equal(tess_partial_write(p, 0, "first", 5, &err), TESS_OK);
    tess_partial_close(p);
    assert_true(exists(part) && !exists(path));
    p = open_it(0);
    assert_int_equal(tess_partial_read(p, 0, read, 5, &err), TESS_OK);
    assert_string_equal(read, "first");
    assert_int_equal(tess_partial_read(p, 3, read, 5, &err), TESS_EINPUT);
    assert_int_equal(tess_partial_write(p, 5, " and last, and too much", 23, &err), TESS_OK);
    assert_int_equal(tess_partial_commit(p, 14, &err), TESS_OK);
    assert_true(!exists(part) && exists(path));
    tess_file *file;
    assert_int_equal(tess_file_open(path, TESS_DIRECT_OFF, &file, &err), TESS_OK);
    assert_int_equal(tess_file_get_size(file), 14);
    tess_file_close(file);
}

/* Any offset and address: those that fit each other are written directly where that works. */
static void test_large_parts(void **state)
{
    (void)state;
    enum { N = 3 << 20 };
    static const size_t offsets[] = {0, 1, 4095, 4096, 8191, 12345},
                        sizes[] = {1 << 20, N - 20000, (1 << 20) + 1};
    unsigned char *bytes = aligned_alloc(4096, N), *wanted = calloc(1, N), *found = malloc(N);
    for (size_t i = 0; i < N; i++) bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    tess_error err;
    tess_partial *p = open_it(N);
    assert_int_equal(tess_partial_write(p, 0, wanted, N, &err), TESS_OK);
    for (size_t o = 0; o < sizeof offsets / sizeof offsets[0]; o++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
            for (size_t shift = 0; shift < 2; shift++) {
                const unsigned char *from = bytes + (offsets[o] + shift) % 4096;
                assert_int_equal(tess_partial_write(p, offsets[o], from, sizes[s], &err), TESS_OK);
                memcpy(wanted + offsets[o], from, sizes[s]);
                assert_int_equal(tess_partial_read(p, 0, found, N, &err), TESS_OK);
                assert_memory_equal(found, wanted, N);
            }
    tess_partial_close(p);
    free(bytes);
    free(wanted);
    free(found);
}

static void test_refusals(void **state)
{
    (void)state;
    tess_error err;
    tess_partial *p = open_it(0);
    assert_int_equal(tess_partial_write(p, 0, "mine", 4, &err), TESS_OK);
    unlink(part); /* replaced meanwhile */
    tess_partial *second = open_it(0);
    assert_int_equal(tess_partial_commit(p, 4, &err), TESS_EIO);
    assert_non_null(strstr(err.message, "was replaced"));
    assert_true(exists(part) && !exists(path));
    tess_partial_close(second);
    assert_int_equal(link(part, path), 0); /* a second name */
    assert_int_equal(tess_partial_open(path, 0, &p, &err), TESS_EINPUT);
    unlink(path);
    unlink(part);
    assert_int_equal(tess_partial_open(path, 1ull << 62, &p, &err), TESS_EIO);
    assert_non_null(strstr(err.message, "more are needed"));
    assert_false(exists(part)); /* there is nothing in it */
    assert_int_equal(mkdir(part, 0700), 0);
    assert_int_not_equal(tess_partial_open(path, 0, &p, &err), TESS_OK);
    rmdir(part);
    assert_int_equal(symlink("/dev/null", part), 0); /* never written through */
    assert_int_equal(tess_partial_open(path, 0, &p, &err), TESS_EINPUT);
    unlink(part);
    assert_int_equal(tess_partial_open("/nowhere/at/all", 0, &p, &err), TESS_EIO);
    assert_int_equal(tess_folder_check_room(path, 1, &err), TESS_OK);
}

static void test_lock(void **state)
{
    (void)state;
    tess_error err;
    int lock, second;
    assert_int_equal(tess_folder_lock(folder, &lock, &err), TESS_OK);
    assert_int_equal(tess_folder_lock(folder, &second, &err), TESS_EIO);
    assert_non_null(strstr(err.message, "another process"));
    close(lock);
    assert_int_equal(tess_folder_lock(folder, &second, &err), TESS_OK);
    close(second);
}

/* Values of the specification's own tests. */
static void test_xxh3(void **state)
{
    (void)state;
    assert_true(tess_xxh3("", 0) == 0x2d06800538d394c2u);
    assert_true(tess_xxh3("a", 1) != tess_xxh3("b", 1));
    unsigned char bytes[3000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 37);
    tess_xxh3_pieces pieces;
    tess_xxh3_begin(&pieces);
    for (size_t i = 0; i < sizeof bytes; i += 300) tess_xxh3_add(&pieces, bytes + i, 300);
    assert_true(tess_xxh3_end(&pieces) == tess_xxh3(bytes, sizeof bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_large_parts, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_refusals, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_lock, make_folder, remove_folder),
        cmocka_unit_test(test_xxh3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
