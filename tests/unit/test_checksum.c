/* Checksums of tensors larger than a chunk, at every alignment, against one call of OpenSSL on the bytes;
 * NaNs and infinities of every float type are counted, also where a chunk ends within an element. */
#include "tessera/checkpoint.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/hollow.h"

static char folder[64];

static void digest(const void *bytes, size_t n, char hex[65])
{
    unsigned char raw[32];
    assert_int_equal(EVP_Digest(bytes, n, raw, NULL, EVP_sha256(), NULL), 1);
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", raw[i]);
}

/* The file model.safetensors: a header of this text and length, and the data. Returns all its bytes. */
static unsigned char *write_file(const char *header, size_t header_bytes, const unsigned char *data, size_t n,
                                 size_t *size)
{
    char path[256];
    hollow_path(folder, "model.safetensors", path);
    *size = 8 + header_bytes + n;
    unsigned char *bytes = calloc(1, *size);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(header_bytes >> (8 * i));
    memset(bytes + 8, ' ', header_bytes);
    memcpy(bytes + 8, header, strlen(header));
    memcpy(bytes + 8 + header_bytes, data, n);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

typedef struct result {
    int n_tensor, n_shard;
    tess_tensor_checksum sum[16];
    char shard[65];
    uint64_t done, total;
    uint64_t stop_at;
} result;

static void take_tensor(void *context, const tess_tensor_checksum *sum)
{
    result *r = context;
    assert_true(r->n_tensor < 16);
    r->sum[r->n_tensor++] = *sum;
}

static void take_shard(void *context, int shard, const char *sha256)
{
    result *r = context;
    assert_int_equal(shard, r->n_shard++);
    memcpy(r->shard, sha256, 65);
}

static bool take_progress(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    result *r = context;
    assert_int_equal(activity, TESS_ACTIVITY_CHECKSUMS);
    assert_true(done > r->done && done <= total);
    r->done = done;
    r->total = total;
    return !r->stop_at || done < r->stop_at;
}

static tess_status sum_all(result *r, char weights[65])
{
    tess_checkpoint *c;
    tess_error err;
    const tess_progress progress = {take_progress, r};
    const tess_checksum_listener listener = {
        .tensor = take_tensor, .shard = take_shard, .progress = &progress, .context = r};
    assert_int_equal(tess_checkpoint_open(folder, TESS_DIRECT_AUTO, &c, &err), TESS_OK);
    tess_status status = tess_checkpoint_checksum(c, &listener, weights, &err);
    for (int i = 0; i < r->n_tensor; i++) { /* one by one: the same */
        tess_tensor_checksum single;
        assert_int_equal(tess_checkpoint_checksum_tensor(c, r->sum[i].tensor, NULL, &single, &err), TESS_OK);
        assert_memory_equal(&single, &r->sum[i], sizeof single);
        r->sum[i].tensor = NULL;
    }
    tess_checkpoint_close(c);
    return status;
}

enum { BIG = 9 << 20, SMALL = 6, N_DATA = BIG + 2 * SMALL + 16 };
static const char big_header[] =
    "{\"a\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[0,6]},"
    "\"big\":{\"dtype\":\"BF16\",\"shape\":[4718592],\"data_offsets\":[6,9437190]},"
    "\"none\":{\"dtype\":\"BF16\",\"shape\":[0],\"data_offsets\":[9437190,9437190]},"
    "\"b\":{\"dtype\":\"U8\",\"shape\":[22],\"data_offsets\":[9437190,9437212]}}";

static void test_every_alignment(void **state)
{
    (void)state;
    unsigned char *data = malloc(N_DATA);
    assert_non_null(data);
    unsigned seed = 3;
    for (size_t i = 0; i < N_DATA; i++) data[i] = (unsigned char)(rand_r(&seed) >> 8 & 0x3f);
    for (size_t pad = 0; pad < 3; pad++) {
        size_t header_bytes = sizeof big_header + pad, size;
        /* An infinity, and a NaN in the element that lies over the end of the first chunk or just before. */
        size_t split = ((size_t)(4 << 20) - 8 - header_bytes - 6) / 2;
        memcpy(data + 6 + 2 * 100, "\x80\x7f", 2);
        memcpy(data + 6 + 2 * split, "\xc1\xff", 2);
        memcpy(data + 6 + 2 * (split + 7), "\x80\xff", 2);
        unsigned char *bytes = write_file(big_header, header_bytes, data, N_DATA, &size);
        result r = {0};
        char weights[65], expected[65];
        assert_int_equal(sum_all(&r, weights), TESS_OK);
        assert_int_equal(r.n_tensor, 4);
        assert_int_equal(r.n_shard, 1);
        assert_int_equal(r.done, size);
        assert_int_equal(r.total, size);
        const size_t begin[] = {0, 6, 9437190, 9437190}, n[] = {6, BIG, 0, 22};
        for (int i = 0; i < 4; i++) {
            digest(data + begin[i], n[i], expected);
            assert_string_equal(r.sum[i].sha256, expected);
            assert_true(r.sum[i].is_readable);
            assert_int_equal(r.sum[i].n_nonfinite, i == 1 ? 3 : 0);
        }
        assert_int_equal(r.sum[1].first_nonfinite, 100);
        digest(bytes, size, expected);
        assert_string_equal(r.shard, expected);
        assert_int_equal(strlen(weights), 64);
        memset(data + 6 + 2 * split, 0, 16);
        free(bytes);
    }
    free(data);
}

static void test_float_types(void **state)
{
    (void)state;
    static const struct {
        const char *dtype;
        unsigned item, n_nonfinite;
        unsigned char bytes[64];
    } type[] = {
        /* 1.0, largest, infinity, -infinity, NaN where the type has them */
        {"F64", 8, 2, {0, 0, 0,    0,    0, 0, 0xf0, 0x3f, 0, 0, 0,    0,
                       0, 0, 0xf0, 0x7f, 1, 0, 0,    0,    0, 0, 0xf0, 0xff}},
        {"F32", 4, 3, {0,    0,    0x80, 0x3f, 0xff, 0xff, 0x7f, 0x7f, 0,    0,
                       0x80, 0x7f, 0,    0,    0x80, 0xff, 0,    0,    0xc0, 0x7f}},
        {"F16", 2, 3, {0, 0x3c, 0xff, 0x7b, 0, 0x7c, 0, 0xfc, 1, 0xfe}},
        {"BF16", 2, 3, {0x80, 0x3f, 0x7f, 0x7f, 0x80, 0x7f, 0x80, 0xff, 0xc0, 0x7f}},
        {"F8_E5M2", 1, 3, {0x3c, 0x7b, 0x7c, 0xfc, 0x7e}},
        {"F8_E4M3", 1, 2, {0x38, 0x7e, 0x7f, 0xff, 0xfe}},
        {"I32", 4, 0, {0, 0, 0x80, 0x7f, 0xff, 0xff, 0xff, 0xff}},
        {"U8", 1, 0, {0xff, 0x7f}},
    };
    for (size_t i = 0; i < sizeof type / sizeof *type; i++) {
        char header[128], weights[65];
        size_t size;
        snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[5],\"data_offsets\":[0,%u]}}",
                 type[i].dtype, 5 * type[i].item);
        free(write_file(header, 96, type[i].bytes, 5 * (size_t)type[i].item, &size));
        result r = {0};
        assert_int_equal(sum_all(&r, weights), TESS_OK);
        if (r.sum[0].n_nonfinite != type[i].n_nonfinite)
            fail_msg("%s: %d", type[i].dtype, (int)r.sum[0].n_nonfinite);
        if (type[i].n_nonfinite) assert_int_equal(r.sum[0].first_nonfinite, type[i].item == 8 ? 1 : 2);
    }
}

