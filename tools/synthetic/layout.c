#include "layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"

/* What layout_make() carries through the manifest. */
typedef struct cutter {
    synthetic_layout *layout;
    const synthetic_weights *weights;
    const bool *is_filled;
    uint64_t begin; /* bytes of all tensors before the present one */
    FILE *index, *header;
    char *header_text;
    size_t header_size;
    uint64_t data_bytes; /* of the present shard */
    int shard;           /* -1: none yet */
} cutter;

static uint64_t tensor_bytes(const tess_manifest_entry *entry)
{
    uint64_t n = tess_dtype_bytes(TESS_DTYPE_BF16);
    for (int i = 0; i < entry->n_dim; i++) n *= entry->dim[i];
    return n;
}

static tess_status add_bytes(void *arg, const tess_manifest_entry *entry)
{
    *(uint64_t *)arg += tensor_bytes(entry);
    return TESS_OK;
}

uint64_t layout_total_bytes(const tess_config *config)
{
    uint64_t total = 0;
    tess_manifest_visit(config, add_bytes, &total);
    return total;
}

static tess_status count_tensor(void *arg, const tess_manifest_entry *entry)
{
    (void)entry;
    ++*(size_t *)arg;
    return TESS_OK;
}

static tess_status open_shard(cutter *c)
{
    c->header = open_memstream(&c->header_text, &c->header_size);
    if (!c->header) return TESS_ENOMEM;
    c->data_bytes = 0;
    fputs("{\"__metadata__\":{\"format\":\"pt\"}", c->header);
    layout_shard *s = &c->layout->shard[++c->shard];
    snprintf(s->name, sizeof s->name, "model-%05d-of-%05d.safetensors", c->shard + 1, c->layout->n_shard);
    s->first_tensor = c->layout->n_tensor;
    return TESS_OK;
}

/* Length, text, and blanks to a multiple of 8; only now is it known where the tensors stand in the file. */
static tess_status close_shard(cutter *c)
{
    putc('}', c->header);
    int failed = fclose(c->header);
    c->header = NULL;
    layout_shard *s = &c->layout->shard[c->shard];
    uint64_t length = tess_align_up(c->header_size, 8);
    if (!failed) s->header = malloc(8 + length);
    if (s->header) {
        for (int i = 0; i < 8; i++) s->header[i] = (char)(length >> (8 * i) & 0xff);
        memset(s->header + 8, ' ', length);
        memcpy(s->header + 8, c->header_text, c->header_size);
    }
    free(c->header_text);
    c->header_text = NULL;
    if (!s->header) return TESS_ENOMEM;
    s->header_bytes = 8 + length;
    s->file_bytes = s->header_bytes + c->data_bytes;
    s->n_tensor = c->layout->n_tensor - s->first_tensor;
    for (size_t i = 0; i < s->n_tensor; i++) {
        c->layout->tensor[s->first_tensor + i].begin += s->header_bytes;
        c->layout->tensor[s->first_tensor + i].end += s->header_bytes;
    }
    return TESS_OK;
}

static tess_status go_to_shard(cutter *c, int number)
{
    tess_status status = TESS_OK;
    while (c->shard < number && status == TESS_OK) {
        if (c->shard >= 0) status = close_shard(c);
        if (status == TESS_OK) status = open_shard(c);
    }
    return status;
}

static tess_status put_tensor(void *arg, const tess_manifest_entry *entry)
{
    cutter *c = arg;
    synthetic_layout *l = c->layout;
    /* In 128 bits: shards times 70 billion bytes need more than 64 only for absurd counts. */
    int number = (int)((unsigned __int128)c->begin * (unsigned)l->n_shard / l->total_bytes);
    tess_status status = go_to_shard(c, number);
    if (status != TESS_OK) return status;
    uint64_t n = tensor_bytes(entry);
    char shape[256];
    tess_tensor_format_shape(entry->n_dim, entry->dim, shape, sizeof shape);
    fprintf(c->header, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":%s,\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
            entry->name, shape, c->data_bytes, c->data_bytes + n);
    fprintf(c->index, "%s\n    \"%s\": \"%s\"", l->n_tensor ? "," : "", entry->name, l->shard[number].name);
    bool is_filled = c->is_filled[entry->component];
    l->tensor[l->n_tensor++] = (layout_tensor){.recipe = weights_plan(c->weights, entry),
                                               .begin = c->data_bytes,
                                               .end = c->data_bytes + n,
                                               .is_filled = is_filled};
    if (is_filled) l->filled_bytes += n;
    c->data_bytes += n;
    c->begin += n;
    return TESS_OK;
}

