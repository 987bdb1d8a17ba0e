/* Order of writing: pieces, then their places in the table; the finished table before the superblock that
 * says it is whole; all of it before the file gets its name.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xxh3.h"
#include "store/packing_state.h"
#include "store/packing_table.h"

/* What the file takes if what can be packed pays; what does not pay is rare. And the largest piece. */
static uint64_t estimate_bytes(tess_packing *p)
{
    uint64_t sum = p->superblock.data_offset;
    for (size_t i = 0; i < p->n_item; i++) {
        const tess_tensor *tensor = p->order->item[i].tensor;
        const tess_packed_tensor *w = tess_packing_tensor(p, i);
        uint64_t n_row = 0, n_col = 0;
        tess_tensor_count_rows(tensor, &n_row, &n_col);
        for (uint32_t k = 0; k < w->n_piece; k++) {
            const uint64_t n = p->table.piece[w->first_piece + k].n_row,
                           room = tess_packing_room(tensor, n, n_col);
            sum += tess_align_up(tensor->n_dim == 2 && tess_weights_can_pack(n, n_col)
                                     ? tess_packed_room(n, n_col)
                                     : n * n_col * sizeof(uint16_t),
                                 TESS_PIECE_ALIGN);
            if (room > p->largest_bytes) p->largest_bytes = room;
        }
        if (p->order->item[i].begins_segment) sum += TESS_IO_ALIGN;
    }
    return sum;
}

/* ---- what is there already ---- */

static tess_status begin_file(tess_packing *p, tess_error *err)
{
    unsigned char block[TESS_IO_ALIGN];
    tess_status status = tess_partial_write(p->part, TESS_IO_ALIGN, p->table.counts,
                                            p->superblock.data_offset - TESS_IO_ALIGN, err);
    tess_packed_superblock_write(&p->superblock, block);
    return status == TESS_OK ? tess_partial_write(p->part, 0, block, sizeof block, err) : status;
}

/* The unfinished file's table, if it has come so far as to have one. One that a power cut has left in
 * disorder is none: what is made is made anew. */
static tess_status read_found(const tess_packing *p, tess_packed_table *found, bool *is_begun,
                              tess_error *err)
{
    char magic[sizeof TESS_PACKED_MAGIC] = "";
    uint64_t size = 0;
    *is_begun = false;
    tess_status status = tess_partial_get_size(p->part, &size, err);
    if (status != TESS_OK || size < p->superblock.data_offset) return status;
    status = tess_partial_read(p->part, 0, magic, sizeof magic - 1, err);
    if (status != TESS_OK || memcmp(magic, TESS_PACKED_MAGIC, sizeof magic - 1) != 0) return status;
    tess_file *file;
    status = tess_file_open(tess_partial_get_path(p->part), TESS_DIRECT_OFF, &file, err);
    if (status != TESS_OK) return status;
    status = tess_packed_table_read(file, false, found, err);
    tess_file_close(file);
    *is_begun = status == TESS_OK;
    return status == TESS_EINPUT ? TESS_OK : status;
}

/* Takes what is noted of the tensors that are done. */
static void take_notes(tess_packing *p, const tess_packed_table *found)
{
    for (uint32_t i = 0; i < p->table.counts->n_tensor; i++) {
        tess_packed_tensor *t = &p->table.tensor[i];
        memcpy(t->sha256, found->tensor[i].sha256, sizeof t->sha256);
        t->check = found->tensor[i].check;
    }
    for (uint32_t i = 0; i < p->table.counts->n_piece; i++) {
        const uint32_t n_row = p->table.piece[i].n_row;
        p->table.piece[i] = found->piece[i];
        p->table.piece[i].n_row = n_row;
    }
}

/* Takes over what an earlier run has noted, if it is of this checkpoint. */
static tess_status take_over(tess_packing *p, const tess_progress *progress, tess_error *err)
{
    tess_packed_table found;
    bool is_begun, is_sure;
    tess_status status = read_found(p, &found, &is_begun, err);
    if (status != TESS_OK) return status;
    if (!is_begun) {
        status = begin_file(p, err);
        return status == TESS_OK ? tess_partial_flush(p->part, err) : status;
    }
    const char *path = tess_partial_get_path(p->part);
    status = tess_packing_compare(p->order, &found, path, &is_sure, err);
    if (status == TESS_OK && !is_sure)
        status = tess_packing_compare_weights(p->order, &found, path, progress, err);
    if (status == TESS_OK) take_notes(p, &found);
    free(found.counts);
    return status;
}

tess_status tess_packing_open(const tess_packing_order *order, const char *path,
                              const tess_progress *progress, tess_packing **out, tess_error *err)
{
    tess_packing *p = calloc(1, sizeof *p);
    if (!p) return tess_fail(err, TESS_ENOMEM, "%s: no memory to make it", path);
    p->order = order;
    p->n_item = tess_store_get_count(order->source);
    for (size_t i = 0; i < p->n_item; i++) p->total_bytes += order->item[i].tensor->n_byte;
    tess_status status = tess_packing_table_make(order, &p->table, err);
    if (status == TESS_OK) {
        p->superblock = (tess_packed_superblock){.version = TESS_PACKED_VERSION,
                                                 .table_bytes = p->table.n_byte,
                                                 .data_offset = tess_packed_data_offset(p->table.n_byte)};
        memcpy(p->superblock.magic, TESS_PACKED_MAGIC, sizeof p->superblock.magic);
        p->end = p->superblock.data_offset;
        status = tess_partial_open(path, estimate_bytes(p), &p->part, err);
    }
    if (status == TESS_OK) status = take_over(p, progress, err);
    if (status != TESS_OK)
        tess_packing_close(p);
    else
        *out = p;
    return status;
}

