/* Damaged safetensors files: each fault refused by name, found and expected; nothing read past an end; no
 * allocation that fails brings it down. */
#include "store/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/scratch.h"

static char path[SCRATCH_BYTES];

/* Builds a file of a header and n_data zero bytes; the caller frees it. */
static unsigned char *build(const char *header, size_t length, size_t n_data, size_t *size)
{
    unsigned char *bytes = calloc(1, 8 + strlen(header) + n_data + 1);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + 8, header, strlen(header));
    *size = 8 + strlen(header) + n_data;
    return bytes;
}

static tess_status try_open(tess_error *err)
{
    tess_safetensors *st = NULL;
    tess_status status = tess_safetensors_open(path, TESS_DIRECT_OFF, &st, err);
    assert_true((status == TESS_OK) == (st != NULL));
    tess_safetensors_close(st);
    return status;
}

typedef struct seen {
    int n;
    tess_problem_kind kind;
    char tensor[64];
} seen;

static void notice(void *arg, const tess_problem *problem)
{
    seen *s = arg;
    if (s->n++ == 0) {
        s->kind = problem->kind;
        snprintf(s->tensor, sizeof s->tensor, "%s", problem->tensor);
    }
    assert_non_null(strstr(problem->message, problem->found));
    assert_non_null(strstr(problem->message, problem->expected));
    assert_string_equal(problem->file, path);
}

typedef struct fault {
    const char *entries;  /* of the header, without braces */
    int n_data;           /* bytes after the header */
    const char *tensor;   /* named in the refusal */
    const char *found;    /* part of it */
    const char *expected; /* part of it */
    int kind;             /* tess_problem_kind, or -1: the header is unusable as a whole */
} fault;

#define T(name, dtype, shape, begin, end)                                                                    \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static const fault faults[] = {
    /* offsets */
    {T("a", "BF16", "[4]", "0", "8") "," T("b", "BF16", "[4]", "6", "14"), 14, "b",
     "an overlap: data offset 6", "8, where a ends", TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[4]", "0", "8") "," T("b", "BF16", "[4]", "0", "8"), 8, "b", "an overlap", "8, where a",
     TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[4]", "0", "8") "," T("b", "BF16", "[4]", "10", "18"), 18, "b", "a gap: data offset 10",
     "8, where a ends", TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[4]", "2", "10"), 10, "a", "a gap: data offset 2", "0, where the header ends",
     TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[4]", "0", "8"), 9, "", "a file of", "where a ends", TESS_PROBLEM_OFFSETS},
    {T("a", "U8", "[3]", "0", "3") "," T("b", "BF16", "[2]", "3", "7"), 7, "b", "data offset 3",
     "a multiple of the element size 2", TESS_PROBLEM_OFFSETS},
    {T("a", "U8", "[4]", "0", "4") "," T("b", "F64", "[1]", "4", "12"), 12, "b", "data offset 4",
     "a multiple of the element size 8", TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[4]", "0", "6"), 6, "a", "data_offsets [0, 6], 6 bytes", "8 bytes for BF16 [4]",
     TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[2, 3]", "0", "14"), 14, "a", "14 bytes", "12 bytes for BF16 [2, 3]",
     TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[0]", "0", "2"), 2, "a", "2 bytes", "0 bytes for BF16 [0]", TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[4611686018427387904, 8]", "0", "8"), 8, "a", "BF16 [4611686018427387904, 8]",
     "counted in 64 bits", TESS_PROBLEM_OFFSETS},
    {T("a", "BF16", "[4]", "0", "8"), 7, "a", "bytes", "where this tensor ends", TESS_PROBLEM_TRUNCATED},
    {T("a", "BF16", "[4611686018427387903]", "0", "9223372036854775806"), 8, "a", "a file of",
     "where this tensor ends", TESS_PROBLEM_TRUNCATED},
    {T("a", "BF16", "[4]", "8", "0"), 8, "a", "end 0", "begin <= end", TESS_PROBLEM_HEADER},
    {T("a", "BF16", "[4]", "-8", "0"), 8, "a", "begin -8", "0 <= begin", TESS_PROBLEM_HEADER},
    {T("a", "BF16", "[4]", "0", "8.0"), 8, "a", "end: a number", "data_offsets [begin, end]",
     TESS_PROBLEM_HEADER},
    {"\"a\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[0]}", 8, "a", "data_offsets: an array",
     "data_offsets [begin, end]", TESS_PROBLEM_HEADER},
    {"\"a\":{\"dtype\":\"BF16\",\"shape\":[4]}", 0, "a", "data_offsets: nothing", "data_offsets [begin, end]",
     TESS_PROBLEM_HEADER},
    /* dtype and shape */
    {T("a", "BF17", "[4]", "0", "8"), 8, "a", "dtype \"BF17\"", "such as \"BF16\"", TESS_PROBLEM_HEADER},
    {"\"a\":{\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,8]}", 8, "a", "dtype 7", "such as",
     TESS_PROBLEM_HEADER},
    {"\"a\":{\"shape\":[4],\"data_offsets\":[0,8]}", 8, "a", "dtype: nothing", "such as",
     TESS_PROBLEM_HEADER},
    {T("a", "BF16", "4", "0", "8"), 8, "a", "shape 4", "an array of sizes", TESS_PROBLEM_HEADER},
    {T("a", "BF16", "[-4]", "0", "8"), 8, "a", "-4", "sizes of 0 or more", TESS_PROBLEM_HEADER},
    {T("a", "BF16", "[\"4\"]", "0", "8"), 8, "a", "\"4\"", "sizes of 0 or more", TESS_PROBLEM_HEADER},
    {T("a", "BF16", "[1,1,1,1,1,1,1,1,4]", "0", "8"), 8, "a", "9 axes", "at most 8", TESS_PROBLEM_HEADER},
    {"\"a\":[0, 8]", 8, "a", "an array", "an object with dtype", TESS_PROBLEM_HEADER},
    {"\"__metadata__\":{\"n\":5}", 0, "__metadata__", "n 5", "a text", TESS_PROBLEM_HEADER},
    /* names */
    {T("a", "BF16", "[1]", "0", "2") "," T("a", "BF16", "[1]", "2", "4"), 4, "a", "a second time",
     "every name once", TESS_PROBLEM_DUPLICATE},
    /* JSON */
    {"\"a\":{\"dtype\":\"BF16\",\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[0,8]}", 8, "a",
     "duplicate", "valid JSON", -1},
    {T("a", "BF16", "[99999999999999999999]", "0", "8"), 8, "a", "too big", "valid JSON", -1},
    {T("a", "BF16", "[1e999]", "0", "8"), 8, "a", "overflow", "valid JSON", -1},
    {"\"a\":", 0, "a", "", "valid JSON", -1},
    {"\"a\" 5", 0, "a", "'5'", "':'", -1},
    {"5:6", 0, "JSON", "'5'", "a name", -1},
    {"\"a\":5 \"b\":6", 0, "", "5", "an object with dtype", TESS_PROBLEM_HEADER},
    {"\"a\\u0000b\":{}", 0, "JSON", "", "valid JSON", -1},
    {"\"\xff\":{}", 0, "JSON", "", "valid JSON", -1},
    {"\"__metadata__\":7", 0, "__metadata__", "'7'", "a JSON object", -1},
};

