/* A piece is a fixed range of a shard, and which thread makes it changes nothing: content depends on the
 * place only. Pieces are handed out in order, as threads come for them.
 */
#include "shards.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/pool.h"
#include "base/system.h"

enum { PIECE_BYTES = 8 << 20, BLOCK_BYTES = 4096 };

typedef struct job {
    const char *folder;
    const synthetic_layout *layout;
    const synthetic_weights *weights;
    shards_stop *stop;
    shards_progress *progress;
    double started;
    int *fd; /* by shard */
    int n_open;
    atomic_ulong next; /* of all pieces */
    uint64_t n_piece;
    uint64_t *first_piece; /* by shard */
    atomic_ullong done_bytes;
    atomic_bool ended; /* failed or stopped: nobody begins another piece */
    pthread_mutex_t lock;
    tess_status status; /* of the first failure; under the lock, as its record is */
    tess_error err;
} job;

static void end_job(job *j, tess_status status, const tess_error *err)
{
    pthread_mutex_lock(&j->lock);
    if (j->status == TESS_OK) {
        j->status = status;
        j->err = *err;
    }
    pthread_mutex_unlock(&j->lock);
    atomic_store(&j->ended, true);
}

static tess_status fail_shard(const job *j, int shard, int64_t offset, const char *what, tess_error *err)
{
    int code = errno;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", j->folder, j->layout->shard[shard].name);
    return tess_fail_system(err, code, path, offset, what);
}

/* A system that lends no direct I/O takes ordinary writes. */
static tess_status write_piece(const job *j, int shard, const unsigned char *bytes, uint64_t offset,
                               uint64_t n, tess_error *err)
{
    int fd = j->fd[shard];
    while (n) {
        ssize_t done = pwrite(fd, bytes, n, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0 && errno == EINVAL && fcntl(fd, F_GETFL) & O_DIRECT) {
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT);
            continue;
        }
        if (done == 0) errno = ENOSPC;
        if (done <= 0) return fail_shard(j, shard, (int64_t)offset, "write", err);
        bytes += done;
        offset += (uint64_t)done;
        n -= (uint64_t)done;
    }
    return TESS_OK;
}

/* Whole blocks that hold all of a piece that is no hole; false: there is none. */
static bool find_blocks(const job *j, int shard, uint64_t offset, uint64_t *begin, uint64_t *end)
{
    if (!layout_find_used(j->layout, shard, offset, PIECE_BYTES, begin, end)) return false;
    *begin -= *begin % BLOCK_BYTES;
    *end = tess_align_up(*end, BLOCK_BYTES);
    return true;
}

static int shard_of(const job *j, uint64_t piece)
{
    int shard = 0;
    while (shard + 1 < j->layout->n_shard && j->first_piece[shard + 1] <= piece) shard++;
    return shard;
}

static void make_pieces(job *j, unsigned char *buffer, weights_scratch *scratch, bool tells)
{
    for (;;) {
        uint64_t piece = atomic_fetch_add(&j->next, 1);
        if (piece >= j->n_piece || atomic_load(&j->ended)) return;
        tess_error err;
        int shard = shard_of(j, piece);
        uint64_t begin, end;
        if (!find_blocks(j, shard, (piece - j->first_piece[shard]) * PIECE_BYTES, &begin, &end)) continue;
        layout_read(j->layout, j->weights, shard, begin, end - begin, buffer, scratch);
        tess_status status = j->stop() ? tess_fail(&err, TESS_EINTERRUPTED, "interrupted")
                                       : write_piece(j, shard, buffer, begin, end - begin, &err);
        if (status != TESS_OK) {
            end_job(j, status, &err);
            return;
        }
        uint64_t done = atomic_fetch_add(&j->done_bytes, end - begin) + (end - begin);
        if (tells) j->progress(done, j->layout->filled_bytes, tess_system_seconds() - j->started);
    }
}