static tess_status cut(const tess_config *config, cutter *c)
{
    synthetic_layout *l = c->layout;
    size_t n_tensor = 0;
    tess_manifest_visit(config, count_tensor, &n_tensor);
    l->total_bytes = layout_total_bytes(config);
    l->shard = calloc((size_t)l->n_shard, sizeof *l->shard);
    l->tensor = calloc(n_tensor, sizeof *l->tensor);
    c->index = open_memstream(&l->index, &l->index_bytes);
    if (!l->shard || !l->tensor || !c->index) return TESS_ENOMEM;
    fprintf(c->index, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {",
            l->total_bytes);
    tess_status status = tess_manifest_visit(config, put_tensor, c);
    if (status == TESS_OK) status = go_to_shard(c, l->n_shard - 1);
    if (status == TESS_OK) status = close_shard(c);
    fputs("\n  }\n}\n", c->index);
    return status;
}

tess_status layout_make(const tess_config *config, const synthetic_weights *weights, const bool *is_filled,
                        int n_shard, synthetic_layout *out, tess_error *err)
{
    *out = (synthetic_layout){.n_shard = n_shard};
    cutter c = {.layout = out, .weights = weights, .is_filled = is_filled, .shard = -1};
    tess_status status = cut(config, &c);
    if (c.header) fclose(c.header);
    free(c.header_text);
    if (c.index && fclose(c.index)) status = TESS_ENOMEM;
    if (status == TESS_OK) return TESS_OK;
    return tess_fail(err, TESS_ENOMEM, "no memory for the list of tensors");
}

void layout_release(synthetic_layout *layout)
{
    for (int i = 0; layout->shard && i < layout->n_shard; i++) free(layout->shard[i].header);
    free(layout->shard);
    free(layout->tensor);
    free(layout->index);
}

/* The first tensor of a shard that ends behind `offset`; `stop` if there is none. */
static const layout_tensor *find_tensor(const synthetic_layout *layout, const layout_shard *shard,
                                        uint64_t offset, const layout_tensor **stop)
{
    const layout_tensor *low = layout->tensor + shard->first_tensor, *high = low + shard->n_tensor;
    *stop = high;
    while (low < high) {
        const layout_tensor *middle = low + (high - low) / 2;
        if (middle->end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Cuts [begin, end) to [offset, offset + n); false: nothing is left. */
static bool clip(uint64_t *begin, uint64_t *end, uint64_t offset, uint64_t n)
{
    if (*begin < offset) *begin = offset;
    if (*end > offset + n) *end = offset + n;
    return *begin < *end;
}

bool layout_find_used(const synthetic_layout *layout, int shard, uint64_t offset, uint64_t n, uint64_t *begin,
                      uint64_t *end)
{
    const layout_shard *s = &layout->shard[shard];
    uint64_t used_begin = 0, used_end = s->header_bytes;
    bool is_used = clip(&used_begin, &used_end, offset, n);
    const layout_tensor *stop;
    for (const layout_tensor *t = find_tensor(layout, s, offset, &stop); t < stop && t->begin < offset + n;
         t++) {
        uint64_t from = t->begin, to = t->end;
        if (!t->is_filled || !clip(&from, &to, offset, n)) continue;
        if (!is_used) used_begin = from;
        used_end = to;
        is_used = true;
    }
    if (!is_used) return false;
    *begin = used_begin;
    *end = used_end;
    return true;
}

void layout_read(const synthetic_layout *layout, const synthetic_weights *weights, int shard, uint64_t offset,
                 uint64_t n, unsigned char *out, weights_scratch *scratch)
{
    const layout_shard *s = &layout->shard[shard];
    uint64_t from = 0, to = s->header_bytes;
    if (clip(&from, &to, offset, n)) memcpy(out + (from - offset), s->header + from, to - from);
    const layout_tensor *stop;
    for (const layout_tensor *t = find_tensor(layout, s, offset, &stop); t < stop && t->begin < offset + n;
         t++) {
        from = t->begin;
        to = t->end;
        if (!clip(&from, &to, offset, n)) continue;
        unsigned char *place = out + (from - offset);
        if (t->is_filled)
            weights_fill(weights, &t->recipe, (from - t->begin) / 2, (to - from) / 2,
                         (uint16_t *)(void *)place, scratch);
        else
            memset(place, 0, to - from);
    }
    if (s->file_bytes < offset + n) {
        uint64_t kept = s->file_bytes > offset ? s->file_bytes - offset : 0;
        memset(out + kept, 0, n - kept);
    }
}
