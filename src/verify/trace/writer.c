#include "verify/trace/writer.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "io/output.h"

enum { MAX_DIM = 3, MAX_GROWING = 2 };

typedef struct tensor {
    char *name;
    bool is_integer;
    bool is_last, is_reached; /* stands behind all others; has its shape and its place */
    int n_dim;
    int64_t dim[MAX_DIM];
    uint64_t n_element, n_written;
    uint64_t position; /* in the file */
} tensor;

struct tess_trace_writer {
    json_t *metadata;
    char *metadata_text;
    tensor *list; /* sorted by name once open */
    size_t n_tensor, n_room;
    tensor growing[MAX_GROWING]; /* n_written 0: its shape is not known yet */
    int n_growing;
    char *header; /* room for the longest header */
    bool is_ending;
    uint64_t header_room, begin, end; /* of the data: those that grow are put before it one by one */
    tess_output *output;
};

tess_status tess_trace_writer_new(tess_trace_writer **out, tess_error *err)
{
    tess_trace_writer *writer = calloc(1, sizeof *writer);
    if (writer) writer->metadata = json_object();
    if (!writer || !writer->metadata) {
        free(writer);
        return tess_fail(err, TESS_ENOMEM, "no memory to prepare a trace");
    }
    *out = writer;
    return TESS_OK;
}

void tess_trace_writer_abandon(tess_trace_writer *writer)
{
    if (!writer) return;
    tess_output_abandon(writer->output);
    for (size_t i = 0; i < writer->n_tensor; i++) free(writer->list[i].name);
    for (int i = 0; i < writer->n_growing; i++) free(writer->growing[i].name);
    free(writer->list);
    free(writer->header);
    free(writer->metadata_text);
    json_decref(writer->metadata);
    free(writer);
}

tess_status tess_trace_writer_note(tess_trace_writer *writer, const char *key, const char *value,
                                   tess_error *err)
{
    if (json_object_set_new(writer->metadata, key, json_string(value)))
        return tess_fail(err, TESS_EUSAGE, "trace metadata \"%s\": the text is no valid UTF-8", key);
    return TESS_OK;
}

static bool is_plain(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._#";
    return *name && name[strspn(name, allowed)] == 0;
}

static tess_status fill_tensor(tensor *out, const char *name, bool is_integer, int n_dim, const int64_t *dim,
                               tess_error *err)
{
    TESS_ASSERT(n_dim >= 1 && n_dim <= MAX_DIM);
    if (!is_plain(name)) return tess_fail(err, TESS_EUSAGE, "\"%s\" cannot be the name of a tensor", name);
    *out = (tensor){.is_integer = is_integer, .n_dim = n_dim, .n_element = 1};
    for (int i = 0; i < n_dim; i++) {
        out->dim[i] = dim[i];
        if (dim[i] < 0 || !tess_mul_u64(out->n_element, (uint64_t)dim[i], &out->n_element) ||
            out->n_element > INT64_MAX / 16)
            return tess_fail(err, TESS_EUSAGE, "%s: no file can hold its shape", name);
    }
    out->name = strdup(name);
    return out->name ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory to prepare a trace");
}

tess_status tess_trace_writer_declare(tess_trace_writer *writer, const char *name, bool is_integer, int n_dim,
                                      const int64_t *dim, tess_error *err)
{
    TESS_ASSERT(!writer->output);
    for (size_t i = 0; i < writer->n_tensor; i++)
        if (!strcmp(writer->list[i].name, name))
            return tess_fail(err, TESS_EUSAGE, "%s: declared twice in one trace", name);
    if (writer->n_tensor == writer->n_room) {
        size_t room = writer->n_room ? 2 * writer->n_room : 64;
        tensor *grown = realloc(writer->list, room * sizeof *grown);
        if (!grown) return tess_fail(err, TESS_ENOMEM, "no memory to prepare a trace");
        writer->list = grown;
        writer->n_room = room;
    }
    tess_status status = fill_tensor(&writer->list[writer->n_tensor], name, is_integer, n_dim, dim, err);
    if (status == TESS_OK) writer->n_tensor++;
    return status;
}

