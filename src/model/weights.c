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

/* Rows are the first axis of a matrix, columns all others; a vector is one row. */
static tess_status set_shape(const tess_manifest_entry *entry, tess_weight *out, tess_error *err)
{
    uint64_t n_row = entry->n_dim > 1 ? entry->dim[0] : 1, n_col = 1;
    for (int i = entry->n_dim > 1; i < entry->n_dim; i++) n_col *= entry->dim[i];
    if (n_row > INT32_MAX || n_col > INT32_MAX)
        return tess_refuse(err, "", entry->name, -1, "rows of fewer than 2^31 elements", "%" PRIu64, n_col);
    out->n_row = (int)n_row;
    out->n_col = (int)n_col;
    return TESS_OK;
}

tess_status tess_weight_find(const tess_store *store, const tess_manifest_entry *entry, tess_weight *out,
                             tess_error *err)
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
    *out = (tess_weight){.offset = tensor->offset, .n_byte = tensor->n_byte, .shard = tensor->shard};
    return set_shape(entry, out, err);
}

tess_status tess_row_blocks_cut(const tess_weight *table, uint64_t block_bytes, tess_row_blocks *out,
                                tess_error *err)
{
    uint64_t n_row = (uint64_t)table->n_row, row_bytes = table->n_byte / n_row,
             rows = block_bytes / row_bytes;
    if (rows < 1) rows = 1;
    if (rows > n_row) rows = n_row;
    out->n_row = table->n_row;
    out->block_rows = (int)rows;
    out->n_block = (int)((n_row + rows - 1) / rows);
    out->block = calloc((size_t)out->n_block, sizeof *out->block);
    if (!out->block)
        return tess_fail(err, TESS_ENOMEM, "no memory for a table of %d row blocks", out->n_block);
    for (int b = 0; b < out->n_block; b++) {
        uint64_t first = (uint64_t)b * rows, n = n_row - first < rows ? n_row - first : rows;
        out->block[b] = (tess_weight){.offset = table->offset + first * row_bytes,
                                      .n_byte = n * row_bytes,
                                      .shard = table->shard,
                                      .n_row = (int)n,
                                      .n_col = table->n_col};
    }
    return TESS_OK;
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
    tess_weight found;
    tess_status status = tess_weight_find(f->store, entry, &found, f->err);
    if (status != TESS_OK) return status;
    switch ((tess_top_weight)entry->role.weight) {
    case TESS_TOP_EMBEDDING:
        return tess_row_blocks_cut(&found, f->sizes->embedding_bytes, &f->out->embedding, f->err);
    case TESS_TOP_HEAD:
        return tess_row_blocks_cut(&found, f->sizes->head_bytes, &f->out->head, f->err);
    case TESS_TOP_NORM:
        f->out->norm = found;
        return TESS_OK;
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
