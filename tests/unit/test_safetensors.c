/* Well-formed safetensors files of every kind: what is read is what was written. */
#include "store/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

static char path[SCRATCH_BYTES];

/* Writes a header of `header_bytes` (its text, blanks behind it) and n_data counting bytes. */
static void write_file(const char *header, size_t header_bytes, size_t n_data)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < 8; i++) putc((int)(header_bytes >> (8 * i) & 0xff), f);
    fprintf(f, "%-*s", (int)header_bytes, header);
    for (size_t i = 0; i < n_data; i++) putc((int)(i * 7 + 1) & 0xff, f);
    assert_int_equal(fclose(f), 0);
}

static tess_safetensors *open_file(void)
{
    tess_safetensors *st;
    tess_error err;
    if (tess_safetensors_open(path, TESS_DIRECT_AUTO, &st, &err) != TESS_OK) fail_msg("%s", err.message);
    return st;
}

static const char *const mixed =
    "{\"b\": {\"dtype\": \"F32\", \"shape\": [2, 3], \"data_offsets\": [8, 32]},\n"
    " \"__metadata__\": {\"format\": \"pt\", \"note\": \"\\u00e9\\n\\ud83d\\ude00\"},"
    " \"a\": {\"shape\": [], \"dtype\": \"I64\", \"data_offsets\": [0, 8], \"extra\": [1, {}]},"
    " \"empty\": {\"dtype\": \"BF16\", \"shape\": [0, 5], \"data_offsets\": [32, 32]},"
    " \"c/\\u00fc\\\"\": {\"dtype\": \"BF16\", \"shape\": [1, 1, 1, 1, 1, 1, 1, 3], \"data_offsets\": [32, "
    "38]}}";

static void test_mixed(void **state)
{
    (void)state;
    write_file(mixed, 480, 38);
    tess_safetensors *st = open_file();
    assert_int_equal(tess_safetensors_get_count(st), 4);
    static const char *const order[] = {"a", "b", "empty", "c/\xc3\xbc\""};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(tess_safetensors_get(st, i)->name, order[i]);
        assert_ptr_equal(tess_safetensors_find(st, order[i]), tess_safetensors_get(st, i));
    }
    const tess_tensor *a = tess_safetensors_find(st, "a"), *b = tess_safetensors_find(st, "b");
    assert_int_equal(a->n_dim, 0);
    assert_int_equal(a->dtype, TESS_DTYPE_I64);
    assert_int_equal(tess_tensor_count(a), 1);
    assert_int_equal(a->offset, 488);
    assert_int_equal(b->offset, 496);
    assert_int_equal(b->n_byte, 24);
    assert_int_equal(b->dim[1], 3);
    assert_int_equal(tess_tensor_count(tess_safetensors_find(st, "empty")), 0);
    assert_int_equal(tess_safetensors_find(st, order[3])->n_dim, 8);
    assert_null(tess_safetensors_find(st, "aa"));
    assert_null(tess_safetensors_find(st, ""));
    assert_null(tess_safetensors_find(st, "zzz"));
    assert_int_equal(tess_safetensors_get_metadata_count(st), 2);
    assert_string_equal(tess_safetensors_get_metadata(st, "format"), "pt");
    assert_string_equal(tess_safetensors_get_metadata(st, "note"), "\xc3\xa9\n\xf0\x9f\x98\x80");
    assert_null(tess_safetensors_get_metadata(st, "none"));
    const char *key, *value;
    tess_safetensors_get_metadata_at(st, 0, &key, &value);
    assert_string_equal(key, "format");
    tess_safetensors_close(st);
}

/* Whatever the length of the header, data comes at an address that suits its type. */
static void test_every_alignment(void **state)
{
    (void)state;
    for (size_t pad = 0; pad < 16; pad++) {
        size_t header_bytes = 480 + pad;
        write_file(mixed, header_bytes, 38);
        tess_safetensors *st = open_file();
        for (size_t i = 0; i < tess_safetensors_get_count(st); i++) {
            const tess_tensor *t = tess_safetensors_get(st, i);
            unsigned char *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(t->n_byte));
            const void *data;
            assert_int_equal(
                tess_tensor_read_part(tess_safetensors_get_file(st), t, 0, t->n_byte, window, &data, NULL),
                TESS_OK);
            assert_int_equal((uintptr_t)data % tess_dtype_bytes(t->dtype), 0);
            for (size_t k = 0; k < t->n_byte; k++) {
                size_t at = t->offset - 8 - header_bytes + k;
                assert_int_equal(((const unsigned char *)data)[k], (at * 7 + 1) & 0xff);
            }
            free(window);
        }
        tess_safetensors_close(st);
    }
}

