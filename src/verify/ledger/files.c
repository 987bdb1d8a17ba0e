/* Files by folder and name: what they look like, and what is recorded of them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/error.h"
#include "verify/ledger/files.h"

tess_ledger_stamp tess_ledger_stamp_file(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return (tess_ledger_stamp){.n_byte = -1};
    return (tess_ledger_stamp){.n_byte = st.st_size,
                               .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
}

bool tess_ledger_stamp_is_same(tess_ledger_stamp a, tess_ledger_stamp b)
{
    return a.n_byte >= 0 && a.n_byte == b.n_byte && a.mtime_ns == b.mtime_ns;
}

tess_ledger_stamp tess_ledger_stamp_in(const char *folder, const char *name)
{
    char path[PATH_MAX + 512];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path) return (tess_ledger_stamp){.n_byte = -1};
    return tess_ledger_stamp_file(path);
}

tess_status tess_ledger_find_folder(const char *dir, char out[PATH_MAX], tess_error *err)
{
    if (realpath(dir, out)) return TESS_OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return tess_refuse(err, dir, "", -1, "the folder of a checkpoint", "no such folder");
    return tess_fail_system(err, errno, dir, -1, "find the folder");
}

tess_status tess_ledger_hash_file(const char *folder, const char *name, char out[65], tess_error *err)
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

static bool take_file(void *context, const tess_ledger_value *value, int n_value)
{
    tess_ledger_file *file = context;
    (void)n_value;
    *file = (tess_ledger_file){value[0].integer, value[1].integer, {value[2].integer, value[3].integer}, ""};
    snprintf(file->sha256, sizeof file->sha256, "%s", value[4].text ? value[4].text : "");
    return false;
}

tess_status tess_ledger_find_file(tess_ledger *ledger, const char *folder, const char *name,
                                  tess_ledger_file *file, tess_error *err)
{
    const tess_ledger_value bind[] = {tess_bind_text(folder), tess_bind_text(name)};
    *file = (tess_ledger_file){0};
    return tess_ledger_ask(
        ledger, "SELECT id, hashed_ms, n_byte, mtime_ns, sha256 FROM files WHERE folder = ?1 AND name = ?2",
        bind, 2, take_file, file, err);
}

tess_status tess_ledger_write_file(tess_ledger *ledger, const char *folder, const char *name,
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

tess_status tess_ledger_record_file(tess_ledger *ledger, const char *model_dir, const char *name,
                                    tess_ledger_stamp before, const char *sha256, tess_error *err)
{
    char folder[PATH_MAX];
    tess_ledger_file known;
    tess_status status = tess_ledger_find_folder(model_dir, folder, err);
    if (status != TESS_OK || !tess_ledger_stamp_is_same(tess_ledger_stamp_in(folder, name), before))
        return status;
    status = tess_ledger_find_file(ledger, folder, name, &known, err);
    if (status != TESS_OK ||
        (known.id && tess_ledger_stamp_is_same(known.stamp, before) && !strcmp(known.sha256, sha256)))
        return status;
    return tess_ledger_write_file(ledger, folder, name, before, sha256, &known.id, err);
}
