/* The weights of a packed store, opened for reading: where rows of a tensor lie, and whether what was read is
 * what was written. */
#ifndef TESS_STORE_PACKED_STORE_H
#define TESS_STORE_PACKED_STORE_H

#include "store/packed_table.h"
#include "store/weight.h"
#include "tessera/checkpoint.h"

typedef struct tess_packed_store tess_packed_store;

/* Opens TESS_PACKED_FILE by its path. Errors: those of tess_packed_table_read. */
tess_status tess_packed_store_open(const char *path, tess_direct direct, tess_packed_store **out,
                                   tess_error *err);
void tess_packed_store_close(tess_packed_store *packed); /* NULL is fine */

tess_file *tess_packed_store_get_file(const tess_packed_store *packed);
const tess_packed_table *tess_packed_store_get_table(const tess_packed_store *packed);
/* Gives the memory of the texts back; the table then has none. */
void tess_packed_store_drop_texts(tess_packed_store *packed);
/* Where the beginning of a shard, n_head_byte bytes, lies in the file. */
uint64_t tess_packed_store_get_head_offset(const tess_packed_store *packed, int shard);

/* Whether the pieces of tensor number `place` are rows of a tensor such as `tensor` is: TESS_EINPUT. Must
 * have been asked before any of them is located or read. */
tess_status tess_packed_store_check_tensor(const tess_packed_store *packed, size_t place,
                                           const tess_tensor *tensor, tess_error *err);

/* Where rows [first, first + n_row) of that tensor lie. TESS_EINPUT: they are no piece. */
tess_status tess_packed_store_locate(const tess_packed_store *packed, size_t place, const tess_tensor *tensor,
                                     uint64_t first, uint64_t n_row, tess_weight *out, tess_error *err);

/* Whether `bytes`, aligned to 4, are those of the piece that `weight` names. When a piece is asked for the
 * first time its checksum is compared; that nothing outside of it will be read is made sure of every time.
 * Any thread may call. */
bool tess_packed_store_is_intact(tess_packed_store *packed, const tess_weight *weight, const void *bytes);

/* The checksum that a piece must have. */
uint64_t tess_packed_store_get_hash(const tess_packed_store *packed, int piece);

/* The number of the tensor that a piece belongs to. */
size_t tess_packed_store_find_tensor(const tess_packed_store *packed, int piece);

#endif
