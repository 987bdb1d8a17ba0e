/* A packed store of a few made-up tensors: published bytes at any place, rows as they were cut, in either
 * form; gone on with from any length; damage that is noticed and named. */
#include "store/packing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/hollow.h"
#include "../support/scratch.h"
#include "base/random.h"
#include "io/partial.h"
#include "store/shard_reader.h"

/* "table" is cut into blocks of rows, "thirds" and its bias into thirds; "wild" cannot be packed. */
enum { N_TENSOR = 7, N_COL = 256, DATA_BYTES = 2 * (50 + 20 + 30 + 20) * N_COL + 2 * (30 + 10 + 36) };
static const char header[] =
    "{\"bias\":{\"dtype\":\"BF16\",\"shape\":[30],\"data_offsets\":[0,60]},"
    "\"convolution\":{\"dtype\":\"BF16\",\"shape\":[4,3,3],\"data_offsets\":[60,132]},"
    "\"norm\":{\"dtype\":\"BF16\",\"shape\":[10],\"data_offsets\":[132,152]},"
    "\"table\":{\"dtype\":\"BF16\",\"shape\":[50,256],\"data_offsets\":[152,25752]},"
    "\"tame\":{\"dtype\":\"BF16\",\"shape\":[20,256],\"data_offsets\":[25752,35992]},"
    "\"thirds\":{\"dtype\":\"BF16\",\"shape\":[30,256],\"data_offsets\":[35992,51352]},"
    "\"wild\":{\"dtype\":\"BF16\",\"shape\":[20,256],\"data_offsets\":[51352,61592]}}";

typedef struct fixture {
    char source[SCRATCH_BYTES], store[SCRATCH_BYTES], path[128];
    unsigned char *file; /* model.safetensors as published */
    size_t n_byte;
    tess_store *plain;
    tess_packing_item item[N_TENSOR];
    tess_packing_order order;
} fixture;

static uint64_t rows_of(const char *name)
{
    if (!strcmp(name, "table")) return 16;
    return !strcmp(name, "bias") || !strcmp(name, "thirds") ? 10 : 0;
}

static void write_source(fixture *f)
{
    char path[256];
    uint64_t random = 7;
    hollow_path(f->source, "model.safetensors", path);
    f->n_byte = 8 + sizeof header - 1 + DATA_BYTES;
    f->file = calloc(1, f->n_byte);
    const uint64_t n = sizeof header - 1;
    memcpy(f->file, &n, sizeof n);
    memcpy(f->file + 8, header, n);
    for (size_t i = 8 + n; i + 1 < f->n_byte; i += 2) {
        const uint64_t drawn = tess_random_next(&random);
        const bool is_wild = i - 8 - n >= 51352;
        f->file[i] = (unsigned char)drawn;
        f->file[i + 1] = (unsigned char)(is_wild ? drawn >> 8 : 0x3a + (drawn >> 8) % 5);
    }
    f->file[8 + n + 25752 + 77] = 0xff; /* an exception or two of "tame", for which codes are left */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(f->file, 1, f->n_byte, file), f->n_byte);
    fclose(file);
}

