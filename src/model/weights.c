#include "model/weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Finds one tensor "thinker.<name>.weight" of the given shape (n_col 0: one axis). */
static tess_status find(const tess_store *store, const char *name, int n_row, int n_col, tess_part *out,
                        tess_error *err)
{
    char full[160], expected[96], found[96];
    snprintf(full, sizeof full, "thinker.%s.weight", name);
    if (n_col)
        snprintf(expected, sizeof expected, "BF16 [%d, %d]", n_row, n_col);
    else
        snprintf(expected, sizeof expected, "BF16 [%d]", n_row);
    const tess_tensor *tensor = tess_store_find(store, full);
    if (!tensor) return tess_refuse(err, "", full, -1, expected, "no such tensor");
    bool fits = tensor->dtype == TESS_DTYPE_BF16 && tensor->n_dim == (n_col ? 2 : 1) &&
                tensor->dim[0] == (uint64_t)n_row && (!n_col || tensor->dim[1] == (uint64_t)n_col);
    if (!fits) {
        char shape[80];
        tess_tensor_format_shape(tensor->n_dim, tensor->dim, shape, sizeof shape);
        snprintf(found, sizeof found, "%s %s", tess_dtype_name(tensor->dtype), shape);
        const char *file = tess_store_get_shard_path(store, tensor->shard);
        return tess_refuse(err, file, full, (int64_t)tensor->offset, expected, "%s", found);
    }
    *out = (tess_part){.offset = tensor->offset, .n_byte = tensor->n_byte, .shard = tensor->shard};
    return TESS_OK;
}

typedef struct wanted {
    const char *name; /* within its layer or expert */
    int part, n_row, n_col;
} wanted;

