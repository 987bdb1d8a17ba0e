/* What is being packed, and how far that is. For packing.c, which knows what is there and when all is, and
 * packing_batches.c, which packs what is not. */
#ifndef TESS_STORE_PACKING_STATE_H
#define TESS_STORE_PACKING_STATE_H

#include "base/checked.h"
#include "io/partial.h"
#include "kernels/packed_weights.h"
#include "store/packing.h"

struct tess_packing {
    const tess_packing_order *order;
    tess_partial *part;
    tess_packed_table table;
    tess_packed_superblock superblock;
    size_t n_item, next; /* the item that the next batch begins with, */
    uint32_t next_piece; /* and which of its pieces */
    uint64_t end;        /* of what is written */
    uint64_t found_bytes, done_bytes, total_bytes;
    uint64_t largest_bytes; /* that a piece can have */
};

static inline tess_packed_tensor *tess_packing_tensor(const tess_packing *p, size_t item)
{
    return &p->table.tensor[tess_store_get_place(p->order->source, p->order->item[item].tensor)];
}

static inline bool tess_packing_ends_segment(const tess_packing *p, size_t item)
{
    return item + 1 == p->n_item || p->order->item[item + 1].begins_segment;
}

/* What a piece takes at most, in either form and with what fills two blocks. */
static inline uint64_t tess_packing_room(const tess_tensor *t, uint64_t n_row, uint64_t n_col)
{
    const uint64_t plain = n_row * n_col * sizeof(uint16_t);
    const bool can_pack = t->n_dim == 2 && tess_weights_can_pack(n_row, n_col);
    const uint64_t packed = can_pack ? tess_packed_room(n_row, n_col) : 0;
    return tess_align_up(plain > packed ? plain : packed, TESS_PIECE_ALIGN) + 2 * TESS_IO_ALIGN;
}

/* Packs and writes all pieces from the next on, with n_thread threads. Errors as tess_packing_run(). */
tess_status tess_packing_run_batches(tess_packing *packing, int n_thread, const tess_progress *progress,
                                     tess_error *err);

#endif
