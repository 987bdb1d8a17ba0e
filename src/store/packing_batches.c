/* Two batches by turns: all threads pack and hash one while a further one writes what the other holds and
 * reads its next segments into it. Which thread takes which job is by chance; what comes out is not.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/xxh3.h"
#include "store/packing_state.h"

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

/* ---- reading ---- */

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
        const tess_packed_tensor *record = tess_packing_tensor(p, p->next);
        uint64_t n_row = 0, n_col = 0;
        tess_tensor_count_rows(t, &n_row, &n_col);
        work w = {.piece = record->first_piece + p->next_piece,
                  .item = p->next,
                  .first = p->next_piece * record->rows_per_piece};
        w.n_row = p->table.piece[w.piece].n_row;
        w.source_offset = t->offset + w.first * n_col * sizeof(uint16_t);
        w.plain_bytes = w.n_row * n_col * sizeof(uint16_t);
        w.ends_tensor = p->next_piece + 1 == record->n_piece;
        w.ends_segment = w.ends_tensor && tess_packing_ends_segment(p, p->next);
        if (!add_work(b, w)) return tess_fail(err, TESS_ENOMEM, "no memory to pack weights");
        plain_bytes += w.plain_bytes;
        *window_bytes += tess_window_bytes(w.plain_bytes);
        *room_bytes += tess_packing_room(t, w.n_row, n_col);
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
        stored += tess_packing_room(t, w->n_row, w->plain_bytes / sizeof(uint16_t) / w->n_row);
        status = tess_file_read_window(tess_store_get_file(p->order->source, t->shard), w->source_offset,
                                       w->plain_bytes, w->window, &plain, err);
        w->plain = plain;
    }
    return status;
}

/* ---- packing ---- */

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

typedef struct step {
    tess_packing *packing;
    batch *packs, *moves; /* one is packed, the other written and read into */
    tess_sha256 before;   /* of the tensor that the one that is packed begins inside of, */
    tess_sha256 behind;   /* and of that which it ends inside of */
    atomic_size_t next_job;
    tess_status status; /* of moving */
    tess_error error;
} step;

/* Hashes what the batch has of a tensor, whose first piece in it is work i. */
static void hash_tensor(step *s, size_t i)
{
    const batch *b = s->packs;
    const size_t item = b->work[i].item;
    tess_sha256 sha = s->before;
    if (b->work[i].first == 0) tess_sha256_init(&sha);
    for (; i < b->n_work && b->work[i].item == item; i++)
        tess_sha256_add(&sha, b->work[i].plain, b->work[i].plain_bytes);
    if (b->work[i - 1].ends_tensor)
        tess_sha256_finish_bytes(&sha, tess_packing_tensor(s->packing, item)->sha256);
    else
        s->behind = sha;
}

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
            hash_tensor(s, i);
    }
}

/* ---- writing ---- */

static tess_status note_piece(tess_packing *p, const work *w, tess_error *err)
{
    const uint64_t table = TESS_IO_ALIGN;
    const tess_packed_piece *piece = &p->table.piece[w->piece];
    tess_packed_tensor *tensor = tess_packing_tensor(p, w->item);
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

static tess_status tell(const tess_packing *p, const tess_progress *progress, tess_error *err)
{
    return tess_progress_tell(progress, TESS_ACTIVITY_PACKING, p->done_bytes, p->total_bytes, err);
}

static tess_status run_all(tess_packing *p, tess_pool *pool, batch batches[2], const tess_progress *progress,
                           tess_error *err)
{
    step s = {.packing = p, .packs = &batches[0], .moves = &batches[1]};
    tess_status status = read_batch(p, s.packs, err);
    while (status == TESS_OK && s.packs->n_work > 0) {
        s.before = s.behind;
        atomic_store(&s.next_job, 0);
        tess_pool_run(pool, run_share, &s);
        status = s.status;
        if (status != TESS_OK && err) *err = s.error;
        if (status == TESS_OK) status = tell(p, progress, err);
        batch *packed = s.packs;
        s.packs = s.moves;
        s.moves = packed;
    }
    if (status == TESS_OK) status = write_batch(p, s.moves, err);
    return status == TESS_OK ? tell(p, progress, err) : status;
}

tess_status tess_packing_run_batches(tess_packing *p, int n_thread, const tess_progress *progress,
                                     tess_error *err)
{
    tess_pool *pool = NULL;
    batch batches[2] = {{0}};
    tess_status status =
        tess_pool_new(n_thread < TESS_POOL_MAX_THREADS ? n_thread + 1 : n_thread, &pool, err);
    if (status == TESS_OK) status = run_all(p, pool, batches, progress, err);
    tess_pool_free(pool);
    for (int i = 0; i < 2; i++) {
        free(batches[i].work);
        free(batches[i].windows);
        free(batches[i].stored);
    }
    return status;
}
