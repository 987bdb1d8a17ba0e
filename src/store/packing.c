/* Two batches by turns: all threads pack and hash one while a further one writes what the other holds and
 * reads its next segments into it. Which thread takes which job is by chance; what comes out is not.
 *
 * Order of writing: pieces, then their places in the table; the finished table before the superblock that
 * says it is whole; all of it before the file gets its name.
 */
#include "store/packing.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "base/xxh3.h"
#include "io/partial.h"
#include "kernels/packed_weights.h"
#include "store/packing_table.h"

/* Pieces that are packed together: enough for many threads, little for a small machine. */
static const uint64_t BATCH_BYTES = 24 << 20;

/* A piece on its way. */
typedef struct work {
    uint32_t piece;        /* number in the table */
    size_t item;           /* of the order */
    uint64_t first, n_row; /* rows of its tensor */
    uint64_t source_offset, plain_bytes;
    unsigned char *window; /* that it is read into, */
    const unsigned char *plain;
    unsigned char *stored; /* and room for its stored form and what fills a block */
    uint64_t stored_bytes; /* without that */
    bool is_packed, ends_tensor, ends_segment, is_sound;
} work;

typedef struct batch {
    work *work;
    size_t n_work, n_room;
    unsigned char *windows, *stored;
    uint64_t window_bytes, room_bytes; /* of the two */
} batch;

struct tess_packing {
    const tess_packing_order *order;
    tess_partial *part;
    char *path;
    tess_packed_table table;
    tess_packed_superblock superblock;
    size_t n_item, next; /* the item that the next batch begins with, */
    uint32_t next_piece; /* and which of its pieces */
    uint64_t end;        /* of what is written */
    uint64_t found_bytes, done_bytes, total_bytes;
    uint64_t largest_bytes;     /* that a piece can have */
    tess_sha256 before, behind; /* of the tensor that a batch begins inside of, and that it ends inside of */
};

/* ---- places ---- */

static size_t place_of(const tess_packing *p, size_t item)
{
    return tess_store_get_place(p->order->source, p->order->item[item].tensor);
}

static tess_packed_tensor *tensor_of(const tess_packing *p, size_t item)
{
    return &p->table.tensor[place_of(p, item)];
}

static bool ends_segment(const tess_packing *p, size_t item)
{
    return item + 1 == p->n_item || p->order->item[item + 1].begins_segment;
}

static uint64_t room_of(const tess_tensor *t, uint64_t n_row, uint64_t n_col)
{
    const uint64_t plain = n_row * n_col * sizeof(uint16_t);
    const bool can_pack = t->n_dim == 2 && tess_weights_can_pack(n_row, n_col);
    const uint64_t packed = can_pack ? tess_packed_room(n_row, n_col) : 0;
    return tess_align_up(plain > packed ? plain : packed, TESS_PIECE_ALIGN) + 2 * TESS_IO_ALIGN;
}