static void work(void *arg, int part, int n_part)
{
    (void)n_part;
    job *j = arg;
    weights_scratch *scratch = calloc(1, sizeof *scratch);
    unsigned char *buffer = aligned_alloc(BLOCK_BYTES, PIECE_BYTES);
    if (scratch) scratch->row = calloc(weights_row_floats(j->weights), sizeof *scratch->row);
    if (scratch && buffer && scratch->row) {
        make_pieces(j, buffer, scratch, part == 0);
    } else {
        tess_error err;
        end_job(j, tess_fail(&err, TESS_ENOMEM, "no memory for a thread"), &err);
    }
    free(buffer);
    if (scratch) free(scratch->row);
    free(scratch);
}

/* Reserves the blocks that will be written, so that a full disk shows before the work. */
static tess_status reserve_blocks(const job *j, int shard, tess_error *err)
{
    uint64_t begin, end;
    for (uint64_t at = 0; at < j->layout->shard[shard].file_bytes; at += PIECE_BYTES) {
        if (!find_blocks(j, shard, at, &begin, &end)) continue;
        int code;
        do code = fallocate(j->fd[shard], 0, (off_t)begin, (off_t)(end - begin)) ? errno : 0;
        while (code == EINTR);
        if (code == EOPNOTSUPP || code == ENOSYS) return TESS_OK;
        errno = code;
        if (code) return fail_shard(j, shard, (int64_t)begin, "reserve room", err);
    }
    return TESS_OK;
}

static tess_status open_shards(job *j, tess_error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    for (int i = 0; i < j->layout->n_shard; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", j->folder, j->layout->shard[i].name);
        int fd = open(path, flags | O_DIRECT, 0666);
        if (fd < 0 && errno == EINVAL) {
            unlink(path); /* the name is made before the flag is refused */
            fd = open(path, flags, 0666);
        }
        if (fd < 0) return fail_shard(j, i, -1, "create", err);
        j->fd[j->n_open++] = fd;
        tess_status status = reserve_blocks(j, i, err);
        if (status != TESS_OK) return status;
        j->first_piece[i] = j->n_piece;
        j->n_piece += (j->layout->shard[i].file_bytes + PIECE_BYTES - 1) / PIECE_BYTES;
    }
    return TESS_OK;
}

/* Sizes are made exact, holes at the end included. */
static tess_status finish_shards(const job *j, tess_error *err)
{
    for (int i = 0; i < j->layout->n_shard; i++) {
        if (ftruncate(j->fd[i], (off_t)j->layout->shard[i].file_bytes))
            return fail_shard(j, i, -1, "set its size", err);
        if (j->layout->filled_bytes && fsync(j->fd[i]))
            return fail_shard(j, i, -1, "flush it to the disk", err);
    }
    return TESS_OK;
}

static tess_status run_job(job *j, int n_thread, tess_error *err)
{
    tess_pool *pool;
    tess_status status = open_shards(j, err);
    if (status == TESS_OK) status = tess_pool_new(n_thread, &pool, err);
    if (status != TESS_OK) return status;
    tess_pool_run(pool, work, j);
    tess_pool_free(pool);
    if (j->status == TESS_OK) return finish_shards(j, err);
    if (err) *err = j->err;
    return j->status;
}

tess_status shards_write(const char *folder, const synthetic_layout *layout, const synthetic_weights *weights,
                         int n_thread, shards_stop *stop, shards_progress *progress, tess_error *err)
{
    job j = {.folder = folder,
             .layout = layout,
             .weights = weights,
             .stop = stop,
             .progress = progress,
             .started = tess_system_seconds(),
             .lock = PTHREAD_MUTEX_INITIALIZER};
    j.fd = calloc((size_t)layout->n_shard, sizeof *j.fd);
    j.first_piece = calloc((size_t)layout->n_shard, sizeof *j.first_piece);
    tess_status status = j.fd && j.first_piece ? run_job(&j, n_thread, err)
                                               : tess_fail(err, TESS_ENOMEM, "no memory for the shards");
    for (int i = 0; i < j.n_open; i++)
        if (close(j.fd[i]) && status == TESS_OK) status = fail_shard(&j, i, -1, "close", err);
    free(j.fd);
    free(j.first_piece);
    return status;
}
