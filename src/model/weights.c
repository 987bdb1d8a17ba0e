#include "model/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const tess_decoder_config *tess_decoder_config_of(const tess_config *config, tess_component component)
{
    switch (component) {
    case TESS_COMPONENT_TEXT:
        return &config->thinker.text;
    case TESS_COMPONENT_TALKER:
        return &config->talker.text;
    case TESS_COMPONENT_CODE_PREDICTOR:
        return &config->talker.code_predictor.text;
    default:
        TESS_BUG("a component that is no decoder");
    }
}

/* The tensor of an entry, if it is such a one. */
static tess_status find_tensor(const tess_store *store, const tess_manifest_entry *entry,
                               const tess_tensor **out, tess_error *err)
{
    char expected[96], shape[80];
    tess_tensor_format_shape(entry->n_dim, entry->dim, shape, sizeof shape);
    snprintf(expected, sizeof expected, "BF16 %s", shape);
    const tess_tensor *tensor = tess_store_find(store, entry->name);
    if (!tensor) return tess_refuse(err, "", entry->name, -1, expected, "no such tensor");
    if (tensor->dtype != TESS_DTYPE_BF16 || tensor->n_dim != entry->n_dim ||
        memcmp(tensor->dim, entry->dim, (size_t)entry->n_dim * sizeof *entry->dim)) {
        tess_tensor_format_shape(tensor->n_dim, tensor->dim, shape, sizeof shape);
        const char *file = tess_store_get_shard_path(store, tensor->shard);
        return tess_refuse(err, file, entry->name, (int64_t)tensor->offset, expected, "%s %s",
                           tess_dtype_name(tensor->dtype), shape);
    }
    *out = tensor;
    return TESS_OK;
}

static tess_status count_rows(const tess_store *store, const tess_tensor *tensor, uint64_t *n_row,
                              uint64_t *n_col, tess_error *err)
{
    if (tess_tensor_count_rows(tensor, n_row, n_col)) return TESS_OK;
    return tess_refuse(err, tess_store_get_shard_path(store, tensor->shard), tensor->name, -1,
                       "rows of 1 to 2^31 - 1 elements", "%" PRIu64, *n_col);
}

tess_status tess_weight_find_parts(const tess_store *store, const tess_manifest_entry *entry, int n_part,
                                   tess_weight *const *out, tess_error *err)
{
    const tess_tensor *tensor = NULL;
    uint64_t n_row, n_col;
    tess_status status = find_tensor(store, entry, &tensor, err);
    if (status == TESS_OK) status = count_rows(store, tensor, &n_row, &n_col, err);
    for (int i = 0; i < n_part && status == TESS_OK; i++)
        status = tess_store_locate(store, tensor, (uint64_t)i * (n_row / (uint64_t)n_part),
                                   n_row / (uint64_t)n_part, out[i], err);
    return status;
}

tess_status tess_weight_find(const tess_store *store, const tess_manifest_entry *entry, tess_weight *out,
                             tess_error *err)
{
    return tess_weight_find_parts(store, entry, 1, &out, err);
}

uint64_t tess_row_blocks_count_rows(uint64_t n_row, uint64_t n_col, uint64_t block_bytes)
{
    uint64_t rows = block_bytes / (n_col * sizeof(uint16_t));
    if (rows < 1) rows = 1;
    return rows > n_row ? n_row : rows;
}

tess_status tess_row_blocks_find(const tess_store *store, const tess_manifest_entry *entry,
                                 uint64_t block_bytes, tess_row_blocks *out, tess_error *err)
{
    const tess_tensor *tensor = NULL;
    uint64_t n_row, n_col;
    tess_status status = find_tensor(store, entry, &tensor, err);
    if (status == TESS_OK) status = count_rows(store, tensor, &n_row, &n_col, err);
    if (status != TESS_OK) return status;
    uint64_t rows = tess_store_get_block_rows(store, tensor);
    if (rows == 0) rows = tess_row_blocks_count_rows(n_row, n_col, block_bytes);
    if (rows > n_row) rows = n_row;
    tess_row_blocks blocks = {
        .n_row = (int)n_row, .block_rows = (int)rows, .n_block = (int)((n_row + rows - 1) / rows)};
    blocks.block = calloc((size_t)blocks.n_block, sizeof *blocks.block);
    if (!blocks.block)
        return tess_fail(err, TESS_ENOMEM, "no memory for a table of %d row blocks", blocks.n_block);
    for (int b = 0; b < blocks.n_block && status == TESS_OK; b++) {
        const uint64_t first = (uint64_t)b * rows, n = n_row - first < rows ? n_row - first : rows;
        status = tess_store_locate(store, tensor, first, n, &blocks.block[b], err);
    }
    if (status != TESS_OK)
        free(blocks.block);
    else
        *out = blocks;
    return status;
}

typedef struct finder {
    const tess_store *store;
    const tess_decoder_config *config;
    const tess_block_sizes *sizes;
    tess_decoder_weights *out;
    tess_error *err;
} finder;

