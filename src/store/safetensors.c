/* Reads a header by walking its JSON member by member; no tree of the whole is built.
 *
 * Names and metadata go into one pool, which cannot overflow: decoded texts are never longer than their
 * spelling in the header. An entry that is unusable keeps its name, with TESS_DTYPE_NONE, when problems are
 * collected, so that it is not called missing later.
 */
#include "store/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/whole_file.h"
#include "base/checked.h"
#include "base/json_walk.h"

/* The limit of the format's own implementation. */
static const uint64_t MAX_HEADER_BYTES = 100000000;

typedef struct text_pair {
    const char *key, *value;
} text_pair;

struct tess_safetensors {
    tess_file *file; /* NULL: opened by its header */
    uint64_t head_bytes;
    size_t n_tensor, tensor_capacity;
    tess_tensor *tensor; /* by offset */
    uint32_t *by_name;   /* indices into tensor */
    char *pool;          /* names and metadata */
    size_t pool_used, pool_size;
    size_t n_metadata, metadata_capacity;
    text_pair *metadata;
};

/* What is needed only while opening. */
typedef struct header_reader {
    tess_safetensors *st;
    const char *path;
    const unsigned char *head; /* [head_bytes] the file's beginning, where there is no file */
    size_t head_bytes;
    uint64_t size;                  /* of the file */
    uint64_t data_begin, data_size; /* of the tensors' bytes in the file */
    int shard;
    const tess_problem_sink *sink;
    bool has_broken; /* an entry without usable offsets: gaps cannot be judged */
} header_reader;

static tess_status no_memory(const header_reader *r, tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "%s: no memory for its header", r->path);
}

static tess_status read_bytes(const header_reader *r, uint64_t offset, void *out, size_t n, tess_error *err)
{
    if (r->st->file) return tess_file_read(r->st->file, offset, out, n, err);
    if (offset > r->head_bytes || n > r->head_bytes - offset)
        return tess_refuse(err, r->path, "header", (int64_t)offset, "all of it", "%zu bytes", r->head_bytes);
    memcpy(out, r->head + offset, n);
    return TESS_OK;
}

/* Doubles an array when it is full. */
static bool make_room(void **array, size_t *capacity, size_t used, size_t item_bytes)
{
    if (used < *capacity) return true;
    size_t more = *capacity ? 2 * *capacity : 64;
    void *grown = realloc(*array, more * item_bytes);
    if (!grown) return false;
    *array = grown;
    *capacity = more;
    return true;
}

static const char *keep_text(tess_safetensors *st, const char *text)
{
    size_t n = strlen(text) + 1;
    if (n > st->pool_size - st->pool_used) TESS_BUG("a decoded text is longer than its spelling");
    char *kept = st->pool + st->pool_used;
    memcpy(kept, text, n);
    st->pool_used += n;
    return kept;
}

/* --- one entry --------------------------------------------------------------------------------------- */

static tess_status complain_entry(const header_reader *r, const char *name, uint64_t offset,
                                  const char *member, const char *expected, const json_t *value,
                                  tess_error *err)
{
    char found[160];
    if (json_is_integer(value))
        snprintf(found, sizeof found, "%s %" JSON_INTEGER_FORMAT, member, json_integer_value(value));
    else if (json_is_string(value))
        snprintf(found, sizeof found, "%s \"%.100s\"", member, json_string_value(value));
    else
        snprintf(found, sizeof found, "%s: %s", member, tess_json_type_name(value));
    return tess_complain(r->sink, err, TESS_PROBLEM_HEADER, r->path, name, (int64_t)offset, expected, "%s",
                         found);
}

/* Each of the next three sets *good where the member is usable; where it is not, that has been reported, or
 * is the failure returned. */
static tess_status read_dtype(const header_reader *r, const char *name, uint64_t at, const json_t *entry,
                              tess_dtype *dtype, bool *good, tess_error *err)
{
    const json_t *value = json_object_get(entry, "dtype");
    *dtype = json_is_string(value) ? tess_dtype_find(json_string_value(value)) : TESS_DTYPE_NONE;
    *good = *dtype != TESS_DTYPE_NONE;
    return *good
               ? TESS_OK
               : complain_entry(r, name, at, "dtype", "a dtype of safetensors such as \"BF16\"", value, err);
}

