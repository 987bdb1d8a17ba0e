/* Where the bytes of media come from: paths, standard input, data URLs. */
#include "media/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

enum { MOST = 1000 };
static char folder[SCRATCH_BYTES], path[64];

static void must_hold(const char *text, const char *bytes, size_t n)
{
    tess_source source;
    tess_error err = {0};
    tess_status status = tess_source_open(text, MOST, &source, &err);
    if (status != TESS_OK) print_error("# %s: %s\n", text, err.message);
    assert_int_equal(status, TESS_OK);
    assert_int_equal(source.n_byte, n);
    assert_memory_equal(source.data, bytes, n);
    assert_null(source.path);
    tess_source_release(&source);
    assert_null(source.owned);
}

static void must_refuse(const char *text, const char *file, const char *found)
{
    tess_source source = {.name = "untouched"};
    tess_error err = {0};
    assert_int_equal(tess_source_open(text, MOST, &source, &err), TESS_EINPUT);
    assert_string_equal(source.name, "untouched");
    assert_string_equal(err.file, file);
    if (!strstr(err.found, found)) print_error("# %s: %s\n", text, err.message);
    assert_non_null(strstr(err.found, found));
}

static void takes_base64_as_people_write_it(void **state)
{
    (void)state;
    must_hold("data:image/png;base64,AAEC", "\0\1\2", 3);
    must_hold("data:image/png;base64,AAECAw==", "\0\1\2\3", 4);
    must_hold("data:image/png;base64,AAECAwQ=", "\0\1\2\3\4", 5);
    must_hold("data:image/png;base64,AAECAw", "\0\1\2\3", 4);
    must_hold("data:image/png;base64,AAECAwQ", "\0\1\2\3\4", 5);
    must_hold("data:;base64,\r\nAA\nEC\r\n Aw =\n=\n", "\0\1\2\3", 4);
    must_hold("DATA:audio/wav;charset=x;BASE64,+/+/", "\xfb\xff\xbf", 3);
}

static void refuses_what_is_no_base64(void **state)
{
    (void)state;
    const char *name = "data URL";
    must_refuse("data:image/png;base64,", name, "empty");
    must_refuse("data:image/png;base64,\n", name, "empty");
    must_refuse("data:image/png,AAEC", name, "data:image/png,");
    must_refuse("data:image/png;base64", name, "data:");
    must_refuse("data:image/png;base64,AAE*", name, "'*'");
    must_refuse("data:image/png;base64,AA\x01", name, "the byte 1");
    must_refuse("data:image/png;base64,AA==AA==", name, "'A'");
    must_refuse("data:image/png;base64,AA=", name, "2 digits and 1 times");
    must_refuse("data:image/png;base64,AAEC=", name, "4 digits and 1 times");
    must_refuse("data:image/png;base64,AAECA", name, "5 digits");
    must_refuse("data:image/png;base64,AAECAw===", name, "'='");
    must_refuse("data:image/png;base64,AAECAx==", name, "left over");
    must_refuse("data:image/png;base64,AAECAwR=", name, "left over");
    char *long_url = malloc(4 * MOST);
    assert_non_null(long_url);
    int n = snprintf(long_url, 64, "data:;base64,");
    memset(long_url + n, 'A', 4 * (MOST / 3 + 1));
    long_url[n + 4 * (MOST / 3 + 1)] = 0;
    must_refuse(long_url, name, "1002 bytes");
    free(long_url);
}

static void takes_files(void **state)
{
    (void)state;
    tess_source source;
    tess_error err;
    scratch_write(path, "abc", 3);
    assert_int_equal(tess_source_open(path, MOST, &source, &err), TESS_OK);
    assert_string_equal(source.path, path);
    assert_string_equal(source.name, path);
    tess_source_reader reader;
    assert_int_equal(tess_source_reader_open(&source, &reader, &err), TESS_OK);
    char bytes[8];
    assert_int_equal(reader.n_byte, 3);
    assert_int_equal(tess_source_reader_read(&reader, 1, bytes, 8), 2);
    assert_memory_equal(bytes, "bc", 2);
    assert_int_equal(tess_source_reader_read(&reader, 3, bytes, 8), 0);
    assert_int_equal(tess_source_reader_read(&reader, UINT64_MAX, bytes, 8), 0);
    const uint8_t *data;
    void *owned;
    assert_int_equal(tess_source_reader_load(&reader, 4, &data, &owned, &err), TESS_OK);
    assert_memory_equal(data, "abc\0\0\0\0", 7);
    free(owned);
    tess_source_reader_close(&reader);
    tess_source_release(&source);
}

static void refuses_files_that_are_none(void **state)
{
    (void)state;
    scratch_write(path, "", 0);
    must_refuse(path, path, "empty");
    unlink(path);
    must_refuse(path, path, "no such file");
    must_refuse("", "", "no such file");
    must_refuse(folder, folder, "something else");
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n";
    scratch_write(path, pointer, sizeof pointer - 1);
    must_refuse(path, path, "Git LFS");
}

static void with_input(const char *bytes, size_t n, void (*work)(void))
{
    scratch_write(path, bytes, n);
    int saved = dup(STDIN_FILENO);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(dup2(fileno(f), STDIN_FILENO), STDIN_FILENO);
    fclose(f);
    work();
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void takes_abc(void)
{
    must_hold("-", "abc", 3);
}

static void refuses_nothing(void)
{
    must_refuse("-", "standard input", "empty");
}

static void refuses_too_much(void)
{
    must_refuse("-", "standard input", "more than 1000 bytes");
}

static void takes_standard_input(void **state)
{
    (void)state;
    static const char many[MOST + 1];
    with_input("abc", 3, takes_abc);
    with_input("", 0, refuses_nothing);
    with_input(many, sizeof many, refuses_too_much);
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
        cmocka_unit_test(takes_base64_as_people_write_it),
        cmocka_unit_test(refuses_what_is_no_base64),
        cmocka_unit_test(takes_files),
        cmocka_unit_test(refuses_files_that_are_none),
        cmocka_unit_test(takes_standard_input),
    };
    return cmocka_run_group_tests_name("source", tests, make_folder, remove_folder);
}
