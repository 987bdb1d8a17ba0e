#include "store/packed_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/xxh3.h"
#include "kernels/matrix.h"

_Static_assert(sizeof(tess_packed_superblock) == 48 && sizeof(tess_packed_counts) == 24 &&
                   sizeof(tess_packed_shard) == 48 && sizeof(tess_packed_tensor) == 48 &&
                   sizeof(tess_packed_piece) == 32 && sizeof(tess_packed_file) == 48,
               "these are records of a file");

enum { HASHED_BYTES = TESS_IO_ALIGN - sizeof(uint64_t) };

/* The published model's has 7 MB. */
static const uint64_t MAX_TABLE_BYTES = 1 << 30;

bool tess_packed_table_count_bytes(const tess_packed_counts *counts, uint64_t *n_byte)
{
    uint64_t sum = sizeof *counts;
    sum += counts->n_shard * (uint64_t)sizeof(tess_packed_shard);
    sum += counts->n_tensor * (uint64_t)sizeof(tess_packed_tensor);
    sum += counts->n_piece * (uint64_t)sizeof(tess_packed_piece);
    sum += counts->n_file * (uint64_t)sizeof(tess_packed_file);
    return tess_add_u64(sum, counts->n_text_byte, n_byte);
}

tess_packed_table tess_packed_table_at(void *block, uint64_t n_byte)
{
    tess_packed_table t = {.counts = block, .n_byte = n_byte};
    t.shard = (tess_packed_shard *)(t.counts + 1);
    t.tensor = (tess_packed_tensor *)(t.shard + t.counts->n_shard);
    t.piece = (tess_packed_piece *)(t.tensor + t.counts->n_tensor);
    t.file = (tess_packed_file *)(t.piece + t.counts->n_piece);
    t.texts = (char *)(t.file + t.counts->n_file);
    return t;
}

void tess_packed_table_count_forms(const tess_packed_table *table, uint64_t *n_packed, uint64_t *n_plain)
{
    *n_packed = 0;
    for (uint32_t i = 0; i < table->counts->n_piece; i++)
        *n_packed += table->piece[i].format == TESS_FORMAT_PACKED;
    *n_plain = table->counts->n_piece - *n_packed;
}

uint32_t tess_packed_tensor_check(const tess_packed_table *table, const tess_packed_tensor *tensor)
{
    uint64_t hash = tess_xxh3(tensor->sha256, sizeof tensor->sha256);
    for (uint32_t i = 0; i < tensor->n_piece; i++)
        hash ^= tess_xxh3(&table->piece[tensor->first_piece + i], sizeof *table->piece) + i;
    return (uint32_t)hash;
}

void tess_packed_superblock_write(const tess_packed_superblock *superblock,
                                  unsigned char block[TESS_IO_ALIGN])
{
    memset(block, 0, TESS_IO_ALIGN);
    memcpy(block, superblock, sizeof *superblock);
    const uint64_t hash = tess_xxh3(block, HASHED_BYTES);
    memcpy(block + HASHED_BYTES, &hash, sizeof hash);
}

/* ---- reading ---- */

typedef struct reader {
    tess_file *file;
    const char *path;
    bool whole; /* none that is not finished */
    tess_packed_superblock superblock;
    tess_packed_table table;
    tess_error *err;
} reader;

static tess_status refuse(const reader *r, const char *field, uint64_t offset, const char *expected,
                          uint64_t found)
{
    return tess_refuse(r->err, r->path, field, (int64_t)offset, expected, "%" PRIu64, found);
}

