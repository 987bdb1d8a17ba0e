/* Checkpoints and the digests of their files.
 *
 * A digest is taken for what it was for as long as the file has the size and the modification time it had
 * then. Shards are recorded one by one, each in a transaction of its own: what was hashed before an
 * interruption stays.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/digest.h"
#include "base/error.h"
#include "verify/ledger.h"

static const char index_name[] = "model.safetensors.index.json";

tess_ledger_stamp tess_ledger_stamp_file(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return (tess_ledger_stamp){.n_byte = -1};
    return (tess_ledger_stamp){.n_byte = st.st_size,
                               .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
}

static bool is_same(tess_ledger_stamp a, tess_ledger_stamp b)
{
    return a.n_byte >= 0 && a.n_byte == b.n_byte && a.mtime_ns == b.mtime_ns;
}

static tess_ledger_stamp stamp_in(const char *folder, const char *name)
{
    char path[PATH_MAX + 512];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path) return (tess_ledger_stamp){.n_byte = -1};
    return tess_ledger_stamp_file(path);
}

static tess_status find_folder(const char *dir, char out[PATH_MAX], tess_error *err)
{
    if (realpath(dir, out)) return TESS_OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return tess_refuse(err, dir, "", -1, "the folder of a checkpoint", "no such folder");
    return tess_fail_system(err, errno, dir, -1, "find the folder");
}

static tess_status find_folder_of_shard(const tess_shard_info *info, char out[PATH_MAX], tess_error *err)
{
    char dir[PATH_MAX];
    int length = (int)(strlen(info->path) - strlen(info->name));
    if (length <= 0)
        strcpy(dir, ".");
    else
        snprintf(dir, sizeof dir, "%.*s", length, info->path);
    return find_folder(dir, out, err);
}

/* The shard as it was opened, which is what its digests are of. */
static tess_ledger_stamp stamp_of(const tess_shard_info *info)
{
    return (tess_ledger_stamp){.n_byte = (int64_t)info->n_byte, .mtime_ns = info->mtime_ns};
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
        left_ns = unsettled_ns(stamp_in(folder, index_name), now_ns);
        if (left_ns > longest_ns) longest_ns = left_ns;
    }
    const struct timespec pause = {longest_ns / 1000000000, longest_ns % 1000000000};
    if (longest_ns) nanosleep(&pause, NULL);
}

/* ---- checkpoints --------------------------------------------------------------------------------------- */

typedef struct file_check {
    const char *folder;
    bool all_same;
    int n;
} file_check;

static bool check_file(void *context, const tess_ledger_value *value, int n_value)
{
    file_check *check = context;
    (void)n_value;
    tess_ledger_stamp then = {value[1].integer, value[2].integer};
    check->n++;
    check->all_same = value[1].kind == TESS_LEDGER_INTEGER && value[0].text &&
                      is_same(stamp_in(check->folder, value[0].text), then);
    return check->all_same;
}

/* Whether the files are those that the checkpoint's weights were hashed from. */
static tess_status check_files(tess_ledger *ledger, int64_t id, const char *folder, bool *all_same,
                               tess_error *err)
{
    file_check check = {.folder = folder};
    const tess_ledger_value bind[] = {TESS_BIND_INTEGER(id), tess_bind_text(folder)};
    tess_status status =
        tess_ledger_ask(ledger,
                        "SELECT c.name, f.n_byte, f.mtime_ns FROM checkpoint_files c LEFT JOIN"
                        " files f ON f.folder = ?2 AND f.name = c.name AND f.sha256 = c.sha256"
                        " WHERE c.checkpoint_id = ?1",
                        bind, 2, check_file, &check, err);
    *all_same = check.n && check.all_same;
    return status;
}

static bool take_weights(void *context, const tess_ledger_value *value, int n_value)
{
    tess_ledger_checkpoint *found = context;
    (void)n_value;
    found->id = value[0].integer;
    snprintf(found->weights_sha256, sizeof found->weights_sha256, "%s", value[1].text ? value[1].text : "");
    return false;
}

/* Of the entries with this folder and configuration the latest whose files are as they were hashed, else the
 * one of unknown weights; out->id 0 if there is neither. */
