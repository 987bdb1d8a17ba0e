/* Entries of checkpoints, and which weights they are of.
 *
 * A digest is taken for what it was for as long as the file has the size and the modification time it had
 * then.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "verify/ledger/files.h"

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
                      tess_ledger_stamp_is_same(tess_ledger_stamp_in(check->folder, value[0].text), then);
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

tess_status tess_ledger_note_checkpoint(tess_ledger *ledger, const char *model_dir,
                                        tess_ledger_checkpoint *out, tess_error *err)
{
    char folder[PATH_MAX];
    tess_ledger_checkpoint noted = {0};
    tess_status status = tess_ledger_find_folder(model_dir, folder, err);
    if (status == TESS_OK) status = tess_ledger_hash_file(folder, "config.json", noted.config_sha256, err);
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

/* ---- all weights --------------------------------------------------------------------------------------- */

static tess_status link_file(tess_ledger *ledger, int64_t checkpoint, const char *folder, const char *name,
                             tess_ledger_stamp stamp, bool *is_linked, tess_error *err)
{
    tess_ledger_file file;
    tess_status status = tess_ledger_find_file(ledger, folder, name, &file, err);
    *is_linked = status == TESS_OK && file.id && tess_ledger_stamp_is_same(stamp, file.stamp);
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
        status = link_file(ledger, id, folder, info.name, tess_ledger_stamp_file(info.path), complete, err);
    }
    const tess_ledger_stamp index = tess_ledger_stamp_in(folder, TESS_LEDGER_INDEX_NAME);
    if (status == TESS_OK && *complete && index.n_byte >= 0)
        status = link_file(ledger, id, folder, TESS_LEDGER_INDEX_NAME, index, complete, err);
    return status;
}

/* The index says in which shards the weights are. */
static tess_status record_index(tess_ledger *ledger, const char *folder, tess_error *err)
{
    char sha256[65];
    tess_ledger_stamp before = tess_ledger_stamp_in(folder, TESS_LEDGER_INDEX_NAME);
    if (before.n_byte < 0) return TESS_OK;
    tess_status status = tess_ledger_hash_file(folder, TESS_LEDGER_INDEX_NAME, sha256, err);
    if (status != TESS_OK || !*sha256) return status;
    return tess_ledger_record_file(ledger, folder, TESS_LEDGER_INDEX_NAME, before, sha256, err);
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
    tess_status status = tess_ledger_find_folder(model_dir, folder, err);
    if (status == TESS_OK) status = tess_ledger_hash_file(folder, "config.json", config, err);
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
