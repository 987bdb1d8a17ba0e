/* Where weights lie in a store, whichever way it is stored, and reading the small ones. */
#include <string.h>

#include "base/xxh3.h"
#include "store/store.h"

uint64_t tess_store_get_block_rows(const tess_store *store, const tess_tensor *tensor)
{
    const tess_packed_store *packed = tess_store_get_packed(store);
    if (!packed) return 0;
    return tess_packed_store_get_table(packed)->tensor[tess_store_get_place(store, tensor)].rows_per_piece;
}

tess_status tess_store_locate(const tess_store *store, const tess_tensor *tensor, uint64_t first,
                              uint64_t n_row, tess_weight *out, tess_error *err)
{
    const tess_packed_store *packed = tess_store_get_packed(store);
    uint64_t n_row_all, n_col;
    if (!tess_tensor_count_rows(tensor, &n_row_all, &n_col))
        return tess_refuse(err, tess_store_get_shard_path(store, tensor->shard), tensor->name,
                           (int64_t)tensor->offset, "BF16 and fewer than 2^31 rows and columns", "%s",
                           tess_dtype_name(tensor->dtype));
    TESS_ASSERT(n_row > 0 && first <= n_row_all && n_row <= n_row_all - first);
    if (packed)
        return tess_packed_store_locate(packed, tess_store_get_place(store, tensor), tensor, first, n_row,
                                        out, err);
    const bool is_vector = tensor->n_dim < 2;
    const uint64_t row_bytes = n_col * sizeof(uint16_t);
    *out = (tess_weight){.offset = tensor->offset + first * row_bytes,
                         .n_byte = n_row * row_bytes,
                         .file = tensor->shard,
                         .n_row = is_vector ? 1 : (int)n_row,
                         .n_col = is_vector ? (int)n_row : (int)n_col,
                         .format = TESS_FORMAT_BF16,
                         .piece = -1};
    return TESS_OK;
}

tess_status tess_store_refuse_damage(const tess_store *store, const tess_tensor *tensor, uint64_t offset,
                                     tess_error *err)
{
    return tess_refuse(err, tess_store_get_shard_path(store, tensor->shard), tensor->name, (int64_t)offset,
                       "what was packed: pack again, which mends it, or fetch the store again",
                       "a damaged segment");
}

static tess_status refuse_weight(const tess_store *store, const tess_weight *weight, tess_error *err)
{
    const size_t place = tess_packed_store_find_tensor(tess_store_get_packed(store), weight->piece);
    return tess_store_refuse_damage(store, tess_store_get(store, place), weight->offset, err);
}

tess_status tess_store_check_weight(const tess_store *store, const tess_weight *weight, const void *bytes,
                                    tess_error *err)
{
    tess_packed_store *packed = tess_store_get_packed(store);
    if (!packed || tess_packed_store_is_intact(packed, weight, bytes)) return TESS_OK;
    return refuse_weight(store, weight, err);
}

/* Part by part: this is done while nothing may be allocated. */
static tess_status read_packed_weight(const tess_store *store, const tess_weight *weight, unsigned char *out,
                                      tess_error *err)
{
    const tess_packed_store *packed = tess_store_get_packed(store);
    const uint64_t plain = tess_weight_plain_bytes(weight);
    tess_xxh3_pieces hash;
    unsigned char part[4096];
    tess_xxh3_begin(&hash);
    for (uint64_t done = 0; done < weight->n_byte;) {
        const uint64_t left = weight->n_byte - done;
        const size_t n = left < sizeof part ? (size_t)left : sizeof part;
        tess_status status =
            tess_file_read(tess_packed_store_get_file(packed), weight->offset + done, part, n, err);
        if (status != TESS_OK) return status;
        tess_xxh3_add(&hash, part, n);
        if (done < plain) memcpy(out + done, part, plain - done < n ? (size_t)(plain - done) : n);
        done += n;
    }
    if (tess_xxh3_end(&hash) == tess_packed_store_get_hash(packed, weight->piece)) return TESS_OK;
    return refuse_weight(store, weight, err);
}

tess_status tess_store_read_weight(const tess_store *store, const tess_weight *weight, uint16_t *out,
                                   tess_error *err)
{
    TESS_ASSERT(weight->format == TESS_FORMAT_BF16);
    if (tess_store_get_packed(store)) return read_packed_weight(store, weight, (unsigned char *)out, err);
    return tess_file_read(tess_store_get_file(store, weight->file), weight->offset, out, weight->n_byte, err);
}
