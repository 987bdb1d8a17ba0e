/* Files that are read whole, and what is refused instead. */
#include "base/whole_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

enum { MOST = 2 << 20 };
static char folder[SCRATCH_BYTES], path[64];

static void must_refuse(size_t most, const char *field, const char *found, const char *expected)
{
    char *out = NULL;
    size_t n = 7;
    tess_error err;
    assert_int_equal(tess_whole_file_read(path, "a list", most, &out, &n, &err), TESS_EINPUT);
    assert_null(out);
    assert_int_equal(n, 7);
    assert_string_equal(err.file, path);
    assert_string_equal(err.field, field);
    assert_string_equal(err.found, found);
    assert_string_equal(err.expected, expected);
}

static void reads_bytes_and_ends_them(void **state)
{
    (void)state;
    static const char bytes[] = {'a', 0, 'b', '\n'};
    for (size_t size = 0; size <= sizeof bytes; size++) {
        char *out;
        size_t n;
        tess_error err;
        scratch_write(path, bytes, size);
        assert_int_equal(tess_whole_file_read(path, "a list", size, &out, &n, &err), TESS_OK);
        assert_int_equal(n, size);
        if (size) assert_memory_equal(out, bytes, size);
        assert_int_equal(out[n], 0);
        free(out);
    }
}

static void refuses_what_is_too_large(void **state)
{
    (void)state;
    scratch_write(path, "four", 4);
    must_refuse(3, "size", "4 bytes", "a list of at most 3 bytes");
    assert_int_equal(truncate(path, MOST + 1), 0);
    must_refuse(MOST, "size", "2097153 bytes", "a list of at most 2 MiB");
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    unlink(path);
    must_refuse(MOST, "", "no such file", "a list");
    assert_int_equal(mkdir(path, 0700), 0);
    must_refuse(MOST, "", "something else", "a regular file");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    must_refuse(MOST, "", "something else", "a regular file");
    unlink(path);
}

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_bytes_and_ends_them),
        cmocka_unit_test(refuses_what_is_too_large),
        cmocka_unit_test(refuses_what_is_no_file),
    };
    return cmocka_run_group_tests_name("whole_file", tests, make_folder, remove_folder);
}