static void test_each_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const fault *f = &faults[i];
        char header[512];
        size_t size;
        snprintf(header, sizeof header, "{%s}", f->entries);
        unsigned char *bytes = build(header, strlen(header), (size_t)f->n_data, &size);
        scratch_write(path, bytes, size);
        free(bytes);
        tess_error err;
        if (try_open(&err) != TESS_EINPUT) fail_msg("%s: accepted", header);
        bool named = !*f->tensor || !strcmp(err.field, f->tensor);
        if (!named || !strstr(err.found, f->found) || !strstr(err.expected, f->expected))
            fail_msg("%s: refused as %s", header, err.message);
        assert_string_equal(err.file, path);

        seen s = {0};
        tess_problem_sink sink = {notice, &s};
        tess_safetensors *st = NULL;
        tess_status status = tess_safetensors_open_part(path, TESS_DIRECT_OFF, 0, &sink, &st, &err);
        if (f->kind >= 0 && status == TESS_OK) {
            assert_true(s.n >= 1);
            if (s.kind != (tess_problem_kind)f->kind)
                fail_msg("%s: %s", header, tess_problem_kind_name(s.kind));
        } else {
            assert_int_equal(status, TESS_EINPUT);
        }
        tess_safetensors_close(st);
    }
}

static void test_all_faults_are_collected(void **state)
{
    (void)state;
    const char *header = "{" T("a", "BF17", "[4]", "0", "8") "," T("b", "BF16", "[5]", "8", "16") "," T(
        "c", "BF16", "[4]", "12", "20") "," T("c", "BF16", "[4]", "20", "28") "," T("d", "BF16", "[4]", "30",
                                                                                    "38") "}";
    size_t size;
    unsigned char *bytes = build(header, strlen(header), 32, &size);
    scratch_write(path, bytes, size);
    free(bytes);
    seen s = {0};
    tess_problem_sink sink = {notice, &s};
    tess_safetensors *st = NULL;
    assert_int_equal(tess_safetensors_open_part(path, TESS_DIRECT_OFF, 3, &sink, &st, NULL), TESS_OK);
    /* a's dtype; b's size; c twice; c overlaps; d after a gap and beyond the end. */
    assert_int_equal(s.n, 6);
    assert_int_equal(tess_safetensors_get_count(st), 5);
    assert_int_equal(tess_safetensors_find(st, "a")->dtype, TESS_DTYPE_NONE);
    assert_int_equal(tess_safetensors_find(st, "d")->shard, 3);
    tess_safetensors_close(st);
}