tess_status tess_trace_writer_declare_growing(tess_trace_writer *writer, const char *name, int n_dim,
                                              const int64_t *most, tess_error *err)
{
    TESS_ASSERT(!writer->output && writer->n_growing < MAX_GROWING);
    tess_status status = fill_tensor(&writer->growing[writer->n_growing], name, true, n_dim, most, err);
    if (status == TESS_OK) writer->n_growing++;
    return status;
}

tess_status tess_trace_writer_declare_last(tess_trace_writer *writer, const char *name, int n_dim,
                                           const int64_t *most, tess_error *err)
{
    tess_status status = tess_trace_writer_declare(writer, name, false, n_dim, most, err);
    if (status == TESS_OK) writer->list[writer->n_tensor - 1].is_last = true;
    return status;
}

static uint64_t item_bytes(const tensor *t)
{
    return t->is_integer ? sizeof(int64_t) : sizeof(float);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tensor *)a)->name, ((const tensor *)b)->name);
}

static tensor *find_tensor(const tess_trace_writer *writer, const char *name)
{
    tensor key = {.name = (char *)(uintptr_t)name};
    return writer->n_tensor == 0 ? NULL : bsearch(&key, writer->list, writer->n_tensor, sizeof key, by_name);
}

/* Gives every tensor its place behind `begin`: room for those that grow, then I64, then F32. */
static void place(tess_trace_writer *writer, uint64_t begin)
{
    uint64_t at = begin;
    for (int i = 0; i < writer->n_growing; i++) {
        writer->growing[i].position = at;
        at += writer->growing[i].n_element * item_bytes(&writer->growing[i]);
    }
    writer->begin = at;
    for (int integers = 1; integers >= 0; integers--)
        for (size_t i = 0; i < writer->n_tensor; i++) {
            tensor *t = &writer->list[i];
            if (t->is_integer != integers || t->is_last) continue;
            t->position = at;
            at += t->n_element * item_bytes(t);
        }
    writer->end = at;
    for (size_t i = 0; i < writer->n_tensor; i++) { /* no further than this, whenever they are reached */
        tensor *t = &writer->list[i];
        if (!t->is_last) continue;
        t->position = at;
        at += t->n_element * item_bytes(t);
    }
}

/* A text that is cut at its room and counts what it would have needed, like snprintf. */
typedef struct text {
    char *at;
    size_t room, used;
} text;

static void add_text(text *to, const char *from)
{
    size_t length = strlen(from);
    if (to->at && to->used + length <= to->room) memcpy(to->at + to->used, from, length);
    to->used += length;
}

static void add_tensor(text *to, const tensor *t, uint64_t begin)
{
    char piece[160];
    add_text(to, to->used > 1 ? ",\"" : "\"");
    add_text(to, t->name);
    snprintf(piece, sizeof piece, "\":{\"dtype\":\"%s\",\"shape\":[", t->is_integer ? "I64" : "F32");
    add_text(to, piece);
    for (int i = 0; i < t->n_dim; i++) {
        snprintf(piece, sizeof piece, "%s%" PRId64, i ? "," : "", t->dim[i]);
        add_text(to, piece);
    }
    uint64_t from = t->position - begin;
    snprintf(piece, sizeof piece, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", from,
             from + t->n_element * item_bytes(t));
    add_text(to, piece);
}

/* Whether a tensor is left out: those that stand last may not be reached. */
static bool is_absent(const tess_trace_writer *writer, const tensor *t)
{
    return t->is_last && !t->is_reached && writer->is_ending;
}