static tess_status read_shape(const header_reader *r, const char *name, uint64_t at, const json_t *entry,
                              tess_tensor *tensor, bool *good, tess_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t n = json_array_size(shape);
    *good = false;
    if (!json_is_array(shape)) return complain_entry(r, name, at, "shape", "an array of sizes", shape, err);
    if (n > TESS_MAX_DIM)
        return tess_complain(r->sink, err, TESS_PROBLEM_HEADER, r->path, name, (int64_t)at,
                             "a shape of at most 8 axes", "%zu axes", n);
    for (size_t i = 0; i < n; i++) {
        const json_t *size = json_array_get(shape, i);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return complain_entry(r, name, at, "in its shape", "sizes of 0 or more", size, err);
        tensor->dim[i] = (uint64_t)json_integer_value(size);
    }
    tensor->n_dim = (int)n;
    *good = true;
    return TESS_OK;
}

static tess_status read_offsets(const header_reader *r, const char *name, uint64_t at, const json_t *entry,
                                uint64_t *begin, uint64_t *end, bool *good, tess_error *err)
{
    const json_t *pair = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(pair, 0), *last = json_array_get(pair, 1);
    static const char expected[] = "data_offsets [begin, end] with 0 <= begin <= end";
    *good = false;
    if (!json_is_array(pair) || json_array_size(pair) != 2)
        return complain_entry(r, name, at, "data_offsets", expected, pair, err);
    if (!json_is_integer(first) || json_integer_value(first) < 0)
        return complain_entry(r, name, at, "begin", expected, first, err);
    if (!json_is_integer(last) || json_integer_value(last) < json_integer_value(first))
        return complain_entry(r, name, at, "end", expected, last, err);
    *begin = (uint64_t)json_integer_value(first);
    *end = (uint64_t)json_integer_value(last);
    *good = true;
    return TESS_OK;
}

/* Shape, dtype, offsets and the file's end against each other. */
static tess_status check_entry(const header_reader *r, tess_tensor *t, uint64_t begin, uint64_t end,
                               tess_error *err)
{
    unsigned item = tess_dtype_bytes(t->dtype);
    uint64_t implied = item;
    bool fits = true;
    for (int i = 0; i < t->n_dim; i++) fits = tess_mul_u64(implied, t->dim[i], &implied) && fits;
    for (int i = 0; i < t->n_dim; i++)
        if (t->dim[i] == 0) fits = (implied = 0, true);
    int64_t at = (int64_t)(r->data_begin + begin);
    char shape[128], expected[192];
    tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
    tess_status status = TESS_OK;
    if (!fits) {
        status = tess_complain(r->sink, err, TESS_PROBLEM_OFFSETS, r->path, t->name, at,
                               "a shape whose bytes can be counted in 64 bits", "%s %s",
                               tess_dtype_name(t->dtype), shape);
        t->dtype = TESS_DTYPE_NONE;
    } else if (implied != end - begin) {
        snprintf(expected, sizeof expected, "%" PRIu64 " bytes for %s %s", implied, tess_dtype_name(t->dtype),
                 shape);
        status = tess_complain(r->sink, err, TESS_PROBLEM_OFFSETS, r->path, t->name, at, expected,
                               "data_offsets [%" PRIu64 ", %" PRIu64 "], %" PRIu64 " bytes", begin, end,
                               end - begin);
    }
    if (status == TESS_OK && begin % item) {
        snprintf(expected, sizeof expected, "a multiple of the element size %u", item);
        status = tess_complain(r->sink, err, TESS_PROBLEM_OFFSETS, r->path, t->name, at, expected,
                               "data offset %" PRIu64, begin);
    }
    if (status == TESS_OK && end > r->data_size) {
        snprintf(expected, sizeof expected, "at least %" PRIu64 " bytes, where this tensor ends",
                 r->data_begin + end);
        status = tess_complain(r->sink, err, TESS_PROBLEM_TRUNCATED, r->path, t->name, at, expected,
                               "a file of %" PRIu64 " bytes", r->data_begin + r->data_size);
    }
    return status;
}

static tess_status read_entry(header_reader *r, const char *name, uint64_t at, const json_t *entry,
                              tess_error *err)
{
    tess_safetensors *st = r->st;
    tess_tensor t = {.shard = r->shard};
    uint64_t begin = 0, end = 0;
    bool has_dtype = false, has_shape = false, has_offsets = false;
    tess_status status = TESS_OK;
    if (!json_is_object(entry))
        status =
            complain_entry(r, name, at, "entry", "an object with dtype, shape and data_offsets", entry, err);
    else
        status = read_dtype(r, name, at, entry, &t.dtype, &has_dtype, err);
    if (status == TESS_OK && json_is_object(entry))
        status = read_shape(r, name, at, entry, &t, &has_shape, err);
    if (status == TESS_OK && json_is_object(entry))
        status = read_offsets(r, name, at, entry, &begin, &end, &has_offsets, err);
    if (status != TESS_OK) return status;
    if (!make_room((void **)&st->tensor, &st->tensor_capacity, st->n_tensor, sizeof *st->tensor))
        return no_memory(r, err);
    t.name = keep_text(st, name);
    if (has_dtype && has_shape && has_offsets) {
        status = check_entry(r, &t, begin, end, err);
        if (status != TESS_OK) return status;
    } else {
        t.dtype = TESS_DTYPE_NONE;
        r->has_broken = r->has_broken || !has_offsets;
    }
    t.offset = r->data_begin + begin;
    t.n_byte = end - begin;
    st->tensor[st->n_tensor++] = t;
    return TESS_OK;
}