static void test_part_of_a_tensor(void **state)
{
    (void)state;
    write_file(mixed, 480, 38);
    tess_safetensors *st = open_file();
    const tess_tensor *b = tess_safetensors_find(st, "b");
    unsigned char *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(12));
    const void *data;
    assert_int_equal(tess_tensor_read_part(tess_safetensors_get_file(st), b, 12, 12, window, &data, NULL),
                     TESS_OK);
    assert_int_equal(((const unsigned char *)data)[0], (20 * 7 + 1) & 0xff);
    free(window);
    tess_safetensors_close(st);
}

static void test_empty_files(void **state)
{
    (void)state;
    static const char *const header[] = {"{}", "{\"__metadata__\": {}}"};
    for (int i = 0; i < 2; i++) {
        write_file(header[i], strlen(header[i]), 0);
        tess_safetensors *st = open_file();
        assert_int_equal(tess_safetensors_get_count(st), 0);
        assert_null(tess_safetensors_find(st, "a"));
        tess_safetensors_close(st);
    }
}

static void test_dtypes(void **state)
{
    (void)state;
    for (int i = 1; i < TESS_N_DTYPE; i++) {
        assert_int_equal(tess_dtype_find(tess_dtype_name((tess_dtype)i)), i);
        assert_true(tess_dtype_bytes((tess_dtype)i) >= 1);
        char header[128];
        snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%u]}}",
                 tess_dtype_name((tess_dtype)i), 3 * tess_dtype_bytes((tess_dtype)i));
        write_file(header, 80, 3 * tess_dtype_bytes((tess_dtype)i));
        tess_safetensors *st = open_file();
        assert_int_equal(tess_safetensors_get(st, 0)->dtype, i);
        tess_safetensors_close(st);
    }
    assert_int_equal(tess_dtype_find("bf16"), TESS_DTYPE_NONE);
    assert_string_equal(tess_dtype_name(TESS_DTYPE_NONE), "?");
    assert_string_equal(tess_dtype_name((tess_dtype)99), "?");
}

static void test_many_tensors(void **state)
{
    (void)state;
    enum { N = 3000 };
    char *header = malloc(N * 96);
    size_t used = (size_t)sprintf(header, "{");
    /* The names' order is not the places' order. */
    for (int i = 0; i < N; i++)
        used += (size_t)sprintf(header + used,
                                "%s\"t.%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                                i ? "," : "", i * 7919 % N, i, i + 1);
    used += (size_t)sprintf(header + used, "}");
    write_file(header, used, N);
    tess_safetensors *st = open_file();
    assert_int_equal(tess_safetensors_get_count(st), N);
    for (int i = 0; i < N; i++) {
        char name[16];
        snprintf(name, sizeof name, "t.%d", i * 7919 % N);
        const tess_tensor *t = tess_safetensors_find(st, name);
        assert_non_null(t);
        assert_int_equal(t->offset, 8 + used + (size_t)i);
        assert_ptr_equal(t, tess_safetensors_get(st, (size_t)i));
    }
    tess_safetensors_close(st);
    free(header);
}

static void test_shapes_as_text(void **state)
{
    (void)state;
    char text[32];
    const uint64_t dim[] = {151, 2048, UINT64_MAX};
    tess_tensor_format_shape(0, dim, text, sizeof text);
    assert_string_equal(text, "[]");
    tess_tensor_format_shape(2, dim, text, sizeof text);
    assert_string_equal(text, "[151, 2048]");
    tess_tensor_format_shape(3, dim, text, 12); /* cut, not overrun */
    assert_int_equal(strlen(text), 11);
}

static int make_file(void **state)
{
    (void)state;
    int fd = scratch_make_file(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_every_alignment),
        cmocka_unit_test(test_part_of_a_tensor),
        cmocka_unit_test(test_empty_files),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_shapes_as_text),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
