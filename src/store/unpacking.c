#include "store/unpacking.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "io/partial.h"
#include "store/shard_reader.h"

static const size_t CHUNK_BYTES = 4 << 20;

enum { N_SHARE = 2 };

/* ---- what is there ---- */

/* Bytes of a file, be it finished or not. */
typedef struct source {
    tess_file *file;
    tess_partial *part;
} source;

static tess_status read_source(const source *s, uint64_t offset, void *out, size_t n, tess_error *err)
{
    return s->file ? tess_file_read(s->file, offset, out, n, err)
                   : tess_partial_read(s->part, offset, out, n, err);
}

static tess_status is_same_head(const tess_unpacking *u, int shard, const source *s, unsigned char *room,
                                bool *is_same, tess_error *err)
{
    const tess_packed_store *packed = tess_store_get_packed(u->store);
    const uint64_t n = tess_safetensors_get_head_bytes(tess_store_get_shard(u->store, shard)),
                   at = tess_packed_store_get_head_offset(packed, shard);
    tess_status status = TESS_OK;
    *is_same = true;
    for (uint64_t done = 0; done < n && *is_same && status == TESS_OK;) {
        const size_t run = n - done < CHUNK_BYTES / 2 ? (size_t)(n - done) : CHUNK_BYTES / 2;
        status = read_source(s, done, room, run, err);
        if (status == TESS_OK)
            status = tess_file_read(tess_packed_store_get_file(packed), at + done, room + run, run, err);
        *is_same = status == TESS_OK && memcmp(room, room + run, run) == 0;
        done += run;
    }
    return status;
}

static tess_status is_same_tensor(const tess_unpacking *u, const tess_tensor *t, const source *s,
                                  unsigned char *room, bool *is_same, tess_error *err)
{
    const tess_packed_table *table = tess_packed_store_get_table(tess_store_get_packed(u->store));
    unsigned char digest[TESS_SHA256_BYTES];
    tess_sha256 sha;
    tess_sha256_init(&sha);
    for (uint64_t done = 0; done < t->n_byte;) {
        const size_t run = t->n_byte - done < CHUNK_BYTES ? (size_t)(t->n_byte - done) : CHUNK_BYTES;
        tess_status status = read_source(s, t->offset + done, room, run, err);
        if (status != TESS_OK) return status;
        tess_sha256_add(&sha, room, run);
        done += run;
    }
    tess_sha256_finish_bytes(&sha, digest);
    *is_same = memcmp(digest, table->tensor[tess_store_get_place(u->store, t)].sha256, sizeof digest) == 0;
    return TESS_OK;
}

/* *good: bytes from the beginning on that are the shard's, up to the end of a tensor, of `size` there are. */
static tess_status count_good(tess_unpacking *u, int shard, const source *s, uint64_t size, uint64_t *good,
                              tess_error *err)
{
    const tess_safetensors *st = tess_store_get_shard(u->store, shard);
    uint64_t begin = tess_safetensors_get_head_bytes(st);
    *good = 0;
    if (size < begin) return TESS_OK;
    unsigned char *room = malloc(CHUNK_BYTES);
    if (!room) return tess_fail(err, TESS_ENOMEM, "no memory to check what is there");
    bool is_same;
    tess_status status = is_same_head(u, shard, s, room, &is_same, err);
    if (is_same) *good = begin;
    for (size_t i = 0; status == TESS_OK && is_same && i < tess_safetensors_get_count(st); i++) {
        const tess_tensor *t = tess_safetensors_get(st, i);
        if (t->offset + t->n_byte > size) break;
        status = is_same_tensor(u, t, s, room, &is_same, err);
        if (status == TESS_OK && is_same) {
            *good = t->offset + t->n_byte;
            status = tess_progress_tell(u->progress, TESS_ACTIVITY_UNPACKING, u->done + *good, u->total, err);
        }
    }
    free(room);
    return status;
}

tess_status tess_unpacking_check(tess_unpacking *u, int shard, const char *path, tess_error *err)
{
    const uint64_t n = tess_packed_store_get_table(tess_store_get_packed(u->store))->shard[shard].n_byte;
    source s = {0};
    uint64_t good = 0;
    tess_status status = tess_file_open(path, TESS_DIRECT_OFF, &s.file, err);
    if (status != TESS_OK) return status;
    const uint64_t size = tess_file_get_size(s.file);
    if (size == n) status = count_good(u, shard, &s, size, &good, err);
    tess_file_close(s.file);
    if (status != TESS_OK) return status;
    if (size != n || good != n)
        return tess_refuse(err, path, "", size != n ? -1 : (int64_t)good,
                           "this shard as it was packed; name another folder", "a file that differs");
    u->done += n;
    u->found += n;
    return TESS_OK;
}

/* ---- writing what is not ---- */

typedef struct restoring {
    tess_unpacking *unpacking;
    const tess_safetensors *st;
    tess_shard_reader *reader;
    tess_partial *part;
    uint64_t size, chunk_begin, next_begin; /* of the one that is written, and of the one that is read */
    size_t chunk_bytes, next_bytes;
    const unsigned char *chunk, *next;
    unsigned char *window[2];
    int turn;  /* the window that is read into */
    size_t at; /* the tensor whose bytes come next */
    tess_sha256 sha;
    tess_status status[N_SHARE];
    tess_error error[N_SHARE];
} restoring;

