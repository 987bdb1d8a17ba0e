/* Of a packed store whole pieces are read, since only whole ones can be compared with their checksum; the one
 * at hand is kept for what the next read wants of it.
 */
#include "store/shard_reader.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/packed_weights.h"

struct tess_shard_reader {
    const tess_store *store;
    const tess_safetensors *st;
    int shard;
    /* Of a packed store: */
    size_t first;                     /* number of the shard's first tensor */
    uint64_t *damage;                 /* [tensors of the shard] where, 0: none */
    void *window;                     /* of the largest piece */
    const unsigned char *piece_bytes; /* in the window */
    tess_weight piece;                /* the one at hand, as it lies in the file */
    bool has_piece, is_intact;
};

static const tess_packed_table *table_of(const tess_shard_reader *r)
{
    return tess_packed_store_get_table(tess_store_get_packed(r->store));
}

static uint64_t find_largest_piece(const tess_shard_reader *r)
{
    const tess_packed_table *t = table_of(r);
    uint64_t most = 0;
    for (size_t i = 0; i < tess_safetensors_get_count(r->st); i++) {
        const tess_packed_tensor *w = &t->tensor[r->first + i];
        for (uint32_t k = 0; k < w->n_piece; k++)
            if (t->piece[w->first_piece + k].n_byte > most) most = t->piece[w->first_piece + k].n_byte;
    }
    return most;
}

static tess_status prepare(tess_shard_reader *r, tess_error *err)
{
    const size_t n = tess_safetensors_get_count(r->st);
    if (!tess_store_get_packed(r->store)) return TESS_OK;
    if (n > 0) r->first = tess_store_get_place(r->store, tess_safetensors_get(r->st, 0));
    r->damage = calloc(n + 1, sizeof *r->damage);
    r->window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(find_largest_piece(r)) + TESS_IO_ALIGN);
    return r->damage && r->window ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory to read a shard");
}

tess_status tess_shard_reader_new(const tess_store *store, int shard, tess_shard_reader **out,
                                  tess_error *err)
{
    tess_shard_reader *r = calloc(1, sizeof *r);
    if (!r) return tess_fail(err, TESS_ENOMEM, "no memory to read a shard");
    *r = (tess_shard_reader){.store = store, .st = tess_store_get_shard(store, shard), .shard = shard};
    tess_status status = prepare(r, err);
    if (status != TESS_OK)
        tess_shard_reader_free(r);
    else
        *out = r;
    return status;
}

void tess_shard_reader_free(tess_shard_reader *r)
{
    if (!r) return;
    free(r->damage);
    free(r->window);
    free(r);
}

uint64_t tess_shard_reader_get_size(const tess_shard_reader *r)
{
    if (tess_store_get_packed(r->store)) return table_of(r)->shard[r->shard].n_byte;
    return tess_file_get_size(tess_safetensors_get_file(r->st));
}

bool tess_shard_reader_is_damaged(const tess_shard_reader *r, size_t i, uint64_t *offset)
{
    if (!r->damage || !r->damage[i]) return false;
    *offset = r->damage[i];
    return true;
}

/* ---- a packed store ---- */

/* Makes a piece of the shard's tensor i the one at hand. */
static tess_status take_piece(tess_shard_reader *r, size_t i, uint64_t first_row, uint64_t n_row,
                              tess_error *err)
{
    tess_packed_store *packed = tess_store_get_packed(r->store);
    tess_weight piece;
    const void *bytes;
    tess_status status =
        tess_store_locate(r->store, tess_safetensors_get(r->st, i), first_row, n_row, &piece, err);
    if (status != TESS_OK || (r->has_piece && piece.piece == r->piece.piece)) return status;
    r->has_piece = false;
    status = tess_file_read_window(tess_packed_store_get_file(packed), piece.offset, piece.n_byte, r->window,
                                   &bytes, err);
    if (status != TESS_OK) return status;
    r->piece = piece;
    r->piece_bytes = bytes;
    r->has_piece = true;
    r->is_intact = tess_packed_store_is_intact(packed, &piece, bytes);
    if (!r->is_intact) r->damage[i] = piece.offset;
    return TESS_OK;
}

