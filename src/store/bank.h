/* A bank lends segments of a checkpoint from a fixed number of slots.
 *
 * A segment is what one computation needs together: the three matrices of an expert, the non-expert weights
 * of a layer, a block of rows of the head. Parts that lie one after another in a file come in one read; parts
 * may lie in different shards. Bytes are read straight into the slot and never copied, so a part starts at
 * any even address.
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
#include "store/store.h"

/* Bytes [offset, offset + n_byte) of a shard. n_byte 0: a part this segment does not have. */
typedef struct tess_part {
    uint64_t offset, n_byte;
    int shard;
} tess_part;

typedef struct tess_bank_layout {
    const tess_part *part; /* [n_segment, n_part]; must outlive the bank */
    int n_segment, n_part; /* n_part at most TESS_BANK_PARTS */
    int group_size;        /* segments i with the same i / group_size form a group */
    int n_slot;            /* at most n_segment is useful */
    int n_lease;           /* most segments leased at a time, 1 … n_slot */
} tess_bank_layout;

enum { TESS_BANK_PARTS = 16 };

typedef struct tess_bank_slot {
    unsigned char *memory;
    const void *part[TESS_BANK_PARTS];
    uint64_t last_use;
    int segment; /* -1: empty */
    int n_lease;
} tess_bank_slot;

typedef struct tess_bank {
    tess_store *store;
    tess_bank_layout layout;
    tess_bank_slot *slot; /* [n_slot] */
    int32_t *slot_of;     /* [n_segment], -1: not resident */
    int32_t *n_held;      /* [groups] slots a group holds */
    uint64_t slot_bytes, clock;
    uint64_t n_hit, n_miss;
    int quota;
} tess_bank;

/* The bytes one slot needs: those of the segment that needs most. */
uint64_t tess_bank_slot_bytes(const tess_part *part, int n_segment, int n_part);

/* Lays the bank out in `arena` (which may be one that measures: then *bank is not usable). */
void tess_bank_init(tess_bank *bank, tess_store *store, const tess_bank_layout *layout, tess_arena *arena);

/* Lends a segment: *part points to [n_part] addresses (NULL for parts of no bytes), valid until release.
 * Blocks until the bytes are resident. Errors: TESS_EIO, TESS_EINPUT (the file shrank). */
tess_status tess_bank_lease(tess_bank *bank, int segment, const void *const **part, tess_error *err);
void tess_bank_release(tess_bank *bank, int segment);
/* Whether a lease would cost a lookup only. */
bool tess_bank_is_resident(const tess_bank *bank, int segment);

#endif
