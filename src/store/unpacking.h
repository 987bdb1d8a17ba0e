/* Giving a shard of a packed store back as the file it was. */
#ifndef TESS_STORE_UNPACKING_H
#define TESS_STORE_UNPACKING_H

#include "base/progress.h"
#include "store/store.h"

/* How far all shards are; `progress` may be NULL (TESS_ACTIVITY_UNPACKING). */
typedef struct tess_unpacking {
    const tess_store *store;
    const tess_progress *progress;
    uint64_t done, total;
    uint64_t found; /* of done, what was there before */
} tess_unpacking;

/* Makes `path` the shard, byte for byte: what path.part has of it is checked and gone on with. Every tensor
 * is compared with the SHA-256 it had when it was packed. Errors: TESS_EINPUT  the store is damaged;
 * TESS_EIO, TESS_ENOMEM, TESS_EINTERRUPTED: what is done stays. */
tess_status tess_unpacking_restore(tess_unpacking *unpacking, int shard, const char *path, tess_error *err);

/* Whether the file at `path` is the shard already: TESS_EINPUT if it is another one. */
tess_status tess_unpacking_check(tess_unpacking *unpacking, int shard, const char *path, tess_error *err);

#endif
