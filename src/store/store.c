/* The index says where tensors are, the headers say what is there; both are read and compared, then only the
 * headers' table is kept. Peak memory while opening is one header or the index, never a tree of either.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/whole_file.h"
#include "store/index.h"

typedef struct shard {
    char *path, *name; /* of the file that holds it; its own */
    tess_safetensors *st;
    size_t first; /* number of its first tensor in the order of places */
} shard;

struct tess_store {
    tess_packed_store *packed; /* NULL: the published layout */
    int n_shard;
    shard *shard;
    size_t n_tensor;
    const tess_tensor **by_name;
    size_t n_absent;
    char **absent; /* names, sorted */
};

typedef struct opener {
    tess_store *store;
    const char *dir;
    char *index_path;
    tess_direct direct;
    const tess_problem_sink *sink;
    tess_index index;
    bool has_index;
} opener;

static tess_status no_memory(const opener *o, tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "%s: no memory for its table of tensors", o->dir);
}

/* --- shards ----------------------------------------------------------------------------------------------
 */

/* Shards by their names; `file`: the one that holds them all, NULL if each is a file of its own. */
static tess_status add_shards(opener *o, int n, const char *const *names, const char *file, tess_error *err)
{
    tess_store *store = o->store;
    store->shard = calloc((size_t)n + 1, sizeof *store->shard);
    if (!store->shard) return no_memory(o, err);
    for (int i = 0; i < n; i++) {
        shard *s = &store->shard[store->n_shard++];
        s->path = tess_path_join(o->dir, file ? file : names[i]);
        s->name = strdup(names[i]);
        if (!s->path || !s->name) return no_memory(o, err);
    }
    return TESS_OK;
}

static int is_shard_name(const struct dirent *entry)
{
    return !strncmp(entry->d_name, "model", 5) && tess_name_ends_with(entry->d_name, ".safetensors");
}

/* Without an index an inspection looks at what lies in the folder. */
static tess_status add_files_of_folder(opener *o, tess_error *err)
{
    struct dirent **found = NULL;
    int n = scandir(o->dir, &found, is_shard_name, alphasort);
    if (n < 0) return tess_fail_system(err, errno, o->dir, -1, "list");
    const char *names[TESS_MAX_SHARDS] = {0};
    for (int i = 0; i < n && i < TESS_MAX_SHARDS; i++) names[i] = found[i]->d_name;
    tess_status status = add_shards(o, n < TESS_MAX_SHARDS ? n : TESS_MAX_SHARDS, names, NULL, err);
    for (int i = 0; i < n; i++) free(found[i]);
    free(found);
    return status;
}

static int is_unfinished_shard(const struct dirent *entry)
{
    return tess_name_ends_with(entry->d_name, ".safetensors.part");
}

/* Unpacking puts the index in its place last. */
static tess_status check_unpacked(const opener *o, tess_error *err)
{
    struct dirent **found = NULL;
    const int n = scandir(o->dir, &found, is_unfinished_shard, alphasort);
    tess_status status = TESS_OK;
    if (n > 0)
        status =
            tess_refuse(err, o->dir, "", -1, "all shards and the index: 'tessera unpack', run again, goes on",
                        "\"%.100s\", which is not finished, and no index", found[0]->d_name);
    for (int i = 0; i < n; i++) free(found[i]);
    free(found);
    return status;
}

/* One index or one model.safetensors must be there. */
static tess_status find_shards(opener *o, tess_error *err)
{
    static const char *const single[] = {"model.safetensors"};
    tess_error why;
    struct stat info;
    char *single_path = tess_path_join(o->dir, single[0]);
    bool has_single = single_path && stat(single_path, &info) == 0;
    free(single_path);
    if (!single_path) return no_memory(o, err);
    bool no_index = stat(o->index_path, &info) && errno == ENOENT;
    if (no_index && has_single) return add_shards(o, 1, single, NULL, err);
    if (no_index) {
        tess_status unfinished = check_unpacked(o, err);
        if (unfinished != TESS_OK) return unfinished;
    }
    tess_status status = no_index
                             ? tess_refuse(&why, o->dir, "", -1,
                                           "model.safetensors.index.json or model.safetensors", "neither")
                             : tess_index_load(o->index_path, o->sink, &o->index, &why);
    o->has_index = status == TESS_OK;
    if (o->has_index) return add_shards(o, o->index.n_shard, o->index.shard_file, NULL, err);
    if (status != TESS_ENOMEM && o->sink) {
        tess_problem_pass_on(o->sink, TESS_PROBLEM_INDEX, &why);
        return add_files_of_folder(o, err);
    }
    if (err) *err = why;
    return status;
}

