/* The table of a store that is to be made, and whether one that is there is the same. */
#include "store/packing_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "base/xxh3.h"
#include "store/checksum.h"

static uint64_t count_pieces(uint64_t n_row, uint64_t rows_per_piece)
{
    return (n_row + rows_per_piece - 1) / rows_per_piece;
}

/* How the tensors are cut, by their places: rows of a piece. The caller frees *out. */
static tess_status list_rows(const tess_packing_order *order, uint64_t **out, tess_error *err)
{
    const size_t n = tess_store_get_count(order->source);
    uint64_t *rows = calloc(n + 1, sizeof *rows);
    if (!rows) return tess_fail(err, TESS_ENOMEM, "no memory for a table of tensors");
    for (size_t i = 0; i < n; i++) {
        const tess_tensor *t = order->item[i].tensor;
        uint64_t n_row = 1, n_col;
        if (!tess_tensor_count_rows(t, &n_row, &n_col)) {
            free(rows);
            return tess_refuse(err, tess_store_get_shard_path(order->source, t->shard), t->name,
                               (int64_t)t->offset, "BF16, and elements", "%s", tess_dtype_name(t->dtype));
        }
        const uint64_t wanted = order->item[i].rows_per_piece;
        rows[tess_store_get_place(order->source, t)] = wanted && wanted < n_row ? wanted : n_row;
    }
    *out = rows;
    return TESS_OK;
}

static uint64_t head_bytes_of(const tess_store *source, int shard)
{
    return tess_safetensors_get_head_bytes(tess_store_get_shard(source, shard));
}

static tess_packed_counts count_all(const tess_packing_order *order, const uint64_t *rows)
{
    const tess_store *source = order->source;
    tess_packed_counts c = {.n_shard = (uint32_t)tess_store_get_shard_count(source),
                            .n_tensor = (uint32_t)tess_store_get_count(source),
                            .n_file = (uint32_t)order->n_file};
    for (int i = 0; i < tess_store_get_shard_count(source); i++)
        c.n_text_byte += strlen(tess_store_get_shard_name(source, i)) + 1 + head_bytes_of(source, i);
    for (size_t i = 0; i < order->n_file; i++) c.n_text_byte += strlen(order->file[i].name) + 1;
    for (size_t i = 0; i < c.n_tensor; i++) {
        uint64_t n_row = 0, n_col;
        tess_tensor_count_rows(tess_store_get(source, i), &n_row, &n_col);
        c.n_piece += (uint32_t)count_pieces(n_row, rows[i]);
    }
    return c;
}

static uint64_t put_name(tess_packed_table *t, uint64_t *used, const char *name)
{
    const uint64_t at = *used;
    memcpy(t->texts + at, name, strlen(name) + 1);
    *used += strlen(name) + 1;
    return at;
}

static tess_status put_shards(tess_packed_table *t, const tess_store *source, uint64_t *used, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int i = 0; i < tess_store_get_shard_count(source) && status == TESS_OK; i++) {
        const tess_safetensors *st = tess_store_get_shard(source, i);
        tess_file *file = tess_safetensors_get_file(st);
        tess_packed_shard *s = &t->shard[i];
        *s = (tess_packed_shard){.n_byte = tess_file_get_size(file),
                                 .ctime_ns = tess_file_get_ctime_ns(file),
                                 .name = put_name(t, used, tess_store_get_shard_name(source, i)),
                                 .n_head_byte = head_bytes_of(source, i),
                                 .n_tensor = tess_safetensors_get_count(st)};
        s->head = *used;
        status = tess_file_read(file, 0, t->texts + *used, s->n_head_byte, err);
        *used += s->n_head_byte;
    }
    return status;
}

