/* A packed store into the published files. The index is put in its place last, or a model.safetensors where
 * there is no index: before that the folder is no model. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "engine/carried_files.h"
#include "engine/output_folder.h"
#include "io/folder.h"
#include "io/partial.h"
#include "store/unpacking.h"

typedef struct unpacker {
    const tess_pack_options *options;
    tess_store *store;
    tess_packed_table table; /* with its texts */
    tess_unpacking unpacking;
    tess_output_folder folder;
    bool *is_lost;   /* [n_file] the store no longer has it as it was packed */
    tess_error lost; /* the first of those */
} unpacker;

static tess_status open_store(unpacker *u, tess_error *err)
{
    const char *dir = u->options->model_dir;
    tess_status status = tess_store_open(dir, u->options->direct, &u->store, err);
    if (status != TESS_OK) return status;
    tess_packed_store *packed = tess_store_get_packed(u->store);
    if (!packed)
        return tess_refuse(err, dir, "", -1, "a packed store, with " TESS_PACKED_FILE,
                           "a checkpoint in the published layout");
    status = tess_packed_table_read(tess_packed_store_get_file(packed), true, &u->table, err);
    u->unpacking = (tess_unpacking){.store = u->store, .progress = u->options->progress};
    for (uint32_t i = 0; status == TESS_OK && i < u->table.counts->n_shard; i++)
        u->unpacking.total += u->table.shard[i].n_byte;
    return status;
}

static const char *file_name(const unpacker *u, uint32_t i)
{
    return u->table.texts + u->table.file[i].name;
}

static tess_status prepare_folder(unpacker *u, tess_error *err)
{
    const tess_packed_counts *c = u->table.counts;
    const char **name = malloc(((size_t)c->n_shard + c->n_file + 1) * sizeof *name);
    if (!name) return tess_fail(err, TESS_ENOMEM, "no memory for a list of files");
    size_t n = 0;
    for (uint32_t i = 0; i < c->n_shard; i++) name[n++] = u->table.texts + u->table.shard[i].name;
    for (uint32_t i = 0; i < c->n_file; i++) name[n++] = file_name(u, i);
    tess_status status =
        tess_output_folder_open(u->options->out_dir, u->options->model_dir, name, n, &u->folder, err);
    for (uint32_t i = 0; i < c->n_file && status == TESS_OK; i++)
        status = tess_carried_file_check(u->options->out_dir, file_name(u, i), u->table.file[i].sha256, err);
    return status;
}

/* Small files that were lost or edited since keep nobody from the weights: they are named at the end. */
static tess_status find_lost_files(unpacker *u, tess_error *err)
{
    u->is_lost = calloc((size_t)u->table.counts->n_file + 1, sizeof *u->is_lost);
    if (!u->is_lost) return tess_fail(err, TESS_ENOMEM, "no memory for a list of files");
    for (uint32_t i = 0; i < u->table.counts->n_file; i++) {
        tess_error why;
        tess_status status =
            tess_carried_file_find(u->options->model_dir, file_name(u, i), u->table.file[i].sha256, &why);
        u->is_lost[i] = status != TESS_OK;
        if (u->is_lost[i] && !*u->lost.message) u->lost = why;
    }
    return TESS_OK;
}

/* What shards take on the disk already, finished or not. */
static uint64_t count_held(const unpacker *u, const char *shard)
{
    char *path = tess_path_join(u->options->out_dir, shard), *part = path ? tess_partial_name(path) : NULL;
    uint64_t held = 0;
    struct stat info;
    if (part && (stat(path, &info) == 0 || stat(part, &info) == 0)) held = (uint64_t)info.st_blocks * 512;
    free(path);
    free(part);
    return held;
}

/* For all shards together, before the first is written. */
static tess_status check_room(const unpacker *u, tess_error *err)
{
    uint64_t n_byte = 0;
    for (uint32_t i = 0; i < u->table.counts->n_shard; i++) {
        const uint64_t size = u->table.shard[i].n_byte,
                       held = count_held(u, u->table.texts + u->table.shard[i].name);
        if (size > held) n_byte += size - held;
    }
    for (uint32_t i = 0; i < u->table.counts->n_file; i++) n_byte += u->table.file[i].n_byte;
    char *inside = tess_path_join(u->options->out_dir, "");
    tess_status status = inside ? tess_folder_check_room(inside, n_byte, err)
                                : tess_fail(err, TESS_ENOMEM, "no memory for the name of a folder");
    free(inside);
    return status;
}

static tess_status restore_shard(unpacker *u, int shard, bool *was_there, tess_error *err)
{
    struct stat info;
    char *path = tess_path_join(u->options->out_dir, tess_store_get_shard_name(u->store, shard));
    if (!path) return tess_fail(err, TESS_ENOMEM, "no memory for the name of a shard");
    *was_there = stat(path, &info) == 0;
    tess_status status = *was_there ? tess_unpacking_check(&u->unpacking, shard, path, err)
                                    : tess_unpacking_restore(&u->unpacking, shard, path, err);
    free(path);
    return status;
}

/* All files that were carried along but the index, or the index alone. */
static tess_status copy_files(const unpacker *u, bool index, bool *was_there, tess_error *err)
{
    tess_status status = TESS_OK;
    for (uint32_t i = 0; i < u->table.counts->n_file && status == TESS_OK; i++)
        if (!u->is_lost[i] && !strcmp(file_name(u, i), "model.safetensors.index.json") == index)
            status = tess_carried_file_copy(u->options->model_dir, u->options->out_dir, file_name(u, i),
                                            u->table.file[i].sha256, was_there, err);
    return status;
}

static tess_status restore_all(unpacker *u, tess_pack_result *out, tess_error *err)
{
    tess_status status = copy_files(u, false, &out->was_whole, err);
    for (int i = 0; i < out->n_shard && status == TESS_OK; i++) {
        bool was_there = false;
        status = restore_shard(u, i, &was_there, err);
        out->was_whole &= was_there;
    }
    if (status == TESS_OK) status = copy_files(u, true, &out->was_whole, err);
    if (status != TESS_OK) return status;
    tess_output_folder_tidy(&u->folder);
    if (*u->lost.message && err) *err = u->lost;
    return *u->lost.message ? u->lost.status : TESS_OK;
}

static tess_status unpack_all(unpacker *u, tess_pack_result *out, tess_error *err)
{
    tess_status status = open_store(u, err);
    if (status == TESS_OK) status = prepare_folder(u, err);
    if (status == TESS_OK) status = find_lost_files(u, err);
    if (status == TESS_OK) status = check_room(u, err);
    if (status != TESS_OK) return status;
    *out = (tess_pack_result){.was_whole = true,
                              .n_shard = tess_store_get_shard_count(u->store),
                              .n_file = (int)u->table.counts->n_file,
                              .packed_bytes = tess_file_get_size(tess_store_get_file(u->store, 0)),
                              .plain_bytes = u->unpacking.total};
    status = restore_all(u, out, err);
    out->found_bytes = u->unpacking.found;
    return status;
}

tess_status tess_unpack(const tess_pack_options *options, tess_pack_result *out, tess_error *err)
{
    unpacker u = {.options = options, .folder.lock = -1};
    tess_pack_result result = {0};
    tess_status status = unpack_all(&u, &result, err);
    tess_output_folder_close(&u.folder);
    tess_store_close(u.store);
    free(u.table.counts);
    free(u.is_lost);
    if (status == TESS_OK) *out = result;
    return status;
}