static tess_status find_checkpoint(tess_ledger *ledger, const char *folder, tess_ledger_checkpoint *out,
                                   tess_error *err)
{
    tess_ledger_checkpoint found = {.id = INT64_MAX};
    tess_status status = TESS_OK;
    for (bool all_same = false; status == TESS_OK && found.id && !all_same;) {
        const tess_ledger_value bind[] = {tess_bind_text(folder), tess_bind_text(out->config_sha256),
                                          TESS_BIND_INTEGER(found.id)};
        found = (tess_ledger_checkpoint){0};
        status = tess_ledger_ask(ledger,
                                 "SELECT id, weights_sha256 FROM checkpoints WHERE folder = ?1 AND"
                                 " ifnull(config_sha256, '') = ?2 AND weights_sha256 IS NOT NULL AND id < ?3"
                                 " ORDER BY id DESC LIMIT 1",
                                 bind, 3, take_weights, &found, err);
        if (status == TESS_OK && found.id) status = check_files(ledger, found.id, folder, &all_same, err);
    }
    const tess_ledger_value bind[] = {tess_bind_text(folder), tess_bind_text(out->config_sha256)};
    if (status == TESS_OK && !found.id)
        status = tess_ledger_ask(ledger,
                                 "SELECT id, '' FROM checkpoints WHERE folder = ?1 AND"
                                 " ifnull(config_sha256, '') = ?2 AND weights_sha256 IS NULL",
                                 bind, 2, take_weights, &found, err);
    if (status != TESS_OK) return status;
    out->id = found.id;
    memcpy(out->weights_sha256, found.weights_sha256, sizeof found.weights_sha256);
    return TESS_OK;
}

static tess_status insert_checkpoint(tess_ledger *ledger, const char *folder, const char *config_sha256,
                                     const char *weights_sha256, int64_t *id, tess_error *err)
{
    tess_status status = tess_ledger_new_entry(ledger, "checkpoint", id, err);
    if (status != TESS_OK) return status;
    const tess_ledger_value bind[] = {TESS_BIND_INTEGER(*id), tess_bind_text(folder),
                                      tess_bind_text(*config_sha256 ? config_sha256 : NULL),
                                      tess_bind_text(weights_sha256)};
    return tess_ledger_ask(
        ledger, "INSERT INTO checkpoints (id, folder, config_sha256, weights_sha256) VALUES (?1, ?2, ?3, ?4)",
        bind, 4, NULL, NULL, err);
}

/* "" if the file cannot be read, or is larger than any config.json or index that is read. */
static tess_status hash_file(const char *folder, const char *name, char out[65], tess_error *err)
{
    static const int64_t most_bytes = 256 << 20;
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    *out = 0;
    if (tess_ledger_stamp_file(path).n_byte > most_bytes) return TESS_OK;
    tess_status status = tess_sha256_file(path, out, err);
    if (status == TESS_ENOMEM) return status;
    if (status != TESS_OK) *out = 0;
    return TESS_OK;
}

tess_status tess_ledger_note_checkpoint(tess_ledger *ledger, const char *model_dir,
                                        tess_ledger_checkpoint *out, tess_error *err)
{
    char folder[PATH_MAX];
    tess_ledger_checkpoint noted = {0};
    tess_status status = find_folder(model_dir, folder, err);
    if (status == TESS_OK) status = hash_file(folder, "config.json", noted.config_sha256, err);
    if (status == TESS_OK) status = find_checkpoint(ledger, folder, &noted, err);
    if (status == TESS_OK && !noted.id) {
        status = tess_ledger_begin(ledger, err);
        if (status != TESS_OK) return status;
        status = find_checkpoint(ledger, folder, &noted, err); /* another process may have made it */
        if (status == TESS_OK && !noted.id)
            status = insert_checkpoint(ledger, folder, noted.config_sha256, NULL, &noted.id, err);
        status = tess_ledger_end(ledger, status, err);
    }
    if (status == TESS_OK) *out = noted;
    return status;
}

/* ---- digests ------------------------------------------------------------------------------------------- */

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

typedef struct recorded_file {
    int64_t id, hashed_ms;
    tess_ledger_stamp stamp;
    char sha256[65];
} recorded_file;

static bool take_file(void *context, const tess_ledger_value *value, int n_value)
{
    recorded_file *file = context;
    (void)n_value;
    *file = (recorded_file){value[0].integer, value[1].integer, {value[2].integer, value[3].integer}, ""};
    snprintf(file->sha256, sizeof file->sha256, "%s", value[4].text ? value[4].text : "");
    return false;
}

