/* Making a packed store (packed_table.h) of a checkpoint in the published layout.
 *
 * Segment by segment: while some are packed and hashed by all threads, the next are read and those before are
 * written. Every piece is unpacked again and compared before it is written. What has been written is noted in
 * the unfinished file, whose pieces carry checksums: a run that is killed is gone on with by the next.
 */
#ifndef TESS_STORE_PACKING_H
#define TESS_STORE_PACKING_H

#include "base/progress.h"
#include "store/store.h"

/* A tensor in the order in which they are stored. */
typedef struct tess_packing_item {
    const tess_tensor *tensor;
    uint64_t rows_per_piece; /* 0: all of them */
    bool begins_segment;
} tess_packing_item;

/* A file that is carried along. */
typedef struct tess_packing_file {
    const char *name;
    uint64_t n_byte;
    unsigned char sha256[TESS_SHA256_BYTES];
} tess_packing_file;

/* What is packed: every tensor of `source`, once. */
typedef struct tess_packing_order {
    const tess_store *source;
    const tess_packing_item *item; /* [tess_store_get_count(source)] */
    const tess_packing_file *file; /* [n_file], in the order of their names */
    size_t n_file;
} tess_packing_order;

typedef struct tess_packing_facts {
    uint64_t plain_bytes, packed_bytes; /* of all weights, and of the finished file */
    uint64_t n_packed, n_plain;         /* pieces */
    uint64_t found_bytes;               /* of plain_bytes, what an earlier run had done */
} tess_packing_facts;

typedef struct tess_packing tess_packing;

/* Opens `path`.part, or makes it, and finds out what is in it already. `order` must live as long. Errors:
 * TESS_EINPUT  it is of another checkpoint; those of tess_partial_open, tess_file_open. */
tess_status tess_packing_open(const tess_packing_order *order, const char *path,
                              const tess_progress *progress, tess_packing **out, tess_error *err);
/* Packs what is still to come, with n_thread threads; `progress` may be NULL, here and above
 * (TESS_ACTIVITY_CHECKSUMS while what is there is checked, then TESS_ACTIVITY_PACKING, in bytes of the
 * source). Errors: TESS_EIO, TESS_EINPUT, TESS_ENOMEM, TESS_EINTERRUPTED; what is done stays. */
tess_status tess_packing_run(tess_packing *packing, int n_thread, const tess_progress *progress,
                             tess_error *err);
/* Makes the file whole and gives it its name. Frees in every case. */
tess_status tess_packing_commit(tess_packing *packing, tess_packing_facts *facts, tess_error *err);
void tess_packing_close(tess_packing *packing); /* NULL is fine */

/* Whether a table is that of a store of this order: TESS_EINPUT names what differs. *is_sure: it is one that
 * was begun with these very files; else the weights that are recorded must be compared with the source's (the
 * next). `path` is for messages. */
tess_status tess_packing_compare(const tess_packing_order *order, const tess_packed_table *table,
                                 const char *path, bool *is_sure, tess_error *err);
/* Reads all pieces of a finished store. *is_intact: they are what was written. */
tess_status tess_packing_check_pieces(tess_file *file, const tess_packed_table *table,
                                      const tess_progress *progress, bool *is_intact, tess_error *err);
/* Reads and hashes the source's tensors. TESS_EINPUT: one is not what was packed. */
tess_status tess_packing_compare_weights(const tess_packing_order *order, const tess_packed_table *table,
                                         const char *path, const tess_progress *progress, tess_error *err);

#endif