static tess_status read_superblock(reader *r)
{
    static const char kind[] = "a packed store, as 'tessera pack' makes it";
    unsigned char block[TESS_IO_ALIGN];
    uint64_t size = tess_file_get_size(r->file), hash;
    tess_packed_superblock *s = &r->superblock;
    if (size < sizeof block)
        return tess_refuse(r->err, r->path, "", -1, kind, "a file of %" PRIu64 " bytes", size);
    tess_status status = tess_file_read(r->file, 0, block, sizeof block, r->err);
    if (status != TESS_OK) return status;
    memcpy(s, block, sizeof *s);
    memcpy(&hash, block + HASHED_BYTES, sizeof hash);
    if (memcmp(s->magic, TESS_PACKED_MAGIC, sizeof s->magic) != 0)
        return tess_refuse(r->err, r->path, "", 0, kind, "another kind of file");
    if (s->version > TESS_PACKED_VERSION && hash == tess_xxh3(block, HASHED_BYTES)) {
        char expected[64];
        snprintf(expected, sizeof expected, "%d or less; a newer Tessera reads it", TESS_PACKED_VERSION);
        tess_refuse(r->err, r->path, "version", 8, expected, "%" PRIu32, s->version);
        if (r->err) r->err->status = TESS_EUNSUPPORTED;
        return TESS_EUNSUPPORTED;
    }
    if (hash != tess_xxh3(block, HASHED_BYTES))
        return tess_refuse(r->err, r->path, "superblock", 0, "its checksum", "other bytes: it is damaged");
    if (s->version != TESS_PACKED_VERSION) return refuse(r, "version", 8, "1", s->version);
    if (s->is_whole > 1) return refuse(r, "superblock: is_whole", 12, "0 or 1", s->is_whole);
    if (r->whole && !s->is_whole)
        return tess_refuse(r->err, r->path, "", -1, "a packed store", "one that is not finished");
    if (s->table_bytes < sizeof(tess_packed_counts) || s->table_bytes > MAX_TABLE_BYTES ||
        tess_packed_data_offset(s->table_bytes) > size)
        return refuse(r, "superblock: table_bytes", 16, "the size of a table inside the file",
                      s->table_bytes);
    if (s->data_offset != tess_packed_data_offset(s->table_bytes))
        return refuse(r, "superblock: data_offset", 32, "the first block behind the table", s->data_offset);
    if (r->whole && s->file_bytes != size) {
        char expected[64];
        snprintf(expected, sizeof expected, "a file of %" PRIu64 " bytes", s->file_bytes);
        return tess_refuse(r->err, r->path, "", -1, expected, "%" PRIu64 " bytes%s", size,
                           size < s->file_bytes ? ": it is cut off" : "");
    }
    return TESS_OK;
}

