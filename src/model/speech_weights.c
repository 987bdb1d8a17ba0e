#include "model/speech_weights.h"

#include <stdlib.h>

/* ---- talker ---- */

typedef struct projection_finder {
    const tess_store *store;
    tess_weight *projection;
    tess_error *err;
} projection_finder;

static tess_status take_projection(void *arg, const tess_manifest_entry *entry)
{
    const projection_finder *f = arg;
    const tess_weight_role *role = &entry->role;
    if (role->part < 0) return TESS_OK;
    return tess_weight_find(f->store, entry,
                            &f->projection[role->part * TESS_PROJECTION_WEIGHTS + role->weight], f->err);
}

tess_status tess_talker_weights_find(const tess_store *store, const tess_config *config,
                                     const tess_block_sizes *sizes, tess_talker_weights *out, tess_error *err)
{
    tess_talker_weights found = {0};
    projection_finder f = {store, found.projection, err};
    tess_status status =
        tess_decoder_weights_find(store, config, TESS_COMPONENT_TALKER, sizes, &found.model, err);
    if (status == TESS_OK)
        status = tess_manifest_visit_component(config, TESS_COMPONENT_TALKER, take_projection, &f);
    if (status != TESS_OK)
        tess_talker_weights_release(&found);
    else
        *out = found;
    return status;
}

void tess_talker_weights_release(tess_talker_weights *weights)
{
    tess_decoder_weights_release(&weights->model);
}

/* ---- code predictor ---- */

typedef struct table_finder {
    const tess_store *store;
    const tess_block_sizes *sizes;
    tess_code_predictor_weights *out;
    tess_error *err;
} table_finder;

static tess_status take_table(void *arg, const tess_manifest_entry *entry)
{
    const table_finder *f = arg;
    const tess_weight_role *role = &entry->role;
    if (role->part < 0) return TESS_OK;
    bool is_head = role->weight == TESS_TOP_HEAD;
    return tess_row_blocks_find(f->store, entry, is_head ? f->sizes->head_bytes : f->sizes->embedding_bytes,
                                is_head ? &f->out->head[role->part] : &f->out->embedding[role->part], f->err);
}

static tess_status find_tables(const tess_store *store, const tess_config *config,
                               const tess_block_sizes *sizes, tess_code_predictor_weights *out,
                               tess_error *err)
{
    table_finder f = {store, sizes, out, err};
    out->n_table = config->talker.code_predictor.n_code_group - 1;
    out->embedding = calloc((size_t)out->n_table, sizeof *out->embedding);
    out->head = calloc((size_t)out->n_table, sizeof *out->head);
    if (!out->embedding || !out->head)
        return tess_fail(err, TESS_ENOMEM, "no memory for a table of %d codebooks", out->n_table);
    return tess_manifest_visit_component(config, TESS_COMPONENT_CODE_PREDICTOR, take_table, &f);
}

tess_status tess_code_predictor_weights_find(const tess_store *store, const tess_config *config,
                                             const tess_block_sizes *sizes, tess_code_predictor_weights *out,
                                             tess_error *err)
{
    tess_code_predictor_weights found = {0};
    tess_status status =
        tess_decoder_weights_find(store, config, TESS_COMPONENT_CODE_PREDICTOR, sizes, &found.model, err);
    if (status == TESS_OK) status = find_tables(store, config, sizes, &found, err);
    if (status != TESS_OK)
        tess_code_predictor_weights_release(&found);
    else
        *out = found;
    return status;
}

void tess_code_predictor_weights_release(tess_code_predictor_weights *weights)
{
    for (int i = 0; i < weights->n_table; i++) {
        if (weights->embedding) free(weights->embedding[i].block);
        if (weights->head) free(weights->head[i].block);
    }
    free(weights->embedding);
    free(weights->head);
    tess_decoder_weights_release(&weights->model);
    *weights = (tess_code_predictor_weights){0};
}
