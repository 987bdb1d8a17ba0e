/* A whole checkpoint into a packed store. The packed file gets its name last: before that the folder is no
 * model. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/pool.h"
#include "base/system.h"
#include "engine/carried_files.h"
#include "engine/defaults.h"
#include "engine/output_folder.h"
#include "engine/segments.h"
#include "io/folder.h"
#include "io/partial.h"
#include "model/manifest.h"

typedef struct packer {
    const tess_pack_options *options;
    tess_store *source;
    tess_config *config;
    tess_carried_files files;
    tess_packing_item *item;
    tess_packing_order order;
    tess_output_folder folder;
    char *path; /* of the packed file */
} packer;

static tess_status open_source(packer *p, tess_error *err)
{
    const char *dir = p->options->model_dir;
    p->config = malloc(sizeof *p->config);
    if (!p->config) return tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", dir);
    tess_status status = tess_store_open(dir, p->options->direct, &p->source, err);
    if (status == TESS_OK && tess_store_get_packed(p->source))
        return tess_refuse(err, dir, "", -1, "a checkpoint in the published layout", "a packed store");
    if (status == TESS_OK) status = tess_config_load(dir, p->config, err);
    if (status == TESS_OK) status = tess_manifest_check(p->config, p->source, NULL, err);
    if (status == TESS_OK) status = tess_carried_files_list(p->options, p->source, &p->files, err);
    if (status == TESS_OK) status = tess_segments_list(p->config, p->source, &p->item, err);
    p->order = (tess_packing_order){p->source, p->item, p->files.file, p->files.n};
    return status;
}

static tess_status prepare_folder(packer *p, tess_error *err)
{
    const char **name = malloc((p->files.n + 1) * sizeof *name);
    p->path = tess_path_join(p->options->out_dir, TESS_PACKED_FILE);
    if (!name || !p->path) {
        free(name);
        return tess_fail(err, TESS_ENOMEM, "no memory for a list of files");
    }
    for (size_t i = 0; i < p->files.n; i++) name[i] = p->files.file[i].name;
    name[p->files.n] = TESS_PACKED_FILE;
    tess_status status = tess_output_folder_open(p->options->out_dir, p->options->model_dir, name,
                                                 p->files.n + 1, &p->folder, err);
    for (size_t i = 0; i < p->files.n && status == TESS_OK; i++)
        status =
            tess_carried_file_check(p->options->out_dir, p->files.file[i].name, p->files.file[i].sha256, err);
    return status;
}

static tess_status copy_files(const packer *p, bool *was_there, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < p->files.n && status == TESS_OK; i++)
        status = tess_carried_file_copy(p->options->model_dir, p->options->out_dir, p->files.file[i].name,
                                        p->files.file[i].sha256, was_there, err);
    return status;
}

/* Makes a store that is damaged an unfinished one: what is good of it stays. */
static tess_status begin_again(const packer *p, tess_error *err)
{
    char *part = tess_partial_name(p->path);
    if (!part) return tess_fail(err, TESS_ENOMEM, "no memory for the name of a file");
    tess_status status =
        rename(p->path, part) ? tess_fail_system(err, errno, p->path, -1, "rename") : TESS_OK;
    free(part);
    return status;
}

/* Whether the finished file that is there is of this source and as it was made. */
static tess_status check_finished(const packer *p, tess_file *file, tess_pack_result *out, tess_error *err)
{
    const tess_progress *progress = p->options->progress;
    tess_packed_table table;
    bool is_sure;
    tess_status status = tess_packed_table_read(file, true, &table, err);
    if (status != TESS_OK) return status;
    status = tess_packing_compare(&p->order, &table, p->path, &is_sure, err);
    if (status == TESS_OK && !is_sure)
        status = tess_packing_compare_weights(&p->order, &table, p->path, progress, err);
    if (status == TESS_OK) status = tess_packing_check_pieces(file, &table, progress, &out->was_whole, err);
    tess_packed_table_count_forms(&table, &out->n_packed, &out->n_plain);
    free(table.counts);
    out->packed_bytes = tess_file_get_size(file);
    return status;
}