static size_t count_listed(const opener *o, int number)
{
    size_t n = 0;
    for (size_t i = 0; i < o->index.n_entry; i++) n += o->index.entry[i].shard == number;
    return n;
}

/* A shard that cannot be used is a problem like others while collecting, unless memory ran out. */
static tess_status open_shard(opener *o, int number, tess_error *err)
{
    shard *s = &o->store->shard[number];
    tess_error why;
    tess_status status = tess_safetensors_open_part(s->path, o->direct, number, o->sink, &s->st, &why);
    if (status == TESS_EINPUT && !strcmp(why.found, "no such file") && o->has_index) {
        char expected[80];
        snprintf(expected, sizeof expected, "a shard with %zu tensors of the index", count_listed(o, number));
        tess_refuse(&why, s->path, "", -1, expected, "no such file");
    }
    if (status == TESS_OK) return TESS_OK;
    if (o->sink && status != TESS_ENOMEM) {
        bool by_header = status == TESS_EINPUT && *why.field;
        tess_problem_pass_on(o->sink, by_header ? TESS_PROBLEM_HEADER : TESS_PROBLEM_SHARD, &why);
        return TESS_OK;
    }
    if (err) *err = why;
    return status;
}

/* --- a packed store --------------------------------------------------------------------------------------
 */

/* The index is one of the small files, and must be of the shards that were packed. */
static tess_status load_packed_index(opener *o, tess_error *err)
{
    struct stat info;
    if (stat(o->index_path, &info) && errno == ENOENT) return TESS_OK;
    tess_status status = tess_index_load(o->index_path, o->sink, &o->index, err);
    if (status != TESS_OK) return status;
    o->has_index = true;
    bool is_same = o->index.n_shard == o->store->n_shard;
    for (int i = 0; i < o->store->n_shard && is_same; i++)
        is_same = !strcmp(o->index.shard_file[i], o->store->shard[i].name);
    return is_same ? TESS_OK
                   : tess_refuse(err, o->index_path, "weight_map", -1, "the shards that were packed",
                                 "other names");
}

/* Shards as their headers, which the store keeps, say. */
static tess_status open_packed_shards(opener *o, tess_error *err)
{
    tess_store *store = o->store;
    const tess_packed_table *t = tess_packed_store_get_table(store->packed);
    const char *names[TESS_MAX_SHARDS];
    if (t->counts->n_shard > TESS_MAX_SHARDS)
        return tess_refuse(err, tess_file_get_path(tess_packed_store_get_file(store->packed)), "shards", -1,
                           "at most 400", "%" PRIu32, t->counts->n_shard);
    for (uint32_t i = 0; i < t->counts->n_shard; i++) names[i] = t->texts + t->shard[i].name;
    tess_status status = add_shards(o, (int)t->counts->n_shard, names, TESS_PACKED_FILE, err);
    for (int i = 0; i < store->n_shard && status == TESS_OK; i++) {
        shard *s = &store->shard[i];
        status = tess_safetensors_open_header(s->path, t->texts + t->shard[i].head, t->shard[i].n_head_byte,
                                              t->shard[i].n_byte, i, NULL, &s->st, err);
        if (status == TESS_OK && tess_safetensors_get_count(s->st) != t->shard[i].n_tensor)
            status = tess_refuse(err, s->path, s->name, -1, "as many tensors as its header has", "%" PRIu64,
                                 t->shard[i].n_tensor);
    }
    return status;
}

static tess_status check_packed_tensors(const tess_store *store, tess_error *err)
{
    size_t place = 0;
    tess_status status = TESS_OK;
    for (int i = 0; i < store->n_shard; i++)
        for (size_t k = 0; k < tess_safetensors_get_count(store->shard[i].st) && status == TESS_OK; k++)
            status = tess_packed_store_check_tensor(store->packed, place++,
                                                    tess_safetensors_get(store->shard[i].st, k), err);
    return status;
}

static void release_shards(tess_store *store)
{
    for (int i = 0; i < store->n_shard; i++) {
        tess_safetensors_close(store->shard[i].st);
        free(store->shard[i].path);
        free(store->shard[i].name);
    }
    free(store->shard);
    store->shard = NULL;
    store->n_shard = 0;
}