void tess_packing_close(tess_packing *p)
{
    if (!p) return;
    tess_partial_close(p->part);
    free(p->table.counts);
    free(p);
}

/* Whether a piece is there as it was written, right behind the one before. `room` holds the largest. */
static tess_status check_piece(const tess_packing *p, const tess_packed_piece *piece, uint64_t offset,
                               unsigned char *room, bool *is_good, tess_error *err)
{
    uint64_t size = 0;
    *is_good = false;
    tess_status status = tess_partial_get_size(p->part, &size, err);
    if (status != TESS_OK || piece->n_byte == 0 || piece->offset != offset || offset > size ||
        piece->n_byte > size - offset || piece->n_byte > p->largest_bytes)
        return status;
    status = tess_partial_read(p->part, offset, room, piece->n_byte, err);
    *is_good = status == TESS_OK && tess_xxh3(room, piece->n_byte) == piece->hash;
    return status;
}

/* Whether all pieces of a segment, whose first item is *item, are good; then goes on behind it. */
static tess_status check_segment(tess_packing *p, size_t *item, unsigned char *room, bool *is_good,
                                 tess_error *err)
{
    uint64_t end = p->end, bytes = 0;
    size_t i = *item;
    *is_good = true;
    for (bool is_last = false; !is_last && *is_good; i++) {
        const tess_packed_tensor *t = tess_packing_tensor(p, i);
        *is_good = t->check == tess_packed_tensor_check(&p->table, t);
        for (uint32_t k = 0; k < t->n_piece && *is_good; k++) {
            const tess_packed_piece *piece = &p->table.piece[t->first_piece + k];
            tess_status status = check_piece(p, piece, end, room, is_good, err);
            if (status != TESS_OK) return status;
            end += piece->n_byte;
        }
        bytes += p->order->item[i].tensor->n_byte;
        is_last = tess_packing_ends_segment(p, i);
    }
    if (!*is_good || end % TESS_IO_ALIGN) {
        *is_good = false;
        return TESS_OK;
    }
    *item = i;
    p->end = end;
    p->found_bytes += bytes;
    return TESS_OK;
}

/* Finds the segment to go on with, and forgets what was noted from there on. */
static tess_status find_start(tess_packing *p, const tess_progress *progress, tess_error *err)
{
    bool is_good = true;
    size_t item = 0;
    unsigned char *room = malloc(p->largest_bytes);
    tess_status status = room ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory to check what is there");
    while (item < p->n_item && is_good && status == TESS_OK) {
        status = check_segment(p, &item, room, &is_good, err);
        if (status == TESS_OK && p->found_bytes)
            status =
                tess_progress_tell(progress, TESS_ACTIVITY_CHECKSUMS, p->found_bytes, p->total_bytes, err);
    }
    free(room);
    if (status != TESS_OK) return status;
    p->next = item;
    p->done_bytes = p->found_bytes;
    for (; item < p->n_item; item++) {
        tess_packed_tensor *t = tess_packing_tensor(p, item);
        memset(t->sha256, 0, sizeof t->sha256);
        t->check = 0;
        for (uint32_t k = 0; k < t->n_piece; k++)
            p->table.piece[t->first_piece + k] =
                (tess_packed_piece){.n_row = p->table.piece[t->first_piece + k].n_row};
    }
    return begin_file(p, err); /* its table as far as it holds */
}

/* ---- all of it ---- */

tess_status tess_packing_run(tess_packing *p, int n_thread, const tess_progress *progress, tess_error *err)
{
    tess_status status = find_start(p, progress, err);
    return status == TESS_OK ? tess_packing_run_batches(p, n_thread, progress, err) : status;
}

static void count_facts(const tess_packing *p, tess_packing_facts *facts)
{
    *facts = (tess_packing_facts){
        .plain_bytes = p->total_bytes, .packed_bytes = p->end, .found_bytes = p->found_bytes};
    tess_packed_table_count_forms(&p->table, &facts->n_packed, &facts->n_plain);
}

tess_status tess_packing_commit(tess_packing *p, tess_packing_facts *facts, tess_error *err)
{
    TESS_ASSERT(p->next == p->n_item);
    tess_packing_facts counted;
    count_facts(p, &counted);
    for (uint32_t i = 0; i < p->table.counts->n_shard; i++) p->table.shard[i].ctime_ns = 0;
    p->superblock.is_whole = 1;
    p->superblock.file_bytes = p->end;
    p->superblock.table_hash = tess_xxh3(p->table.counts, p->superblock.data_offset - TESS_IO_ALIGN);
    tess_status status = begin_file(p, err);
    if (status == TESS_OK) {
        status = tess_partial_commit(p->part, p->end, err);
        p->part = NULL;
    }
    tess_packing_close(p);
    if (status == TESS_OK) *facts = counted;
    return status;
}
