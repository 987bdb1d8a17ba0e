#include "engine/carried_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/whole_file.h"
#include "io/partial.h"

/* Larger ones that are no shards are none of a checkpoint. */
static const int64_t MOST_FILE_BYTES = 64 << 20;

enum { MOST_NAME_BYTES = 199 };

static bool is_shard(const tess_store *source, const char *name)
{
    for (int i = 0; i < tess_store_get_shard_count(source); i++)
        if (!strcmp(name, tess_store_get_shard_name(source, i))) return true;
    return false;
}

/* Why an entry of the folder stays behind; NULL if it is to be carried along, "" if nobody misses it. */
static const char *judge_entry(const tess_store *source, const char *path, const char *name)
{
    struct stat info;
    const bool is_there = stat(path, &info) == 0;
    if (!strcmp(name, ".") || !strcmp(name, "..") || is_shard(source, name)) return "";
    if (!is_there) return "it cannot be examined";
    if (S_ISDIR(info.st_mode)) return name[0] == '.' ? "" : "it is a folder";
    if (!S_ISREG(info.st_mode)) return "it is no regular file";
    if (tess_name_ends_with(name, ".safetensors")) return "it is no shard of this checkpoint";
    if (tess_name_ends_with(name, TESS_PARTIAL_SUFFIX) || !strcmp(name, TESS_PACKED_FILE))
        return "it is no published file";
    if (info.st_size > MOST_FILE_BYTES) return "it has more than 64 MiB";
    return strlen(name) > MOST_NAME_BYTES ? "its name is too long" : NULL;
}

/* Reads a file and hashes it; `copy` (may be NULL) gets its bytes. */
static tess_status read_file(const char *path, tess_partial *copy, unsigned char sha256[TESS_SHA256_BYTES],
                             uint64_t *n_byte, tess_error *err)
{
    char *bytes;
    size_t n;
    tess_file *file;
    tess_status status = tess_file_open(path, TESS_DIRECT_OFF, &file, err);
    if (status != TESS_OK) return status;
    n = (size_t)tess_file_get_size(file);
    bytes = malloc(n + 1);
    status = bytes ? tess_file_read(file, 0, bytes, n, err)
                   : tess_fail(err, TESS_ENOMEM, "%s: no memory to read it", path);
    tess_file_close(file);
    if (status == TESS_OK) status = tess_lfs_pointer_check(path, bytes, n, err);
    if (status == TESS_OK) {
        tess_sha256 sha;
        tess_sha256_init(&sha);
        tess_sha256_add(&sha, bytes, n);
        tess_sha256_finish_bytes(&sha, sha256);
        *n_byte = n;
        if (copy) status = tess_partial_write(copy, 0, bytes, n, err);
    }
    free(bytes);
    return status;
}

static tess_status add_file(const char *path, const char *name, tess_packing_file *out, tess_error *err)
{
    char *kept = strdup(name);
    tess_status status = kept ? read_file(path, NULL, out->sha256, &out->n_byte, err)
                              : tess_fail(err, TESS_ENOMEM, "%s: no memory for its name", name);
    if (status == TESS_OK)
        out->name = kept;
    else
        free(kept);
    return status;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static tess_status add_entries(const tess_pack_options *options, const tess_store *source,
                               struct dirent *const *entry, int n, tess_carried_files *files, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int i = 0; i < n && status == TESS_OK; i++) {
        const char *name = entry[i]->d_name;
        char *path = tess_path_join(options->model_dir, name);
        if (!path) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its name", name);
        const char *why = judge_entry(source, path, name);
        if (why && *why && options->left_out) options->left_out(options->context, name, why);
        if (!why) {
            status = add_file(path, name, &files->file[files->n], err);
            files->n += status == TESS_OK;
        }
        free(path);
    }
    return status;
}

