#include "tiny_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "hollow.h"
#include "base/xxh3.h"
#include "scratch.h"

static const char index_name[] = "model.safetensors.index.json";

/* One shard's header, and how many weights follow it. */
static const struct {
    const char *name, *header;
    size_t n;
} shards[TINY_SHARDS] = {
    {"model-00001-of-00002.safetensors",
     "{\"a.exception\":{\"dtype\":\"BF16\",\"shape\":[8,128],\"data_offsets\":[0,2048]},"
     "\"b.table\":{\"dtype\":\"BF16\",\"shape\":[10,128],\"data_offsets\":[2048,4608]}} ",
     1024 + 1280},
    {"model-00002-of-00002.safetensors",
     "{\"c.norm\":{\"dtype\":\"BF16\",\"shape\":[16],\"data_offsets\":[0,32]},"
     "\"d.kernel\":{\"dtype\":\"BF16\",\"shape\":[2,3,4],\"data_offsets\":[32,80]},"
     "\"e.narrow\":{\"dtype\":\"BF16\",\"shape\":[5,3],\"data_offsets\":[80,110]}}",
     16 + 24 + 15},
};

static const char index_text[] =
    "{\"weight_map\":{\"a.exception\":\"model-00001-of-00002.safetensors\","
    "\"b.table\":\"model-00001-of-00002.safetensors\",\"c.norm\":\"model-00002-of-00002.safetensors\","
    "\"d.kernel\":\"model-00002-of-00002.safetensors\",\"e.narrow\":\"model-00002-of-00002.safetensors\"}}";

/* As stored, which is another order than that of the shards. */
static const struct {
    const char *name;
    uint64_t rows_per_piece;
} stored[TINY_TENSORS] = {
    {"b.table", 4}, {"e.narrow", 0}, {"a.exception", 0}, {"d.kernel", 0}, {"c.norm", 0}};

void tiny_source_write(const char *folder)
{
    char path[256];
    for (int i = 0; i < TINY_SHARDS; i++) {
        const size_t n_header = strlen(shards[i].header), n_byte = 8 + n_header + 2 * shards[i].n;
        unsigned char *bytes = calloc(1, n_byte);
        assert_non_null(bytes);
        bytes[0] = (unsigned char)n_header;
        bytes[1] = (unsigned char)(n_header >> 8);
        memcpy(bytes + 8, shards[i].header, n_header);
        for (size_t k = 0; k < shards[i].n; k++) {
            unsigned char *weight = bytes + 8 + n_header + 2 * k;
            weight[0] = (unsigned char)(k * 37 + k / 7);
            weight[1] = (unsigned char)(0x38 + k % 8 + (k % 5 == 4 ? 0x80 : 0));
            /* A seventeenth high byte in the chunk, one more than there are codes. */
            if (i == 0 && k == 77) weight[1] = 0x7c;
        }
        hollow_path(folder, shards[i].name, path);
        scratch_write(path, bytes, n_byte);
        free(bytes);
    }
    hollow_path(folder, index_name, path);
    scratch_write(path, index_text, sizeof index_text - 1);
}

void tiny_order_open(tiny_order *tiny, const char *folder, int n_segment)
{
    tess_error err;
    *tiny = (tiny_order){0};
    if (tess_store_open(folder, TESS_DIRECT_OFF, &tiny->source, &err) != TESS_OK) fail_msg("%s", err.message);
    for (int i = 0; i < TINY_TENSORS; i++)
        tiny->item[i] = (tess_packing_item){.tensor = tess_store_find(tiny->source, stored[i].name),
                                            .rows_per_piece = stored[i].rows_per_piece,
                                            .begins_segment = i == 0 || (i == 1 && n_segment == 2)};
    tess_sha256 sha;
    tiny->file = (tess_packing_file){.name = index_name, .n_byte = sizeof index_text - 1};
    tess_sha256_init(&sha);
    tess_sha256_add(&sha, index_text, sizeof index_text - 1);
    tess_sha256_finish_bytes(&sha, tiny->file.sha256);
    tiny->order = (tess_packing_order){tiny->source, tiny->item, &tiny->file, 1};
}

void tiny_order_close(tiny_order *tiny)
{
    tess_store_close(tiny->source);
}

void tiny_store_write(const char *source, const char *folder, int n_segment)
{
    char path[256];
    tess_error err;
    tiny_order tiny;
    tess_packing *packing;
    tess_packing_facts facts;
    tiny_source_write(source);
    tiny_order_open(&tiny, source, n_segment);
    hollow_path(folder, TESS_PACKED_FILE, path);
    tess_status status = tess_packing_open(&tiny.order, path, NULL, &packing, &err);
    if (status == TESS_OK) status = tess_packing_run(packing, 1, NULL, &err);
    if (status == TESS_OK) status = tess_packing_commit(packing, &facts, &err);
    if (status != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(facts.n_packed, 4);
    assert_int_equal(facts.n_packed + facts.n_plain, TINY_PIECES);
    tiny_order_close(&tiny);
    hollow_path(folder, index_name, path);
    scratch_write(path, index_text, sizeof index_text - 1);
}

/* ---- the file ---- */

tess_packed_superblock *tiny_superblock(tiny_file *file)
{
    return (tess_packed_superblock *)(void *)file->bytes;
}

tess_packed_table tiny_table(tiny_file *file)
{
    return tess_packed_table_at(file->bytes + TESS_IO_ALIGN, file->table_bytes);
}

void tiny_file_read(tiny_file *file, const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    file->size = fread(file->bytes, 1, sizeof file->bytes, f);
    fclose(f);
    file->table_bytes = tiny_superblock(file)->table_bytes;
    file->data_offset = tiny_superblock(file)->data_offset;
    assert_true(file->size > file->data_offset && file->size < sizeof file->bytes);
    assert_int_equal(tiny_table(file).counts->n_piece, TINY_PIECES);
}

void tiny_repair(tiny_file *file)
{
    tess_packed_superblock s = *tiny_superblock(file);
    s.table_hash = tess_xxh3(file->bytes + TESS_IO_ALIGN, file->data_offset - TESS_IO_ALIGN);
    tess_packed_superblock_write(&s, file->bytes);
}