static tess_status take_top_weight(finder *f, const tess_manifest_entry *entry)
{
    switch ((tess_top_weight)entry->role.weight) {
    case TESS_TOP_EMBEDDING:
        return tess_row_blocks_find(f->store, entry, f->sizes->embedding_bytes, &f->out->embedding, f->err);
    case TESS_TOP_HEAD:
        return tess_row_blocks_find(f->store, entry, f->sizes->head_bytes, &f->out->head, f->err);
    case TESS_TOP_NORM:
        return tess_weight_find(f->store, entry, &f->out->norm, f->err);
    case TESS_TOP_WEIGHTS:
        break;
    }
    TESS_BUG("a top weight without a place");
}

/* Puts the tensor of an entry where its role says. */
static tess_status take_entry(void *arg, const tess_manifest_entry *entry)
{
    finder *f = arg;
    const tess_weight_role *role = &entry->role;
    if (role->part >= 0) return TESS_OK; /* of what is around the decoder */
    if (role->layer < 0) return take_top_weight(f, entry);
    size_t layer = (size_t)role->layer, weight = (size_t)role->weight;
    if (role->expert < 0)
        return tess_weight_find(f->store, entry, &f->out->layer[layer * TESS_LAYER_WEIGHTS + weight], f->err);
    size_t expert = layer * (size_t)f->config->n_expert + (size_t)role->expert;
    return tess_weight_find(f->store, entry, &f->out->expert[expert * TESS_EXPERT_WEIGHTS + weight], f->err);
}

tess_status tess_decoder_weights_find(const tess_store *store, const tess_config *config,
                                      tess_component component, const tess_block_sizes *sizes,
                                      tess_decoder_weights *out, tess_error *err)
{
    tess_decoder_weights found = {0};
    const tess_decoder_config *c = tess_decoder_config_of(config, component);
    size_t n_layer = (size_t)c->n_layer, n_expert = n_layer * (size_t)c->n_expert;
    found.layer = calloc(n_layer * TESS_LAYER_WEIGHTS, sizeof *found.layer);
    found.expert = calloc(n_expert ? n_expert * TESS_EXPERT_WEIGHTS : 1, sizeof *found.expert);
    finder f = {.store = store, .config = c, .sizes = sizes, .out = &found, .err = err};
    tess_status status = found.layer && found.expert
                             ? tess_manifest_visit_component(config, component, take_entry, &f)
                             : tess_fail(err, TESS_ENOMEM, "no memory for a table of %zu experts", n_expert);
    if (status != TESS_OK)
        tess_decoder_weights_release(&found);
    else
        *out = found;
    return status;
}

void tess_decoder_weights_release(tess_decoder_weights *weights)
{
    free(weights->layer);
    free(weights->expert);
    free(weights->embedding.block);
    free(weights->head.block);
    *weights = (tess_decoder_weights){0};
}

/* ---- sizes ---- */

uint64_t tess_weights_count_bytes(const tess_weight *weight, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) sum += weight[i].n_byte;
    return sum;
}

uint64_t tess_decoder_weights_count_layers(const tess_decoder_weights *weights,
                                           const tess_decoder_config *config)
{
    return tess_weights_count_bytes(weights->layer, config->n_layer * TESS_LAYER_WEIGHTS);
}

uint64_t tess_decoder_weights_count_expert(const tess_decoder_weights *weights,
                                           const tess_decoder_config *config)
{
    const int n_expert = tess_decoder_count_expert_layers(config) * config->n_expert;
    if (n_expert == 0) return 0;
    return tess_weights_count_bytes(weights->expert,
                                    config->n_layer * config->n_expert * TESS_EXPERT_WEIGHTS) /
           (uint64_t)n_expert;
}

double tess_decoder_weights_count_packed_share(const tess_decoder_weights *weights,
                                               const tess_decoder_config *config)
{
    const tess_bank_layout banks[] = {
        {.weight = weights->layer, .n_segment = config->n_layer, .n_weight = TESS_LAYER_WEIGHTS},
        {.weight = weights->expert,
         .n_segment = config->n_layer * config->n_expert,
         .n_weight = TESS_EXPERT_WEIGHTS}};
    uint64_t plain = 0, packed = 0;
    for (size_t b = 0; b < sizeof banks / sizeof banks[0]; b++)
        for (int i = 0; i < banks[b].n_segment; i++) {
            plain += tess_bank_segment_bytes(&banks[b], i);
            packed += tess_bank_packed_bytes(&banks[b], i);
        }
    return (double)packed / (double)plain;
}

static uint64_t count_plain_bytes(const tess_weight *weight, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) sum += tess_weight_plain_bytes(&weight[i]);
    return sum;
}

double tess_decoder_weights_count_stored_share(const tess_decoder_weights *weights,
                                               const tess_decoder_config *config)
{
    const int n_layer = config->n_layer * TESS_LAYER_WEIGHTS,
              n_expert = config->n_layer * config->n_expert * TESS_EXPERT_WEIGHTS;
    const uint64_t stored = tess_weights_count_bytes(weights->layer, n_layer) +
                            tess_weights_count_bytes(weights->expert, n_expert),
                   plain = count_plain_bytes(weights->layer, n_layer) +
                           count_plain_bytes(weights->expert, n_expert);
    return (double)stored / (double)plain;
}
