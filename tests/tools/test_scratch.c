/* Folders and files of tests lie where they should, and their names fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

static void assert_folder_in(const char *parent, scratch_place place)
{
    char folder[SCRATCH_BYTES];
    assert_int_equal(scratch_make_folder(folder, place), 0);
    if (strncmp(folder, parent, strlen(parent)) != 0) fail_msg("%s is not in %s", folder, parent);
    assert_int_equal(rmdir(folder), 0);
}

static void test_places(void **state)
{
    (void)state;
    char memory[SCRATCH_BYTES], disk[SCRATCH_BYTES], file[SCRATCH_BYTES], too_long[2 * SCRATCH_BYTES] = "/";
    unsetenv("TMPDIR");
    unsetenv("TESS_DISK_TMPDIR");
    assert_int_equal(scratch_make_folder(memory, SCRATCH_ANYWHERE), 0);
    assert_int_equal(scratch_make_folder(disk, SCRATCH_DISK), 0);
    setenv("TMPDIR", memory, 1);
    assert_folder_in(memory, SCRATCH_ANYWHERE);
    assert_folder_in(memory, SCRATCH_DISK); /* nobody says where the disk is */
    setenv("TESS_DISK_TMPDIR", disk, 1);
    assert_folder_in(memory, SCRATCH_ANYWHERE);
    assert_folder_in(disk, SCRATCH_DISK);
    int descriptor = scratch_make_file(file);
    assert_true(descriptor >= 0);
    assert_int_equal(strncmp(file, memory, strlen(memory)), 0);
    close(descriptor);
    unlink(file);
    memset(too_long + 1, 'x', sizeof too_long - 2);
    setenv("TMPDIR", too_long, 1);
    assert_folder_in("/tmp/", SCRATCH_ANYWHERE);
    setenv("TMPDIR", "/nowhere", 1);
    assert_int_equal(scratch_make_folder(file, SCRATCH_ANYWHERE), -1);
    rmdir(memory);
    rmdir(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
