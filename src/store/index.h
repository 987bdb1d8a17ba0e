/* model.safetensors.index.json: which shard holds which tensor, as the checkpoint claims. */
#ifndef TESS_STORE_INDEX_H
#define TESS_STORE_INDEX_H

#include "store/problem.h"

/* A shard costs two descriptors while it is open; the published checkpoints have 15 and 16. */
enum { TESS_MAX_SHARDS = 400 };

typedef struct tess_index_entry {
    const char *name;
    uint64_t offset; /* of the entry in the index file */
    int shard;       /* -1: the entry names no usable file (only where problems are collected) */
} tess_index_entry;

typedef struct tess_index {
    size_t n_entry;
    tess_index_entry *entry; /* by name; a name may occur twice only where problems are collected */
    int n_shard;
    const char *shard_file[TESS_MAX_SHARDS]; /* plain file names, sorted */
    bool has_total_size;
    uint64_t total_size;
    char *pool; /* all texts */
} tess_index;

/* Reads an index. Problems as in problem.h: each duplicate, each entry without a usable file name. What is
 * left of it is usable unless this fails. */
tess_status tess_index_load(const char *path, const tess_problem_sink *sink, tess_index *out,
                            tess_error *err);
void tess_index_release(tess_index *index);

#endif