static tess_status read_next(restoring *r, unsigned char *window, tess_error *err)
{
    /* Parts end at multiples of a chunk and lie as they do in the file, so that they can be written directly.
     */
    const uint64_t left = r->size - r->next_begin, until = CHUNK_BYTES - r->next_begin % CHUNK_BYTES;
    unsigned char *to = window + r->next_begin % TESS_IO_ALIGN;
    const void *data;
    r->next_bytes = (size_t)(left < until ? left : until);
    tess_status status = tess_shard_reader_read(r->reader, r->next_begin, r->next_bytes, to, &data, err);
    r->next = data;
    return status;
}

static tess_status check_tensor(restoring *r, tess_error *err)
{
    const tess_store *store = r->unpacking->store;
    const tess_packed_table *table = tess_packed_store_get_table(tess_store_get_packed(store));
    const tess_tensor *t = tess_safetensors_get(r->st, r->at);
    const tess_packed_tensor *record = &table->tensor[tess_store_get_place(store, t)];
    unsigned char digest[TESS_SHA256_BYTES];
    uint64_t offset = table->piece[record->first_piece].offset;
    tess_sha256_finish_bytes(&r->sha, digest);
    if (memcmp(digest, record->sha256, sizeof digest) == 0) return TESS_OK;
    (void)tess_shard_reader_is_damaged(r->reader, r->at, &offset);
    return tess_store_refuse_damage(store, t, offset, err);
}

/* Hashes the tensors that the chunk has parts of. A tensor that was damaged is not written whole. */
static tess_status check_chunk(restoring *r, tess_error *err)
{
    const uint64_t begin = r->chunk_begin, end = begin + r->chunk_bytes;
    for (; r->at < tess_safetensors_get_count(r->st); r->at++) {
        const tess_tensor *t = tess_safetensors_get(r->st, r->at);
        const uint64_t from = t->offset > begin ? t->offset : begin, t_end = t->offset + t->n_byte,
                       to = t_end < end ? t_end : end;
        if (from >= end) break;
        if (t->offset >= begin) tess_sha256_init(&r->sha);
        tess_sha256_add(&r->sha, r->chunk + (from - begin), (size_t)(to - from));
        if (t_end > end) break;
        tess_status status = check_tensor(r, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static void run_share(void *arg, int share, int n_share)
{
    restoring *r = arg;
    for (int i = share; i < N_SHARE; i += n_share) {
        tess_error *err = &r->error[i];
        if (i == 0) {
            r->turn = !r->turn;
            r->status[i] = read_next(r, r->window[r->turn], err);
            continue;
        }
        r->status[i] = check_chunk(r, err);
        if (r->status[i] == TESS_OK)
            r->status[i] = tess_partial_write(r->part, r->chunk_begin, r->chunk, r->chunk_bytes, err);
    }
}

static tess_status restore_from(restoring *r, tess_pool *pool, tess_error *err)
{
    tess_unpacking *u = r->unpacking;
    const uint64_t before = u->done;
    tess_status status = read_next(r, r->window[0], err);
    while (status == TESS_OK && r->next_bytes > 0) {
        r->chunk = r->next;
        r->chunk_begin = r->next_begin;
        r->chunk_bytes = r->next_bytes;
        r->next_begin += r->chunk_bytes;
        tess_pool_run(pool, run_share, r);
        for (int i = N_SHARE - 1; i >= 0; i--)
            if (r->status[i] != TESS_OK) {
                status = r->status[i];
                if (err) *err = r->error[i];
            }
        if (status == TESS_OK)
            status = tess_progress_tell(u->progress, TESS_ACTIVITY_UNPACKING, before + r->next_begin,
                                        u->total, err);
    }
    return status;
}

static tess_status start(restoring *r, int shard, tess_error *err)
{
    const tess_unpacking *u = r->unpacking;
    const source s = {.part = r->part};
    uint64_t size = 0;
    tess_status status = tess_partial_get_size(r->part, &size, err);
    if (status == TESS_OK)
        status = count_good(r->unpacking, shard, &s, size < r->size ? size : r->size, &r->next_begin, err);
    if (status == TESS_OK) status = tess_shard_reader_new(u->store, shard, &r->reader, err);
    if (status != TESS_OK) return status;
    for (int i = 0; i < 2; i++) {
        r->window[i] = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(CHUNK_BYTES));
        if (!r->window[i]) return tess_fail(err, TESS_ENOMEM, "no memory to unpack");
    }
    while (r->at < tess_safetensors_get_count(r->st) &&
           tess_safetensors_get(r->st, r->at)->offset < r->next_begin)
        r->at++;
    return TESS_OK;
}

tess_status tess_unpacking_restore(tess_unpacking *u, int shard, const char *path, tess_error *err)
{
    const tess_packed_table *table = tess_packed_store_get_table(tess_store_get_packed(u->store));
    restoring r = {
        .unpacking = u, .st = tess_store_get_shard(u->store, shard), .size = table->shard[shard].n_byte};
    tess_pool *pool = NULL;
    tess_status status = tess_partial_open(path, r.size, &r.part, err);
    if (status != TESS_OK) return status;
    status = tess_pool_new(N_SHARE, &pool, err);
    if (status == TESS_OK) status = start(&r, shard, err);
    const uint64_t found = r.next_begin;
    if (status == TESS_OK) status = restore_from(&r, pool, err);
    tess_pool_free(pool);
    tess_shard_reader_free(r.reader);
    for (int i = 0; i < 2; i++) free(r.window[i]);
    if (status != TESS_OK) {
        tess_partial_close(r.part);
        return status;
    }
    u->done += r.size;
    u->found += found;
    return tess_partial_commit(r.part, r.size, err);
}