static void put_tensors(tess_packed_table *t, const tess_store *source, const uint64_t *rows)
{
    uint32_t n_piece = 0;
    for (uint32_t i = 0; i < t->counts->n_tensor; i++) {
        uint64_t n_row = 0, n_col;
        tess_tensor_count_rows(tess_store_get(source, i), &n_row, &n_col);
        tess_packed_tensor *w = &t->tensor[i];
        *w = (tess_packed_tensor){.rows_per_piece = (uint32_t)rows[i],
                                  .first_piece = n_piece,
                                  .n_piece = (uint32_t)count_pieces(n_row, rows[i])};
        for (uint32_t k = 0; k < w->n_piece; k++) {
            t->piece[n_piece++] = (tess_packed_piece){.n_row = (uint32_t)(n_row < rows[i] ? n_row : rows[i])};
            n_row -= n_row < rows[i] ? n_row : rows[i];
        }
    }
}

tess_status tess_packing_table_make(const tess_packing_order *order, tess_packed_table *out, tess_error *err)
{
    uint64_t n_byte, used = 0, *rows = NULL;
    tess_status status = list_rows(order, &rows, err);
    if (status != TESS_OK) return status;
    const tess_packed_counts counts = count_all(order, rows);
    if (!tess_packed_table_count_bytes(&counts, &n_byte)) TESS_BUG("a table that cannot be counted");
    /* With the zeros behind it, as it is written. */
    tess_packed_counts *block = calloc(1, tess_packed_data_offset(n_byte) - TESS_IO_ALIGN);
    if (!block) {
        free(rows);
        return tess_fail(err, TESS_ENOMEM, "no memory for a table of tensors");
    }
    *block = counts;
    tess_packed_table t = tess_packed_table_at(block, n_byte);
    put_tensors(&t, order->source, rows);
    free(rows);
    status = put_shards(&t, order->source, &used, err);
    for (size_t i = 0; i < order->n_file; i++) {
        t.file[i] = (tess_packed_file){.n_byte = order->file[i].n_byte,
                                       .name = put_name(&t, &used, order->file[i].name)};
        memcpy(t.file[i].sha256, order->file[i].sha256, TESS_SHA256_BYTES);
    }
    if (status != TESS_OK)
        free(block);
    else
        *out = t;
    return status;
}

/* ---- comparing ---- */

static tess_status refuse_other(const char *path, const char *field, const char *found, tess_error *err)
{
    return tess_refuse(err, path, field, -1,
                       "what is made of this checkpoint; remove it, or name another folder", "%s", found);
}

static tess_status compare_shards(const tess_packed_table *a, const tess_packed_table *b, const char *path,
                                  bool *is_sure, tess_error *err)
{
    for (uint32_t i = 0; i < a->counts->n_shard; i++) {
        const tess_packed_shard *x = &a->shard[i], *y = &b->shard[i];
        const char *name = a->texts + x->name;
        if (strcmp(name, b->texts + y->name) != 0)
            return refuse_other(path, name, "a store with shards of other names", err);
        if (x->n_byte != y->n_byte || x->n_head_byte != y->n_head_byte ||
            memcmp(a->texts + x->head, b->texts + y->head, x->n_head_byte) != 0)
            return refuse_other(path, name, "a store in which this shard has other tensors", err);
        *is_sure = *is_sure && x->ctime_ns == y->ctime_ns && y->ctime_ns; /* 0 in every finished store */
    }
    return TESS_OK;
}

static tess_status compare_cuts(const tess_packed_table *a, const tess_packed_table *b, const char *path,
                                tess_error *err)
{
    for (uint32_t i = 0; i < a->counts->n_tensor; i++)
        if (a->tensor[i].rows_per_piece != b->tensor[i].rows_per_piece ||
            a->tensor[i].first_piece != b->tensor[i].first_piece ||
            a->tensor[i].n_piece != b->tensor[i].n_piece)
            return refuse_other(path, "", "a store that another version has cut otherwise", err);
    return TESS_OK;
}

static tess_status compare_files(const tess_packed_table *a, const tess_packed_table *b, const char *path,
                                 tess_error *err)
{
    for (uint32_t i = 0; i < a->counts->n_file; i++) {
        const char *name = a->texts + a->file[i].name;
        if (strcmp(name, b->texts + b->file[i].name) != 0)
            return refuse_other(path, name, "a store with other small files", err);
        if (memcmp(a->file[i].sha256, b->file[i].sha256, TESS_SHA256_BYTES) != 0)
            return refuse_other(path, name, "a store in which this file has other bytes", err);
    }
    return TESS_OK;
}

