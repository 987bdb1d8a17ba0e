/* Digests of shards: recorded one by one, each in a transaction of its own, so that what was hashed before an
 * interruption stays, and taken back for as long as the file is what it was. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "verify/ledger/files.h"

static tess_status find_folder_of_shard(const tess_shard_info *info, char out[PATH_MAX], tess_error *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(info->path, '/');
    if (!slash)
        strcpy(dir, ".");
    else
        snprintf(dir, sizeof dir, "%.*s", (int)(slash + 1 - info->path), info->path);
    return tess_ledger_find_folder(dir, out, err);
}

/* The shard as it was opened, which is what its digests are of. */
static tess_ledger_stamp stamp_of(const tess_shard_info *info)
{
    return (tess_ledger_stamp){.n_byte = (int64_t)info->stored_bytes, .mtime_ns = info->mtime_ns};
}

/* How long a change of the file may still leave its modification time as it is. */
static int64_t unsettled_ns(tess_ledger_stamp stamp, int64_t now_ns)
{
    static const int64_t second_ns = 1000000000, fine_ns = 20000000;
    int64_t resolution_ns = stamp.mtime_ns % second_ns ? fine_ns : 2 * second_ns;
    int64_t age_ns = now_ns - stamp.mtime_ns;
    return stamp.n_byte >= 0 && age_ns >= 0 && age_ns < resolution_ns ? resolution_ns - age_ns : 0;
}