/* Which of the two would be the model? */
static tess_status check_alone(const opener *o, tess_error *err)
{
    const tess_store *store = o->store;
    struct stat info;
    for (int i = 0; i < store->n_shard; i++) {
        char *path = tess_path_join(o->dir, store->shard[i].name);
        if (!path) return no_memory(o, err);
        const bool is_there = stat(path, &info) == 0;
        free(path);
        if (is_there)
            return tess_refuse(err, o->dir, "", -1,
                               "either a packed store or published shards; remove one of them",
                               TESS_PACKED_FILE " and %.100s", store->shard[i].name);
    }
    return TESS_OK;
}

/* All of it or nothing: what is wrong with a table that carries a checksum is not for a list of problems. */
static tess_status open_packed(opener *o, const char *path, tess_error *err)
{
    tess_store *store = o->store;
    tess_status status = tess_packed_store_open(path, o->direct, &store->packed, err);
    if (status == TESS_OK) status = open_packed_shards(o, err);
    if (status == TESS_OK) status = check_alone(o, err);
    if (status == TESS_OK) status = check_packed_tensors(store, err);
    if (status == TESS_OK) status = load_packed_index(o, err);
    if (status == TESS_OK) tess_packed_store_drop_texts(store->packed);
    return status;
}

/* --- the table -------------------------------------------------------------------------------------------
 */

