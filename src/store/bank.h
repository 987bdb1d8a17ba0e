/* A bank lends segments of a checkpoint from a fixed number of slots.
 *
 * A segment is what one computation needs together: the three matrices of an expert, the non-expert weights
 * of a layer, a block of rows of the head. Weights that lie one after another in a file come in one read;
 * those of a segment may lie in different shards. Bytes are read straight into the slot and never copied, so
 * a matrix starts at any even address. What form its bytes have is the bank's affair: it lends matrices.
 *
 * Weights of a packed store are lent as they are stored.
 *
 * Packing, of a store that is plain: a bank that packs has slots as large as packed segments, and besides
 * spare ones as large as plain segments, as many as may be leased at a time. A segment is read into a spare
 * slot and packed from there into a slot if it is worth one; otherwise, and where packing it does not pay, it
 * is lent as it was read. It is worth a slot that is empty, or one whose segment has not been used since the
 * segment's use before this one: what is used once in a while would cost more packing than it saves reading.
 *
 * Leases: a leased segment stays where it is until it is released; every lease is released once.
 * Eviction: segments belong to groups (layers). Decoding visits the groups in a cycle, where evicting the
 * least recently used segment of all would always throw out what is needed next; so each group keeps a quota
 * of slots, and a victim is the least recently used segment of a group that holds more than its quota.
 * What a bank returns never depends on its history, only how fast.
 *
 * Threads: one caller at a time.
 */
#ifndef TESS_STORE_BANK_H
#define TESS_STORE_BANK_H

#include "base/arena.h"
#include "base/pool.h"
#include "kernels/matrix.h"
#include "store/store.h"

/* Whether segments are packed, and by whose threads; zeros: not. */
typedef struct tess_bank_packing {
    bool is_on;
    tess_pool *pool; /* may be NULL while measuring */
} tess_bank_packing;

typedef struct tess_bank_layout {
    const tess_weight *weight; /* [n_segment, n_weight]; must outlive the bank */
    int n_segment, n_weight;   /* n_weight at most TESS_BANK_WEIGHTS */
    int group_size;            /* segments i with the same i / group_size form a group */
    int n_slot;  /* at most n_segment is useful; 0: one for every segment, each as large as its segment */
    int n_lease; /* most segments leased at a time, at least 1; at most n_slot, unless the bank packs */
    tess_bank_packing packing;
} tess_bank_layout;

enum { TESS_BANK_WEIGHTS = 16 };

typedef struct tess_bank_slot {
    unsigned char *memory;
    tess_matrix *matrix; /* [n_weight] */
    uint64_t last_use;
    int segment; /* -1: empty */
    int n_lease;
} tess_bank_slot;

/* What a bank that packs knows of a segment, in a slot or not. */
typedef struct tess_bank_segment {
    uint64_t last_use; /* 0: never */
    bool stays_plain;  /* packing it does not pay */
} tess_bank_segment;

typedef struct tess_bank {
    tess_store *store;
    tess_bank_layout layout;
    tess_bank_slot *slot;       /* [n_slot + n_spare], the spare ones behind */
    tess_bank_segment *segment; /* [n_segment] where the bank packs */
    int32_t *slot_of;           /* [n_segment], -1: not resident */
    int32_t *n_held;            /* [groups] slots a group holds, spare ones not counted */
    uint64_t slot_bytes, spare_bytes, clock;
    uint64_t n_hit, n_miss, n_packed;
    int quota, n_spare, n_group;
    bool is_fitted; /* segment i always lies in slot i */
} tess_bank;

/* The bytes one slot needs: those of the segment that needs most. */
uint64_t tess_bank_slot_bytes(const tess_weight *weight, int n_segment, int n_weight);
/* The bytes of one segment in the checkpoint, and those it needs at most where it is packed. */
uint64_t tess_bank_segment_bytes(const tess_bank_layout *layout, int segment);
uint64_t tess_bank_packed_bytes(const tess_bank_layout *layout, int segment);

/* Lays the bank out in `arena` (which may be one that measures: then *bank is not usable). */
void tess_bank_init(tess_bank *bank, tess_store *store, const tess_bank_layout *layout, tess_arena *arena);

/* Lends a segment: *matrix points to [n_weight] matrices (without bytes where the segment has no such
 * weight), valid until release. Blocks until the bytes are resident. Errors: TESS_EIO, TESS_EINPUT (the file
 * shrank, or a packed store is damaged). */
tess_status tess_bank_lease(tess_bank *bank, int segment, const tess_matrix **matrix, tess_error *err);
void tess_bank_release(tess_bank *bank, int segment);
/* Whether a lease would cost a lookup only. */
bool tess_bank_is_resident(const tess_bank *bank, int segment);

#endif