/* A text that ends inside the table, and is a plain file name. */
static bool is_name(const tess_packed_table *t, uint64_t at)
{
    if (at >= t->counts->n_text_byte) return false;
    const size_t most = (size_t)(t->counts->n_text_byte - at);
    const char *name = t->texts + at;
    const size_t n = strnlen(name, most);
    return n < most && n > 0 && n < 200 && !memchr(name, '/', n) && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static tess_status check_shards(const reader *r)
{
    const tess_packed_table *t = &r->table;
    uint64_t n_tensor = 0;
    for (uint32_t i = 0; i < t->counts->n_shard; i++) {
        const tess_packed_shard *s = &t->shard[i];
        if (!is_name(t, s->name)) return refuse(r, "shard: name", 0, "the place of a file name", s->name);
        if (i > 0 && strcmp(t->texts + s[-1].name, t->texts + s->name) >= 0)
            return tess_refuse(r->err, r->path, "shard: name", -1, "names in their order", "\"%.100s\"",
                               t->texts + s->name);
        if (s->head > t->counts->n_text_byte || s->n_head_byte > t->counts->n_text_byte - s->head)
            return refuse(r, "shard: header", 0, "a place inside the table", s->head);
        if (s->n_tensor > t->counts->n_tensor - n_tensor)
            return refuse(r, "shard: tensors", 0, "no more than the table has", s->n_tensor);
        n_tensor += s->n_tensor;
    }
    return n_tensor == t->counts->n_tensor
               ? TESS_OK
               : refuse(r, "tensors", 0, "as many as all shards have", t->counts->n_tensor);
}

/* Every piece belongs to one tensor, and they come in the tensors' order. */
static tess_status check_tensors(const reader *r)
{
    const tess_packed_table *t = &r->table;
    uint64_t n_piece = 0;
    for (uint32_t i = 0; i < t->counts->n_tensor; i++) {
        const tess_packed_tensor *w = &t->tensor[i];
        if (w->first_piece != n_piece || w->n_piece == 0 || w->n_piece > t->counts->n_piece - n_piece ||
            w->rows_per_piece == 0)
            return refuse(r, "tensor: pieces", 0, "pieces that follow those of the tensor before", i);
        n_piece += w->n_piece;
    }
    return n_piece == t->counts->n_piece
               ? TESS_OK
               : refuse(r, "pieces", 0, "as many as all tensors have", t->counts->n_piece);
}

static int compare_places(const void *a, const void *b)
{
    const tess_packed_piece *x = *(const tess_packed_piece *const *)a,
                            *y = *(const tess_packed_piece *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Pieces follow each other from the first block on up to the end of the file. */
static tess_status check_places(const reader *r, const tess_packed_piece **order)
{
    const tess_packed_table *t = &r->table;
    uint64_t end = r->superblock.data_offset, n = t->counts->n_piece;
    for (uint32_t i = 0; i < n; i++) {
        const tess_packed_piece *p = &t->piece[i];
        if (p->format > TESS_FORMAT_PACKED) return refuse(r, "piece: format", 0, "0 or 1", p->format);
        if (p->n_byte == 0 || p->n_byte % TESS_PIECE_ALIGN || p->n_row == 0)
            return refuse(r, "piece: bytes", 0, "rows, in a multiple of 64 bytes", p->n_byte);
        order[i] = p;
    }
    qsort(order, n, sizeof *order, compare_places);
    for (uint64_t i = 0; i < n; i++) {
        if (order[i]->offset != end)
            return refuse(r, "piece: offset", end, "pieces that follow each other", order[i]->offset);
        if (!tess_add_u64(end, order[i]->n_byte, &end) || end > INT64_MAX)
            return refuse(r, "piece: bytes", 0, "a piece inside the file", order[i]->n_byte);
    }
    return end == tess_file_get_size(r->file)
               ? TESS_OK
               : refuse(r, "pieces", end, "pieces up to the end of the file", end);
}

/* Names are in their order, so each is there once; none is a shard's, which would be written over. Both lists
 * are walked side by side: how long they are is for the file to say. */
static tess_status check_files(const reader *r)
{
    const tess_packed_table *t = &r->table;
    uint32_t k = 0; /* the first shard whose name is not below the file's */
    for (uint32_t i = 0; i < t->counts->n_file; i++) {
        const tess_packed_file *f = &t->file[i];
        if (!is_name(t, f->name)) return refuse(r, "file: name", 0, "the place of a file name", f->name);
        const char *name = t->texts + f->name;
        while (k < t->counts->n_shard && strcmp(t->texts + t->shard[k].name, name) < 0) k++;
        const bool is_shard = k < t->counts->n_shard && !strcmp(t->texts + t->shard[k].name, name);
        if (is_shard || (i > 0 && strcmp(t->texts + f[-1].name, name) >= 0))
            return tess_refuse(r->err, r->path, "file: name", -1, "names in their order, none a shard's",
                               "\"%.100s\"", name);
    }
    return TESS_OK;
}

static tess_status check_table(reader *r)
{
    const tess_packed_piece **order = malloc((r->table.counts->n_piece + (size_t)1) * sizeof *order);
    if (!order) return tess_fail(r->err, TESS_ENOMEM, "%s: no memory for its table", r->path);
    tess_status status = check_shards(r);
    if (status == TESS_OK) status = check_tensors(r);
    if (status == TESS_OK) status = check_files(r);
    if (status == TESS_OK && r->whole) status = check_places(r, order);
    free(order);
    return status;
}

/* While a store is being made its table changes, and only its pieces are under a checksum. */
static tess_status read_table(reader *r)
{
    const tess_packed_superblock *s = &r->superblock;
    const uint64_t all_bytes = s->data_offset - TESS_IO_ALIGN;
    tess_packed_counts *block = malloc(all_bytes);
    if (!block) return tess_fail(r->err, TESS_ENOMEM, "%s: no memory for its table", r->path);
    r->table.counts = block;
    tess_status status = tess_file_read(r->file, TESS_IO_ALIGN, block, all_bytes, r->err);
    if (status != TESS_OK) return status;
    if (r->whole && tess_xxh3(block, all_bytes) != s->table_hash)
        return tess_refuse(r->err, r->path, "table", TESS_IO_ALIGN, "its checksum",
                           "other bytes: it is damaged");
    uint64_t n_byte;
    if (!tess_packed_table_count_bytes(block, &n_byte) || n_byte != s->table_bytes)
        return tess_refuse(r->err, r->path, "table", TESS_IO_ALIGN, "counts that make up its size",
                           "%" PRIu64 " bytes", s->table_bytes);
    r->table = tess_packed_table_at(block, n_byte);
    return check_table(r);
}

tess_status tess_packed_table_read(tess_file *file, bool whole, tess_packed_table *out, tess_error *err)
{
    reader r = {.file = file, .path = tess_file_get_path(file), .whole = whole, .err = err};
    tess_status status = read_superblock(&r);
    if (status == TESS_OK) status = read_table(&r);
    if (status != TESS_OK)
        free(r.table.counts);
    else
        *out = r.table;
    return status;
}
