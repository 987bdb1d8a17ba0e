/* Files by folder and name, for what records their digests. */
#ifndef TESS_VERIFY_LEDGER_FILES_H
#define TESS_VERIFY_LEDGER_FILES_H

#include <limits.h>

#include "verify/ledger/sql.h"

/* Of one file that is there: false where there is none. */
bool tess_ledger_stamp_is_same(tess_ledger_stamp a, tess_ledger_stamp b);
tess_ledger_stamp tess_ledger_stamp_in(const char *folder, const char *name);

/* The folder's own name, without links. */
tess_status tess_ledger_find_folder(const char *dir, char out[PATH_MAX], tess_error *err);

/* Its SHA-256; "" if the file cannot be read, or is larger than any config.json or index that is read. */
tess_status tess_ledger_hash_file(const char *folder, const char *name, char out[65], tess_error *err);

/* What is recorded of a file. */
typedef struct tess_ledger_file {
    int64_t id, hashed_ms;
    tess_ledger_stamp stamp;
    char sha256[65];
} tess_ledger_file;

/* file->id stays 0 if nothing is. */
tess_status tess_ledger_find_file(tess_ledger *ledger, const char *folder, const char *name,
                                  tess_ledger_file *file, tess_error *err);
/* Records a digest, in the place of one that is recorded. Within a transaction, or as one. */
tess_status tess_ledger_write_file(tess_ledger *ledger, const char *folder, const char *name,
                                   tess_ledger_stamp stamp, const char *sha256, int64_t *id, tess_error *err);

/* The file that says in which shards the weights are. */
#define TESS_LEDGER_INDEX_NAME "model.safetensors.index.json"

#endif