/* out[n] = the elements of the piece at hand from `begin` on, row by row. */
static void unpack_elements(const tess_shard_reader *r, uint64_t begin, size_t n, unsigned char *out)
{
    const size_t n_col = (size_t)r->piece.n_col;
    const tess_packed_weights w = tess_packed_weights_at(r->piece_bytes, (size_t)r->piece.n_row, n_col);
    uint16_t part[512];
    for (size_t done = 0; done < n;) {
        const size_t row = (size_t)(begin + done) / n_col, col = (size_t)(begin + done) % n_col;
        size_t run = n_col - col < n - done ? n_col - col : n - done;
        if (run > sizeof part / sizeof *part) run = sizeof part / sizeof *part;
        tess_packed_read(part, &w, row, col, run);
        memcpy(out + done * sizeof *part, part, run * sizeof *part);
        done += run;
    }
}

/* out[n] = the bytes of the piece at hand from `begin` on, as published. */
static void copy_bytes(const tess_shard_reader *r, uint64_t begin, size_t n, unsigned char *out)
{
    if (!r->is_intact) {
        memset(out, 0, n);
    } else if (r->piece.format == TESS_FORMAT_BF16) {
        memcpy(out, r->piece_bytes + begin, n);
    } else {
        unsigned char element[2];
        const size_t ahead = begin % 2 && n > 0; /* a read may begin and end inside of an element */
        if (ahead) {
            unpack_elements(r, begin / 2, 1, element);
            out[0] = element[1];
        }
        unpack_elements(r, (begin + ahead) / 2, (n - ahead) / 2, out + ahead);
        if ((n - ahead) % 2) {
            unpack_elements(r, (begin + n) / 2, 1, element);
            out[n - 1] = element[0];
        }
    }
}

/* out[n] = the bytes of the shard's tensor i from `begin` on. */
static tess_status read_tensor(tess_shard_reader *r, size_t i, uint64_t begin, size_t n, unsigned char *out,
                               tess_error *err)
{
    const tess_tensor *t = tess_safetensors_get(r->st, i);
    uint64_t n_row, n_col;
    if (!tess_tensor_count_rows(t, &n_row, &n_col)) TESS_BUG("a tensor that has not been checked");
    const uint64_t row_bytes = n_col * sizeof(uint16_t), block_rows = tess_store_get_block_rows(r->store, t);
    while (n > 0) {
        const uint64_t first = begin / row_bytes / block_rows * block_rows;
        const uint64_t rows = n_row - first < block_rows ? n_row - first : block_rows;
        tess_status status = take_piece(r, i, first, rows, err);
        if (status != TESS_OK) return status;
        const uint64_t inside = begin - first * row_bytes, left = rows * row_bytes - inside;
        const size_t run = left < n ? (size_t)left : n;
        copy_bytes(r, inside, run, out);
        begin += run;
        out += run;
        n -= run;
    }
    return TESS_OK;
}

/* The first tensor that ends behind `offset`. */
static size_t find_tensor(const tess_shard_reader *r, uint64_t offset)
{
    size_t low = 0, high = tess_safetensors_get_count(r->st);
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const tess_tensor *t = tess_safetensors_get(r->st, middle);
        if (t->offset + t->n_byte <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static tess_status read_packed(tess_shard_reader *r, uint64_t offset, size_t n, unsigned char *out,
                               tess_error *err)
{
    const tess_packed_store *packed = tess_store_get_packed(r->store);
    const uint64_t head = tess_safetensors_get_head_bytes(r->st);
    tess_status status = TESS_OK;
    if (offset < head) {
        const size_t run = head - offset < n ? (size_t)(head - offset) : n;
        status = tess_file_read(tess_packed_store_get_file(packed),
                                tess_packed_store_get_head_offset(packed, r->shard) + offset, out, run, err);
        offset += run;
        out += run;
        n -= run;
    }
    for (size_t i = find_tensor(r, offset); n > 0 && status == TESS_OK; i++) {
        const tess_tensor *t = tess_safetensors_get(r->st, i);
        const uint64_t begin = offset - t->offset, left = t->n_byte - begin;
        const size_t run = left < n ? (size_t)left : n;
        status = read_tensor(r, i, begin, run, out, err);
        offset += run;
        out += run;
        n -= run;
    }
    return status;
}

tess_status tess_shard_reader_read(tess_shard_reader *r, uint64_t offset, size_t n_byte, void *window,
                                   const void **data, tess_error *err)
{
    const uint64_t size = tess_shard_reader_get_size(r);
    if (!tess_store_get_packed(r->store))
        return tess_file_read_window(tess_safetensors_get_file(r->st), offset, n_byte, window, data, err);
    if (offset > size || n_byte > size - offset)
        return tess_refuse(err, tess_store_get_shard_path(r->store, r->shard), "", (int64_t)offset,
                           "bytes inside of a shard", "%zu bytes", n_byte);
    *data = window;
    return read_packed(r, offset, n_byte, window, err);
}