static tess_status read_metadata(header_reader *r, tess_json_walk *outer, tess_error *err)
{
    tess_safetensors *st = r->st;
    tess_json_walk walk;
    tess_status status = tess_json_walk_enter(outer, &walk, err);
    while (status == TESS_OK && (status = tess_json_walk_next(&walk, err)) == TESS_OK && walk.key) {
        json_t *value = NULL;
        status = tess_json_walk_value(&walk, &value, err);
        if (status != TESS_OK) break;
        if (!json_is_string(value))
            status = complain_entry(r, "__metadata__", walk.key_offset, walk.key, "a text", value, err);
        else if (!make_room((void **)&st->metadata, &st->metadata_capacity, st->n_metadata,
                            sizeof *st->metadata))
            status = no_memory(r, err);
        else {
            const char *key = keep_text(st, walk.key);
            st->metadata[st->n_metadata++] = (text_pair){key, keep_text(st, json_string_value(value))};
        }
        json_decref(value);
    }
    tess_json_walk_release(&walk);
    return status;
}

static tess_status read_entries(header_reader *r, const char *text, size_t size, tess_error *err)
{
    tess_json_walk walk;
    tess_status status = tess_json_walk_init(&walk, r->path, sizeof(uint64_t), text, size, err);
    while (status == TESS_OK && (status = tess_json_walk_next(&walk, err)) == TESS_OK && walk.key) {
        if (!strcmp(walk.key, "__metadata__")) {
            status = read_metadata(r, &walk, err);
            continue;
        }
        json_t *entry = NULL;
        status = tess_json_walk_value(&walk, &entry, err);
        if (status == TESS_OK) status = read_entry(r, walk.key, walk.key_offset, entry, err);
        json_decref(entry);
    }
    tess_json_walk_release(&walk);
    return status;
}

/* --- all entries --------------------------------------------------------------------------------------- */

static int compare_places(const void *a, const void *b)
{
    const tess_tensor *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->n_byte != y->n_byte) return x->n_byte < y->n_byte ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b, void *tensors)
{
    const tess_tensor *tensor = tensors;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = strcmp(tensor[x].name, tensor[y].name);
    return order ? order : (x > y) - (x < y);
}

/* Each tensor begins where the one before ends, the first at 0, and the last ends where the file does. */
static tess_status check_places(const header_reader *r, tess_error *err)
{
    const tess_safetensors *st = r->st;
    uint64_t end = r->data_begin, file_end = r->data_begin + r->data_size;
    const char *before = "the header";
    char expected[224];
    tess_status status = TESS_OK;
    for (size_t i = 0; i < st->n_tensor && status == TESS_OK; i++) {
        const tess_tensor *t = &st->tensor[i];
        if (t->dtype == TESS_DTYPE_NONE && t->n_byte == 0) continue;
        snprintf(expected, sizeof expected, "%" PRIu64 ", where %.120s ends", end - r->data_begin, before);
        if (t->offset < end)
            status = tess_complain(r->sink, err, TESS_PROBLEM_OFFSETS, r->path, t->name, (int64_t)t->offset,
                                   expected, "an overlap: data offset %" PRIu64, t->offset - r->data_begin);
        else if (t->offset > end && !r->has_broken)
            status = tess_complain(r->sink, err, TESS_PROBLEM_OFFSETS, r->path, t->name, (int64_t)t->offset,
                                   expected, "a gap: data offset %" PRIu64, t->offset - r->data_begin);
        if (t->offset + t->n_byte > end) {
            end = t->offset + t->n_byte;
            before = t->name;
        }
    }
    if (status == TESS_OK && end < file_end && !r->has_broken) {
        snprintf(expected, sizeof expected, "%" PRIu64 " bytes, where %.120s ends", end, before);
        status = tess_complain(r->sink, err, TESS_PROBLEM_OFFSETS, r->path, "", (int64_t)end, expected,
                               "a file of %" PRIu64 " bytes", file_end);
    }
    return status;
}

