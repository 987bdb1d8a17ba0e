#include "engine/segments.h"

#include <stdlib.h>

#include "engine/model.h"
#include "model/manifest.h"

typedef struct entry {
    tess_packing_item item;
    tess_component component;
    int layer, expert, part;
    size_t number; /* in the order of the network */
} entry;

typedef struct listing {
    const tess_store *store;
    entry *entry;
    size_t n;
} listing;

/* Tables of rows: a token reads one row of an embedding, and a head goes by block by block. */
static bool is_table(const tess_manifest_entry *e)
{
    const tess_weight_role *role = &e->role;
    if (role->layer >= 0) return false;
    switch (e->component) {
    case TESS_COMPONENT_TEXT:
    case TESS_COMPONENT_TALKER:
        return role->part < 0 && role->weight != TESS_TOP_NORM;
    case TESS_COMPONENT_CODE_PREDICTOR:
        return role->part >= 0;
    case TESS_COMPONENT_CODE2WAV:
        return role->part < 0;
    default:
        return false;
    }
}

static uint64_t count_rows_together(const tess_manifest_entry *e, const tess_tensor *tensor)
{
    uint64_t n_row = 0, n_col = 0;
    tess_tensor_count_rows(tensor, &n_row, &n_col);
    if (is_table(e)) {
        const tess_block_sizes sizes = tess_model_block_sizes(e->component);
        return tess_row_blocks_count_rows(
            n_row, n_col, e->role.weight == TESS_TOP_HEAD ? sizes.head_bytes : sizes.embedding_bytes);
    }
    const bool is_tower = e->component == TESS_COMPONENT_AUDIO || e->component == TESS_COMPONENT_VISION;
    const bool is_whole = !is_tower || e->role.layer < 0 || e->role.weight < TESS_ENCODER_WEIGHTS;
    return is_whole ? n_row : n_row / 3; /* query, key and value, one below the other */
}

static tess_status add_entry(void *arg, const tess_manifest_entry *e)
{
    listing *l = arg;
    const tess_tensor *tensor = tess_store_find(l->store, e->name);
    if (!tensor) TESS_BUG("a tensor that a complete checkpoint lacks");
    l->entry[l->n] = (entry){.item = {tensor, count_rows_together(e, tensor), false},
                             .component = e->component,
                             .layer = e->role.layer,
                             .expert = e->role.expert,
                             .part = e->role.part,
                             .number = l->n};
    l->n++;
    return TESS_OK;
}

static int compare_segments(const entry *a, const entry *b)
{
    const int key[][2] = {{(int)a->component, (int)b->component},
                          {a->layer, b->layer},
                          {a->part, b->part},
                          {a->expert, b->expert}};
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        if (key[i][0] != key[i][1]) return key[i][0] < key[i][1] ? -1 : 1;
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = compare_segments(x, y);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

tess_status tess_segments_list(const tess_config *config, const tess_store *store, tess_packing_item **out,
                               tess_error *err)
{
    const size_t n = tess_store_get_count(store);
    listing l = {.store = store, .entry = calloc(n + 1, sizeof *l.entry)};
    tess_packing_item *item = calloc(n + 1, sizeof *item);
    if (!l.entry || !item) {
        free(l.entry);
        free(item);
        return tess_fail(err, TESS_ENOMEM, "no memory for a list of %zu tensors", n);
    }
    tess_status status = tess_manifest_visit(config, add_entry, &l);
    TESS_ASSERT(status != TESS_OK || l.n == n);
    qsort(l.entry, l.n, sizeof *l.entry, compare_entries);
    for (size_t i = 0; i < l.n; i++) {
        item[i] = l.entry[i].item;
        item[i].begins_segment = i == 0 || compare_segments(&l.entry[i - 1], &l.entry[i]) != 0;
    }
    free(l.entry);
    if (status != TESS_OK)
        free(item);
    else
        *out = item;
    return status;
}
