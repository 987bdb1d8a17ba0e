/* Byte-pair encoding of one word at a time. */
#ifndef TESS_TEXT_BPE_H
#define TESS_TEXT_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tessera/tokenizer.h"

typedef struct tess_merge {
    uint32_t left, right, rank, joined;
} tess_merge;

/* The merges, found by their two ids: open addressing, a power of two of slots, `rank` UINT32_MAX where
 * empty. */
typedef struct tess_bpe {
    uint32_t byte_id[256];
    tess_merge *slot;
    uint32_t n_merges;
    unsigned shift; /* 64 - log2 of the number of slots */
} tess_bpe;

/* Room for `n_merges`. */
tess_status tess_bpe_init(tess_bpe *bpe, uint32_t n_merges, tess_error *err);
void tess_bpe_release(tess_bpe *bpe);

/* Adds the merge of the next rank. Returns 0, or 1 + the rank of an earlier merge of the same two ids. */
uint32_t tess_bpe_add(tess_bpe *bpe, uint32_t left, uint32_t right, uint32_t joined);

/* Appends the ids of one word of n > 0 bytes, n < 2^31. Time n log n, memory beyond `ids` only for long
 * words. Errors: TESS_ENOMEM. */
tess_status tess_bpe_encode(const tess_bpe *bpe, const uint8_t *word, size_t n, tess_ids *ids,
                            tess_error *err);

#endif