void tess_ledger_await_shards(const tess_checkpoint *checkpoint)
{
    char folder[PATH_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, longest_ns = 0;
    for (int i = 0; i < tess_checkpoint_get_shard_count(checkpoint); i++) {
        tess_shard_info info;
        tess_checkpoint_get_shard(checkpoint, i, &info);
        if (!info.is_usable) continue;
        int64_t left_ns = unsettled_ns(stamp_of(&info), now_ns);
        if (left_ns > longest_ns) longest_ns = left_ns;
        if (i || find_folder_of_shard(&info, folder, NULL) != TESS_OK) continue;
        left_ns = unsettled_ns(tess_ledger_stamp_in(folder, TESS_LEDGER_INDEX_NAME), now_ns);
        if (left_ns > longest_ns) longest_ns = left_ns;
    }
    const struct timespec pause = {longest_ns / 1000000000, longest_ns % 1000000000};
    if (longest_ns) nanosleep(&pause, NULL);
}

/* The first tensor of a shard. */
static size_t first_tensor(const tess_checkpoint *checkpoint, int shard)
{
    size_t first = 0;
    tess_shard_info info;
    for (int i = 0; i < shard; i++) {
        tess_checkpoint_get_shard(checkpoint, i, &info);
        first += info.n_tensor;
    }
    return first;
}

typedef struct recalling {
    const tess_checkpoint *checkpoint;
    size_t first, n, at;
    tess_tensor_checksum *sum;
    bool matches;
} recalling;

static bool recall_tensor(void *context, const tess_ledger_value *value, int n_value)
{
    recalling *r = context;
    (void)n_value;
    if (r->at >= r->n) return r->matches = false;
    const tess_tensor *t = tess_checkpoint_get_tensor(r->checkpoint, r->first + r->at);
    char shape[192];
    tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
    for (int i = 0; i < 4; i++)
        if (!value[i].text) return r->matches = false;
    if (strcmp(value[0].text, t->name) != 0 || strcmp(value[1].text, tess_dtype_name(t->dtype)) != 0 ||
        strcmp(value[2].text, shape) != 0)
        return r->matches = false;
    tess_tensor_checksum *sum = &r->sum[r->at++];
    *sum = (tess_tensor_checksum){.tensor = t,
                                  .is_readable = true,
                                  .n_nonfinite = (uint64_t)value[4].integer,
                                  .first_nonfinite = (uint64_t)value[5].integer};
    snprintf(sum->sha256, sizeof sum->sha256, "%s", value[3].text);
    return true;
}

tess_status tess_ledger_recall_shard(tess_ledger *ledger, const tess_checkpoint *checkpoint, int shard,
                                     tess_tensor_checksum *sum, char sha256[65], int64_t *hashed_ms,
                                     bool *found, tess_error *err)
{
    char folder[PATH_MAX];
    tess_shard_info info;
    tess_ledger_file file;
    *found = false;
    tess_checkpoint_get_shard(checkpoint, shard, &info);
    if (!info.is_usable) return TESS_OK;
    tess_status status = find_folder_of_shard(&info, folder, err);
    if (status == TESS_OK) status = tess_ledger_find_file(ledger, folder, info.name, &file, err);
    if (status != TESS_OK || !file.id || !tess_ledger_stamp_is_same(stamp_of(&info), file.stamp) ||
        !tess_ledger_stamp_is_same(tess_ledger_stamp_file(info.path), file.stamp))
        return status;
    recalling r = {.checkpoint = checkpoint,
                   .first = first_tensor(checkpoint, shard),
                   .n = info.n_tensor,
                   .sum = sum,
                   .matches = true};
    status = tess_ledger_ask(ledger,
                             "SELECT name, dtype, shape, sha256, n_nonfinite, first_nonfinite FROM tensors"
                             " WHERE file_id = ?1 ORDER BY place",
                             (tess_ledger_value[]){TESS_BIND_INTEGER(file.id)}, 1, recall_tensor, &r, err);
    if (status != TESS_OK || !r.matches || r.at != r.n) return status;
    memcpy(sha256, file.sha256, sizeof file.sha256);
    *hashed_ms = file.hashed_ms;
    *found = true;
    return TESS_OK;
}

static tess_status write_tensors(tess_ledger *ledger, int64_t file, const tess_tensor_checksum *sum, size_t n,
                                 tess_error *err)
{
    sqlite3_stmt *statement;
    tess_status status = tess_ledger_ask(ledger, "DELETE FROM tensors WHERE file_id = ?1",
                                         (tess_ledger_value[]){TESS_BIND_INTEGER(file)}, 1, NULL, NULL, err);
    if (status == TESS_OK)
        status = tess_ledger_prepare(ledger,
                                     "INSERT INTO tensors (file_id, place, name, dtype, shape, sha256,"
                                     " n_nonfinite, first_nonfinite) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                                     &statement, err);
    if (status != TESS_OK) return status;
    for (size_t i = 0; i < n && status == TESS_OK; i++) {
        char shape[192];
        const tess_tensor *t = sum[i].tensor;
        tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
        const tess_ledger_value bind[] = {TESS_BIND_INTEGER(file),
                                          TESS_BIND_INTEGER(i),
                                          tess_bind_text(t->name),
                                          tess_bind_text(tess_dtype_name(t->dtype)),
                                          tess_bind_text(shape),
                                          tess_bind_text(sum[i].sha256),
                                          TESS_BIND_INTEGER(sum[i].n_nonfinite),
                                          TESS_BIND_INTEGER(sum[i].first_nonfinite)};
        status = tess_ledger_repeat(ledger, statement, bind, 8, err);
    }
    sqlite3_finalize(statement);
    return status;
}

tess_status tess_ledger_record_shard(tess_ledger *ledger, const tess_checkpoint *checkpoint, int shard,
                                     const tess_tensor_checksum *sum, const char *sha256, bool *recorded,
                                     tess_error *err)
{
    char folder[PATH_MAX];
    tess_shard_info info;
    *recorded = false;
    tess_checkpoint_get_shard(checkpoint, shard, &info);
    if (!info.is_usable || !tess_ledger_stamp_is_same(tess_ledger_stamp_file(info.path), stamp_of(&info)))
        return TESS_OK;
    for (size_t i = 0; i < info.n_tensor; i++)
        if (!sum[i].is_readable || sum[i].is_damaged) return TESS_OK;
    tess_status status = find_folder_of_shard(&info, folder, err);
    if (status == TESS_OK) status = tess_ledger_begin(ledger, err);
    if (status != TESS_OK) return status;
    int64_t file = 0;
    status = tess_ledger_write_file(ledger, folder, info.name, stamp_of(&info), sha256, &file, err);
    if (status == TESS_OK) status = write_tensors(ledger, file, sum, info.n_tensor, err);
    status = tess_ledger_end(ledger, status, err);
    *recorded = status == TESS_OK;
    return status;
}