static tess_status check_names(const header_reader *r, tess_error *err)
{
    tess_safetensors *st = r->st;
    if (st->n_tensor > UINT32_MAX)
        return tess_refuse(err, r->path, "", -1, "fewer than 2^32 tensors", "%zu", st->n_tensor);
    st->by_name = malloc((st->n_tensor + 1) * sizeof *st->by_name);
    if (!st->by_name) return no_memory(r, err);
    for (size_t i = 0; i < st->n_tensor; i++) st->by_name[i] = (uint32_t)i;
    qsort_r(st->by_name, st->n_tensor, sizeof *st->by_name, compare_names, st->tensor);
    tess_status status = TESS_OK;
    for (size_t i = 1; i < st->n_tensor && status == TESS_OK; i++) {
        const tess_tensor *t = &st->tensor[st->by_name[i]];
        if (!strcmp(t->name, st->tensor[st->by_name[i - 1]].name))
            status = tess_complain(r->sink, err, TESS_PROBLEM_DUPLICATE, r->path, t->name, (int64_t)t->offset,
                                   "every name once", "the name a second time");
    }
    return status;
}

/* Gives back what the arrays and the pool have too much. */
static void shrink(tess_safetensors *st)
{
    tess_tensor *tensor = realloc(st->tensor, (st->n_tensor + 1) * sizeof *tensor);
    if (tensor) st->tensor = tensor;
    char *pool = malloc(st->pool_used + 1);
    if (!pool) return;
    memcpy(pool, st->pool, st->pool_used);
    for (size_t i = 0; i < st->n_tensor; i++) st->tensor[i].name = pool + (st->tensor[i].name - st->pool);
    for (size_t i = 0; i < st->n_metadata; i++)
        st->metadata[i] =
            (text_pair){pool + (st->metadata[i].key - st->pool), pool + (st->metadata[i].value - st->pool)};
    free(st->pool);
    st->pool = pool;
    st->pool_size = st->pool_used;
}

/* What a clone left behind in place of the file. */
static tess_status check_pointer(header_reader *r, tess_error *err)
{
    char text[TESS_LFS_POINTER_MOST_BYTES];
    if (r->size > sizeof text || !r->st->file) return TESS_OK;
    tess_status status = read_bytes(r, 0, text, (size_t)r->size, err);
    return status == TESS_OK ? tess_lfs_pointer_check(r->path, text, (size_t)r->size, err) : status;
}

/* Where neither the length nor the first byte of the header can be right, it is another kind of file. */
static tess_status check_kind(header_reader *r, uint64_t n, tess_error *err)
{
    unsigned char head[sizeof n + 1], *first = head + sizeof n;
    if (r->size < sizeof head || n <= r->size - sizeof n) return TESS_OK;
    tess_status status = read_bytes(r, 0, head, sizeof head, err);
    if (status != TESS_OK || *first == '{') return status;
    size_t printable = 0;
    while (printable < sizeof n && head[printable] >= ' ' && head[printable] <= '~') printable++;
    bool is_text = printable == sizeof n;
    return tess_refuse(err, r->path, "", 0, "a safetensors file", "no safetensors file%s%.*s%s",
                       is_text ? ": it begins with \"" : "", is_text ? (int)printable : 0, (const char *)head,
                       is_text ? "\"" : "");
}

static tess_status read_header_length(header_reader *r, uint64_t *length, tess_error *err)
{
    const uint64_t size = r->size;
    unsigned char raw[sizeof(uint64_t)];
    if (size < sizeof raw)
        return tess_refuse(err, r->path, "header length", 0, "a safetensors file of 10 bytes or more",
                           "a file of %" PRIu64 " bytes", size);
    tess_status status = check_pointer(r, err);
    if (status == TESS_OK) status = read_bytes(r, 0, raw, sizeof raw, err);
    if (status != TESS_OK) return status;
    uint64_t n = 0;
    for (unsigned i = 0; i < sizeof raw; i++) n |= (uint64_t)raw[i] << (8 * i);
    status = check_kind(r, n, err);
    if (status != TESS_OK) return status;
    char expected[96];
    uint64_t most = size - sizeof raw < MAX_HEADER_BYTES ? size - sizeof raw : MAX_HEADER_BYTES;
    snprintf(expected, sizeof expected, "2 to %" PRIu64 " in a file of %" PRIu64 " bytes", most, size);
    if (n < 2 || n > most) return tess_refuse(err, r->path, "header length", 0, expected, "%" PRIu64, n);
    r->data_begin = sizeof raw + n;
    r->data_size = size - r->data_begin;
    r->st->head_bytes = r->data_begin;
    *length = n;
    return TESS_OK;
}