/* The JSON of the header when the data starts at `begin`; returns its length. */
static size_t make_header(const tess_trace_writer *writer, uint64_t begin, char *out, size_t room)
{
    text to = {.at = out, .room = room};
    add_text(&to, "{");
    if (writer->metadata_text) {
        add_text(&to, "\"__metadata__\":");
        add_text(&to, writer->metadata_text);
    }
    for (int i = 0; i < writer->n_growing; i++)
        if (writer->growing[i].n_element) add_tensor(&to, &writer->growing[i], begin);
    for (size_t i = 0; i < writer->n_tensor; i++)
        if (!is_absent(writer, &writer->list[i])) add_tensor(&to, &writer->list[i], begin);
    add_text(&to, "}");
    return to.used;
}

/* Writes the length, the header and blanks up to `begin`. */
static tess_status write_header(tess_trace_writer *writer, uint64_t begin, tess_error *err)
{
    uint64_t length = begin - 8;
    size_t used = make_header(writer, begin, writer->header, (size_t)writer->header_room);
    if (used > writer->header_room) TESS_BUG("a trace's header outgrew its room");
    memset(writer->header + used, ' ', (size_t)writer->header_room - used);
    tess_status status = tess_output_write(writer->output, 0, &length, sizeof length, err);
    if (status == TESS_OK)
        status = tess_output_write(writer->output, 8, writer->header, (size_t)writer->header_room, err);
    /* Where growing tensors left room, blanks go on up to the data. */
    char blanks[512];
    memset(blanks, ' ', sizeof blanks);
    for (uint64_t at = 8 + writer->header_room; at < begin && status == TESS_OK;) {
        size_t n = begin - at < sizeof blanks ? (size_t)(begin - at) : sizeof blanks;
        status = tess_output_write(writer->output, at, blanks, n, err);
        at += n;
    }
    return status;
}

tess_status tess_trace_writer_open(tess_trace_writer *writer, const char *path, tess_error *err)
{
    TESS_ASSERT(!writer->output);
    if (json_object_size(writer->metadata)) {
        writer->metadata_text = json_dumps(writer->metadata, JSON_COMPACT | JSON_SORT_KEYS);
        if (!writer->metadata_text) return tess_fail(err, TESS_ENOMEM, "no memory for a trace's header");
    }
    if (writer->n_tensor) qsort(writer->list, writer->n_tensor, sizeof *writer->list, by_name);
    /* Offsets count from the data's start, so the header's length does not depend on where that is. It is
     * longest here: growing tensors that stay shorter make numbers smaller. */
    place(writer, 0);
    writer->header_room = tess_align_up(make_header(writer, 0, NULL, 0), 8);
    place(writer, 8 + writer->header_room);
    writer->header = malloc((size_t)writer->header_room);
    if (!writer->header) return tess_fail(err, TESS_ENOMEM, "no memory for a trace's header");
    tess_status status = tess_output_create(path, writer->end, &writer->output, err);
    return status == TESS_OK ? write_header(writer, 8 + writer->header_room, err) : status;
}

static tess_status refuse_length(const tensor *t, int64_t found, int64_t most, tess_error *err)
{
    return tess_fail(err, TESS_EUSAGE, "%s: %" PRId64 " elements where at most %" PRId64 " were declared",
                     t->name, found, most);
}

bool tess_trace_writer_has(const tess_trace_writer *writer, const char *name)
{
    TESS_ASSERT(writer->output);
    return find_tensor(writer, name) != NULL;
}

tess_status tess_trace_writer_reach(tess_trace_writer *writer, const char *name, const int64_t *dim,
                                    tess_error *err)
{
    tensor *t = find_tensor(writer, name);
    TESS_ASSERT(writer->output);
    if (!t || !t->is_last || t->is_reached) return TESS_OK;
    uint64_t n = 1;
    for (int i = 0; i < t->n_dim; i++) {
        if (dim[i] < 0 || dim[i] > t->dim[i]) return refuse_length(t, dim[i], t->dim[i], err);
        n *= (uint64_t)dim[i];
    }
    memcpy(t->dim, dim, (size_t)t->n_dim * sizeof *dim);
    t->n_element = n;
    t->position = writer->end;
    t->is_reached = true;
    writer->end += n * item_bytes(t);
    return TESS_OK;
}

