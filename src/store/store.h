/* A checkpoint as one table of tensors: in the published layout, index and shards, or one model.safetensors;
 * or packed (packed_table.h), which gives the table of the published one and lends weights in another form.
 *
 * After an opening without a sink, every tensor is in exactly the shard that the index says, whole, once,
 * with bytes that fit its shape. Whether the tensors are those that the configuration implies is asked by
 * completeness.h. All files stay open. Threads: an open store may be read by any number of threads.
 */
#ifndef TESS_STORE_STORE_H
#define TESS_STORE_STORE_H

#include "store/packed_store.h"
#include "store/safetensors.h"
#include "store/weight.h"

typedef struct tess_store tess_store;

/* Opens the checkpoint in folder `dir`. The first problem is a failure, TESS_EINPUT, which names it. */
tess_status tess_store_open(const char *dir, tess_direct direct, tess_store **out, tess_error *err);
/* The same, for an inspection: problems are reported to `sink` and what is usable is opened: shards that are
 * absent or unusable have no tensors. Fails only if there is no folder, if packing or unpacking has not been
 * finished there, if a packed store's table is damaged, or by the system. */
tess_status tess_store_open_collecting(const char *dir, tess_direct direct, const tess_problem_sink *sink,
                                       tess_store **out, tess_error *err);
void tess_store_close(tess_store *store); /* NULL is fine */

/* All tensors, by shard and offset, 0 … count-1. Pointers live as long as the store. */
size_t tess_store_get_count(const tess_store *store);
const tess_tensor *tess_store_get(const tess_store *store, size_t i);
/* All tensors by name, in the order of strcmp(). */
const tess_tensor *tess_store_get_by_name(const tess_store *store, size_t i);
/* The place in that order of the first tensor whose name is not below `name`; the count if there is none. */
size_t tess_store_find_place(const tess_store *store, const char *name);
/* NULL if there is none of this name. Costs a binary search. */
/* For messages: a tensor that may be `name` under another name, its first parts left out or others put before
 * it; NULL if there is none. Looks through all names. */
const tess_tensor *tess_store_find_renamed(const tess_store *store, const char *name);
const tess_tensor *tess_store_find(const tess_store *store, const char *name);

/* The place of a tensor of this store in the order of tess_store_get(). */
size_t tess_store_get_place(const tess_store *store, const tess_tensor *tensor);

/* Shards, in the order of their names; of a packed store those that were packed. */
int tess_store_get_shard_count(const tess_store *store);
const char *tess_store_get_shard_name(const tess_store *store, int shard); /* without the folder */
/* The file that holds it, as it is to be named to a user. */
const char *tess_store_get_shard_path(const tess_store *store, int shard);
/* Its header; NULL if unusable (collecting only). To read its bytes: shard_reader.h. */
const tess_safetensors *tess_store_get_shard(const tess_store *store, int shard);

/* Files that weights lie in: the shards, or the one of a packed store. NULL if unusable (collecting only). */
int tess_store_get_file_count(const tess_store *store);
tess_file *tess_store_get_file(const tess_store *store, int file);

/* NULL if it is not packed. */
tess_packed_store *tess_store_get_packed(const tess_store *store);

/* Whether the index lists a tensor that is in no shard that could be read. Only after collecting; such a
 * tensor has been reported. */
bool tess_store_is_known_absent(const tess_store *store, const char *name);

/* ---- weights: tensors of BF16 as rows and columns ---- */

/* The rows that a packed store keeps together in a piece: all, or those of a block where single blocks are
 * used. 0: the store is not packed, and rows can be located in any number. */
uint64_t tess_store_get_block_rows(const tess_store *store, const tess_tensor *tensor);

/* Where rows [first, first + n_row) of a tensor lie, which it has. Those of a vector become one row.
 * TESS_EINPUT: a packed store keeps other rows together. */
tess_status tess_store_locate(const tess_store *store, const tess_tensor *tensor, uint64_t first,
                              uint64_t n_row, tess_weight *out, tess_error *err);

/* The refusal of a tensor of a packed store, of which what lies at `offset` of the file is not what was
 * packed. */
tess_status tess_store_refuse_damage(const tess_store *store, const tess_tensor *tensor, uint64_t offset,
                                     tess_error *err);

/* Whether bytes that were read for a weight are usable: those of a packed store are compared with its
 * checksums. TESS_EINPUT names tensor and place. */
tess_status tess_store_check_weight(const tess_store *store, const tess_weight *weight, const void *bytes,
                                    tess_error *err);

/* Reads a plain weight, such as a norm: out[tess_weight_plain_bytes()]. */
tess_status tess_store_read_weight(const tess_store *store, const tess_weight *weight, uint16_t *out,
                                   tess_error *err);

#endif
