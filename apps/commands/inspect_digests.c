#include "commands/inspect_digests.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/digest.h"
#include "base/error.h"

/* Larger files that are no shards are none of a checkpoint. */
static const int64_t MOST_FILE_BYTES = 64 << 20;

void inspect_digests_begin(inspect_digests *d, const cli_command *self, const cli_common *common,
                           const char *dir, const tess_checkpoint *checkpoint)
{
    d->dir = dir;
    d->checkpoint = checkpoint;
    cli_ledger_open(&d->ledger, self, common);
    if (!d->ledger.ledger) return;
    tess_ledger_checkpoint noted;
    tess_error err;
    if (tess_ledger_note_checkpoint(d->ledger.ledger, dir, &noted, &err) != TESS_OK)
        cli_ledger_give_up(&d->ledger, "this checkpoint", &err);
    else
        tess_ledger_await_shards(checkpoint);
}

void inspect_digests_end(inspect_digests *d)
{
    cli_ledger_close(&d->ledger);
}

bool inspect_digests_recall(inspect_digests *d, int shard, tess_tensor_checksum *sum, char sha256[65])
{
    bool found = false;
    tess_error err;
    d->sum = sum;
    d->is_recalled = false;
    if (!d->ledger.ledger || d->rehash) return false;
    tess_status status = tess_ledger_recall_shard(d->ledger.ledger, d->checkpoint, shard, sum, sha256,
                                                  &d->hashed_ms, &found, &err);
    if (status != TESS_OK) cli_ledger_give_up(&d->ledger, "this checkpoint", &err);
    d->is_recalled = found;
    return found;
}

void inspect_digests_take(inspect_digests *d, int shard, const char *sha256)
{
    bool recorded = false;
    tess_error err;
    if (d->is_recalled) {
        if (!d->n_recalled++ || d->hashed_ms < d->oldest_ms) d->oldest_ms = d->hashed_ms;
        return;
    }
    d->n_hashed++;
    if (!d->ledger.ledger) return;
    tess_status status =
        tess_ledger_record_shard(d->ledger.ledger, d->checkpoint, shard, d->sum, sha256, &recorded, &err);
    if (status != TESS_OK) cli_ledger_give_up(&d->ledger, "what follows of this checkpoint", &err);
    d->n_recorded += recorded;
}

/* ---- other files --------------------------------------------------------------------------------------- */

static int is_other_file(const struct dirent *entry)
{
    static const char *const weights[] = {".safetensors", ".tessera"};
    const char *dot = strrchr(entry->d_name, '.');
    for (size_t i = 0; dot && i < sizeof weights / sizeof *weights; i++)
        if (!strcmp(dot, weights[i])) return false;
    return entry->d_name[0] != '.';
}

static tess_status take_file(inspect_digests *d, const char *name, json_t *list, tess_error *err)
{
    static const char *const words[] = {[TESS_PUBLISHED_UNKNOWN] = "not in the list",
                                        [TESS_PUBLISHED_YES] = "published",
                                        [TESS_PUBLISHED_OTHER] = "other"};
    char path[PATH_MAX], sha256[65];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", d->dir, name);
    if (n < 0 || (size_t)n >= sizeof path || stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        st.st_size > MOST_FILE_BYTES)
        return TESS_OK;
    tess_ledger_stamp before = tess_ledger_stamp_file(path);
    tess_status status = tess_sha256_file(path, sha256, err);
    if (status != TESS_OK) return status;
    const char *word = words[tess_published_find(name, sha256)];
    if (list) {
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:s, s:s}", "file", cli_text(name, strlen(name)), "bytes",
                                        (json_int_t)before.n_byte, "sha256", sha256, "published", word));
    } else {
        char shown[512];
        cli_escape(name, strlen(name), shown, sizeof shown);
        printf("%s  %s  %s\n", sha256, shown, word);
    }
    tess_error reason;
    if (d->ledger.ledger &&
        tess_ledger_record_file(d->ledger.ledger, d->dir, name, before, sha256, &reason) != TESS_OK)
        cli_ledger_give_up(&d->ledger, "what follows of this checkpoint", &reason);
    return TESS_OK;
}

tess_status inspect_digests_take_files(inspect_digests *d, json_t *list, tess_error *err)
{
    struct dirent **entry;
    int n = scandir(d->dir, &entry, is_other_file, alphasort);
    if (n < 0) return tess_fail_system(err, errno, d->dir, -1, "list the folder");
    tess_status first = TESS_OK;
    for (int i = 0; i < n; i++) {
        tess_status status = take_file(d, entry[i]->d_name, list, first == TESS_OK ? err : NULL);
        if (first == TESS_OK) first = status;
        free(entry[i]);
    }
    free(entry);
    return first;
}

void inspect_digests_take_weights(inspect_digests *d, const char *weights_sha256)
{
    tess_ledger_checkpoint recorded;
    tess_error err;
    if (!d->ledger.ledger || !*weights_sha256) return;
    if (tess_ledger_record_weights(d->ledger.ledger, d->dir, d->checkpoint, weights_sha256, &recorded,
                                   &err) != TESS_OK)
        cli_ledger_give_up(&d->ledger, "weights_sha256", &err);
}

void inspect_digests_remark(const inspect_digests *d, const char *again)
{
    const char *command = d->ledger.self->name;
    if (d->n_recalled) {
        char day[32] = "";
        time_t seconds = (time_t)(d->oldest_ms / 1000);
        struct tm tm;
        if (localtime_r(&seconds, &tm)) strftime(day, sizeof day, "%Y-%m-%d %H:%M", &tm);
        fprintf(stderr,
                "tessera %s: digests of %d shard%s taken from the ledger (hashed %s, size and time "
                "unchanged); %s reads again\n",
                command, d->n_recalled, d->n_recalled == 1 ? "" : "s", day, again);
    }
    if (d->n_hashed)
        fprintf(stderr, "tessera %s: %d shard%s read and hashed, %d recorded in the ledger\n", command,
                d->n_hashed, d->n_hashed == 1 ? "" : "s", d->n_recorded);
}
