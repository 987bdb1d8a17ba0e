/* The small files of a checkpoint, which a packed store carries along: configuration, tokenizer, index,
 * licence.
 */
#ifndef TESS_ENGINE_CARRIED_FILES_H
#define TESS_ENGINE_CARRIED_FILES_H

#include "store/packing.h"
#include "tessera/pack.h"

typedef struct tess_carried_files {
    tess_packing_file *file; /* by name; the names are owned */
    size_t n;
} tess_carried_files;

/* Lists and hashes the regular files of the source's folder that are neither its weights nor large; what is
 * left out is told. Errors: TESS_EIO, TESS_ENOMEM. */
tess_status tess_carried_files_list(const tess_pack_options *options, const tess_store *source,
                                    tess_carried_files *out, tess_error *err);
void tess_carried_files_release(tess_carried_files *files);

/* Refuses (TESS_EINPUT) a file of this name that is there and has another digest. */
tess_status tess_carried_file_check(const char *dir, const char *name,
                                    const unsigned char sha256[TESS_SHA256_BYTES], tess_error *err);

/* Refuses (TESS_EINPUT) one that a packed store no longer has, or has with another digest. */
tess_status tess_carried_file_find(const char *dir, const char *name,
                                   const unsigned char sha256[TESS_SHA256_BYTES], tess_error *err);

/* Copies one whose digest is known, by way of a ".part", unless it is there already; *was_there (not changed
 * if it was) becomes false. TESS_EINPUT: the bytes are others by now. */
tess_status tess_carried_file_copy(const char *from_dir, const char *to_dir, const char *name,
                                   const unsigned char sha256[TESS_SHA256_BYTES], bool *was_there,
                                   tess_error *err);

#endif