static tess_status check_whole(const packer *p, tess_pack_result *out, tess_error *err)
{
    struct stat info;
    tess_file *file;
    if (lstat(p->path, &info) != 0) return TESS_OK;
    tess_status status = tess_file_open(p->path, TESS_DIRECT_OFF, &file, err);
    if (status != TESS_OK) return status;
    status = check_finished(p, file, out, err);
    tess_file_close(file);
    return status == TESS_OK && !out->was_whole ? begin_again(p, err) : status;
}

static int count_threads(int wanted)
{
    char origin[TESS_ORIGIN_BYTES];
    tess_system_cpus cpus;
    if (wanted > 0) return wanted;
    tess_system_get_cpus("", &cpus);
    return tess_default_threads(&cpus, TESS_POOL_MAX_THREADS, origin);
}

/* What was read must be one checkpoint, not the halves of two. */
static tess_status check_unchanged(const packer *p, tess_error *err)
{
    for (int i = 0; i < tess_store_get_file_count(p->source); i++) {
        const tess_file *file = tess_store_get_file(p->source, i);
        struct stat info;
        const bool is_there = stat(tess_file_get_path(file), &info) == 0;
        const int64_t ctime_ns =
            is_there ? (int64_t)info.st_ctim.tv_sec * 1000000000 + info.st_ctim.tv_nsec : 0;
        if (!is_there || (uint64_t)info.st_size != tess_file_get_size(file) ||
            ctime_ns != tess_file_get_ctime_ns(file))
            return tess_refuse(err, tess_file_get_path(file), "", -1,
                               "a file that stays as it is while it is packed",
                               "one that has changed; pack again, which goes on with what is the same");
    }
    return TESS_OK;
}

/* Small files come after the weights, whose room is reserved. */
static tess_status check_room(const packer *p, tess_error *err)
{
    uint64_t n_byte = 0;
    for (size_t i = 0; i < p->files.n; i++) n_byte += p->files.file[i].n_byte;
    return tess_folder_check_room(p->path, n_byte, err);
}

static tess_status pack_weights(const packer *p, tess_pack_result *out, tess_error *err)
{
    tess_packing *packing;
    tess_packing_facts facts;
    bool was_there;
    const tess_progress *progress = p->options->progress;
    tess_status status = tess_packing_open(&p->order, p->path, progress, &packing, err);
    if (status != TESS_OK) return status;
    status = check_room(p, err);
    if (status == TESS_OK)
        status = tess_packing_run(packing, count_threads(p->options->n_thread), progress, err);
    if (status == TESS_OK) status = check_unchanged(p, err);
    if (status == TESS_OK) status = copy_files(p, &was_there, err);
    if (status != TESS_OK) {
        tess_packing_close(packing);
        return status;
    }
    status = tess_packing_commit(packing, &facts, err);
    if (status != TESS_OK) return status;
    out->packed_bytes = facts.packed_bytes;
    out->n_packed = facts.n_packed;
    out->n_plain = facts.n_plain;
    out->found_bytes = facts.found_bytes;
    return TESS_OK;
}

static tess_status pack_all(packer *p, tess_pack_result *out, tess_error *err)
{
    tess_status status = open_source(p, err);
    if (status == TESS_OK) status = prepare_folder(p, err);
    if (status != TESS_OK) return status;
    out->n_shard = tess_store_get_shard_count(p->source);
    out->n_file = (int)p->files.n;
    for (int i = 0; i < out->n_shard; i++)
        out->plain_bytes += tess_file_get_size(tess_store_get_file(p->source, i));
    status = check_whole(p, out, err);
    if (status != TESS_OK) return status;
    if (out->was_whole) {
        out->found_bytes = out->plain_bytes;
        status = copy_files(p, &out->was_whole, err);
    } else {
        status = pack_weights(p, out, err);
    }
    if (status == TESS_OK) tess_output_folder_tidy(&p->folder);
    return status;
}

tess_status tess_pack(const tess_pack_options *options, tess_pack_result *out, tess_error *err)
{
    packer p = {.options = options, .folder.lock = -1};
    tess_pack_result result = {0};
    tess_status status = pack_all(&p, &result, err);
    tess_output_folder_close(&p.folder);
    tess_store_close(p.source);
    tess_carried_files_release(&p.files);
    free(p.config);
    free(p.item);
    free(p.path);
    if (status == TESS_OK) *out = result;
    return status;
}