/* Columns come row by row. */
tess_status tess_trace_writer_put_columns(tess_trace_writer *writer, const char *name, int64_t column,
                                          int64_t n, const float *values, tess_error *err)
{
    const tensor *t = find_tensor(writer, name);
    if (!t) return tess_fail(err, TESS_EUSAGE, "%s: not declared in this trace", name);
    tess_status status = TESS_OK;
    for (int64_t row = 0; row < t->dim[0] && status == TESS_OK; row++)
        status =
            tess_trace_writer_put(writer, name, row * t->dim[1] + column, values + row * n, (size_t)n, err);
    return status;
}

tess_status tess_trace_writer_put(tess_trace_writer *writer, const char *name, int64_t first,
                                  const void *values, size_t count, tess_error *err)
{
    TESS_ASSERT(writer->output);
    tensor *t = find_tensor(writer, name);
    if (!t) return tess_fail(err, TESS_EUSAGE, "%s: not declared in this trace", name);
    if (first < 0 || (uint64_t)first > t->n_element || count > t->n_element - (uint64_t)first)
        return tess_fail(err, TESS_EUSAGE, "%s: elements %" PRId64 " to %" PRId64 " of %" PRIu64, name, first,
                         first + (int64_t)count, t->n_element);
    t->n_written += count;
    return tess_output_write(writer->output, t->position + (uint64_t)first * item_bytes(t), values,
                             count * (size_t)item_bytes(t), err);
}

static tensor *find_growing(tess_trace_writer *writer, const char *name)
{
    for (int i = 0; i < writer->n_growing; i++)
        if (!strcmp(writer->growing[i].name, name)) return &writer->growing[i];
    return NULL;
}

tess_status tess_trace_writer_grow(tess_trace_writer *writer, const char *name, const int64_t *dim,
                                   const int64_t *values, tess_error *err)
{
    tensor *t = find_growing(writer, name);
    TESS_ASSERT(writer->output && t && t->n_written == 0);
    uint64_t n = 1;
    for (int i = 0; i < t->n_dim; i++) {
        if (dim[i] < 0 || dim[i] > t->dim[i]) return refuse_length(t, dim[i], t->dim[i], err);
        n *= (uint64_t)dim[i];
    }
    memcpy(t->dim, dim, (size_t)t->n_dim * sizeof *dim);
    /* It ends where the data so far begins; what it does not need lies before it. */
    writer->begin -= n * sizeof *values;
    t->position = writer->begin;
    t->n_element = t->n_written = n;
    return tess_output_write(writer->output, t->position, values, (size_t)n * sizeof *values, err);
}

static tess_status check_whole(const tess_trace_writer *writer, tess_error *err)
{
    for (size_t i = 0; i < writer->n_tensor; i++) {
        const tensor *t = &writer->list[i];
        if (t->n_written != t->n_element && !is_absent(writer, t))
            return tess_fail(err, TESS_EUSAGE,
                             "%s: %" PRIu64 " of its %" PRIu64 " elements were heard; the trace is not kept",
                             t->name, t->n_written, t->n_element);
    }
    return TESS_OK;
}

tess_status tess_trace_writer_commit(tess_trace_writer *writer, tess_error *err)
{
    TESS_ASSERT(writer->output);
    writer->is_ending = true;
    for (int i = 0; i < writer->n_growing; i++)
        if (writer->growing[i].n_written == 0) writer->growing[i].n_element = 0; /* it is left out */
    tess_status status = check_whole(writer, err);
    if (status == TESS_OK) status = write_header(writer, writer->begin, err);
    if (status == TESS_OK) {
        tess_output *output = writer->output;
        writer->output = NULL;
        status = tess_output_commit(output, writer->end, err);
    }
    tess_trace_writer_abandon(writer);
    return status;
}
