#include "model/code2wav_weights.h"

#include <stdlib.h>

typedef struct finder {
    const tess_store *store;
    uint64_t block_bytes;
    tess_code2wav_weights *out;
    tess_error *err;
} finder;

/* Puts the tensor of an entry where its role says. */
static tess_status take_entry(void *arg, const tess_manifest_entry *entry)
{
    finder *f = arg;
    const tess_weight_role *role = &entry->role;
    if (role->layer >= 0) {
        TESS_ASSERT(role->weight < TESS_CODE2WAV_LAYER_WEIGHTS);
        return tess_weight_find(f->store, entry,
                                &f->out->layer[role->layer * TESS_CODE2WAV_LAYER_WEIGHTS + role->weight],
                                f->err);
    }
    if (role->part >= 0) {
        TESS_ASSERT(role->part < f->out->n_part && role->weight < TESS_CODE2WAV_PART_WEIGHTS);
        return tess_weight_find(
            f->store, entry, &f->out->part[role->part * TESS_CODE2WAV_PART_WEIGHTS + role->weight], f->err);
    }
    TESS_ASSERT(role->weight == TESS_TOP_EMBEDDING);
    return tess_row_blocks_find(f->store, entry, f->block_bytes, &f->out->embedding, f->err);
}

tess_status tess_code2wav_weights_find(const tess_store *store, const tess_config *config,
                                       uint64_t block_bytes, tess_code2wav_weights *out, tess_error *err)
{
    const tess_code2wav_config *c = &config->code2wav;
    tess_code2wav_weights found = {.n_layer = c->n_layer, .n_part = tess_code2wav_part_last(c) + 1};
    found.layer = calloc((size_t)found.n_layer * TESS_CODE2WAV_LAYER_WEIGHTS, sizeof *found.layer);
    found.part = calloc((size_t)found.n_part * TESS_CODE2WAV_PART_WEIGHTS, sizeof *found.part);
    finder f = {.store = store, .block_bytes = block_bytes, .out = &found, .err = err};
    tess_status status =
        found.layer && found.part
            ? tess_manifest_visit_component(config, TESS_COMPONENT_CODE2WAV, take_entry, &f)
            : tess_fail(err, TESS_ENOMEM, "no memory for a table of %d layers", found.n_layer);
    if (status != TESS_OK)
        tess_code2wav_weights_release(&found);
    else
        *out = found;
    return status;
}

void tess_code2wav_weights_release(tess_code2wav_weights *weights)
{
    free(weights->embedding.block);
    free(weights->layer);
    free(weights->part);
    *weights = (tess_code2wav_weights){0};
}

static tess_bank_layout bank_of(const tess_weight *weight, int n_segment, int n_weight, int n_slot)
{
    return (tess_bank_layout){.weight = weight,
                              .n_segment = n_segment,
                              .n_weight = n_weight,
                              .group_size = n_segment,
                              .n_slot = n_slot < n_segment ? n_slot : 0,
                              .n_lease = 1};
}

tess_bank_layout tess_code2wav_layer_bank(const tess_code2wav_weights *weights, int n_slot)
{
    return bank_of(weights->layer, weights->n_layer, TESS_CODE2WAV_LAYER_WEIGHTS, n_slot);
}

tess_bank_layout tess_code2wav_part_bank(const tess_code2wav_weights *weights, int n_slot)
{
    return bank_of(weights->part, weights->n_part, TESS_CODE2WAV_PART_WEIGHTS, n_slot);
}
