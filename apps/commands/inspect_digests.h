/* Digests of a whole checkpoint for `inspect --checksum`: shards that the ledger knows and that have not
 * changed are not read again, what is read is recorded shard by shard, and the small files of the folder are
 * compared with what was published. */
#ifndef TESS_APPS_COMMANDS_INSPECT_DIGESTS_H
#define TESS_APPS_COMMANDS_INSPECT_DIGESTS_H

#include "cli/ledger.h"

typedef struct inspect_digests {
    cli_ledger ledger;
    bool rehash;
    const char *dir;
    const tess_checkpoint *checkpoint;
    tess_tensor_checksum *sum; /* of the shard at hand */
    bool is_recalled;          /* it was taken from the ledger, */
    int64_t hashed_ms;         /* where it is from this time */
    int n_hashed, n_recalled, n_recorded;
    int64_t oldest_ms; /* of those recalled */
} inspect_digests;

/* Before anything is hashed. */
void inspect_digests_begin(inspect_digests *d, const cli_command *self, const cli_common *common,
                           const char *dir, const tess_checkpoint *checkpoint);
void inspect_digests_end(inspect_digests *d);

/* Of tess_checksum_listener: before a shard, and after it. */
bool inspect_digests_recall(inspect_digests *d, int shard, tess_tensor_checksum *sum, char sha256[65]);
void inspect_digests_take(inspect_digests *d, int shard, const char *sha256);

/* Hashes the other files of the folder; prints lines, or appends to `list` if it is not NULL. All that can be
 * read are taken, the first that cannot is the error. */
tess_status inspect_digests_take_files(inspect_digests *d, json_t *list, tess_error *err);
/* Records what all shards give together; "" where that is not known. */
void inspect_digests_take_weights(inspect_digests *d, const char *weights_sha256);
/* Says on standard error what was read and what was taken from the ledger; `again` is the option that reads
 * all of it. */
void inspect_digests_remark(const inspect_digests *d, const char *again);

#endif
