/* A whole checkpoint into a packed store. The packed file gets its name last: before that the folder is no
 * model. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/pool.h"
#include "base/system.h"
#include "engine/carried_files.h"
#include "engine/defaults.h"
#include "engine/segments.h"
#include "model/manifest.h"

typedef struct packer {
    const tess_pack_options *options;
    tess_store *source;
    tess_config *config;
    tess_carried_files files;
    tess_packing_item *item;
    tess_packing_order order;
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
    tess_status status =
        name && p->path ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for a list of files");
    if (status == TESS_OK) {
        for (size_t i = 0; i < p->files.n; i++) name[i] = p->files.file[i].name;
        name[p->files.n] = TESS_PACKED_FILE;
        status = tess_output_folder_prepare(p->options->out_dir, name, p->files.n + 1, err);
    }
    free(name);
    for (size_t i = 0; i < p->files.n && status == TESS_OK; i++)
        status =
            tess_carried_file_check(p->options->out_dir, p->files.file[i].name, p->files.file[i].sha256, err);
    return status;
}

static tess_status copy_files(const packer *p, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < p->files.n && status == TESS_OK; i++)
        status = tess_carried_file_copy(p->options->model_dir, p->options->out_dir, p->files.file[i].name,
                                        p->files.file[i].sha256, err);
    return status;
}

/* Whether the finished file that is there is of this source. */
static tess_status check_whole(const packer *p, tess_pack_result *out, tess_error *err)
{
    tess_file *file;
    tess_packed_table table;
    bool is_sure;
    tess_status status = tess_file_open(p->path, TESS_DIRECT_OFF, &file, err);
    if (status != TESS_OK) return status;
    status = tess_packed_table_read(file, true, &table, err);
    out->packed_bytes = tess_file_get_size(file);
    tess_file_close(file);
    if (status != TESS_OK) return status;
    status = tess_packing_compare(&p->order, &table, p->path, &is_sure, err);
    if (status == TESS_OK && !is_sure)
        status = tess_packing_compare_weights(&p->order, &table, p->path, p->options->progress, err);
    for (uint32_t i = 0; i < table.counts->n_piece; i++)
        if (table.piece[i].format == TESS_FORMAT_PACKED)
            out->n_packed++;
        else
            out->n_plain++;
    free(table.counts);
    out->was_whole = true;
    return status;
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
        const int64_t mtime_ns =
            is_there ? (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec : 0;
        if (!is_there || (uint64_t)info.st_size != tess_file_get_size(file) ||
            mtime_ns != tess_file_get_mtime_ns(file))
            return tess_refuse(err, tess_file_get_path(file), "", -1,
                               "a file that stays as it is while it is packed",
                               "one that has changed: remove what was made, and pack again");
    }
    return TESS_OK;
}

static tess_status pack_weights(const packer *p, tess_pack_result *out, tess_error *err)
{
    tess_packing *packing;
    tess_packing_facts facts;
    const tess_progress *progress = p->options->progress;
    tess_status status = tess_packing_open(&p->order, p->path, progress, &packing, err);
    if (status != TESS_OK) return status;
    status = tess_packing_run(packing, count_threads(p->options->n_thread), progress, err);
    if (status == TESS_OK) status = check_unchanged(p, err);
    if (status == TESS_OK) status = copy_files(p, err);
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
    struct stat info;
    tess_status status = open_source(p, err);
    if (status == TESS_OK) status = prepare_folder(p, err);
    if (status != TESS_OK) return status;
    out->n_shard = tess_store_get_shard_count(p->source);
    out->n_file = (int)p->files.n;
    for (size_t i = 0; i < tess_store_get_count(p->source); i++)
        out->plain_bytes += tess_store_get(p->source, i)->n_byte;
    if (stat(p->path, &info) != 0) return pack_weights(p, out, err);
    status = check_whole(p, out, err);
    if (status == TESS_OK) out->found_bytes = out->plain_bytes;
    return status == TESS_OK ? copy_files(p, err) : status;
}

tess_status tess_pack(const tess_pack_options *options, tess_pack_result *out, tess_error *err)
{
    packer p = {.options = options};
    tess_pack_result result = {0};
    tess_status status = pack_all(&p, &result, err);
    tess_store_close(p.source);
    tess_carried_files_release(&p.files);
    free(p.config);
    free(p.item);
    free(p.path);
    if (status == TESS_OK) *out = result;
    return status;
}