/* file->id stays 0 if there is none. */
static tess_status find_file(tess_ledger *ledger, const char *folder, const char *name, recorded_file *file,
                             tess_error *err)
{
    const tess_ledger_value bind[] = {tess_bind_text(folder), tess_bind_text(name)};
    *file = (recorded_file){0};
    return tess_ledger_ask(
        ledger, "SELECT id, hashed_ms, n_byte, mtime_ns, sha256 FROM files WHERE folder = ?1 AND name = ?2",
        bind, 2, take_file, file, err);
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
    recorded_file file;
    *found = false;
    tess_checkpoint_get_shard(checkpoint, shard, &info);
    if (!info.is_usable) return TESS_OK;
    tess_status status = find_folder_of_shard(&info, folder, err);
    if (status == TESS_OK) status = find_file(ledger, folder, info.name, &file, err);
    if (status != TESS_OK || !file.id || !is_same(stamp_of(&info), file.stamp) ||
        !is_same(tess_ledger_stamp_file(info.path), file.stamp))
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

static tess_status write_file(tess_ledger *ledger, const char *folder, const char *name,
                              tess_ledger_stamp stamp, const char *sha256, int64_t *id, tess_error *err)
{
    const tess_ledger_value bind[] = {tess_bind_text(folder),
                                      tess_bind_text(name),
                                      TESS_BIND_INTEGER(stamp.n_byte),
                                      TESS_BIND_INTEGER(stamp.mtime_ns),
                                      TESS_BIND_INTEGER(tess_ledger_now_ms()),
                                      tess_bind_text(sha256)};
    return tess_ledger_ask_integer(
        ledger,
        "INSERT INTO files (folder, name, n_byte, mtime_ns, hashed_ms, sha256) VALUES (?1, ?2, ?3, ?4, ?5, "
        "?6)"
        " ON CONFLICT (folder, name) DO UPDATE SET n_byte = ?3, mtime_ns = ?4, hashed_ms = ?5, sha256 = ?6"
        " RETURNING id",
        bind, 6, id, NULL, err);
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
    if (!info.is_usable || !is_same(tess_ledger_stamp_file(info.path), stamp_of(&info))) return TESS_OK;
    for (size_t i = 0; i < info.n_tensor; i++)
        if (!sum[i].is_readable) return TESS_OK;
    tess_status status = find_folder_of_shard(&info, folder, err);
    if (status == TESS_OK) status = tess_ledger_begin(ledger, err);
    if (status != TESS_OK) return status;
    int64_t file = 0;
    status = write_file(ledger, folder, info.name, stamp_of(&info), sha256, &file, err);
    if (status == TESS_OK) status = write_tensors(ledger, file, sum, info.n_tensor, err);
    status = tess_ledger_end(ledger, status, err);
    *recorded = status == TESS_OK;
    return status;
}

tess_status tess_ledger_record_file(tess_ledger *ledger, const char *model_dir, const char *name,
                                    tess_ledger_stamp before, const char *sha256, tess_error *err)
{
    char folder[PATH_MAX];
    recorded_file known;
    tess_status status = find_folder(model_dir, folder, err);
    if (status != TESS_OK || !is_same(stamp_in(folder, name), before)) return status;
    status = find_file(ledger, folder, name, &known, err);
    if (status != TESS_OK || (known.id && is_same(known.stamp, before) && !strcmp(known.sha256, sha256)))
        return status;
    return write_file(ledger, folder, name, before, sha256, &known.id, err);
}

/* ---- all weights --------------------------------------------------------------------------------------- */

static tess_status link_file(tess_ledger *ledger, int64_t checkpoint, const char *folder, const char *name,
                             bool *is_linked, tess_error *err)
{
    recorded_file file;
    tess_status status = find_file(ledger, folder, name, &file, err);
    *is_linked = status == TESS_OK && file.id && is_same(stamp_in(folder, name), file.stamp);
    if (!*is_linked) return status;
    const tess_ledger_value bind[] = {TESS_BIND_INTEGER(checkpoint), tess_bind_text(name),
                                      tess_bind_text(file.sha256)};
    return tess_ledger_ask(
        ledger, "INSERT OR REPLACE INTO checkpoint_files (checkpoint_id, name, sha256) VALUES (?1, ?2, ?3)",
        bind, 3, NULL, NULL, err);
}

/* The shards and, if there is one, the index; *complete false if one of them is not recorded as it is now. */
static tess_status link_files(tess_ledger *ledger, int64_t id, const char *folder,
                              const tess_checkpoint *checkpoint, bool *complete, tess_error *err)
{
    tess_status status = TESS_OK;
    *complete = true;
    for (int i = 0; i < tess_checkpoint_get_shard_count(checkpoint) && *complete && status == TESS_OK; i++) {
        tess_shard_info info;
        tess_checkpoint_get_shard(checkpoint, i, &info);
        status = link_file(ledger, id, folder, info.name, complete, err);
    }
    if (status == TESS_OK && *complete && stamp_in(folder, index_name).n_byte >= 0)
        status = link_file(ledger, id, folder, index_name, complete, err);
    return status;
}

/* The index says in which shards the weights are. */
static tess_status record_index(tess_ledger *ledger, const char *folder, tess_error *err)
{
    char sha256[65];
    tess_ledger_stamp before = stamp_in(folder, index_name);
    if (before.n_byte < 0) return TESS_OK;
    tess_status status = hash_file(folder, index_name, sha256, err);
    if (status != TESS_OK || !*sha256) return status;
    return tess_ledger_record_file(ledger, folder, index_name, before, sha256, err);
}

/* The entry from before the weights were known goes if nothing was recorded of it. */
static tess_status drop_unhashed(tess_ledger *ledger, const char *folder, const char *config_sha256,
                                 tess_error *err)
{
    const tess_ledger_value bind[] = {tess_bind_text(folder), tess_bind_text(config_sha256)};
    return tess_ledger_ask(
        ledger,
        "DELETE FROM entries WHERE id IN (SELECT id FROM checkpoints WHERE folder = ?1 AND"
        " ifnull(config_sha256, '') = ?2 AND weights_sha256 IS NULL"
        " AND id NOT IN (SELECT checkpoint_id FROM runs)"
        " AND id NOT IN (SELECT checkpoint_id FROM verifications WHERE checkpoint_id IS NOT NULL))",
        bind, 2, NULL, NULL, err);
}

static tess_status write_weights(tess_ledger *ledger, const char *folder, const char *config_sha256,
                                 const tess_checkpoint *checkpoint, const char *weights_sha256,
                                 bool *complete, tess_error *err)
{
    int64_t id = 0;
    bool found;
    const tess_ledger_value bind[] = {tess_bind_text(folder), tess_bind_text(config_sha256),
                                      tess_bind_text(weights_sha256)};
    tess_status status =
        tess_ledger_ask_integer(ledger,
                                "SELECT id FROM checkpoints WHERE folder = ?1 AND ifnull(config_sha256, '')"
                                " = ?2 AND weights_sha256 = ?3",
                                bind, 3, &id, &found, err);
    if (status == TESS_OK && !found)
        status = insert_checkpoint(ledger, folder, config_sha256, weights_sha256, &id, err);
    if (status == TESS_OK)
        status = tess_ledger_ask(ledger, "DELETE FROM checkpoint_files WHERE checkpoint_id = ?1",
                                 (tess_ledger_value[]){TESS_BIND_INTEGER(id)}, 1, NULL, NULL, err);
    if (status == TESS_OK) status = link_files(ledger, id, folder, checkpoint, complete, err);
    return status == TESS_OK ? drop_unhashed(ledger, folder, config_sha256, err) : status;
}

tess_status tess_ledger_record_weights(tess_ledger *ledger, const char *model_dir,
                                       const tess_checkpoint *checkpoint, const char *weights_sha256,
                                       tess_ledger_checkpoint *out, tess_error *err)
{
    char folder[PATH_MAX], config[65];
    bool complete = false;
    tess_status status = find_folder(model_dir, folder, err);
    if (status == TESS_OK) status = hash_file(folder, "config.json", config, err);
    if (status == TESS_OK) status = record_index(ledger, folder, err);
    if (status == TESS_OK) status = tess_ledger_begin(ledger, err);
    if (status != TESS_OK) return status;
    status = write_weights(ledger, folder, config, checkpoint, weights_sha256, &complete, err);
    if (status == TESS_OK && !complete) /* a file changed meanwhile: nothing can be said */
        tess_ledger_end(ledger, TESS_EINTERRUPTED, NULL);
    else
        status = tess_ledger_end(ledger, status, err);
    return status == TESS_OK ? tess_ledger_note_checkpoint(ledger, model_dir, out, err) : status;
}