static tess_status compare_tables(const tess_packed_table *wanted, const tess_packed_table *found,
                                  const char *path, bool *is_sure, tess_error *err)
{
    const tess_packed_counts *a = wanted->counts, *b = found->counts;
    *is_sure = true;
    if (a->n_shard != b->n_shard || a->n_tensor != b->n_tensor)
        return refuse_other(path, "", "a store of another checkpoint", err);
    tess_status status = compare_shards(wanted, found, path, is_sure, err);
    if (status == TESS_OK) status = compare_cuts(wanted, found, path, err);
    if (status == TESS_OK && a->n_file != b->n_file)
        return refuse_other(path, "", "a store with other small files", err);
    return status == TESS_OK ? compare_files(wanted, found, path, err) : status;
}

tess_status tess_packing_compare(const tess_packing_order *order, const tess_packed_table *table,
                                 const char *path, bool *is_sure, tess_error *err)
{
    tess_packed_table wanted;
    tess_status status = tess_packing_table_make(order, &wanted, err);
    if (status != TESS_OK) return status;
    status = compare_tables(&wanted, table, path, is_sure, err);
    free(wanted.counts);
    return status;
}

static bool is_known(const tess_packed_tensor *tensor)
{
    for (size_t i = 0; i < TESS_SHA256_BYTES; i++)
        if (tensor->sha256[i]) return true;
    return false;
}

tess_status tess_packing_compare_weights(const tess_packing_order *order, const tess_packed_table *table,
                                         const char *path, const tess_progress *progress, tess_error *err)
{
    uint64_t done = 0, total = 0;
    tess_status status = TESS_OK;
    for (uint32_t i = 0; i < table->counts->n_tensor; i++)
        if (is_known(&table->tensor[i])) total += tess_store_get(order->source, i)->n_byte;
    for (uint32_t i = 0; i < table->counts->n_tensor && status == TESS_OK; i++) {
        const tess_tensor *t = tess_store_get(order->source, i);
        tess_tensor_checksum sum;
        char recorded[TESS_SHA256_HEX];
        if (!is_known(&table->tensor[i])) continue;
        status = tess_checksum_tensor(order->source, t, NULL, &sum, err);
        if (status != TESS_OK) return status;
        tess_sha256_spell(table->tensor[i].sha256, recorded);
        if (strcmp(recorded, sum.sha256) != 0)
            return refuse_other(path, t->name, "a store in which this tensor has other weights", err);
        done += t->n_byte;
        status = tess_progress_tell(progress, TESS_ACTIVITY_CHECKSUMS, done, total, err);
    }
    return status;
}

tess_status tess_packing_check_pieces(tess_file *file, const tess_packed_table *table,
                                      const tess_progress *progress, bool *is_intact, tess_error *err)
{
    uint64_t done = 0, total = 0, largest = 0;
    for (uint32_t i = 0; i < table->counts->n_piece; i++) {
        total += table->piece[i].n_byte;
        if (table->piece[i].n_byte > largest) largest = table->piece[i].n_byte;
    }
    unsigned char *room = malloc(largest + 1);
    tess_status status = room ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory to check a packed store");
    *is_intact = true;
    for (uint32_t i = 0; i < table->counts->n_piece && *is_intact && status == TESS_OK; i++) {
        const tess_packed_piece *piece = &table->piece[i];
        status = tess_file_read(file, piece->offset, room, piece->n_byte, err);
        *is_intact = status == TESS_OK && tess_xxh3(room, piece->n_byte) == piece->hash;
        done += piece->n_byte;
        if (status == TESS_OK)
            status = tess_progress_tell(progress, TESS_ACTIVITY_CHECKSUMS, done, total, err);
    }
    free(room);
    return status;
}
