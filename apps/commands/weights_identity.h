/* The digest of a checkpoint's weights, for commands that compare it with what a file declares. */
#ifndef TESS_APPS_COMMANDS_WEIGHTS_IDENTITY_H
#define TESS_APPS_COMMANDS_WEIGHTS_IDENTITY_H

#include "cli/ledger.h"

/* Fills `out` as tess_checkpoint_checksum defines it, "" where a shard is unusable. Shards that the ledger
 * knows and that have not changed are not read again; what is read is recorded. `ledger` says which ledger
 * and may be closed. Returns -1 or an exit code after a message. */
int cli_weights_sha256(const cli_command *self, const cli_common *common, const char *model_dir,
                       const cli_ledger *ledger, char out[65]);

#endif