tess_status tess_carried_files_list(const tess_pack_options *options, const tess_store *source,
                                    tess_carried_files *out, tess_error *err)
{
    struct dirent **entry = NULL;
    const int n = scandir(options->model_dir, &entry, NULL, compare_names);
    if (n < 0) return tess_fail_system(err, errno, options->model_dir, -1, "list");
    tess_carried_files files = {.file = calloc((size_t)n + 1, sizeof *files.file)};
    tess_status status = files.file ? add_entries(options, source, entry, n, &files, err)
                                    : tess_fail(err, TESS_ENOMEM, "no memory for a list of %d files", n);
    for (int i = 0; i < n; i++) free(entry[i]);
    free(entry);
    if (status != TESS_OK)
        tess_carried_files_release(&files);
    else
        *out = files;
    return status;
}

void tess_carried_files_release(tess_carried_files *files)
{
    for (size_t i = 0; i < files->n; i++) free((char *)(uintptr_t)files->file[i].name);
    free(files->file);
    *files = (tess_carried_files){0};
}

/* ---- copying ---- */

/* *is_there: the file is, with this digest. */
static tess_status find_file(const char *path, const unsigned char sha256[TESS_SHA256_BYTES], bool *is_there,
                             tess_error *err)
{
    struct stat info;
    unsigned char found[TESS_SHA256_BYTES];
    uint64_t n_byte;
    *is_there = lstat(path, &info) == 0;
    if (!*is_there) return TESS_OK;
    tess_status status = read_file(path, NULL, found, &n_byte, err);
    if (status != TESS_OK || !memcmp(found, sha256, sizeof found)) return status;
    return tess_refuse(err, path, "", -1, "the file of this checkpoint; name another folder",
                       "a file with other bytes");
}

tess_status tess_carried_file_check(const char *dir, const char *name,
                                    const unsigned char sha256[TESS_SHA256_BYTES], tess_error *err)
{
    bool is_there;
    char *path = tess_path_join(dir, name);
    tess_status status = path ? find_file(path, sha256, &is_there, err)
                              : tess_fail(err, TESS_ENOMEM, "%s: no memory for its name", name);
    free(path);
    return status;
}

tess_status tess_carried_file_find(const char *dir, const char *name,
                                   const unsigned char sha256[TESS_SHA256_BYTES], tess_error *err)
{
    static const char expected[] =
        "the file as it was packed, all else is unpacked: put it there, or get it again";
    unsigned char found[TESS_SHA256_BYTES];
    uint64_t n_byte;
    struct stat info;
    char *path = tess_path_join(dir, name);
    if (!path) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its name", name);
    tess_status status = stat(path, &info) ? tess_refuse(err, path, "", -1, expected, "no such file")
                                           : read_file(path, NULL, found, &n_byte, err);
    if (status == TESS_OK && memcmp(found, sha256, sizeof found) != 0)
        status = tess_refuse(err, path, "", -1, expected, "a file with other bytes");
    free(path);
    return status;
}

static tess_status copy_file(const char *from, const char *to, const unsigned char sha256[TESS_SHA256_BYTES],
                             bool *was_there, tess_error *err)
{
    unsigned char found[TESS_SHA256_BYTES];
    uint64_t n_byte = 0;
    bool is_there;
    tess_partial *copy;
    tess_status status = find_file(to, sha256, &is_there, err);
    if (status != TESS_OK || is_there) return status;
    *was_there = false;
    status = tess_partial_open(to, 0, &copy, err);
    if (status != TESS_OK) return status;
    status = read_file(from, copy, found, &n_byte, err);
    if (status == TESS_OK && memcmp(found, sha256, sizeof found) != 0)
        status = tess_refuse(err, from, "", -1, "the bytes that it had when it was packed", "other bytes");
    if (status == TESS_OK) return tess_partial_commit(copy, n_byte, err);
    tess_partial_close(copy);
    return status;
}

tess_status tess_carried_file_copy(const char *from_dir, const char *to_dir, const char *name,
                                   const unsigned char sha256[TESS_SHA256_BYTES], bool *was_there,
                                   tess_error *err)
{
    char *from = tess_path_join(from_dir, name), *to = tess_path_join(to_dir, name);
    tess_status status = from && to ? copy_file(from, to, sha256, was_there, err)
                                    : tess_fail(err, TESS_ENOMEM, "%s: no memory for its name", name);
    free(from);
    free(to);
    return status;
}