static tess_status find_all(const tess_store *store, const char *prefix, const wanted *list, int n,
                            tess_part *out, tess_error *err)
{
    for (int i = 0; i < n; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s.%s", prefix, list[i].name);
        tess_status status = find(store, name, list[i].n_row, list[i].n_col, &out[list[i].part], err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static tess_status find_layer(const tess_store *store, const tess_decoder_config *c, int layer,
                              tess_thinker_weights *out, tess_error *err)
{
    int d = c->d_model, n_q = c->n_head * c->d_head, n_kv = c->n_kv_head * c->d_head;
    const wanted common[] = {
        {"input_layernorm", TESS_LAYER_INPUT_NORM, d, 0},
        {"self_attn.q_proj", TESS_LAYER_QUERY, n_q, d},
        {"self_attn.k_proj", TESS_LAYER_KEY, n_kv, d},
        {"self_attn.v_proj", TESS_LAYER_VALUE, n_kv, d},
        {"self_attn.o_proj", TESS_LAYER_OUTPUT, d, n_q},
        {"self_attn.q_norm", TESS_LAYER_QUERY_NORM, c->d_head, 0},
        {"self_attn.k_norm", TESS_LAYER_KEY_NORM, c->d_head, 0},
        {"post_attention_layernorm", TESS_LAYER_POST_NORM, d, 0},
    };
    const wanted router[] = {{"mlp.gate", TESS_LAYER_ROUTER, c->n_expert, d}};
    const wanted dense[] = {
        {"mlp.gate_proj", TESS_LAYER_GATE, c->d_ff, d},
        {"mlp.up_proj", TESS_LAYER_UP, c->d_ff, d},
        {"mlp.down_proj", TESS_LAYER_DOWN, d, c->d_ff},
    };
    const wanted expert[] = {
        {"gate_proj", TESS_EXPERT_GATE, c->d_expert, d},
        {"up_proj", TESS_EXPERT_UP, c->d_expert, d},
        {"down_proj", TESS_EXPERT_DOWN, d, c->d_expert},
    };
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.layers.%d", layer);
    tess_part *parts = out->layer + (size_t)layer * TESS_LAYER_PARTS;
    tess_status status = find_all(store, prefix, common, 8, parts, err);
    if (status != TESS_OK) return status;
    if (!c->is_moe[layer]) return find_all(store, prefix, dense, 3, parts, err);
    status = find_all(store, prefix, router, 1, parts, err);
    for (int e = 0; e < c->n_expert && status == TESS_OK; e++) {
        snprintf(prefix, sizeof prefix, "model.layers.%d.mlp.experts.%d", layer, e);
        size_t index = (size_t)layer * (size_t)c->n_expert + (size_t)e;
        status = find_all(store, prefix, expert, 3, out->expert + index * TESS_EXPERT_PARTS, err);
    }
    return status;
}

static tess_status cut_rows(const tess_part *tensor, int n_row, int n_col, uint64_t block_bytes,
                            tess_row_blocks *out, tess_error *err)
{
    uint64_t row_bytes = (uint64_t)n_col * sizeof(uint16_t), rows = block_bytes / row_bytes;
    if (rows < 1) rows = 1;
    if (rows > (uint64_t)n_row) rows = (uint64_t)n_row;
    out->n_row = n_row;
    out->block_rows = (int)rows;
    out->n_block = (int)(((uint64_t)n_row + rows - 1) / rows);
    out->part = calloc((size_t)out->n_block, sizeof *out->part);
    if (!out->part)
        return tess_fail(err, TESS_ENOMEM, "no memory for a table of %d row blocks", out->n_block);
    for (int b = 0; b < out->n_block; b++) {
        uint64_t first = (uint64_t)b * rows, last = first + rows;
        if (last > (uint64_t)n_row) last = (uint64_t)n_row;
        out->part[b] =
            (tess_part){tensor->offset + first * row_bytes, (last - first) * row_bytes, tensor->shard};
    }
    return TESS_OK;
}

static tess_status find_everything(const tess_store *store, const tess_decoder_config *c,
                                   uint64_t embedding_block_bytes, uint64_t head_block_bytes,
                                   tess_thinker_weights *out, tess_error *err)
{
    tess_part table;
    tess_status status = find(store, "model.embed_tokens", c->n_vocab, c->d_model, &table, err);
    if (status == TESS_OK)
        status = cut_rows(&table, c->n_vocab, c->d_model, embedding_block_bytes, &out->embedding, err);
    if (status == TESS_OK) status = find(store, "lm_head", c->n_vocab, c->d_model, &table, err);
    if (status == TESS_OK)
        status = cut_rows(&table, c->n_vocab, c->d_model, head_block_bytes, &out->head, err);
    if (status == TESS_OK) status = find(store, "model.norm", c->d_model, 0, &out->norm, err);
    for (int layer = 0; layer < c->n_layer && status == TESS_OK; layer++)
        status = find_layer(store, c, layer, out, err);
    return status;
}

tess_status tess_thinker_weights_find(const tess_store *store, const tess_decoder_config *config,
                                      uint64_t embedding_block_bytes, uint64_t head_block_bytes,
                                      tess_thinker_weights *out, tess_error *err)
{
    tess_thinker_weights found = {0};
    size_t n_layer = (size_t)config->n_layer, n_expert = n_layer * (size_t)config->n_expert;
    found.layer = calloc(n_layer * TESS_LAYER_PARTS, sizeof *found.layer);
    found.expert = calloc(n_expert ? n_expert * TESS_EXPERT_PARTS : 1, sizeof *found.expert);
    tess_status status = TESS_ENOMEM;
    if (!found.layer || !found.expert)
        tess_fail(err, TESS_ENOMEM, "no memory for a table of %zu experts", n_expert);
    else
        status = find_everything(store, config, embedding_block_bytes, head_block_bytes, &found, err);
    if (status != TESS_OK)
        tess_thinker_weights_release(&found);
    else
        *out = found;
    return status;
}

void tess_thinker_weights_release(tess_thinker_weights *weights)
{
    free(weights->layer);
    free(weights->expert);
    free(weights->embedding.part);
    free(weights->head.part);
    *weights = (tess_thinker_weights){0};
}