/* Overlapping tensors are read on their own, those beyond the end not at all, and there is no identity. */
static void test_damaged_file(void **state)
{
    (void)state;
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
                                 "\"b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[4,12]},"
                                 "\"c\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[12,16]},"
                                 "\"d\":{\"dtype\":\"??\",\"shape\":[4],\"data_offsets\":[16,20]},"
                                 "\"e\":{\"dtype\":\"U8\",\"shape\":[99],\"data_offsets\":[20,119]}}";
    unsigned char data[24];
    for (int i = 0; i < 24; i++) data[i] = (unsigned char)(i + 1);
    size_t size;
    free(write_file(header, 400, data, sizeof data, &size));
    result r = {0};
    char weights[65] = "x", expected[65];
    assert_int_equal(sum_all(&r, weights), TESS_OK);
    assert_string_equal(weights, "");
    assert_int_equal(r.n_tensor, 5);
    static const struct {
        size_t begin, n;
    } part[] = {{0, 8}, {4, 8}, {12, 4}};
    for (int i = 0; i < 3; i++) {
        digest(data + part[i].begin, part[i].n, expected);
        assert_string_equal(r.sum[i].sha256, expected);
    }
    assert_false(r.sum[3].is_readable || r.sum[4].is_readable);
    assert_string_equal(r.sum[4].sha256, "");
}

/* An overlap over several chunks: sums of both, and no identity, as the shard is not sound. */
static void test_overlap_of_large_tensors(void **state)
{
    (void)state;
    static const char header[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[7000000],\"data_offsets\":[0,7000000]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[8000000],\"data_offsets\":[1000000,9000000]}}";
    size_t n = 9000000, size;
    unsigned char *data = malloc(n);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++) data[i] = (unsigned char)(i >> 4);
    free(write_file(header, 200, data, n, &size));
    result r = {0};
    char weights[65] = "x", expected[65];
    assert_int_equal(sum_all(&r, weights), TESS_OK);
    assert_string_equal(weights, "");
    digest(data, 7000000, expected);
    assert_string_equal(r.sum[0].sha256, expected);
    digest(data + 1000000, 8000000, expected);
    assert_string_equal(r.sum[1].sha256, expected);
    free(data);
}

static void test_interrupted(void **state)
{
    (void)state;
    unsigned char *data = calloc(1, N_DATA);
    size_t size;
    free(write_file(big_header, 512, data, N_DATA, &size));
    free(data);
    result r = {.stop_at = 1};
    char weights[65] = "untouched";
    assert_int_equal(sum_all(&r, weights), TESS_EINTERRUPTED);
    assert_int_equal(r.n_tensor, 0);
    assert_string_equal(weights, "untouched");
    /* the same of the tensor that is longer than what is read at a time */
    tess_checkpoint *c;
    tess_error err;
    tess_tensor_checksum single = {.n_nonfinite = 77};
    r = (result){.stop_at = 1};
    const tess_progress progress = {take_progress, &r};
    assert_int_equal(tess_checkpoint_open(folder, TESS_DIRECT_AUTO, &c, &err), TESS_OK);
    assert_int_equal(
        tess_checkpoint_checksum_tensor(c, tess_checkpoint_get_tensor(c, 1), &progress, &single, &err),
        TESS_EINTERRUPTED);
    assert_int_equal(r.total, BIG);
    assert_int_equal(single.n_nonfinite, 77);
    tess_checkpoint_close(c);
}

static int make(void **state)
{
    (void)state;
    hollow_folder(folder);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    hollow_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_alignment), cmocka_unit_test(test_float_types),
        cmocka_unit_test(test_damaged_file),    cmocka_unit_test(test_overlap_of_large_tensors),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
