#include "store/index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_walk.h"
#include "base/whole_file.h"

/* The published index has 2.5 MB for 28,010 tensors. */
static const size_t MAX_INDEX_BYTES = 256 << 20;

typedef struct index_reader {
    tess_index *index;
    const char *path;
    const tess_problem_sink *sink;
    size_t pool_used, pool_size, capacity;
    bool has_map;
} index_reader;

static const char *keep_text(index_reader *r, const char *text)
{
    size_t n = strlen(text) + 1;
    if (n > r->pool_size - r->pool_used) TESS_BUG("a decoded text is longer than its spelling");
    char *kept = r->index->pool + r->pool_used;
    memcpy(kept, text, n);
    r->pool_used += n;
    return kept;
}

/* A shard is a file of the same folder: a name that leads anywhere else is refused, whatever is there. */
static bool is_plain_name(const char *name)
{
    return *name && strlen(name) < 200 && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static tess_status find_or_add_shard(index_reader *r, const char *file, int *shard, tess_error *err)
{
    tess_index *index = r->index;
    for (int i = index->n_shard - 1; i >= 0; i--)
        if (!strcmp(index->shard_file[i], file)) {
            *shard = i;
            return TESS_OK;
        }
    if (index->n_shard == TESS_MAX_SHARDS)
        return tess_refuse(err, r->path, "weight_map", -1, "at most 400 shards", "more");
    index->shard_file[index->n_shard] = keep_text(r, file);
    *shard = index->n_shard++;
    return TESS_OK;
}

static tess_status read_entry(index_reader *r, const char *name, uint64_t at, const json_t *value,
                              tess_error *err)
{
    tess_index *index = r->index;
    if (index->n_entry == r->capacity) {
        size_t more = r->capacity ? 2 * r->capacity : 256;
        tess_index_entry *grown = realloc(index->entry, more * sizeof *grown);
        if (!grown) return tess_fail(err, TESS_ENOMEM, "%s: no memory for the index", r->path);
        index->entry = grown;
        r->capacity = more;
    }
    int shard = -1;
    tess_status status = TESS_OK;
    if (!json_is_string(value))
        status = tess_complain(r->sink, err, TESS_PROBLEM_INDEX, r->path, name, (int64_t)at,
                               "the file name of a shard", "%s", tess_json_type_name(value));
    else if (!is_plain_name(json_string_value(value)))
        status = tess_complain(r->sink, err, TESS_PROBLEM_PATH, r->path, name, (int64_t)at,
                               "the name of a file in the checkpoint's own folder", "\"%.150s\"",
                               json_string_value(value));
    else
        status = find_or_add_shard(r, json_string_value(value), &shard, err);
    if (status == TESS_OK) index->entry[index->n_entry++] = (tess_index_entry){keep_text(r, name), at, shard};
    return status;
}

static tess_status read_map(index_reader *r, tess_json_walk *outer, tess_error *err)
{
    tess_json_walk walk;
    tess_status status = tess_json_walk_enter(outer, &walk, err);
    while (status == TESS_OK && (status = tess_json_walk_next(&walk, err)) == TESS_OK && walk.key) {
        json_t *value = NULL;
        status = tess_json_walk_value(&walk, &value, err);
        if (status == TESS_OK) status = read_entry(r, walk.key, walk.key_offset, value, err);
        json_decref(value);
    }
    tess_json_walk_release(&walk);
    r->has_map = true;
    return status;
}

/* total_size is advice: some writers spell it as a real number. */
static void read_total_size(tess_index *index, const json_t *metadata)
{
    const json_t *size = json_object_get(metadata, "total_size");
    double real = json_number_value(size);
    if (json_is_integer(size) && json_integer_value(size) >= 0)
        index->total_size = (uint64_t)json_integer_value(size);
    else if (json_is_real(size) && real >= 0 && real < 0x1p63)
        index->total_size = (uint64_t)real;
    else
        return;
    index->has_total_size = true;
}

static tess_status read_members(index_reader *r, const char *text, size_t size, tess_error *err)
{
    tess_json_walk walk;
    tess_status status = tess_json_walk_init(&walk, r->path, 0, text, size, err);
    while (status == TESS_OK && (status = tess_json_walk_next(&walk, err)) == TESS_OK && walk.key) {
        if (!strcmp(walk.key, "weight_map")) {
            if (r->has_map)
                status = tess_complain(r->sink, err, TESS_PROBLEM_DUPLICATE, r->path, "weight_map",
                                       (int64_t)walk.key_offset, "it once", "it a second time");
            if (status == TESS_OK) status = read_map(r, &walk, err);
            continue;
        }
        json_t *value = NULL;
        status = tess_json_walk_value(&walk, &value, err);
        if (status == TESS_OK && !strcmp(walk.key, "metadata")) read_total_size(r->index, value);
        json_decref(value);
    }
    tess_json_walk_release(&walk);
    if (status == TESS_OK && !r->has_map)
        status =
            tess_refuse(err, r->path, "weight_map", -1, "an object of tensor names and files", "nothing");
    return status;
}

static int compare_entries(const void *a, const void *b)
{
    const tess_index_entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->offset > y->offset) - (x->offset < y->offset);
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Numbers shards by their names' order, whatever order the entries came in. */
static void sort_shards(tess_index *index)
{
    const char *before[TESS_MAX_SHARDS];
    int number[TESS_MAX_SHARDS];
    size_t n = (size_t)index->n_shard;
    memcpy(before, index->shard_file, n * sizeof *before);
    qsort(index->shard_file, n, sizeof *index->shard_file, compare_files);
    for (size_t i = 0; i < n; i++)
        for (int j = 0; j < index->n_shard; j++)
            if (index->shard_file[j] == before[i]) number[i] = j;
    for (size_t i = 0; i < index->n_entry; i++)
        if (index->entry[i].shard >= 0) index->entry[i].shard = number[index->entry[i].shard];
}

static tess_status check_names(const index_reader *r, tess_error *err)
{
    const tess_index *index = r->index;
    tess_status status = TESS_OK;
    for (size_t i = 1; i < index->n_entry && status == TESS_OK; i++) {
        const tess_index_entry *e = &index->entry[i];
        if (!strcmp(e->name, e[-1].name))
            status = tess_complain(r->sink, err, TESS_PROBLEM_DUPLICATE, r->path, e->name, (int64_t)e->offset,
                                   "every name once", "the name a second time");
    }
    return status;
}

tess_status tess_index_load(const char *path, const tess_problem_sink *sink, tess_index *out, tess_error *err)
{
    char *text = NULL;
    size_t size = 0;
    tess_status status = tess_whole_file_read(path, "an index", MAX_INDEX_BYTES, &text, &size, err);
    if (status != TESS_OK) return status;
    tess_index index = {.pool = malloc(size + 1)};
    index_reader r = {.index = &index, .path = path, .sink = sink, .pool_size = size + 1};
    if (!index.pool)
        status = tess_fail(err, TESS_ENOMEM, "%s: no memory for the index", path);
    else
        status = read_members(&r, text, size, err);
    free(text);
    if (status == TESS_OK) {
        sort_shards(&index);
        if (index.n_entry) qsort(index.entry, index.n_entry, sizeof *index.entry, compare_entries);
        status = check_names(&r, err);
    }
    if (status != TESS_OK) {
        tess_index_release(&index);
        return status;
    }
    *out = index;
    return TESS_OK;
}

void tess_index_release(tess_index *index)
{
    free(index->entry);
    free(index->pool);
    *index = (tess_index){0};
}
