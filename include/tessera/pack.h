/* Packed stores: a checkpoint in some three quarters of its bytes, without loss, in one file that is read as
 * it is computed with. A store is a complete model, and gives the published files back byte for byte.
 *
 * Both directions write files under a name that ends with ".part" until they are whole, go on where an
 * earlier call was killed, and leave what is whole alone. The source is only read.
 */
#ifndef TESSERA_PACK_H
#define TESSERA_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "tessera/engine.h"
#include "tessera/error.h"
#include "tessera/progress.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tess_pack_options {
    const char *model_dir; /* what is packed, or unpacked */
    const char *out_dir;   /* where; made if it is not there, and must hold nothing else */
    int n_thread;          /* 0: as many as the process may keep busy */
    tess_direct direct;
    const tess_progress *progress; /* may be NULL */
    /* Called for what of the source's folder is not carried along, with the reason; may be NULL. */
    void (*left_out)(void *context, const char *name, const char *why);
    void *context;
} tess_pack_options;

typedef struct tess_pack_result {
    bool was_whole;                     /* nothing was to be done */
    int n_shard, n_file;                /* published ones, and small files beside them */
    uint64_t plain_bytes, packed_bytes; /* all shards as published; the packed file */
    uint64_t n_packed, n_plain;         /* pieces of weights in either form; of tess_pack */
    uint64_t found_bytes;               /* of plain_bytes, what an earlier call had done */
} tess_pack_result;

/* Packs a complete checkpoint in the published layout. What is left of a damaged store of the same checkpoint
 * is gone on with. Errors: TESS_EINPUT  it is not complete, or the folder holds something else; TESS_EIO
 * among others a disk that is too full, before anything is written, and another process that writes into the
 * folder; TESS_ENOMEM, TESS_EINTERRUPTED. */
tess_status tess_pack(const tess_pack_options *options, tess_pack_result *out, tess_error *err);

/* Gives the published files back. Errors likewise; TESS_EINPUT  the store is damaged, which names the tensor;
 * or it has lost a small file, which is told when all others are back. */
tess_status tess_unpack(const tess_pack_options *options, tess_pack_result *out, tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