/* What the file takes if what can be packed pays; what does not pay is rare. And the largest piece. */
static uint64_t estimate_bytes(tess_packing *p)
{
    uint64_t sum = p->superblock.data_offset;
    for (size_t i = 0; i < p->n_item; i++) {
        const tess_tensor *tensor = p->order->item[i].tensor;
        const tess_packed_tensor *w = tensor_of(p, i);
        uint64_t n_row = 0, n_col = 0;
        tess_tensor_count_rows(tensor, &n_row, &n_col);
        for (uint32_t k = 0; k < w->n_piece; k++) {
            const uint64_t n = p->table.piece[w->first_piece + k].n_row, room = room_of(tensor, n, n_col);
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
        const tess_packed_tensor *t = tensor_of(p, i);
        *is_good = t->check == tess_packed_tensor_check(&p->table, t);
        for (uint32_t k = 0; k < t->n_piece && *is_good; k++) {
            const tess_packed_piece *piece = &p->table.piece[t->first_piece + k];
            tess_status status = check_piece(p, piece, end, room, is_good, err);
            if (status != TESS_OK) return status;
            end += piece->n_byte;
        }
        bytes += p->order->item[i].tensor->n_byte;
        is_last = ends_segment(p, i);
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
        tess_packed_tensor *t = tensor_of(p, item);
        memset(t->sha256, 0, sizeof t->sha256);
        t->check = 0;
        for (uint32_t k = 0; k < t->n_piece; k++)
            p->table.piece[t->first_piece + k] =
                (tess_packed_piece){.n_row = p->table.piece[t->first_piece + k].n_row};
    }
    return begin_file(p, err); /* its table as far as it holds */
}

/* ---- a batch: reading ---- */

static bool add_work(batch *b, work w)
{
    if (b->n_work == b->n_room) {
        const size_t more = b->n_room ? 2 * b->n_room : 64;
        work *grown = realloc(b->work, more * sizeof *grown);
        if (!grown) return false;
        b->work = grown;
        b->n_room = more;
    }
    b->work[b->n_work++] = w;
    return true;
}

/* The next pieces, and how much room they take. */
static tess_status choose_work(tess_packing *p, batch *b, uint64_t *window_bytes, uint64_t *room_bytes,
                               tess_error *err)
{
    uint64_t plain_bytes = 0;
    *window_bytes = *room_bytes = 0;
    b->n_work = 0;
    while (p->next < p->n_item && plain_bytes < BATCH_BYTES) {
        const tess_tensor *t = p->order->item[p->next].tensor;
        const tess_packed_tensor *record = tensor_of(p, p->next);
        uint64_t n_row = 0, n_col = 0;
        tess_tensor_count_rows(t, &n_row, &n_col);
        work w = {.piece = record->first_piece + p->next_piece,
                  .item = p->next,
                  .first = p->next_piece * record->rows_per_piece};
        w.n_row = p->table.piece[w.piece].n_row;
        w.source_offset = t->offset + w.first * n_col * sizeof(uint16_t);
        w.plain_bytes = w.n_row * n_col * sizeof(uint16_t);
        w.ends_tensor = p->next_piece + 1 == record->n_piece;
        w.ends_segment = w.ends_tensor && ends_segment(p, p->next);
        if (!add_work(b, w)) return tess_fail(err, TESS_ENOMEM, "no memory to pack weights");
        plain_bytes += w.plain_bytes;
        *window_bytes += tess_window_bytes(w.plain_bytes);
        *room_bytes += room_of(t, w.n_row, n_col);
        p->next_piece = w.ends_tensor ? 0 : p->next_piece + 1;
        p->next += w.ends_tensor;
    }
    return TESS_OK;
}

static bool grow(unsigned char **room, uint64_t *held, uint64_t wanted)
{
    if (wanted <= *held) return true;
    free(*room);
    *room = aligned_alloc(TESS_IO_ALIGN, tess_align_up(wanted, TESS_IO_ALIGN));
    *held = *room ? wanted : 0;
    return *room != NULL;
}

/* Chooses the next pieces and reads them. */
static tess_status read_batch(tess_packing *p, batch *b, tess_error *err)
{
    uint64_t window_bytes, room_bytes;
    tess_status status = choose_work(p, b, &window_bytes, &room_bytes, err);
    if (status != TESS_OK) return status;
    if (!grow(&b->windows, &b->window_bytes, window_bytes) || !grow(&b->stored, &b->room_bytes, room_bytes))
        return tess_fail(err, TESS_ENOMEM, "no memory to pack weights");
    unsigned char *window = b->windows, *stored = b->stored;
    for (size_t i = 0; i < b->n_work && status == TESS_OK; i++) {
        work *w = &b->work[i];
        const tess_tensor *t = p->order->item[w->item].tensor;
        const void *plain;
        w->window = window;
        w->stored = stored;
        window += tess_window_bytes(w->plain_bytes);
        stored += room_of(t, w->n_row, w->plain_bytes / sizeof(uint16_t) / w->n_row);
        status = tess_file_read_window(tess_store_get_file(p->order->source, t->shard), w->source_offset,
                                       w->plain_bytes, w->window, &plain, err);
        w->plain = plain;
    }
    return status;
}

/* ---- a batch: packing ---- */

/* Whether a packed matrix gives back what went in. */
static bool is_same(const work *w, size_t n_col)
{
    const tess_packed_weights packed = tess_packed_weights_at(w->stored, w->n_row, n_col);
    uint16_t part[512];
    for (size_t r = 0; r < w->n_row; r++)
        for (size_t k = 0; k < n_col; k += sizeof part / sizeof *part) {
            const size_t n = n_col - k < sizeof part / sizeof *part ? n_col - k : sizeof part / sizeof *part;
            tess_packed_read(part, &packed, r, k, n);
            if (memcmp(part, w->plain + (r * n_col + k) * sizeof *part, n * sizeof *part)) return false;
        }
    return true;
}

static void pack_piece(const tess_packing *p, work *w)
{
    const tess_tensor *t = p->order->item[w->item].tensor;
    const size_t n_row = w->n_row, n_col = w->plain_bytes / sizeof(uint16_t) / n_row;
    const uint16_t *plain = (const uint16_t *)(const void *)w->plain;
    w->is_packed = w->is_sound = false;
    if (t->n_dim == 2 && tess_weights_can_pack(n_row, n_col)) {
        tess_packing_write_rows(w->stored, plain, n_row, n_col, 0, n_row);
        const size_t n_exception = tess_packing_place_exceptions(w->stored, n_row, n_col);
        w->is_packed = tess_packing_pays(n_exception, n_row, n_col);
        if (w->is_packed) {
            tess_packing_write_exceptions(w->stored, plain, n_row, n_col, 0, n_row);
            w->stored_bytes = tess_packed_bytes(n_row, n_col, n_exception);
            w->is_sound = is_same(w, n_col);
            return;
        }
    }
    w->stored_bytes = tess_align_up(w->plain_bytes, TESS_PIECE_ALIGN);
    memcpy(w->stored, w->plain, w->plain_bytes);
    memset(w->stored + w->plain_bytes, 0, w->stored_bytes - w->plain_bytes);
    w->is_sound = true;
}

/* Hashes what the batch has of a tensor, whose first piece in it is work i. */
static void hash_tensor(tess_packing *p, const batch *b, size_t i)
{
    tess_sha256 sha;
    if (b->work[i].first == 0)
        tess_sha256_init(&sha);
    else
        sha = p->before;
    const size_t item = b->work[i].item;
    for (; i < b->n_work && b->work[i].item == item; i++)
        tess_sha256_add(&sha, b->work[i].plain, b->work[i].plain_bytes);
    if (b->work[i - 1].ends_tensor)
        tess_sha256_finish_bytes(&sha, tensor_of(p, item)->sha256);
    else
        p->behind = sha;
}

typedef struct step {
    tess_packing *packing;
    batch *packs, *moves; /* one is packed, the other written and read into */
    atomic_size_t next_job;
    tess_status status; /* of moving */
    tess_error error;
} step;

static tess_status write_batch(tess_packing *p, const batch *b, tess_error *err);

/* Jobs are the pieces, each once to be packed, and once to be hashed if its tensor begins with it here. */
static void run_share(void *arg, int share, int n_share)
{
    step *s = arg;
    (void)n_share;
    if (share == 0) {
        s->status = write_batch(s->packing, s->moves, &s->error);
        if (s->status == TESS_OK) s->status = read_batch(s->packing, s->moves, &s->error);
    }
    batch *b = s->packs;
    for (size_t job; (job = atomic_fetch_add(&s->next_job, 1)) < 2 * b->n_work;) {
        const size_t i = job / 2;
        if (job % 2)
            pack_piece(s->packing, &b->work[i]);
        else if (i == 0 || b->work[i].item != b->work[i - 1].item)
            hash_tensor(s->packing, b, i);
    }
}

/* ---- a batch: writing ---- */

static tess_status note_piece(tess_packing *p, const work *w, tess_error *err)
{
    const uint64_t table = TESS_IO_ALIGN;
    const tess_packed_piece *piece = &p->table.piece[w->piece];
    tess_packed_tensor *tensor = tensor_of(p, w->item);
    const char *begin = (const char *)p->table.counts;
    if (w->ends_tensor) tensor->check = tess_packed_tensor_check(&p->table, tensor);
    tess_status status = tess_partial_write(p->part, table + (uint64_t)((const char *)piece - begin), piece,
                                            sizeof *piece, err);
    if (status != TESS_OK || !w->ends_tensor) return status;
    return tess_partial_write(p->part, table + (uint64_t)((const char *)tensor - begin), tensor,
                              sizeof *tensor, err);
}

/* Puts the pieces of a batch behind each other, as they will lie in the file, and at an address that leaves
 * the same rest as their place in it: they can then be written directly. Rooms are large enough that no piece
 * reaches into the next one's before that has been moved. Returns where they begin. */
static unsigned char *join_pieces(tess_packing *p, const batch *b, uint64_t *n_byte)
{
    unsigned char *begin = b->stored + p->end % TESS_IO_ALIGN, *to = begin;
    uint64_t offset = p->end;
    for (size_t i = 0; i < b->n_work; i++) {
        const work *w = &b->work[i];
        uint64_t n = w->stored_bytes;
        if (!w->is_sound) TESS_BUG("a packed matrix does not give back its weights");
        if (w->ends_segment) n = tess_align_up(offset + n, TESS_IO_ALIGN) - offset;
        memmove(to, w->stored, w->stored_bytes);
        memset(to + w->stored_bytes, 0, n - w->stored_bytes);
        p->table.piece[w->piece] =
            (tess_packed_piece){.offset = offset,
                                .n_byte = n,
                                .hash = tess_xxh3(to, n),
                                .format = w->is_packed ? TESS_FORMAT_PACKED : TESS_FORMAT_BF16,
                                .n_row = (uint32_t)w->n_row};
        to += n;
        offset += n;
    }
    *n_byte = offset - p->end;
    return begin;
}

static tess_status write_batch(tess_packing *p, const batch *b, tess_error *err)
{
    if (b->n_work == 0) return TESS_OK; /* nor has it any room */
    uint64_t n_byte;
    const unsigned char *bytes = join_pieces(p, b, &n_byte);
    tess_status status = tess_partial_write(p->part, p->end, bytes, n_byte, err);
    for (size_t i = 0; i < b->n_work && status == TESS_OK; i++) {
        status = note_piece(p, &b->work[i], err);
        p->done_bytes += b->work[i].plain_bytes;
    }
    p->end += n_byte;
    return status;
}

/* ---- all of it ---- */

static tess_status run_batches(tess_packing *p, tess_pool *pool, batch batches[2],
                               const tess_progress *progress, tess_error *err)
{
    const batch *last = NULL; /* packed and not yet written */
    tess_status status = read_batch(p, &batches[0], err);
    for (int turn = 0; status == TESS_OK && batches[turn].n_work > 0; turn = !turn) {
        step s = {.packing = p, .packs = &batches[turn], .moves = &batches[!turn], .next_job = 0};
        p->before = p->behind;
        tess_pool_run(pool, run_share, &s);
        status = s.status;
        if (status != TESS_OK && err) *err = s.error;
        if (status == TESS_OK)
            status = tess_progress_tell(progress, TESS_ACTIVITY_PACKING, p->done_bytes, p->total_bytes, err);
        last = &batches[turn];
    }
    if (status != TESS_OK || !last) return status;
    status = write_batch(p, last, err);
    if (status != TESS_OK) return status;
    return tess_progress_tell(progress, TESS_ACTIVITY_PACKING, p->done_bytes, p->total_bytes, err);
}

tess_status tess_packing_run(tess_packing *p, int n_thread, const tess_progress *progress, tess_error *err)
{
    tess_pool *pool = NULL;
    batch batches[2] = {{0}};
    tess_status status = find_start(p, progress, err);
    if (status == TESS_OK)
        status = tess_pool_new(n_thread < TESS_POOL_MAX_THREADS ? n_thread + 1 : n_thread, &pool, err);
    if (status == TESS_OK) status = run_batches(p, pool, batches, progress, err);
    tess_pool_free(pool);
    for (int i = 0; i < 2; i++) {
        free(batches[i].work);
        free(batches[i].windows);
        free(batches[i].stored);
    }
    return status;
}

static void count_facts(const tess_packing *p, tess_packing_facts *facts)
{
    *facts = (tess_packing_facts){
        .plain_bytes = p->total_bytes, .packed_bytes = p->end, .found_bytes = p->found_bytes};
    for (uint32_t i = 0; i < p->table.counts->n_piece; i++)
        if (p->table.piece[i].format == TESS_FORMAT_PACKED)
            facts->n_packed++;
        else
            facts->n_plain++;
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
