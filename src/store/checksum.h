/* SHA-256 of tensors and of whole shards, and a count of the weights that are no numbers.
 *
 * A shard is read once, in chunks: while one chunk is hashed as part of the file and of its tensors, by two
 * threads, a third reads the next.
 */
#ifndef TESS_STORE_CHECKSUM_H
#define TESS_STORE_CHECKSUM_H

#include "base/digest.h"
#include "base/pool.h"
#include "store/store.h"

enum { TESS_CHECKSUM_THREADS = 3 };

/* Hashes one shard. `tensor`: one checksum for each of its tensors, in their order. A callback's false ends
 * it with TESS_EINTERRUPTED; `done` counts from *done up, by bytes, to `total`, and *done is moved on. */
tess_status tess_checksum_shard(const tess_store *store, int shard, tess_pool *pool,
                                const tess_checksum_listener *listener, uint64_t *done, uint64_t total,
                                tess_tensor_checksum *tensor, char sha256[65], tess_error *err);

/* Hashes one tensor; `progress` (of its bytes) may be NULL. */
tess_status tess_checksum_tensor(const tess_store *store, const tess_tensor *tensor,
                                 const tess_progress *progress, tess_tensor_checksum *out, tess_error *err);

/* SHA-256 over the lines of all tensors, sorted; `checksum` is in the order of places. */
void tess_checksum_weights(const tess_store *store, const tess_tensor_checksum *checksum,
                           char sha256[TESS_SHA256_HEX]);

#endif