static const char whole[] = "{\"__metadata__\":{\"k\":\"v\"}," T("a", "BF16", "[4]", "0", "8") "," T(
    "b", "F32", "[2, 2]", "8", "24") "," T("\\u00e9", "U8", "[3]", "24", "27") "}";
enum { WHOLE_DATA = 27 };

static void test_header_lengths(void **state)
{
    (void)state;
    size_t size, length = strlen(whole), beyond = length + WHOLE_DATA + 1;
    const uint64_t wrong[] = {0,         1,         length - 1, beyond,        UINT32_MAX,
                              100000001, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        unsigned char *bytes = build(whole, wrong[i], WHOLE_DATA, &size);
        scratch_write(path, bytes, size);
        free(bytes);
        tess_error err;
        assert_int_equal(try_open(&err), TESS_EINPUT);
        if (wrong[i] >= beyond || wrong[i] < 2) {
            assert_string_equal(err.field, "header length");
            assert_int_equal(err.offset, 0);
        }
    }
}

static void test_truncated_at_every_byte(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = build(whole, strlen(whole), WHOLE_DATA, &size);
    tess_error err;
    scratch_write(path, bytes, size);
    assert_int_equal(try_open(&err), TESS_OK);
    for (size_t n = 0; n < size; n++) {
        scratch_write(path, bytes, n);
        if (try_open(&err) != TESS_EINPUT) fail_msg("cut at %zu of %zu: accepted", n, size);
        assert_true(*err.field && *err.found && *err.expected);
        assert_string_equal(err.file, path);
    }
    free(bytes);
}

/* Every bit of the header: read whole or refused, never more; sanitizer builds see what is touched. */
static void test_every_bit_flipped(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = build(whole, strlen(whole), WHOLE_DATA, &size);
    int n_accepted = 0;
    for (size_t bit = 0; bit < 8 * (size - WHOLE_DATA); bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        scratch_write(path, bytes, size);
        tess_error err;
        tess_status status = try_open(&err);
        assert_true(status == TESS_OK || status == TESS_EINPUT);
        n_accepted += status == TESS_OK;
        seen s = {0};
        tess_problem_sink sink = {notice, &s};
        tess_safetensors *st = NULL;
        tess_status collected = tess_safetensors_open_part(path, TESS_DIRECT_OFF, 0, &sink, &st, &err);
        assert_true((status == TESS_OK) == (collected == TESS_OK && s.n == 0));
        tess_safetensors_close(st);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    free(bytes);
    /* Only names, metadata and the like may change unnoticed here. */
    assert_true(n_accepted > 0 && n_accepted < 200);
}

static void test_too_deep(void **state)
{
    (void)state;
    enum { LEVELS = 200000 };
    char *header = malloc(2 * LEVELS + 32);
    size_t used = (size_t)sprintf(header, "{\"deep\":");
    memset(header + used, '[', LEVELS);
    memset(header + used + LEVELS, ']', LEVELS);
    strcpy(header + used + 2 * LEVELS, "}");
    size_t size;
    unsigned char *bytes = build(header, strlen(header), 0, &size);
    scratch_write(path, bytes, size);
    tess_error err;
    assert_int_equal(try_open(&err), TESS_EINPUT);
    assert_string_equal(err.field, "deep");
    assert_non_null(strstr(err.expected, "64 levels"));
    assert_int_equal(err.offset, 8 + used + 64);
    free(bytes);
    free(header);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = build(whole, strlen(whole), WHOLE_DATA, &size);
    scratch_write(path, bytes, size);
    free(bytes);
    int k = 1, n_failed = 0;
    for (bool reached = true; reached; k++) {
        tess_safetensors *st = NULL;
        tess_error err;
        fault_alloc_at(k);
        tess_status status = tess_safetensors_open(path, TESS_DIRECT_OFF, &st, &err);
        reached = fault_alloc_end();
        if (status == TESS_EINPUT) fail_msg("allocation %d: %s", k, err.message);
        assert_true(status == TESS_OK || status == TESS_ENOMEM);
        assert_true((status == TESS_OK) == (st != NULL));
        n_failed += status == TESS_ENOMEM;
        tess_safetensors_close(st);
    }
    assert_true(n_failed >= 15);
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
        cmocka_unit_test(test_each_fault),
        cmocka_unit_test(test_all_faults_are_collected),
        cmocka_unit_test(test_header_lengths),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_too_deep),
        cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