static int set_up(void **state)
{
    static fixture f;
    tess_error err;
    f = (fixture){0};
    if (scratch_make_folder(f.source, SCRATCH_ANYWHERE) || scratch_make_folder(f.store, SCRATCH_ANYWHERE))
        return -1;
    snprintf(f.path, sizeof f.path, "%s/" TESS_PACKED_FILE, f.store);
    write_source(&f);
    if (tess_store_open(f.source, TESS_DIRECT_AUTO, &f.plain, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(tess_store_get_count(f.plain), N_TENSOR);
    for (size_t i = 0; i < N_TENSOR; i++) { /* not in the order of places */
        const tess_tensor *t = tess_store_get(f.plain, (i * 3 + 2) % N_TENSOR);
        f.item[i] = (tess_packing_item){t, rows_of(t->name), i != 3};
    }
    f.order = (tess_packing_order){.source = f.plain, .item = f.item};
    *state = &f;
    return 0;
}

static void remove_file(const char *folder, const char *name)
{
    char path[256];
    hollow_path(folder, name, path);
    unlink(path);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tess_store_close(f->plain);
    free(f->file);
    remove_file(f->source, "model.safetensors");
    remove_file(f->store, TESS_PACKED_FILE);
    remove_file(f->store, TESS_PACKED_FILE TESS_PARTIAL_SUFFIX);
    return rmdir(f->source) || rmdir(f->store);
}

static tess_packing_facts pack(const fixture *f, int n_thread)
{
    tess_packing *packing;
    tess_packing_facts facts = {0};
    tess_error err;
    if (tess_packing_open(&f->order, f->path, NULL, &packing, &err) != TESS_OK ||
        tess_packing_run(packing, n_thread, NULL, &err) != TESS_OK ||
        tess_packing_commit(packing, &facts, &err) != TESS_OK)
        fail_msg("%s", err.message);
    return facts;
}

static tess_store *open_packed(const fixture *f)
{
    tess_store *store;
    tess_error err;
    if (tess_store_open(f->store, TESS_DIRECT_AUTO, &store, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_non_null(tess_store_get_packed(store));
    return store;
}

/* Any part of the shard, odd ones too, in any order. */
static void test_published_bytes(void **state)
{
    fixture *f = *state;
    tess_error err;
    const tess_packing_facts facts = pack(f, 2);
    assert_int_equal(facts.n_packed, 4 + 1 + 3); /* of table, tame and thirds */
    assert_int_equal(facts.n_plain, 1 + 1 + 1 + 3);
    tess_store *store = open_packed(f);
    tess_shard_reader *reader;
    uint64_t damage, random = 3;
    unsigned char *window = aligned_alloc(4096, tess_window_bytes(f->n_byte));
    const void *data;
    assert_int_equal(tess_shard_reader_new(store, 0, &reader, &err), TESS_OK);
    assert_int_equal(tess_shard_reader_get_size(reader), f->n_byte);
    for (int i = 0; i < 400; i++) {
        const size_t begin = i ? tess_random_next(&random) % f->n_byte : 0;
        const size_t most = i % 2 ? 40 : f->n_byte, left = f->n_byte - begin;
        const size_t n = i ? tess_random_next(&random) % (left < most ? left + 1 : most) : f->n_byte;
        if (tess_shard_reader_read(reader, begin, n, window, &data, &err) != TESS_OK)
            fail_msg("%s", err.message);
        assert_memory_equal(data, f->file + begin, n);
    }
    for (size_t i = 0; i < N_TENSOR; i++) assert_false(tess_shard_reader_is_damaged(reader, i, &damage));
    assert_int_equal(tess_shard_reader_read(reader, f->n_byte, 1, window, &data, &err), TESS_EINPUT);
    tess_shard_reader_free(reader);
    tess_store_close(store);
    free(window);
}

/* Segments begin on a block, and what belongs to one lies together. */
static void test_segments(void **state)
{
    fixture *f = *state;
    tess_error err;
    pack(f, 2);
    tess_store *store = open_packed(f);
    uint64_t end = 0;
    for (size_t i = 0; i < N_TENSOR; i++) {
        const tess_tensor *t = tess_store_find(store, f->item[i].tensor->name);
        uint64_t n_row, n_col, rows = tess_store_get_block_rows(store, t);
        assert_true(tess_tensor_count_rows(t, &n_row, &n_col));
        for (uint64_t first = 0; first < n_row; first += rows) {
            tess_weight w;
            const uint64_t n = n_row - first < rows ? n_row - first : rows;
            assert_int_equal(tess_store_locate(store, t, first, n, &w, &err), TESS_OK);
            if (end) assert_int_equal(w.offset, end);
            if (first == 0 && f->item[i].begins_segment) assert_int_equal(w.offset % TESS_IO_ALIGN, 0);
            end = w.offset + w.n_byte;
        }
    }
    assert_int_equal(end, tess_file_get_size(tess_store_get_file(store, 0)));
    tess_store_close(store);
}

/* The rows that were cut, and no others, as the elements of the tensor. */
static void test_rows(void **state)
{
    fixture *f = *state;
    tess_error err;
    pack(f, 3);
    tess_store *store = open_packed(f);
    for (size_t i = 0; i < N_TENSOR; i++) {
        const tess_tensor *t = tess_store_get(store, i);
        const bool is_vector = t->n_dim == 1;
        uint64_t n_row, n_col, rows = tess_store_get_block_rows(store, t);
        assert_true(tess_tensor_count_rows(t, &n_row, &n_col));
        assert_int_equal(rows, rows_of(t->name) ? rows_of(t->name) : n_row);
        for (uint64_t first = 0; first < n_row; first += rows) {
            const uint64_t n = n_row - first < rows ? n_row - first : rows;
            tess_weight w;
            assert_int_equal(tess_store_locate(store, t, first, n, &w, &err), TESS_OK);
            assert_int_equal((uint64_t)w.n_row * (uint64_t)w.n_col, n * n_col);
            assert_int_equal(w.n_row, is_vector ? 1 : n);
            assert_int_equal(w.offset % 64, 0);
            assert_int_equal(w.format, !strcmp(t->name, "table") || !strcmp(t->name, "tame") ||
                                               !strcmp(t->name, "thirds")
                                           ? TESS_FORMAT_PACKED
                                           : TESS_FORMAT_BF16);
            uint16_t *plain = malloc(tess_weight_plain_bytes(&w));
            if (w.format == TESS_FORMAT_BF16) {
                assert_int_equal(tess_store_read_weight(store, &w, plain, &err), TESS_OK);
                assert_memory_equal(plain, f->file + t->offset + first * n_col * 2,
                                    tess_weight_plain_bytes(&w));
            }
            free(plain);
        }
        tess_weight w;
        if (rows < n_row) {
            assert_int_equal(tess_store_locate(store, t, 0, n_row, &w, &err), TESS_EINPUT);
            assert_int_equal(tess_store_locate(store, t, 1, rows, &w, &err), TESS_EINPUT);
            assert_non_null(strstr(err.message, "pack the checkpoint again"));
        }
    }
    tess_store_close(store);
}

static unsigned char *read_all(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *n = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*n + 1);
    assert_int_equal(fread(bytes, 1, *n, file), *n);
    fclose(file);
    return bytes;
}

static void write_all(const char *path, const unsigned char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* An unfinished file of any length, and one whose last pieces were never written, gives the same store. */
static void test_goes_on(void **state)
{
    fixture *f = *state;
    char part[160];
    size_t n, n_again, n_part;
    tess_error err;
    tess_packing *packing;
    pack(f, 1);
    unsigned char *whole = read_all(f->path, &n);
    snprintf(part, sizeof part, "%s" TESS_PARTIAL_SUFFIX, f->path);
    rename(f->path, part); /* as if killed right before it got its name */
    const tess_packing_facts named = pack(f, 1);
    assert_int_equal(named.found_bytes, named.plain_bytes);
    unlink(f->path);
    assert_int_equal(tess_packing_open(&f->order, f->path, NULL, &packing, &err), TESS_OK);
    assert_int_equal(tess_packing_run(packing, 2, NULL, &err), TESS_OK);
    tess_packing_close(packing); /* all is written, and nothing has its name */
    unsigned char *unfinished = read_all(part, &n_part);
    /* A table in disorder: the places of pieces are not believed, and what is no table is made anew. */
    for (size_t at = 4096; at < 8192; at += 24) {
        unsigned char *torn = malloc(n_part);
        memcpy(torn, unfinished, n_part);
        torn[at] ^= 1;
        write_all(part, torn, n_part);
        free(torn);
        tess_status status = tess_packing_open(&f->order, f->path, NULL, &packing, &err);
        if (status != TESS_OK) { /* it seems to be another checkpoint's */
            assert_int_equal(status, TESS_EINPUT);
            assert_non_null(strstr(err.message, "remove it"));
            unlink(part);
            continue;
        }
        tess_packing_close(packing);
        pack(f, 2);
        unsigned char *again = read_all(f->path, &n_again);
        assert_int_equal(n_again, n);
        assert_memory_equal(again, whole, n);
        free(again);
        unlink(f->path);
    }
    for (size_t length = 0; length <= n_part; length += length < 5000 ? 1250 : 4567) {
        for (int damage = 0; damage < 2; damage++) {
            write_all(part, unfinished, length);
            if (damage && length > 20000) {
                FILE *file = fopen(part, "r+b");
                fseek(file, (long)length - 9000, SEEK_SET);
                fwrite("damaged damaged", 1, 15, file);
                fclose(file);
            }
            const tess_packing_facts facts = pack(f, 2);
            assert_true(facts.found_bytes <= facts.plain_bytes);
            unsigned char *again = read_all(f->path, &n_again);
            assert_int_equal(n_again, n);
            assert_memory_equal(again, whole, n);
            free(again);
            unlink(f->path);
        }
    }
    free(whole);
    free(unfinished);
}

/* One bit anywhere in the pieces: the tensor is named, and its weights are not lent. */
static void test_damage(void **state)
{
    fixture *f = *state;
    tess_error err;
    pack(f, 2);
    for (size_t i = 0; i < N_TENSOR; i++) {
        tess_store *store = open_packed(f); /* anew: what was compared once is not again */
        const tess_tensor *t = tess_store_get(store, i);
        tess_weight w;
        uint64_t n_row, n_col, damage = 0;
        const uint64_t rows = tess_store_get_block_rows(store, t);
        tess_tensor_count_rows(t, &n_row, &n_col);
        assert_int_equal(tess_store_locate(store, t, 0, rows, &w, &err), TESS_OK);
        unsigned char *bytes = aligned_alloc(64, w.n_byte + 64 - w.n_byte % 64);
        assert_int_equal(tess_file_read(tess_store_get_file(store, 0), w.offset, bytes, w.n_byte, &err),
                         TESS_OK);
        for (size_t at = 0; at < w.n_byte; at += 1 + w.n_byte / 40) {
            bytes[at] ^= 4;
            assert_int_equal(tess_store_check_weight(store, &w, bytes, &err), TESS_EINPUT);
            assert_string_equal(err.field, t->name);
            assert_int_equal(err.offset, w.offset);
            bytes[at] ^= 4;
        }
        /* On the disk: as published, zeros in its place, and its tensor alone is damaged. */
        FILE *file = fopen(f->path, "r+b");
        fseek(file, (long)(w.offset + w.n_byte - 1), SEEK_SET);
        fputc(bytes[w.n_byte - 1] ^ 1, file);
        fclose(file);
        tess_shard_reader *reader;
        const void *data;
        void *window = aligned_alloc(4096, tess_window_bytes(f->n_byte));
        assert_int_equal(tess_shard_reader_new(store, 0, &reader, &err), TESS_OK);
        assert_int_equal(tess_shard_reader_read(reader, 0, f->n_byte, window, &data, &err), TESS_OK);
        for (size_t k = 0; k < N_TENSOR; k++)
            assert_int_equal(tess_shard_reader_is_damaged(reader, k, &damage), k <= i);
        tess_shard_reader_free(reader);
        free(window);
        free(bytes);
        tess_store_close(store);
    }
}

/* A store of other weights, or of other cuts, is no beginning of this one. */
static void test_other_sources(void **state)
{
    fixture *f = *state;
    tess_error err;
    tess_packing *packing;
    assert_int_equal(tess_packing_open(&f->order, f->path, NULL, &packing, &err), TESS_OK);
    assert_int_equal(tess_packing_run(packing, 2, NULL, &err), TESS_OK);
    tess_packing_close(packing);
    f->item[0].rows_per_piece = 7;
    assert_int_equal(tess_packing_open(&f->order, f->path, NULL, &packing, &err), TESS_EINPUT);
    assert_non_null(strstr(err.message, "another version has cut otherwise"));
    f->item[0].rows_per_piece = rows_of(f->item[0].tensor->name);
    const tess_packing_file file = {.name = "config.json", .n_byte = 3};
    f->order.file = &file;
    f->order.n_file = 1;
    assert_int_equal(tess_packing_open(&f->order, f->path, NULL, &packing, &err), TESS_EINPUT);
    f->order.n_file = 0;
    f->file[f->n_byte - 1] ^= 1;
    tess_store_close(f->plain);
    char path[256];
    hollow_path(f->source, "model.safetensors", path);
    write_all(path, f->file, f->n_byte);
    assert_int_equal(tess_store_open(f->source, TESS_DIRECT_AUTO, &f->plain, &err), TESS_OK);
    f->order.source = f->plain;
    for (size_t i = 0; i < N_TENSOR; i++)
        f->item[i].tensor = tess_store_get(f->plain, (i * 3 + 2) % N_TENSOR);
    assert_int_equal(tess_packing_open(&f->order, f->path, NULL, &packing, &err), TESS_EINPUT);
    assert_string_equal(err.field, "wild");
    assert_non_null(strstr(err.message, "other weights"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_published_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_segments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_sources, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