static int compare_names(const void *a, const void *b)
{
    const tess_tensor *x = *(const tess_tensor *const *)a, *y = *(const tess_tensor *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->shard - y->shard;
}

static tess_status make_table(opener *o, tess_error *err)
{
    tess_store *store = o->store;
    for (int i = 0; i < store->n_shard; i++) {
        store->shard[i].first = store->n_tensor;
        store->n_tensor += store->shard[i].st ? tess_safetensors_get_count(store->shard[i].st) : 0;
    }
    store->by_name = malloc((store->n_tensor + 1) * sizeof *store->by_name);
    if (!store->by_name) return no_memory(o, err);
    size_t n = 0;
    for (int i = 0; i < store->n_shard; i++)
        for (size_t j = 0; store->shard[i].st && j < tess_safetensors_get_count(store->shard[i].st); j++)
            store->by_name[n++] = tess_safetensors_get(store->shard[i].st, j);
    qsort(store->by_name, n, sizeof *store->by_name, compare_names);
    return TESS_OK;
}

/* A name in two shards; twice in one has been noticed by its header. */
static tess_status check_once(const opener *o, tess_error *err)
{
    const tess_store *store = o->store;
    tess_status status = TESS_OK;
    for (size_t i = 1; i < store->n_tensor && status == TESS_OK; i++) {
        const tess_tensor *t = store->by_name[i], *before = store->by_name[i - 1];
        if (t->shard == before->shard || strcmp(t->name, before->name) != 0) continue;
        char expected[240];
        snprintf(expected, sizeof expected, "it once: it is in %.200s too", store->shard[before->shard].name);
        status = tess_complain(o->sink, err, TESS_PROBLEM_DUPLICATE, store->shard[t->shard].path, t->name,
                               (int64_t)t->offset, expected, "the name a second time");
    }
    return status;
}

/* --- table against index ---------------------------------------------------------------------------------
 */

static tess_status add_absent(opener *o, const char *name, tess_error *err)
{
    tess_store *store = o->store;
    if ((store->n_absent & (store->n_absent - 1)) == 0) {
        size_t more = store->n_absent ? 2 * store->n_absent : 1;
        char **grown = realloc(store->absent, more * sizeof *grown);
        if (!grown) return no_memory(o, err);
        store->absent = grown;
    }
    char *kept = strdup(name);
    if (!kept) return no_memory(o, err);
    store->absent[store->n_absent++] = kept;
    return TESS_OK;
}

static tess_status check_listed(opener *o, const tess_index_entry *entry, const tess_tensor *const *found,
                                size_t n_found, tess_error *err)
{
    const tess_store *store = o->store;
    const shard *listed = entry->shard < 0 ? NULL : &store->shard[entry->shard];
    if (n_found == 0) {
        tess_status status = TESS_OK;
        if (listed && listed->st) /* else the entry or the shard itself has been reported */
            status = tess_complain(o->sink, err, TESS_PROBLEM_MISSING, listed->path, entry->name, -1,
                                   "the tensor in this shard, as the index says", "no such tensor");
        return status == TESS_OK ? add_absent(o, entry->name, err) : status;
    }
    if (!listed) return TESS_OK;
    for (size_t i = 0; i < n_found; i++)
        if (found[i]->shard == entry->shard) return TESS_OK;
    char expected[240];
    snprintf(expected, sizeof expected, "it in %.200s, as the index says", listed->name);
    return tess_complain(o->sink, err, TESS_PROBLEM_MISPLACED, store->shard[found[0]->shard].path,
                         entry->name, (int64_t)found[0]->offset, expected, "the tensor in %s",
                         store->shard[found[0]->shard].name);
}

static tess_status check_unlisted(const opener *o, const tess_tensor *t, tess_error *err)
{
    return tess_complain(o->sink, err, TESS_PROBLEM_UNLISTED, o->store->shard[t->shard].path, t->name,
                         (int64_t)t->offset, "every tensor of a shard listed in the index",
                         "one that is not");
}

/* Walks both lists, sorted by name, side by side. */
static tess_status check_index(opener *o, tess_error *err)
{
    const tess_store *store = o->store;
    size_t at = 0;
    tess_status status = TESS_OK;
    for (size_t i = 0; i < o->index.n_entry && status == TESS_OK; i++) {
        const tess_index_entry *entry = &o->index.entry[i];
        if (i && !strcmp(entry->name, entry[-1].name)) continue;
        for (; at < store->n_tensor && strcmp(store->by_name[at]->name, entry->name) < 0; at++) {
            status = check_unlisted(o, store->by_name[at], err);
            if (status != TESS_OK) return status;
        }
        size_t n_found = 0;
        while (at + n_found < store->n_tensor && !strcmp(store->by_name[at + n_found]->name, entry->name))
            n_found++;
        status = check_listed(o, entry, store->by_name + at, n_found, err);
        at += n_found;
    }
    for (; at < store->n_tensor && status == TESS_OK; at++)
        status = check_unlisted(o, store->by_name[at], err);
    return status;
}

/* Only inspections ask: the total is advice to readers, and everything it sums has been checked. What an
 * absent shard adds to it is not known. */
static tess_status check_total_size(const opener *o, tess_error *err)
{
    const tess_store *store = o->store;
    uint64_t total = 0;
    for (int i = 0; i < store->n_shard; i++)
        if (!store->shard[i].st) return TESS_OK;
    for (size_t i = 0; i < store->n_tensor; i++) total += store->by_name[i]->n_byte;
    if (!o->sink || !o->index.has_total_size || total == o->index.total_size) return TESS_OK;
    char expected[80];
    snprintf(expected, sizeof expected, "%" PRIu64 ", the sum over all tensors found", total);
    return tess_complain(o->sink, err, TESS_PROBLEM_INDEX, o->index_path, "metadata.total_size", -1, expected,
                         "%" PRIu64, o->index.total_size);
}

/* ---------------------------------------------------------------------------------------------------------
 */

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* The shards, whichever way they are stored. */
static tess_status open_files(opener *o, tess_error *err)
{
    char *path = tess_path_join(o->dir, TESS_PACKED_FILE),
         *part = tess_path_join(o->dir, TESS_PACKED_FILE ".part");
    o->index_path = tess_path_join(o->dir, "model.safetensors.index.json");
    const bool is_packed = path && exists(path);
    tess_status status = path && part && o->index_path ? TESS_OK : no_memory(o, err);
    if (status == TESS_OK && is_packed)
        status = open_packed(o, path, err);
    else if (status == TESS_OK && exists(part))
        status = tess_refuse(err, o->dir, "", -1, "a finished one: 'tessera pack', run again, goes on",
                             "a packed store that is not finished");
    else if (status == TESS_OK)
        status = find_shards(o, err);
    free(path);
    free(part);
    for (int i = 0; i < o->store->n_shard && status == TESS_OK && !is_packed; i++)
        status = open_shard(o, i, err);
    return status;
}

static tess_status open_all(opener *o, tess_error *err)
{
    tess_status status = tess_folder_check(o->dir, "a folder with a checkpoint", err);
    if (status == TESS_OK) status = open_files(o, err);
    if (status == TESS_OK) status = make_table(o, err);
    if (status == TESS_OK) status = check_once(o, err);
    if (status == TESS_OK && o->has_index) status = check_index(o, err);
    if (status == TESS_OK && o->has_index) status = check_total_size(o, err);
    return status;
}

tess_status tess_store_open_collecting(const char *dir, tess_direct direct, const tess_problem_sink *sink,
                                       tess_store **out, tess_error *err)
{
    tess_store *store = calloc(1, sizeof *store);
    if (!store) return tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", dir);
    opener o = {.store = store, .dir = dir, .direct = direct, .sink = sink};
    tess_status status = open_all(&o, err);
    tess_index_release(&o.index);
    free(o.index_path);
    if (status != TESS_OK)
        tess_store_close(store);
    else
        *out = store;
    /* Parsing leaves free memory behind; the budget of what follows counts it as long as we hold it. */
    malloc_trim(0);
    return status;
}

tess_status tess_store_open(const char *dir, tess_direct direct, tess_store **out, tess_error *err)
{
    return tess_store_open_collecting(dir, direct, NULL, out, err);
}

void tess_store_close(tess_store *store)
{
    if (!store) return;
    release_shards(store);
    tess_packed_store_close(store->packed);
    for (size_t i = 0; i < store->n_absent; i++) free(store->absent[i]);
    free(store->absent);
    free(store->by_name);
    free(store);
}

size_t tess_store_get_count(const tess_store *store)
{
    return store->n_tensor;
}

const tess_tensor *tess_store_get(const tess_store *store, size_t i)
{
    TESS_ASSERT(i < store->n_tensor);
    int low = 0, high = store->n_shard - 1;
    while (low < high) { /* the last shard that begins at i or before */
        int middle = low + (high - low + 1) / 2;
        if (store->shard[middle].first <= i)
            low = middle;
        else
            high = middle - 1;
    }
    return tess_safetensors_get(store->shard[low].st, i - store->shard[low].first);
}

const tess_tensor *tess_store_get_by_name(const tess_store *store, size_t i)
{
    TESS_ASSERT(i < store->n_tensor);
    return store->by_name[i];
}

size_t tess_store_find_place(const tess_store *store, const char *name)
{
    size_t low = 0, high = store->n_tensor;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(store->by_name[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const tess_tensor *tess_store_find(const tess_store *store, const char *name)
{
    size_t i = tess_store_find_place(store, name);
    return i < store->n_tensor && !strcmp(store->by_name[i]->name, name) ? store->by_name[i] : NULL;
}

const tess_tensor *tess_store_find_renamed(const tess_store *store, const char *name)
{
    const char *dot = strchr(name, '.');
    for (const char *next; dot && (next = strchr(dot + 1, '.')); dot = next) {
        const tess_tensor *tensor = tess_store_find(store, dot + 1);
        if (tensor) return tensor;
    }
    size_t n = strlen(name);
    for (size_t i = 0; i < store->n_tensor; i++) {
        const char *other = store->by_name[i]->name;
        size_t n_other = strlen(other);
        if (n_other > n && other[n_other - n - 1] == '.' && !strcmp(other + n_other - n, name))
            return store->by_name[i];
    }
    return NULL;
}

size_t tess_store_get_place(const tess_store *store, const tess_tensor *tensor)
{
    const shard *s = &store->shard[tensor->shard];
    return s->first + (size_t)(tensor - tess_safetensors_get(s->st, 0));
}

int tess_store_get_shard_count(const tess_store *store)
{
    return store->n_shard;
}

const char *tess_store_get_shard_name(const tess_store *store, int i)
{
    return store->shard[i].name;
}

const char *tess_store_get_shard_path(const tess_store *store, int i)
{
    return store->shard[i].path;
}

const tess_safetensors *tess_store_get_shard(const tess_store *store, int i)
{
    return store->shard[i].st;
}

int tess_store_get_file_count(const tess_store *store)
{
    return store->packed ? 1 : store->n_shard;
}

tess_file *tess_store_get_file(const tess_store *store, int i)
{
    if (store->packed) return tess_packed_store_get_file(store->packed);
    return store->shard[i].st ? tess_safetensors_get_file(store->shard[i].st) : NULL;
}

tess_packed_store *tess_store_get_packed(const tess_store *store)
{
    return store->packed;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool tess_store_is_known_absent(const tess_store *store, const char *name)
{
    char *key = (char *)(uintptr_t)name;
    return store->n_absent &&
           bsearch(&key, store->absent, store->n_absent, sizeof *store->absent, compare_texts) != NULL;
}
