#include "store/packed_store.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xxh3.h"
#include "kernels/packed_weights.h"
#include "store/safetensors.h"

struct tess_packed_store {
    tess_file *file;
    tess_packed_table table;
    uint64_t texts_offset;    /* in the file */
    atomic_bool *has_checked; /* [n_piece] its checksum */
};

tess_status tess_packed_store_open(const char *path, tess_direct direct, tess_packed_store **out,
                                   tess_error *err)
{
    tess_packed_store *packed = calloc(1, sizeof *packed);
    if (!packed) return tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", path);
    tess_status status = tess_file_open(path, direct, &packed->file, err);
    if (status == TESS_OK) status = tess_packed_table_read(packed->file, true, &packed->table, err);
    if (status == TESS_OK) {
        packed->texts_offset = TESS_IO_ALIGN + (uint64_t)(packed->table.texts - (char *)packed->table.counts);
        packed->has_checked = calloc(packed->table.counts->n_piece + (size_t)1, sizeof *packed->has_checked);
        if (!packed->has_checked) status = tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", path);
    }
    if (status != TESS_OK)
        tess_packed_store_close(packed);
    else
        *out = packed;
    return status;
}

void tess_packed_store_close(tess_packed_store *packed)
{
    if (!packed) return;
    tess_file_close(packed->file);
    free(packed->table.counts);
    free(packed->has_checked);
    free(packed);
}

tess_file *tess_packed_store_get_file(const tess_packed_store *packed)
{
    return packed->file;
}

const tess_packed_table *tess_packed_store_get_table(const tess_packed_store *packed)
{
    return &packed->table;
}

void tess_packed_store_drop_texts(tess_packed_store *packed)
{
    tess_packed_table *t = &packed->table;
    const uint64_t n_byte = t->n_byte - t->counts->n_text_byte;
    t->counts->n_text_byte = 0;
    void *block = realloc(t->counts, n_byte);
    *t = tess_packed_table_at(block ? block : t->counts, n_byte);
    t->texts = NULL;
}

uint64_t tess_packed_store_get_head_offset(const tess_packed_store *packed, int shard)
{
    return packed->texts_offset + packed->table.shard[shard].head;
}

/* ---- pieces of a tensor ---- */

static bool has_room(const tess_packed_piece *piece, const tess_tensor *t, uint64_t n_col)
{
    if (piece->format == TESS_FORMAT_BF16) return piece->n_byte >= piece->n_row * n_col * sizeof(uint16_t);
    return t->n_dim == 2 && tess_weights_can_pack(piece->n_row, n_col) &&
           piece->n_byte >= tess_packed_bytes(piece->n_row, n_col, 0);
}

tess_status tess_packed_store_check_tensor(const tess_packed_store *packed, size_t place,
                                           const tess_tensor *tensor, tess_error *err)
{
    const char *path = tess_file_get_path(packed->file);
    const tess_packed_tensor *w = &packed->table.tensor[place];
    uint64_t n_row, n_col;
    if (!tess_tensor_count_rows(tensor, &n_row, &n_col))
        return tess_refuse(err, path, tensor->name, -1, "BF16 and fewer than 2^31 rows and columns", "%s",
                           tess_dtype_name(tensor->dtype));
    for (uint32_t i = 0; i < w->n_piece && n_row > 0; i++) {
        const tess_packed_piece *piece = &packed->table.piece[w->first_piece + i];
        const uint64_t n = n_row < w->rows_per_piece ? n_row : w->rows_per_piece;
        if (piece->n_row != n || !has_room(piece, tensor, n_col))
            return tess_refuse(err, path, tensor->name, (int64_t)piece->offset, "a piece that holds its rows",
                               "%" PRIu32 " rows in %" PRIu64 " bytes", piece->n_row, piece->n_byte);
        n_row -= n;
        if (n_row == 0 && i + 1 == w->n_piece) return TESS_OK;
    }
    return tess_refuse(err, path, tensor->name, -1, "pieces for all of its rows, and no others",
                       "%" PRIu32 " pieces", w->n_piece);
}

tess_status tess_packed_store_locate(const tess_packed_store *packed, size_t place, const tess_tensor *tensor,
                                     uint64_t first, uint64_t n_row, tess_weight *out, tess_error *err)
{
    const tess_packed_tensor *w = &packed->table.tensor[place];
    const uint64_t i = first / w->rows_per_piece;
    const tess_packed_piece *piece = i < w->n_piece ? &packed->table.piece[w->first_piece + i] : NULL;
    uint64_t all, n_col;
    if (first % w->rows_per_piece || !piece || piece->n_row != n_row ||
        !tess_tensor_count_rows(tensor, &all, &n_col)) {
        char expected[96];
        snprintf(expected, sizeof expected, "a piece of rows %" PRIu64 " to %" PRIu64, first,
                 first + n_row - 1);
        return tess_refuse(err, tess_file_get_path(packed->file), tensor->name, -1, expected,
                           "pieces of %" PRIu32 " rows: pack the checkpoint again", w->rows_per_piece);
    }
    const bool is_vector = tensor->n_dim < 2;
    *out = (tess_weight){.offset = piece->offset,
                         .n_byte = piece->n_byte,
                         .n_row = is_vector ? 1 : (int)n_row,
                         .n_col = is_vector ? (int)n_row : (int)n_col,
                         .format = (tess_weight_format)piece->format,
                         .piece = (int)(w->first_piece + i)};
    return TESS_OK;
}

bool tess_packed_store_is_intact(tess_packed_store *packed, const tess_weight *weight, const void *bytes)
{
    const tess_packed_piece *piece = &packed->table.piece[weight->piece];
    atomic_bool *has_checked = &packed->has_checked[weight->piece];
    if (!atomic_load_explicit(has_checked, memory_order_relaxed)) {
        if (tess_xxh3(bytes, piece->n_byte) != piece->hash) return false;
        atomic_store_explicit(has_checked, true, memory_order_relaxed);
    }
    return weight->format == TESS_FORMAT_BF16 ||
           tess_packed_is_sound(bytes, (size_t)weight->n_row, (size_t)weight->n_col, piece->n_byte);
}

uint64_t tess_packed_store_get_hash(const tess_packed_store *packed, int piece)
{
    return packed->table.piece[piece].hash;
}

size_t tess_packed_store_find_tensor(const tess_packed_store *packed, int piece)
{
    size_t low = 0, high = packed->table.counts->n_tensor - (size_t)1;
    while (low < high) { /* the last tensor whose pieces begin at this one or before */
        const size_t middle = low + (high - low + 1) / 2;
        if (packed->table.tensor[middle].first_piece <= (uint32_t)piece)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}
