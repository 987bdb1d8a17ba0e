/* The bytes of a shard as published, whether it lies in a file of its own or in a packed store, which is
 * unpacked while it is read. */
#ifndef TESS_STORE_SHARD_READER_H
#define TESS_STORE_SHARD_READER_H

#include "store/store.h"

typedef struct tess_shard_reader tess_shard_reader;

/* For a shard that is usable. TESS_ENOMEM. */
tess_status tess_shard_reader_new(const tess_store *store, int shard, tess_shard_reader **out,
                                  tess_error *err);
void tess_shard_reader_free(tess_shard_reader *reader); /* NULL is fine */

uint64_t tess_shard_reader_get_size(const tess_shard_reader *reader);

/* Reads [offset, offset + n_byte) of the shard as tess_file_read_window() reads of a file. A damaged piece of
 * a packed store is no failure: its weights are zeros, and its tensor is damaged. Reading on from where the
 * last read ended is the fastest. One caller at a time. */
tess_status tess_shard_reader_read(tess_shard_reader *reader, uint64_t offset, size_t n_byte, void *window,
                                   const void **data, tess_error *err);

/* Whether a piece of tensor i of the shard was damaged when it was read, and where it lies in the file. */
bool tess_shard_reader_is_damaged(const tess_shard_reader *reader, size_t i, uint64_t *offset);

#endif