static tess_status read_header(header_reader *r, tess_error *err)
{
    uint64_t length = 0;
    tess_status status = read_header_length(r, &length, err);
    if (status != TESS_OK) return status;
    char *text = malloc(length);
    r->st->pool = malloc(length);
    r->st->pool_size = length;
    if (!text || !r->st->pool) status = no_memory(r, err);
    if (status == TESS_OK) status = read_bytes(r, sizeof(uint64_t), text, length, err);
    if (status == TESS_OK && text[0] != '{')
        status = tess_refuse(err, r->path, "header", sizeof(uint64_t), "'{', the begin of a JSON object",
                             "byte 0x%02x", (unsigned char)text[0]);
    if (status == TESS_OK) status = read_entries(r, text, length, err);
    free(text);
    if (status != TESS_OK) return status;
    if (r->st->n_tensor) qsort(r->st->tensor, r->st->n_tensor, sizeof *r->st->tensor, compare_places);
    status = check_names(r, err);
    if (status == TESS_OK) status = check_places(r, err);
    shrink(r->st);
    return status;
}

tess_status tess_safetensors_open_part(const char *path, tess_direct direct, int shard,
                                       const tess_problem_sink *sink, tess_safetensors **out, tess_error *err)
{
    tess_safetensors *st = calloc(1, sizeof *st);
    if (!st) return tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", path);
    header_reader r = {.st = st, .path = path, .shard = shard, .sink = sink};
    tess_status status = tess_file_open(path, direct, &st->file, err);
    if (status == TESS_OK) r.size = tess_file_get_size(st->file);
    if (status == TESS_OK) status = read_header(&r, err);
    if (status != TESS_OK) {
        tess_safetensors_close(st);
        return status;
    }
    *out = st;
    return TESS_OK;
}

tess_status tess_safetensors_open_header(const char *path, const void *head, size_t n_byte, uint64_t size,
                                         int shard, const tess_problem_sink *sink, tess_safetensors **out,
                                         tess_error *err)
{
    tess_safetensors *st = calloc(1, sizeof *st);
    if (!st) return tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", path);
    header_reader r = {.st = st,
                       .path = path,
                       .head = head,
                       .head_bytes = n_byte,
                       .size = size,
                       .shard = shard,
                       .sink = sink};
    tess_status status = read_header(&r, err);
    if (status != TESS_OK) {
        tess_safetensors_close(st);
        return status;
    }
    *out = st;
    return TESS_OK;
}

tess_status tess_safetensors_open(const char *path, tess_direct direct, tess_safetensors **out,
                                  tess_error *err)
{
    return tess_safetensors_open_part(path, direct, 0, NULL, out, err);
}

void tess_safetensors_close(tess_safetensors *st)
{
    if (!st) return;
    tess_file_close(st->file);
    free(st->tensor);
    free(st->by_name);
    free(st->metadata);
    free(st->pool);
    free(st);
}

tess_file *tess_safetensors_get_file(const tess_safetensors *st)
{
    return st->file;
}

uint64_t tess_safetensors_get_head_bytes(const tess_safetensors *st)
{
    return st->head_bytes;
}

size_t tess_safetensors_get_count(const tess_safetensors *st)
{
    return st->n_tensor;
}

const tess_tensor *tess_safetensors_get(const tess_safetensors *st, size_t i)
{
    TESS_ASSERT(i < st->n_tensor);
    return &st->tensor[i];
}

const tess_tensor *tess_safetensors_find(const tess_safetensors *st, const char *name)
{
    size_t low = 0, high = st->n_tensor;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(st->tensor[st->by_name[middle]].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == st->n_tensor || strcmp(st->tensor[st->by_name[low]].name, name) != 0) return NULL;
    return &st->tensor[st->by_name[low]];
}

size_t tess_safetensors_get_metadata_count(const tess_safetensors *st)
{
    return st->n_metadata;
}

void tess_safetensors_get_metadata_at(const tess_safetensors *st, size_t i, const char **key,
                                      const char **value)
{
    TESS_ASSERT(i < st->n_metadata);
    *key = st->metadata[i].key;
    *value = st->metadata[i].value;
}

const char *tess_safetensors_get_metadata(const tess_safetensors *st, const char *key)
{
    for (size_t i = 0; i < st->n_metadata; i++)
        if (!strcmp(st->metadata[i].key, key)) return st->metadata[i].value;
    return NULL;
}
